package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

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
	offer  *Offer   // incoming, until it is answered
	ctx    context.Context
	cancel context.CancelCauseFunc // set while a goroutine looks after it
	done   chan struct{}           // closed when it is final

	room   int64            // bytes that it takes on a disk, if that is known
	paths  []string         // outgoing
	opts   OfferOptions     // outgoing
	shared *transfer.Shared // outgoing, to several peers
	accept AcceptOptions    // incoming, once accepted
	chosen map[string]Existing

	link     *link // over which the offer went out or came in
	attempt  int64 // of the newest offer
	proposed bool  // the offer is out: updates may follow
	accepted bool
	held     bool // taken without asking, once its size is known
	byPolicy bool // taken without asking
	paused   bool
	// cancelled tells that it was cancelled here, untold that the peer does not know of that, or of paused, yet.
	cancelled bool
	untold    bool
	wake      chan struct{}    // something to look at: a pause, a resumption
	answer    chan offerAnswer // outgoing
	start     chan attempt     // incoming: the newest offer of what was accepted
	run       *run             // the attempt under way
	addrs     []netip.AddrPort // where the peer was last

	lastMove  time.Time // when a byte was acknowledged last
	lastHeard time.Time // when the receiver has told its progress last, be it none
	full      bool      // the receiver's disk is
	mark      time.Time // the rate is measured from here
	markBytes int64
	moved     int64 // bytes that earlier attempts have put on lanes
}

// offerAnswer is the other side's answer to one attempt.
type offerAnswer struct {
	attempt int64
	err     error // nil is yes
}

// attempt is one time that an accepted transfer begins or goes on.
type attempt struct {
	link *link
	n    int64
}

// newTransfer makes a record. Call with Engine.mu held.
func (e *Engine) newTransfer(id TransferID, peer PeerID, name string, incoming bool) *transferState {
	e.trim()
	return &transferState{
		view:   Transfer{ID: id, Peer: peer, PeerName: name, Incoming: incoming},
		order:  int64(len(e.transfers)) + now().UnixNano(),
		answer: make(chan offerAnswer, 1), start: make(chan attempt, 1), wake: make(chan struct{}, 1), done: make(chan struct{}),
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

// trim forgets the oldest finished transfers, here and in the profile.
func (e *Engine) trim() {
	if len(e.transfers) < keptTransfers {
		return
	}
	for _, t := range e.ordered() {
		if t.view.State.Final() {
			delete(e.transfers, t.view.ID)
			e.saving.put(string(t.view.ID), nil)
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
		out = append(out, t.now())
	}
	return out
}

// now is the view with what changes all the time. Call with Engine.mu held.
func (t *transferState) now() Transfer {
	v := t.view
	v.Moved, v.Paths = t.moved, t.paths
	if t.run != nil {
		var moved int64
		v.Lanes, moved = t.run.details()
		v.Moved += moved
	}
	return v
}

// tell publishes t as it is. Call with Engine.mu held.
func (e *Engine) tell(t *transferState) { e.publish(TransferChanged{t.now()}) }

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
		return t.now(), ErrClosed
	}
	return t.now(), nil
}

// Cancel withdraws an offer or ends a transfer, on both sides; nothing of it stays. It is idempotent. What is
// being published under its final name already is delivered all the same.
func (e *Engine) Cancel(id TransferID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if t := e.transfers[id]; t != nil && !t.view.State.Final() {
		t.cancelled = true
		e.stop(t, ErrCancelled)
		if t.view.Incoming || t.proposed {
			e.tellPeer(t)
		}
	}
}

// sendTo sends m to a peer, if it has a conn. Call with Engine.mu held.
func (e *Engine) sendTo(id PeerID, m wire.Message) (sent bool) {
	if p := e.peers[id]; p != nil && p.link != nil {
		p.link.send(m)
		return true
	}
	return false
}

// tellPeer tells the other side what was decided here about a transfer, now or when there is a conn again. Call with
// Engine.mu held.
func (e *Engine) tellPeer(t *transferState) {
	var m wire.Message = wire.OfferResume{ID: string(t.view.ID)}
	switch {
	case t.cancelled:
		m = wire.OfferCancel{ID: string(t.view.ID), Code: wire.Cancelled}
	case t.paused:
		m = wire.OfferPause{ID: string(t.view.ID)}
	}
	if untold := !e.sendTo(t.view.Peer, m); untold != t.untold {
		t.untold = untold
		e.save(t)
	}
}

// tellUntold tells a peer that is back what was decided while it was away. Call with Engine.mu held.
func (e *Engine) tellUntold(id PeerID) {
	for _, t := range e.transfers {
		if t.view.Peer == id && t.untold {
			e.tellPeer(t)
		}
	}
}

// Pause holds a transfer, on both sides and across restarts, until either calls Resume. What has arrived stays. It is
// idempotent; ErrUnavailable tells that the transfer has ended.
func (e *Engine) Pause(id TransferID) error { return e.setPaused(id, true) }

// Resume lets a paused transfer go on.
func (e *Engine) Resume(id TransferID) error { return e.setPaused(id, false) }

func (e *Engine) setPaused(id TransferID, on bool) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.transfers[id]
	switch {
	case t == nil:
		return wire.ErrUnknownOffer
	case t.view.State.Final(), t.view.Incoming && !t.accepted:
		return fmt.Errorf("%w: the transfer has ended or is not accepted", ErrUnavailable)
	}
	e.pause(t, on)
	e.tellPeer(t)
	return nil
}

// takePause takes the other side's.
func (e *Engine) takePause(p *peer, id string, on bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if t := e.transferOf(p, id); t != nil && !t.view.State.Final() && (t.accepted || !t.view.Incoming) {
		t.untold = false // whoever decides last
		e.pause(t, on)
	}
}

// errPaused ends an attempt that is to go on later.
var errPaused = fmt.Errorf("%w: paused", transfer.ErrInterrupted)

// pause keeps the choice, and ends the attempt under way. Call with Engine.mu held.
func (e *Engine) pause(t *transferState, on bool) {
	if t.paused == on {
		return
	}
	t.paused = on
	if on {
		e.setState(t, Paused, nil)
		if t.run != nil {
			t.run.stop(errPaused)
		}
	} else {
		t.lastMove = now()
		if t.view.State == Paused {
			e.setState(t, Queued, nil)
		}
	}
	e.save(t)
	t.poke()
}

func (t *transferState) poke() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// setState changes the state of a transfer that has not ended, and tells. Call with Engine.mu held.
func (e *Engine) setState(t *transferState, s TransferState, why error) {
	v := &t.view
	if v.State.Final() || v.State == s && errors.Is(v.Err, why) && errors.Is(why, v.Err) {
		return
	}
	if v.State, v.Err = s, why; s != Moving {
		v.Rate, v.Left = 0, 0
		t.mark, t.markBytes = now(), v.Done
	}
	e.tell(t)
}

// SetPriority lets an outgoing transfer go before others that wait, or behind them; 0 is the default.
func (e *Engine) SetPriority(id TransferID, priority int) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.transfers[id]
	if t == nil || t.view.Incoming {
		return wire.ErrUnknownOffer
	}
	t.view.Priority, t.opts.Priority = priority, priority
	e.save(t)
	e.tell(t)
	return nil
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
	e.save(t)
	e.log.Info("transfer ended", "id", v.ID, "peer", v.Peer.Short(), "incoming", v.Incoming, "state", v.State, "bytes", v.Done, "err", err)
	e.tell(t)
}

// dropTransfers ends what is under way with a peer that is not dealt with any more. Call with Engine.mu held.
func (e *Engine) dropTransfers(id PeerID, err error) {
	for _, t := range e.transfers {
		if t.view.Peer == id && !t.view.State.Final() {
			e.stop(t, fmt.Errorf("the connection ended: %w", err))
		}
	}
}

// dropOffers ends the offers that wait for an answer here on a conn that is gone: the other side makes them again if
// it wants to. What was accepted goes on. Call with Engine.mu held.
func (e *Engine) dropOffers(l *link, err error) {
	for _, t := range e.transfers {
		if t.link == l && t.view.Incoming && t.view.State == Offered {
			e.stop(t, err)
		}
	}
}

// track returns a function that takes progress into the view.
func (e *Engine) track(t *transferState) func(transfer.Progress) {
	return func(p transfer.Progress) {
		e.mu.Lock()
		defer e.mu.Unlock()
		v := &t.view
		t.lastHeard = now()
		if v.State.Final() || t.paused {
			return
		}
		if p.Bytes != v.Done || p.Files != v.DoneFiles || p.Phase == transfer.Finishing {
			t.lastMove = now()
		}
		v.Done, v.DoneFiles = p.Bytes, p.Files
		t.full = p.Phase == transfer.Full
		switch {
		case t.full:
			v.State, v.Err = Stalled, ErrDiskFull
		case p.Phase == transfer.Finishing:
			v.State, v.Err = Finishing, nil
		case now().Sub(t.lastMove) < stalledAfter:
			v.State, v.Err = Moving, nil
		}
		if at := now(); at.Sub(t.mark) >= rateInterval || v.Rate == 0 && at.Sub(t.mark) >= rateInterval/4 {
			rate := max(0, float64(v.Done-t.markBytes)/at.Sub(t.mark).Seconds())
			if v.Rate == 0 {
				v.Rate = rate
			} else {
				v.Rate += (rate - v.Rate) * 0.3
			}
			t.mark, t.markBytes = at, v.Done
		}
		v.Left = 0
		if v.Rate > 0 && !v.Counting && v.State == Moving {
			v.Left = time.Duration(float64(max(0, v.Bytes-v.Done)) / v.Rate * float64(time.Second))
		}
		e.tell(t)
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
		if t.byPolicy { // nobody has looked at it: not more than what was charged for it
			return transfer.Totals{Files: v.Files, Folders: v.Folders, Bytes: cost(v) - 4<<10*(v.Files+v.Folders)}
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
	v.Notes = nil
	for _, n := range r.Notes {
		v.Notes = append(v.Notes, Note{Path: wire.CleanLine(n.Path), Saved: wire.CleanLine(n.Saved), Err: n.Err})
	}
	v.Renamed, v.LeftOut, v.Unchanged = r.Renamed, r.LeftOut, r.Unchanged
	v.Saved = inDir(v.Dir, r.Saved)
	if err == nil {
		v.Files, v.Folders, v.Bytes = r.Files+r.Links, r.Folders, r.Bytes
		v.Done, v.DoneFiles = r.Bytes, r.Files
	}
	e.finish(t, err)
}
