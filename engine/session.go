package engine

import (
	"context"
	"encoding/json"
	"slices"
	"sync"

	"multipeer/engine/internal/wire"
)

// Bounds on the messages to one peer.
const (
	// window is how many messages, and windowBytes how much of them, may be on their way without an answer.
	window      = 64
	windowBytes = 4 << 20
	// MaxPending is how many messages to one peer may wait for their answer or for room in the window.
	MaxPending = 256
)

// session is what two connected peers share, over every conn between them: the messages that are not answered yet,
// and which ones of the other side were taken. So a conn that breaks and is made anew loses no message, doubles none,
// and keeps their order.
//
// Both sides keep it until one of them leaves; a hello says whether the sender still has it (wire.Hello.Session).
// Numbers never start again while it is kept, hence a number tells a message that was taken before.
type session struct {
	context json.RawMessage // what the other program sent with the invitation or its answer; guarded by Engine.mu
	room    chan struct{}   // one for each pending message

	mu      sync.Mutex
	link    *link // where messages go; nil while there is no conn
	ended   error // why messages are not taken now
	next    uint64
	pending []*outgoing // in the order of their numbers

	ends uint64 // how often the program was told that it has ended; guarded by Engine.mu

	// What came from the other side; guarded by Engine.mu.
	taken   uint64                // the newest number
	answers [2 * window]wire.Code // to the newest ones, by number
}

// outgoing is one message to one peer.
type outgoing struct {
	n     uint64
	frame []byte
	over  *link       // what it was last written to; nil while it waits
	stop  func() bool // ends the watch over the message's context
	told  func(error) // takes the result, once; it must not block. nil after that
}

func newSession() *session {
	return &session{room: make(chan struct{}, MaxPending), ended: ErrNotConnected}
}

// post numbers a message and sends it as soon as the window and a conn allow; when ctx ends it is given up. The
// caller has taken a place in room, which is given back. told gets the result.
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
	s.pump()
}

// pump writes what the window allows. Call with s.mu held.
func (s *session) pump() {
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

// giveUp ends the wait for a message that has no answer yet. One that is on its way keeps its place until the answer
// comes or the conn breaks, or the window would be larger than it says.
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

// answered takes the other side's answer to message n, which came over l.
func (s *session) answered(l *link, n uint64, code wire.Code) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link != l {
		return // the message went out again over a newer conn, and its answer comes there again
	}
	// Answers come in order: what went out before and has none was not taken.
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
	s.pump()
}

func (s *session) remove(i int, err error) {
	o := s.pending[i]
	s.pending = slices.Delete(s.pending, i, i+1)
	o.stop()
	<-s.room
	o.tell(err)
}

// attach makes l the conn of the session, and sends again what has no answer yet.
func (s *session) attach(l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.link, s.ended = l, nil
	for i := len(s.pending) - 1; i >= 0; i-- {
		if s.pending[i].told == nil { // given up; not sent again
			s.remove(i, nil)
		}
	}
	s.pump()
}

// detach tells that there is no conn for now.
func (s *session) detach() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.link = nil
}

// end fails what is pending. Until the next attach no message is taken.
func (s *session) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.link, s.ended = nil, err
	for len(s.pending) > 0 {
		s.remove(0, err)
	}
}

// repeated tells whether message n has come before, and what was answered. Call with Engine.mu held.
func (s *session) repeated(n uint64) (wire.Code, bool) {
	switch {
	case n > s.taken:
		return 0, false
	case s.taken-n >= uint64(len(s.answers)):
		return wire.Failed, true // no honest sender keeps so many unanswered
	}
	return s.answers[n%uint64(len(s.answers))], true
}

// took keeps the answer to message n. Call with Engine.mu held.
func (s *session) took(n uint64, code wire.Code) {
	for left := max(s.taken, n-min(n, uint64(len(s.answers)))) + 1; left < n; left++ { // these never came
		s.answers[left%uint64(len(s.answers))] = wire.Failed
	}
	s.taken = n
	s.answers[n%uint64(len(s.answers))] = code
}
