package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
	"multipeer/transfer"
)

const (
	// keptTransfers is how many finished transfers are remembered.
	keptTransfers = 500
	// rateInterval is the shortest time over which a rate is measured.
	rateInterval = time.Second
)

// transferState is the record of one transfer. Fields are guarded by Engine.mu.
type transferState struct {
	view   Transfer
	order  int64
	names  []string // top-level names as they are on the wire
	link   *link    // the conn that negotiated it
	offer  *Offer   // incoming, until it is answered
	ctx    context.Context
	cancel context.CancelCauseFunc // set while a goroutine looks after it
	answer chan error              // outgoing: nil is yes
	lane   chan lane               // where the lane arrives, if the other side dials it
	done   chan struct{}           // closed when it is final

	proposed  bool      // the offer is out: updates may follow
	mark      time.Time // the rate is measured from here
	markBytes int64
}

type lane struct {
	conn   *transport.Conn
	stream *transport.Stream
}

// newTransfer makes a record. Call with Engine.mu held.
func (e *Engine) newTransfer(l *link, id TransferID, incoming bool) *transferState {
	e.trim()
	return &transferState{
		view:  Transfer{ID: id, Peer: l.peer.id, PeerName: l.peer.name, Incoming: incoming},
		order: int64(len(e.transfers)) + now().UnixNano(), link: l,
		answer: make(chan error, 1), lane: make(chan lane, 1), done: make(chan struct{}),
	}
}

// launch runs f for t on a goroutine of the engine, with a context that stop ends; false if the engine is ending.
// Call with Engine.mu held: whoever cancels from then on is heard.
func (e *Engine) launch(t *transferState, f func(ctx context.Context)) bool {
	return e.start(func(context.Context) {
		defer t.cancel(nil)
		f(t.ctx)
	}, func(ctx context.Context) { t.ctx, t.cancel = context.WithCancelCause(ctx) })
}

// trim forgets the oldest finished transfers.
func (e *Engine) trim() {
	if len(e.transfers) < keptTransfers {
		return
	}
	for _, t := range e.ordered() {
		if t.view.State.Final() {
			delete(e.transfers, t.view.ID)
			return
		}
	}
}

// ordered lists the transfers as they came. Call with Engine.mu held.
func (e *Engine) ordered() []*transferState {
	out := make([]*transferState, 0, len(e.transfers))
	for _, t := range e.transfers {
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b *transferState) int { return int(a.order - b.order) })
	return out
}

// transferOf finds a transfer by its ID, but only for the peer that it is with. Call with Engine.mu held.
func (e *Engine) transferOf(p *peer, id string) *transferState {
	if t := e.transfers[TransferID(id)]; t != nil && t.view.Peer == p.id {
		return t
	}
	return nil
}

// Transfers lists offers and transfers, running and finished, in the order they came.
func (e *Engine) Transfers() []Transfer {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []Transfer
	for _, t := range e.ordered() {
		out = append(out, t.view)
	}
	return out
}

// Wait waits until a transfer has ended and returns it; its Err is nil if it was delivered.
func (e *Engine) Wait(ctx context.Context, id TransferID) (Transfer, error) {
	e.mu.Lock()
	t := e.transfers[id]
	e.mu.Unlock()
	if t == nil {
		return Transfer{}, wire.ErrUnknownOffer
	}
	select {
	case <-t.done:
	case <-ctx.Done():
		return Transfer{}, context.Cause(ctx)
	case <-e.ended:
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !t.view.State.Final() {
		return t.view, ErrClosed
	}
	return t.view, nil
}

// Cancel withdraws an offer or ends a transfer, on both sides; nothing of it stays. It is idempotent. What is
// being published under its final name already is delivered all the same.
func (e *Engine) Cancel(id TransferID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if t := e.transfers[id]; t != nil && !t.view.State.Final() {
		if t.view.Incoming || t.proposed {
			t.link.send(wire.OfferCancel{ID: string(id), Code: wire.Cancelled})
		}
		e.stop(t, ErrCancelled)
	}
}

// stop ends a transfer for a reason: at once if it waits, through its own goroutine if it moves. Call with
// Engine.mu held.
func (e *Engine) stop(t *transferState, err error) {
	switch {
	case t.view.State.Final():
	case t.cancel != nil:
		t.cancel(err)
	default:
		e.finish(t, err)
	}
}

// finish makes a transfer final. Call with Engine.mu held.
func (e *Engine) finish(t *transferState, err error) {
	if t.view.State.Final() {
		return
	}
	v := &t.view
	v.Err, v.Ended, v.Rate, v.Left, t.offer, t.cancel = err, now(), 0, 0, nil, nil
	switch {
	case err == nil:
		v.State, v.Counting = Delivered, false
	case errors.Is(err, ErrDeclined):
		v.State = Declined
	case errors.Is(err, ErrCancelled), errors.Is(err, transfer.ErrCancelled):
		v.State = Cancelled
	default:
		v.State = Failed
	}
	close(t.done)
	t.dropLane()
	e.log.Info("transfer ended", "id", v.ID, "peer", v.Peer.Short(), "incoming", v.Incoming, "state", v.State, "bytes", v.Done, "err", err)
	e.publish(TransferChanged{*v})
}

// dropTransfers ends what hangs on a conn that is gone. Call with Engine.mu held.
func (e *Engine) dropTransfers(id PeerID, err error) {
	for _, t := range e.transfers {
		if t.view.Peer == id && !t.view.State.Final() {
			e.stop(t, fmt.Errorf("the connection ended: %w", err))
		}
	}
}

// dropOffers ends the offers that wait for an answer on a conn that another one replaces: the other side may have
// forgotten them. What moves has a lane of its own and goes on. Call with Engine.mu held.
func (e *Engine) dropOffers(l *link) {
	for _, t := range e.transfers {
		if t.link == l && t.view.State == Offered {
			e.stop(t, fmt.Errorf("the connection was made anew: %w", ErrLost))
		}
	}
}

// track returns a function that takes progress into the view.
func (e *Engine) track(t *transferState) func(transfer.Progress) {
	return func(p transfer.Progress) {
		e.mu.Lock()
		defer e.mu.Unlock()
		v := &t.view
		if v.State.Final() {
			return
		}
		if v.Done, v.DoneFiles = p.Bytes, p.Files; p.Phase == transfer.Finishing {
			v.State = Finishing
		}
		if at := now(); at.Sub(t.mark) >= rateInterval || v.Rate == 0 && at.Sub(t.mark) >= rateInterval/4 {
			rate := float64(v.Done-t.markBytes) / at.Sub(t.mark).Seconds()
			if v.Rate == 0 {
				v.Rate = rate
			} else {
				v.Rate += (rate - v.Rate) * 0.3
			}
			t.mark, t.markBytes = at, v.Done
		}
		v.Left = 0
		if v.Rate > 0 && !v.Counting {
			v.Left = time.Duration(float64(max(0, v.Bytes-v.Done)) / v.Rate * float64(time.Second))
		}
		e.publish(TransferChanged{*v})
	}
}

// allowance returns what an accepted offer may bring: what it said, and a little more for a source that has grown
// since. While the sender still counts, which the person who accepted could see, only the disk is the limit.
func (e *Engine) allowance(t *transferState) func() transfer.Totals {
	return func() transfer.Totals {
		e.mu.Lock()
		defer e.mu.Unlock()
		v := t.view
		if v.Counting {
			return transfer.Totals{Files: math.MaxInt64, Folders: math.MaxInt64, Bytes: math.MaxInt64}
		}
		more := func(n, least int64) int64 { return n + max(n/16, least) }
		return transfer.Totals{Files: more(v.Files, 100), Folders: more(v.Folders, 100), Bytes: more(min(v.Bytes, math.MaxInt64/2), 64<<20)}
	}
}

// conclude puts the result into the view and makes the transfer final.
func (e *Engine) conclude(t *transferState, r transfer.Result, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	v := &t.view
	for _, n := range r.Notes {
		v.Notes = append(v.Notes, Note{Path: wire.CleanLine(n.Path), Saved: wire.CleanLine(n.Saved), Err: n.Err})
	}
	v.Renamed, v.LeftOut = r.Renamed, r.LeftOut
	v.Saved = inDir(v.Dir, r.Saved)
	if err == nil {
		v.Files, v.Folders, v.Bytes = r.Files, r.Folders, r.Bytes
		v.Done, v.DoneFiles = r.Bytes, r.Files
	}
	e.finish(t, err)
}
