package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"multipeer/engine/internal/events"
	"multipeer/engine/internal/wire"
)

// MaxMessage is the largest message, in bytes of JSON.
const MaxMessage = wire.MaxMessage

// SendTimeout limits how long Send and Post wait for the answer to a message, and how long OpenStream waits for room,
// unless the context has an earlier deadline.
const SendTimeout = 30 * time.Second

// Send sends v, any value that encoding/json can encode to at most MaxMessage bytes, to the named peers, or to all
// that are connected if none is named (MCSession sendData, mode reliable). It waits until each has answered, at most
// SendTimeout, and returns one Result for each, in the order of to: without an error the other program has the
// message. While MaxPending messages to a peer are pending, Send waits for room, but delays only that peer's message.
//
// Messages of one sender arrive in order and once, even if the connection breaks and is re-established. After an
// error that ends the wait (ErrTimeout, ErrCancelled, ErrLost, ErrBye, ErrClosed) the message may or may not have
// arrived; an error that is the other side's answer (ErrBusy, ErrUnavailable) means that it has not. The error of
// Send itself reports what prevents sending at all: ErrTooLarge, ErrInvalid, ErrNobody, or a value that cannot be
// encoded as JSON.
func (e *Engine) Send(ctx context.Context, v any, to ...PeerID) ([]Result, error) {
	d, err := e.dispatch(ctx, v, to, true)
	if err != nil {
		return nil, err
	}
	return d.Results(), nil
}

// Post is Send without the wait: it queues the message, in the order of the calls, and returns a Delivery that
// reports the outcome. If MaxPending messages to a peer are pending, that peer gets none; its Result is ErrBusy. The
// context limits the delivery, not the call, and so does SendTimeout. A peer whose program does not read yet answers
// ErrUnavailable.
func (e *Engine) Post(ctx context.Context, v any, to ...PeerID) (*Delivery, error) {
	return e.dispatch(ctx, v, to, false)
}

// Delivery is one message in transit. Its methods may be called concurrently.
type Delivery struct {
	done chan struct{}

	mu      sync.Mutex
	left    int
	results []Result
	release func()
}

// Done is closed when every recipient's Result is known; the engine guarantees that this happens.
func (d *Delivery) Done() <-chan struct{} { return d.done }

// Results waits for Done and returns a Result for each recipient.
func (d *Delivery) Results() []Result {
	<-d.done
	return d.results
}

// settle stores the result of recipient i.
func (d *Delivery) settle(i int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.results[i].Err = err
	d.left--
	if d.left == 0 {
		close(d.done)
		d.release()
	}
}

func (e *Engine) dispatch(ctx context.Context, v any, to []PeerID, wait bool) (*Delivery, error) {
	body, err := encode(v, MaxMessage)
	if err != nil {
		return nil, err
	}
	if to, err = e.recipients(to); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, SendTimeout, ErrTimeout)
	d := &Delivery{done: make(chan struct{}), left: len(to), results: make([]Result, len(to)), release: cancel}
	for i, id := range to {
		d.results[i].Peer = id
	}
	for i, id := range to {
		told := func(err error) { d.settle(i, err) }
		s, err := e.sessionWith(id)
		if err != nil {
			told(err)
			continue
		}
		select {
		case s.room <- struct{}{}:
			s.post(ctx, body, told)
			continue
		default:
		}
		if !wait {
			told(fmt.Errorf("%w: %d messages wait for it", ErrBusy, MaxPending))
			continue
		}
		go func() { // Send waits for it, through the Delivery
			select {
			case s.room <- struct{}{}:
				s.post(ctx, body, told)
			case <-ctx.Done():
				told(ended(ctx))
			case <-e.ended:
				told(ErrClosed)
			}
		}()
	}
	return d, nil
}

// ended returns the reason why ctx ended as an error of the engine.
func ended(ctx context.Context) error {
	cause := context.Cause(ctx)
	if errors.Is(cause, context.DeadlineExceeded) {
		return wire.Reword(ErrTimeout.Error(), ErrTimeout, cause)
	}
	if errors.Is(cause, context.Canceled) {
		return wire.Reword(ErrCancelled.Error(), ErrCancelled, cause)
	}
	return cause
}

// recipients returns to, or all connected peers if to is empty.
func (e *Engine) recipients(to []PeerID) ([]PeerID, error) {
	if len(to) > 0 {
		return to, nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for id, p := range e.peers {
		if p.session != nil {
			to = append(to, id)
		}
	}
	if len(to) == 0 {
		return nil, ErrNobody
	}
	return to, nil
}

// sessionWith returns the session with a peer.
func (e *Engine) sessionWith(id PeerID) (*session, error) {
	if l := e.links.get(id); l != nil {
		if s := l.session.Load(); s != nil {
			return s, nil
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.peers[id]
	switch {
	case p == nil || !p.shown:
		return nil, ErrNoPeer
	case p.session != nil:
		return p.session, nil
	case p.link == nil && p.err != nil:
		return nil, fmt.Errorf("%w: %w", ErrNotConnected, p.err)
	}
	return nil, ErrNotConnected
}

// encode is json.Marshal with a size limit and without HTML escaping.
func encode(v any, limit int) (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encoding message: %w: %w", ErrInvalid, err)
	}
	body := bytes.TrimRight(b.Bytes(), "\n")
	if len(body) > limit {
		return nil, fmt.Errorf("message of %d bytes: %w: at most %d", len(body), ErrTooLarge, limit)
	}
	// A json.Marshaler or RawMessage may hold what the other side refuses.
	if err := wire.CheckInner(body); err != nil {
		return nil, fmt.Errorf("message: %w: %w", ErrInvalid, err)
	}
	return body, nil
}

// takeMessage passes a message to the program once. The sender comes from the connection's key, the time from our
// clock. Without a session on l there is nothing to do: the peer repeats the message on a newer connection.
func (l *link) takeMessage(m wire.Text) {
	e := l.e
	s := l.sessionNow()
	if s == nil { // guard: message-session
		return
	}
	s.receive(l, func() {
		ack := wire.TextAck{N: m.N}
		if code, twice := s.repeatedLocked(m.N); twice { // guard: message-once
			ack.Code = code
		} else {
			if !e.publish(MessageReceived{Message{From: l.peer.id, Name: *l.name.Load(), Body: m.Body, At: now()}, new(events.Held)}) {
				ack.Code = e.unreadCode()
			}
			s.keepAnswerLocked(m.N, ack.Code)
		}
		l.send(ack)
	})
}
