package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"multipeer/engine/internal/gateways"
	"multipeer/engine/internal/peers"
	"multipeer/engine/internal/wire"
)

// Broadcast as a recipient means all peers that are connected.
var Broadcast = peers.Broadcast

// recipients returns the peers named in to, each once.
func (e *Engine) recipients(to []PeerID) ([]PeerID, error) {
	switch {
	case len(to) == 0:
		return nil, fmt.Errorf("%w: there is no recipient; Broadcast means all connected peers", ErrInvalid)
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

// Send sends v to the named peers, or instead to all with a session if Broadcast is among them: as raw bytes if it is a
// []byte, and otherwise as JSON, also if it is another type of bytes; at most MaxMessage bytes. It waits, at most
// SendTimeout, until their programs have queued it, and returns one Result for each peer, without repetitions. While
// 256 messages to a peer are pending, Send waits for room, for that peer only.
//
// Messages of one sender arrive in order and once, also over a connection that breaks. After ErrTimeout, ErrCancelled,
// ErrLost, ErrBye or ErrClosed a message may have arrived; after ErrBusy or ErrUnavailable it has not. The error is nil
// only if all have the message: it joins the errors of the results, or says what prevents sending at all, without
// results: ErrTooLarge, ErrInvalid, ErrClosed, ErrNobody if there is no one for Broadcast, or the error of a ctx that has
// ended before the call.
func (e *Engine) Send(ctx context.Context, v any, to ...PeerID) ([]Result, error) {
	return sendMessage(ctx, e, wire.Text{}, v, to)
}

// sendMessage is Send of msg with v in it.
func sendMessage(ctx context.Context, e *Engine, msg wire.Text, v any, to []PeerID) ([]Result, error) {
	if ctx.Err() != nil {
		return nil, wire.EndOf(ctx)
	}
	d, err := e.newDelivery(msg, v, to)
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { d.cancel(wire.EndOf(ctx)) })()
	var waiting sync.WaitGroup
	for i := range d.windows {
		if !d.post(i) {
			waiting.Go(func() { d.await(ctx, i) }) // delays only that peer's message
		}
	}
	waiting.Wait()
	return withErrors("send to", d.Results())
}

// withErrors returns results and the joined errors of those that have one.
func withErrors(op string, results []Result) ([]Result, error) {
	var errs []error
	for _, r := range results {
		if r.Err != nil {
			errs = append(errs, &OpError{Op: op, Peer: r.Peer, Err: r.Err})
		}
	}
	return results, errors.Join(errs...)
}

// Post is Send without the wait for answers: it queues the message in the order of the calls. All failures, including
// ErrNotConnected and ErrNoPeer, are reported in the Delivery only. While 256 messages to a peer are pending it waits
// for room, until ctx ends at the latest: then the message is not queued for that peer. A peer whose program does not
// read can delay it for 30 s. ctx does not affect what is queued; SendTimeout does. Do not call Post an unbounded
// number of times from the function that receives messages: two programs that do so wait for each other.
func (e *Engine) Post(ctx context.Context, v any, to ...PeerID) (*Delivery, error) {
	return postMessage(ctx, e, wire.Text{}, v, to)
}

func postMessage(ctx context.Context, e *Engine, msg wire.Text, v any, to []PeerID) (*Delivery, error) {
	if ctx.Err() != nil {
		return nil, wire.EndOf(ctx)
	}
	d, err := e.newDelivery(msg, v, to)
	if err != nil {
		return nil, err
	}
	var full []int
	for i := range d.windows {
		if !d.post(i) {
			full = append(full, i)
		}
	}
	for _, i := range full { // last, so that it does not delay the others
		d.await(ctx, i)
	}
	return d, nil
}

// TryPost is Post that never waits: if there is no room for one of the peers, it sends to none and returns
// ErrBusy; the OpError names that peer.
func (e *Engine) TryPost(v any, to ...PeerID) (*Delivery, error) {
	return tryPostMessage(e, wire.Text{}, v, to)
}

func tryPostMessage(e *Engine, msg wire.Text, v any, to []PeerID) (*Delivery, error) {
	d, err := e.newDelivery(msg, v, to)
	if err != nil {
		return nil, err
	}
	if full := d.reserve(); full >= 0 {
		err := fmt.Errorf("%w: %d messages to this peer are waiting", ErrBusy, peers.MaxPending)
		withPeer(&err, "send to", d.results[full].Peer)
		return nil, err
	}
	for i := range d.windows {
		d.send(i)
	}
	return d, nil
}

// Delivery is one message in transit. Its methods may be called concurrently.
type Delivery struct {
	done   chan struct{}
	e      *Engine
	ctx    context.Context // limits the wait for answers
	cancel context.CancelCauseFunc
	msg    wire.Text
	// windows has the window of each recipient; nil if there is no session.
	windows []*peers.Window
	// devices has the link to each recipient that a gateway reaches; nil for all others.
	devices []*gateways.Link

	mu      sync.Mutex
	left    int
	results []Result
}

// newDelivery puts v into msg, and checks both and the recipients. The caller must post, send or await for each window.
func (e *Engine) newDelivery(msg wire.Text, v any, to []PeerID) (*Delivery, error) {
	err := putValue(&msg, v, MaxMessage)
	if err != nil {
		return nil, err
	}
	if err := e.open(); err != nil {
		return nil, err
	}
	if to, err = e.recipients(to); err != nil {
		return nil, err
	}
	if msg.Reply != 0 { // Shutdown waits for the answers to requests that have arrived
		e.sending.add()
	} else if err := e.sending.begin(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	d := &Delivery{
		done: make(chan struct{}), e: e, ctx: ctx, cancel: cancel, msg: msg, left: len(to),
		windows: make([]*peers.Window, len(to)), devices: make([]*gateways.Link, len(to)), results: make([]Result, len(to)),
	}
	limit := time.AfterFunc(SendTimeout, func() { cancel(ErrTimeout) })
	context.AfterFunc(ctx, func() { limit.Stop() })
	for i, id := range to {
		d.results[i].Peer = id
		if d.devices[i] = e.gateways.Link(id); d.devices[i] == nil {
			d.windows[i], d.results[i].Err = e.peers.Window(id)
		}
	}
	return d, nil
}

// Done is closed when every Result is known, at the latest after SendTimeout. A Delivery need not be waited for.
func (d *Delivery) Done() <-chan struct{} { return d.done }

// Results waits for Done and returns a Result for each recipient. It is shared: do not modify it.
func (d *Delivery) Results() []Result {
	<-d.done
	return d.results
}

// Cancel abandons the message: recipients that have not answered have the Result ErrCancelled, but may still receive
// it. It is idempotent.
func (d *Delivery) Cancel() { d.cancel(ErrCancelled) }

// post sends the message to recipient i if there is room.
func (d *Delivery) post(i int) bool {
	w := d.windows[i]
	if w != nil && !w.Reserve() {
		return false
	}
	d.send(i)
	return true
}

// await sends the message to recipient i once there is room, or until ctx ends.
func (d *Delivery) await(ctx context.Context, i int) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(d.ctx, func() { cancel(context.Cause(d.ctx)) })()
	if err := d.windows[i].AwaitRoom(ctx, d.e.ended); err != nil {
		d.settle(i, err)
		return
	}
	d.send(i)
}

// reserve reserves room for every recipient and returns -1. If one has no room, it reserves nothing and returns the index
// of the first such recipient.
func (d *Delivery) reserve() (full int) {
	for i, w := range d.windows {
		if w == nil || w.Reserve() {
			continue
		}
		for _, reserved := range d.windows[:i] {
			if reserved != nil {
				reserved.Free()
			}
		}
		d.cancel(nil)
		d.e.sending.end()
		return i
	}
	return -1
}

// send sends the message to recipient i, for which room is reserved, or settles it if there is no session.
func (d *Delivery) send(i int) {
	if device := d.devices[i]; device != nil {
		sending := d.e.tasks.Start(func(run context.Context) {
			ctx, cancel := context.WithCancelCause(d.ctx)
			defer cancel(nil)
			defer context.AfterFunc(run, func() { cancel(ErrClosed) })()
			d.settle(i, device.SendText(ctx, d.msg))
		})
		if !sending {
			d.settle(i, ErrClosed)
		}
		return
	}
	if d.windows[i] == nil {
		d.settle(i, d.results[i].Err)
		return
	}
	d.windows[i].Post(d.ctx, d.msg, func(err error) { d.settle(i, err) })
}

// settle stores the result of recipient i.
func (d *Delivery) settle(i int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.results[i].Err = err
	d.left--
	if d.left == 0 {
		close(d.done)
		d.cancel(nil)
		d.e.sending.end()
	}
}

// putValue puts v into a message that has no contents yet.
func putValue(msg *wire.Text, v any, limit int) (err error) {
	if msg.Failed != "" {
		return nil
	}
	data, bytes := v.([]byte)
	switch {
	case !bytes:
		msg.Body, err = encode(v, limit)
		return err
	case len(data) > limit:
		return fmt.Errorf("message of %d bytes: %w: at most %d", len(data), ErrTooLarge, limit)
	}
	msg.Data = append([]byte{}, data...)
	return nil
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
