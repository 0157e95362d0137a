package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"multipeer/engine/internal/wire"
)

// MaxMessage is the largest message, in bytes of JSON.
const MaxMessage = wire.MaxMessage

// SendTimeout bounds the wait of Send and Post for a message's answer, and of OpenStream for room, where the context has
// no earlier deadline.
const SendTimeout = 30 * time.Second

// Send sends v, any value that encoding/json can encode to at most MaxMessage bytes, to the peers named, or to all
// that are connected if none is (MCSession sendData, mode reliable). It waits until each has answered, SendTimeout at
// the longest, and returns one Result for each, in the order of to: without an error the other program has the
// message. While MaxPending messages to a peer are pending it waits for room; that peer alone is waited for.
//
// Messages of one sender arrive in order and once, also when the conn between the two breaks and is made anew. An
// error that ends the wait (ErrTimeout, ErrCancelled, ErrLost, ErrBye, ErrClosed) leaves open whether the message
// arrived; one that is the other side's answer (ErrBusy, ErrUnavailable) does not. The error of Send itself is for what keeps the whole
// from being sent: ErrTooLarge, ErrInvalid, ErrNobody, or a value that is no JSON.
func (e *Engine) Send(ctx context.Context, v any, to ...PeerID) ([]Result, error) {
	d, err := e.dispatch(ctx, v, to, true)
	if err != nil {
		return nil, err
	}
	return d.Results(), nil
}

// Post is Send that does not wait: it queues the message, in the order of the calls, and returns what tells its end.
// A peer to whom MaxPending messages are pending gets none; its Result is ErrBusy. The context bounds the delivery,
// not the call, and SendTimeout does too. A peer whose program does not read yet answers ErrUnavailable.
func (e *Engine) Post(ctx context.Context, v any, to ...PeerID) (*Delivery, error) {
	return e.dispatch(ctx, v, to, false)
}

// Delivery is one message on its way. Its methods may be called concurrently.
type Delivery struct {
	done chan struct{}

	mu      sync.Mutex
	left    int
	results []Result
	release func()
}

// Done is closed when every recipient's Result is known; the engine sees to it that this happens.
func (d *Delivery) Done() <-chan struct{} { return d.done }

// Results waits for Done and returns a Result for each recipient.
func (d *Delivery) Results() []Result {
	<-d.done
	return d.results
}

// settle keeps the result of recipient i.
func (d *Delivery) settle(i int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.results[i].Err = err
	if d.left--; d.left == 0 {
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
		go func() { // Send waits for it
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

// ended is why ctx ended, in the engine's words.
func ended(ctx context.Context) error {
	cause := context.Cause(ctx)
	if errors.Is(cause, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", ErrTimeout, cause)
	}
	if errors.Is(cause, context.Canceled) {
		return fmt.Errorf("%w: %w", ErrCancelled, cause)
	}
	return cause
}

// recipients is to, or everybody who is connected.
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

// sessionWith finds the session with a peer.
func (e *Engine) sessionWith(id PeerID) (*session, error) {
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

// encode is json.Marshal with a limit, and without the escaping meant for HTML.
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
	if err := wire.CheckInner(body); err != nil { // a json.Marshaler or RawMessage can hold what the other side refuses
		return nil, fmt.Errorf("message: %w: %w", ErrInvalid, err)
	}
	return body, nil
}

// takeMessage hands a message to the program, once. The sender is who the conn's key says; the time is ours.
func (e *Engine) takeMessage(p *peer, l *link, m wire.Text) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p.link != l { // it will come again over the newer conn
		return nil
	}
	s := p.session
	if s == nil { // guard: message-session
		return nil
	}
	ack := wire.TextAck{N: m.N}
	if code, twice := s.repeated(m.N); twice { // guard: message-once
		ack.Code = code
	} else {
		if !e.publish(MessageReceived{Message{From: p.id, Name: p.name, Body: m.Body, At: now()}, new(held)}) {
			ack.Code = e.untaken()
		}
		s.took(m.N, ack.Code)
	}
	l.send(ack)
	return nil
}
