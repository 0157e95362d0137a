package engine

import (
	"context"
	"encoding/json"
	"slices"
	"sync"

	"multipeer/engine/internal/wire"
)

// Limits on the messages to one peer.
const (
	// window and windowBytes limit the messages in flight without an answer, by number and by size.
	window      = 64
	windowBytes = 4 << 20
	// MaxPending is how many messages to one peer may wait for their answer or for room in the window.
	MaxPending = 256
)

// session is the state that two connected peers share, across all connections between them: the messages without an
// answer, and which messages of the other side were taken. So a connection that breaks and is re-established loses
// and duplicates no message, and keeps their order.
//
// Both sides keep the session until one of them leaves; a hello says whether its sender still has it
// (wire.Hello.Session). Message numbers never restart within a session, so a number identifies a message that was
// taken before.
type session struct {
	context json.RawMessage // what the other program sent with the invitation or its answer; guarded by Engine.mu
	ends    uint64          // how often the program has seen it end; guarded by Engine.mu
	room    chan struct{}   // one entry for each pending message

	mu      sync.Mutex
	link    *link // carries the messages; nil while there is no connection
	ended   error // why messages are not accepted now
	next    uint64
	pending []*outgoing // in the order of their numbers

	// What the other side has sent.
	taken   uint64                // the newest number
	answers [2 * window]wire.Code // the answers to the newest messages, by number
}

// outgoing is one message to one peer.
type outgoing struct {
	n     uint64
	frame []byte
	over  *link       // the link it was last written to; nil while it waits
	stop  func() bool // stops watching the message's context
	told  func(error) // receives the result once and must not block; then nil
}

func newSession() *session {
	return &session{room: make(chan struct{}, MaxPending), ended: ErrNotConnected}
}

// post numbers a message and sends it as soon as the window and a connection allow; when ctx ends, the message is
// given up. The caller has taken a slot in room, which is released at the end. The last argument receives the result.
func (s *session) post(ctx context.Context, body json.RawMessage, told func(error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	frame, err := wire.Frame(wire.Text{N: s.next + 1, Body: body})
	if s.ended != nil {
		err = s.ended
	}
	if err != nil {
		<-s.room
		told(err)
		return
	}
	s.next++
	o := &outgoing{n: s.next, frame: frame, told: told}
	o.stop = context.AfterFunc(ctx, func() { s.giveUp(o, ended(ctx)) })
	s.pending = append(s.pending, o)
	s.pumpLocked()
}

// pumpLocked writes the messages that the window allows.
func (s *session) pumpLocked() {
	if s.link == nil {
		return
	}
	sent, bytes := 0, 0
	for _, o := range s.pending {
		if sent >= window || o.n >= s.pending[0].n+window || bytes > 0 && bytes+len(o.frame) > windowBytes {
			return
		}
		if o.over != s.link {
			o.over = s.link
			s.link.queue(o.frame)
		}
		sent, bytes = sent+1, bytes+len(o.frame)
	}
}

// giveUp ends the wait for a message that has no answer yet. A message in flight keeps its slot until the answer
// comes or the connection breaks; otherwise more messages than the window allows could be in flight.
func (s *session) giveUp(o *outgoing, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.pending, o)
	switch {
	case i < 0:
	case s.link != nil && o.over == s.link:
		o.tell(err)
	default:
		s.remove(i, err)
	}
}

func (o *outgoing) tell(err error) {
	if o.told != nil {
		o.told(err)
		o.told = nil
	}
}

// answered handles the other side's answer to message n, which came over l.
func (s *session) answered(l *link, n uint64, code wire.Code) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link != l {
		// The message was repeated over a newer connection, and so will be its answer.
		return
	}
	// Answers come in order: an earlier message without an answer was not taken.
	for len(s.pending) > 0 && s.pending[0].n < n && s.pending[0].over == l {
		s.remove(0, ErrNotConnected)
	}
	i := slices.IndexFunc(s.pending, func(o *outgoing) bool { return o.n == n })
	if i < 0 {
		return
	}
	var err error
	if code != wire.Bye {
		err = code.Err()
	}
	s.remove(i, err)
	s.pumpLocked()
}

func (s *session) remove(i int, err error) {
	o := s.pending[i]
	s.pending = slices.Delete(s.pending, i, i+1)
	o.stop()
	<-s.room
	o.tell(err)
}

// attach makes l the connection of the session, and repeats the messages without an answer.
func (s *session) attach(l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.link, s.ended = l, nil
	for i := len(s.pending) - 1; i >= 0; i-- {
		if s.pending[i].told == nil { // given up: do not repeat it
			s.remove(i, nil)
		}
	}
	s.pumpLocked()
}

// detach records that there is no connection for now.
func (s *session) detach() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.link = nil
}

// receive calls f, with the lock of the session held, if l still carries the session.
func (s *session) receive(l *link, f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link == l {
		f()
	}
}

// end fails the pending messages. No message is accepted until the next attach.
func (s *session) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.link, s.ended = nil, err
	for len(s.pending) > 0 {
		s.remove(0, err)
	}
}

// repeatedLocked reports whether message n was received before, and how it was answered.
func (s *session) repeatedLocked(n uint64) (wire.Code, bool) {
	switch {
	case n > s.taken:
		return 0, false
	case s.taken-n >= uint64(len(s.answers)):
		return wire.Failed, true // no honest sender has so many unanswered
	}
	return s.answers[n%uint64(len(s.answers))], true
}

// keepAnswerLocked stores the answer to message n.
func (s *session) keepAnswerLocked(n uint64, code wire.Code) {
	for left := max(s.taken, n-min(n, uint64(len(s.answers)))) + 1; left < n; left++ { // these never arrived
		s.answers[left%uint64(len(s.answers))] = wire.Failed
	}
	s.taken = n
	s.answers[n%uint64(len(s.answers))] = code
}
