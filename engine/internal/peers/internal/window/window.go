// Package window keeps the messages between two peers in order and without loss or repetition, across all connections
// that a session has.
package window

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"multipeer/engine/internal/wire"
)

// Limits on the messages to one peer.
const (
	// inFlight and inFlightBytes limit the messages in flight without an answer, by number and by size.
	inFlight      = 64
	inFlightBytes = 4 << 20
	// MaxPending is how many messages to one peer may wait for their answer or for room in the window.
	MaxPending = 256
)

// Later is what deliver returns when the program has no room for a message now. It is not sent to the other side.
const Later wire.Code = 1 << 62

// Link is a connection that carries messages. It is comparable.
type Link interface {
	// Queue queues a frame of the control stream and does not wait.
	Queue(frame []byte)
}

// Window is one side's state of the messages between two peers: its own unanswered messages, and which of the other
// side's messages it has accepted. This ensures that no message is lost, duplicated or reordered when a connection
// breaks and is re-established. Numbers never restart, so a number identifies a message that was taken before. Its lock
// is held during calls to the link and to the functions that it is given. All methods may be called concurrently.
type Window struct {
	slots  chan struct{} // one entry for each pending message
	budget *Budget       // for the bytes of parked
	mute   func()        // called when the other side has not answered for too long while messages wait

	mu      sync.Mutex
	link    Link  // carries the messages; nil while there is no connection
	ended   error // why messages are not accepted now
	next    uint64
	pending []*outgoing // in the order of their numbers
	heard   time.Time   // when an answer to a pending message last came
	blocked time.Time   // when this side last could not read what had arrived

	// The other side's messages.
	waiting atomic.Int32            // how many messages are in parked
	parked  []incoming              // messages for which the program has no room, in order
	taken   uint64                  // the number of the newest message taken
	answers [2 * inFlight]wire.Code // the answers to the newest messages, by number
}

// outgoing is one message to one peer.
type outgoing struct {
	n      uint64
	frame  []byte
	over   Link        // the link it was last written to; nil while it waits
	sent   time.Time   // when it was written to that link
	stop   func() bool // stops watching the message's context
	report func(error) // receives the result once and must not block; then nil
}

// incoming is one message of the other side.
type incoming struct {
	n       uint64
	size    int
	deliver func() wire.Code
	answer  func(wire.Code)
}

// muteAfter is how long the other side may leave a full window unanswered before it counts as mute.
const muteAfter = 30 * time.Second

// New returns a window that accepts no message before Attach. mute is called, without a lock held, when the window is
// full and the other side has not answered for muteAfter, although this side has read everything that arrived.
func New(budget *Budget, mute func()) *Window {
	return &Window{budget: budget, mute: mute, slots: make(chan struct{}, MaxPending), ended: wire.ErrNotConnected}
}

// Reserve reserves room for one message if there is some. Post uses it, and frees it once the message has a result.
func (w *Window) Reserve() bool {
	select {
	case w.slots <- struct{}{}:
		return true
	default:
		return false
	}
}

// Free frees room that Reserve has reserved, without a message.
func (w *Window) Free() { <-w.slots }

// AwaitRoom reserves room for one message as soon as there is some. The error is the end of ctx, or ErrClosed once done
// is closed.
func (w *Window) AwaitRoom(ctx context.Context, done <-chan struct{}) error {
	select {
	case w.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return wire.EndOf(ctx)
	case <-done:
		return wire.ErrClosed
	}
}

// Post numbers msg and sends it as soon as the window and a connection allow; when ctx ends, the message is abandoned.
// The caller has reserved room. report receives the result once and must not block.
func (w *Window) Post(ctx context.Context, msg wire.Text, report func(error)) {
	if w.post(ctx, msg, report) {
		w.mute()
	}
}

// post reports whether the other side is mute.
func (w *Window) post(ctx context.Context, msg wire.Text, report func(error)) (mute bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	msg.N = w.next + 1
	frame, err := wire.Frame(msg)
	if w.ended != nil {
		err = w.ended
	}
	if err != nil {
		<-w.slots
		report(err)
		return false
	}
	w.next++
	o := &outgoing{n: w.next, frame: frame, report: report}
	o.stop = context.AfterFunc(ctx, func() { w.giveUp(o, wire.EndOf(ctx)) })
	w.pending = append(w.pending, o)
	w.pumpLocked()
	return w.muteLocked()
}

// pumpLocked writes the messages that the window allows.
func (w *Window) pumpLocked() {
	if w.link == nil {
		return
	}
	sent, bytes := 0, 0
	for _, o := range w.pending {
		if sent >= inFlight || o.n >= w.pending[0].n+inFlight || bytes > 0 && bytes+len(o.frame) > inFlightBytes {
			return
		}
		if o.over != w.link {
			o.over, o.sent = w.link, time.Now()
			w.link.Queue(o.frame)
		}
		sent, bytes = sent+1, bytes+len(o.frame)
	}
}

// giveUp ends the wait for a message that has no answer yet. A message in flight keeps its slot until the answer
// comes or the connection breaks; otherwise more messages than the window allows could be in flight.
func (w *Window) giveUp(o *outgoing, err error) {
	if w.giveUpNow(o, err) {
		w.mute()
	}
}

// muteLocked reports whether the other side is mute.
func (w *Window) muteLocked() bool {
	if w.link == nil || len(w.pending) < inFlight {
		return false
	}
	since := w.pending[0].sent
	for _, at := range []time.Time{w.heard, w.blocked} {
		if at.After(since) {
			since = at
		}
	}
	if w.pending[0].over == w.link && time.Since(since) >= muteAfter { // guard: mute-peer
		return true
	}
	return false
}

// Blocked records that this side currently cannot read from the connection, including the other side's answers.
func (w *Window) Blocked() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.blocked = time.Now()
}

// giveUpNow reports whether the other side is mute.
func (w *Window) giveUpNow(o *outgoing, err error) (mute bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	mute = w.muteLocked()
	i := slices.Index(w.pending, o)
	switch {
	case i < 0:
	case w.link != nil && o.over == w.link:
		o.finish(err)
	default:
		w.removeLocked(i, err)
	}
	return mute
}

// finish reports the result, unless it was reported before.
func (o *outgoing) finish(err error) {
	if o.report != nil {
		o.report(err)
		o.report = nil
	}
}

// Answered handles the other side's answer to message n, which came over l.
func (w *Window) Answered(l Link, n uint64, code wire.Code) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.link != l {
		// The message was repeated over a newer connection, and so will be its answer.
		return
	}
	// Answers arrive in order: an earlier message without an answer was not accepted.
	for len(w.pending) > 0 && w.pending[0].n < n && w.pending[0].over == l {
		w.removeLocked(0, wire.ErrNotConnected)
	}
	i := slices.IndexFunc(w.pending, func(o *outgoing) bool { return o.n == n })
	if i < 0 { // guard: mute-answers
		return
	}
	w.heard = time.Now()
	var err error
	if code != wire.Bye {
		err = code.Err()
	}
	w.removeLocked(i, err)
	w.pumpLocked()
}

func (w *Window) removeLocked(i int, err error) {
	o := w.pending[i]
	w.pending = slices.Delete(w.pending, i, i+1)
	o.stop()
	<-w.slots
	o.finish(err)
}

// Attach makes l the connection that carries the messages, and repeats those without an answer.
func (w *Window) Attach(l Link) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.link, w.ended = l, nil
	for i := len(w.pending) - 1; i >= 0; i-- {
		if w.pending[i].report == nil { // abandoned: do not repeat it
			w.removeLocked(i, nil)
		}
	}
	w.pumpLocked()
	w.retryLocked()
}

// Detach records that there is no connection for now.
func (w *Window) Detach() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.link = nil
}

// End fails the pending messages. No message is accepted until the next Attach.
func (w *Window) End(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.link, w.ended = nil, err
	for _, m := range w.parked {
		w.budget.giveBack(m.size)
	}
	w.parked = nil
	w.countParkedLocked()
	for len(w.pending) > 0 {
		w.removeLocked(0, err)
	}
}

// Take handles message n of the other side, of the given size in bytes, which came over l. It calls deliver, unless the
// message was delivered before, and then answer with the code that deliver has returned for it. If that is Later, the
// program has no room now: the message waits without an answer until Retry, and so do those after it, which stops the
// other side once its window is full. Take does nothing if another link carries the messages: the other side repeats
// the message there. It returns false if a message has to wait and the budget has no bytes left: then the caller must
// call it again.
func (w *Window) Take(l Link, n uint64, size int, deliver func() wire.Code, answer func(wire.Code)) (taken bool) {
	taken = true
	w.While(l, func() {
		code, repeated := w.repeatedLocked(n)
		if repeated { // guard: message-once
			answer(code)
			return
		}
		bytes := size
		for i, m := range w.parked {
			if m.n == n { // repeated over a new connection
				w.parked[i].answer = answer
				w.retryLocked() // the program may have made room while there was no connection
				return
			}
			bytes += m.size
		}
		if len(w.parked) == 0 {
			if code = deliver(); code != Later {
				w.keepAnswerLocked(n, code)
				answer(code)
				return
			}
		} else if len(w.parked) >= inFlight || bytes > inFlightBytes+size { // guard: messages-parked
			return // the other side exceeds its window
		}
		if taken = w.budget.take(size); !taken { // guard: messages-parked-by-all
			return
		}
		w.parked = append(w.parked, incoming{n, size, deliver, answer})
		w.countParkedLocked()
		w.retryLocked() // there may be room now, and Retry may have run before the message waited
	})
	return taken
}

// Retry delivers messages that wait for room.
func (w *Window) Retry() {
	if w.waiting.Load() == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.retryLocked()
}

func (w *Window) retryLocked() {
	for len(w.parked) > 0 {
		m := w.parked[0]
		code := m.deliver()
		if code == Later {
			break
		}
		w.parked = w.parked[1:]
		w.budget.giveBack(m.size)
		w.keepAnswerLocked(m.n, code)
		m.answer(code)
	}
	w.countParkedLocked()
}

// countParkedLocked records that the number of parked messages may have changed.
func (w *Window) countParkedLocked() {
	switch had, has := w.waiting.Swap(int32(len(w.parked))) > 0, len(w.parked) > 0; {
	case has && !had:
		w.budget.windows.Add(1)
	case had && !has:
		w.budget.windows.Add(-1)
	}
}

// While calls f if l carries the messages. No message is taken during the call.
func (w *Window) While(l Link, f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.link == l {
		f()
	}
}

// Hold calls f. No message is taken during the call.
func (w *Window) Hold(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// repeatedLocked reports whether message n was received before, and how it was answered.
func (w *Window) repeatedLocked(n uint64) (wire.Code, bool) {
	switch {
	case n > w.taken:
		return 0, false
	case w.taken-n >= uint64(len(w.answers)):
		return wire.Failed, true // no honest sender has that many unanswered messages
	}
	return w.answers[n%uint64(len(w.answers))], true
}

// keepAnswerLocked stores the answer to message n.
func (w *Window) keepAnswerLocked(n uint64, code wire.Code) {
	for left := max(w.taken, n-min(n, uint64(len(w.answers)))) + 1; left < n; left++ { // these never arrived
		w.answers[left%uint64(len(w.answers))] = wire.Failed
	}
	w.taken = n
	w.answers[n%uint64(len(w.answers))] = code
}
