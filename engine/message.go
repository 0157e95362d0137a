package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"multipeer/engine/internal/peers"
	"multipeer/engine/internal/wire"
)

// MaxPending is how many messages to one peer may wait for their answer or for room in the window.
const MaxPending = peers.MaxPending

// MaxMessage is the largest message, in bytes of JSON.
const MaxMessage = wire.MaxMessage

// Broadcast as a recipient means all peers that are connected.
var Broadcast = peers.Broadcast

// recipients returns the peers that to names, each once.
func (e *Engine) recipients(to []PeerID) ([]PeerID, error) {
	switch {
	case len(to) == 0:
		return nil, fmt.Errorf("message: %w: it has no recipient; Broadcast sends to all that are connected", ErrInvalid)
	case slices.Contains(to, Broadcast):
		if to = e.peers.Connected(); len(to) == 0 {
			return nil, ErrNobody
		}
		return to, nil
	}
	named := map[PeerID]bool{}
	var once []PeerID
	for _, id := range to {
		if !named[id] {
			once = append(once, id)
		}
		named[id] = true
	}
	return once, nil
}

// SendTimeout limits how long Send and Post wait for the answer to a message, and how long OpenStream waits for room,
// unless the context has an earlier deadline.
const SendTimeout = 30 * time.Second

// Send sends v, any value that encoding/json can encode to at most MaxMessage bytes, to the named peers, or to all
// that are connected if Broadcast is among them (MCSession sendData, mode reliable). It waits until each has answered,
// at most SendTimeout, and returns one Result for each, in the order of to: without an error the other program has the
// message. A peer that is named twice gets the message once. While MaxPending messages to a peer are pending, Send waits for room, but delays only that peer's message.
//
// Messages of one sender arrive in order and once, even if the connection breaks and is re-established. After an
// error that ends the wait (ErrTimeout, ErrCancelled, ErrLost, ErrBye, ErrClosed) the message may or may not have
// arrived; an error that is the other side's answer (ErrBusy, ErrUnavailable) means that it has not. The error of
// Send itself reports what prevents sending at all: ErrTooLarge, ErrInvalid (no recipient, or a value that cannot be
// sent), or ErrNobody if Broadcast finds none connected.
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
	if err := e.open(); err != nil {
		return nil, err
	}
	if to, err = e.recipients(to); err != nil {
		return nil, err
	}
	if err := e.beginSending(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, SendTimeout, ErrTimeout)
	release := func() { cancel(); e.sending.Done() }
	d := &Delivery{done: make(chan struct{}), left: len(to), results: make([]Result, len(to)), release: release}
	for i, id := range to {
		d.results[i].Peer = id
	}
	for i, id := range to {
		report := func(err error) { d.settle(i, err) }
		w, err := e.peers.Window(id)
		switch {
		case err != nil:
			report(err)
		case w.Reserve():
			w.Post(ctx, body, report)
		case !wait:
			report(fmt.Errorf("%w: %d messages to this peer are waiting", ErrBusy, MaxPending))
		default:
			go func() { // Send waits for it, through the Delivery
				if err := w.AwaitRoom(ctx, e.ended); err != nil {
					report(err)
					return
				}
				w.Post(ctx, body, report)
			}()
		}
	}
	return d, nil
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
