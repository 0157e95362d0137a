package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"multipeer/engine/internal/wire"
	"multipeer/transfer"
)

// The life of an accepted offer.

// goOn takes a further offer of what was accepted; false if it cannot go on. Call with Engine.mu held.
func (e *Engine) goOn(t *transferState, l *link, m wire.Offer) bool {
	switch t.view.State {
	case Delivered:
		l.send(wire.OfferAnswer{ID: m.ID, Code: wire.Delivered, Attempt: m.Attempt})
		return true
	case Cancelled, Declined:
		return false
	case Failed:
		if !e.launch(t, func(ctx context.Context) { e.receive(ctx, t) }) {
			return false
		}
		e.revive(t)
	}
	t.link, t.attempt, t.view.Keep = l, m.Attempt, m.Keep
	if t.paused { // it was while the sender was away, or it crossed
		l.send(wire.OfferPause{ID: m.ID})
		return true
	}
	if t.run != nil {
		t.run.stop(fmt.Errorf("%w: the sender began anew", transfer.ErrInterrupted))
	}
	select {
	case <-t.start:
	default:
	}
	t.start <- attempt{l, m.Attempt}
	return true
}

// receive is the life of an accepted offer.
func (e *Engine) receive(ctx context.Context, t *transferState) {
	result, err := e.take(ctx, t)
	if err != nil && ctx.Err() != nil {
		if e.ends(ctx) { // the next program goes on
			return
		}
		err = e.endedBy(ctx)
	} else if err != nil {
		e.mu.Lock()
		e.sendTo(t.view.Peer, wire.OfferCancel{ID: string(t.view.ID), Code: wire.CodeOf(err)})
		e.mu.Unlock()
	}
	if errors.Is(err, ErrCancelled) || errors.Is(err, transfer.ErrCancelled) {
		if discardErr := transfer.Discard(t.accept.Dir, string(t.view.ID)); discardErr != nil {
			e.log.Warn("removing what had arrived", "err", discardErr)
		}
	}
	e.conclude(t, result, err)
	if err != nil {
		return
	}
	select {
	case a := <-t.start: // the sender has begun anew meanwhile
		a.link.send(wire.OfferAnswer{ID: string(t.view.ID), Code: wire.Delivered, Attempt: a.n})
	default:
	}
	e.discardDelivered(t)
}

// discardDelivered removes what is left of a delivered transfer, once it is written that it is delivered.
func (e *Engine) discardDelivered(t *transferState) {
	if err := e.saving.write(e.profile.KeepJob); err != nil {
		e.log.Error("keeping transfer", "err", err)
		return
	}
	if err := transfer.Discard(t.accept.Dir, string(t.view.ID)); err != nil {
		e.log.Warn("removing what is left of a transfer", "err", err)
	}
}

// take receives, again and again as the sender begins anew, until it is done or cannot be.
func (e *Engine) take(ctx context.Context, t *transferState) (transfer.Result, error) {
	if r, ok := e.recover(t); ok {
		return r, nil
	}
	// The yes is not said before it is certain that it is remembered.
	if err := e.saving.write(e.profile.KeepJob); err != nil {
		e.log.Error("keeping transfer", "err", err)
	}
	var last error
	for {
		if err := e.whilePaused(ctx, t); err != nil {
			return transfer.Result{}, err
		}
		a, err := e.awaitAttempt(ctx, t, last)
		if errors.Is(err, errPaused) {
			continue
		}
		if err != nil {
			return transfer.Result{}, err
		}
		result, err := e.receiveOnce(ctx, t, a)
		switch {
		case err == nil:
			return result, nil
		case ctx.Err() != nil:
			return result, context.Cause(ctx)
		case errors.Is(err, errPaused):
			continue
		case !goesOn(err):
			return result, err
		}
		last = err
		e.goesOnWithout(t, err)
	}
}

// awaitAttempt waits for the sender to begin, or to go on.
func (e *Engine) awaitAttempt(ctx context.Context, t *transferState, last error) (attempt, error) {
	for wait := time.Second; ; wait = min(2*wait, 30*time.Second) {
		e.mu.Lock()
		if !t.view.Keep {
			wait = min(wait, max(patience-now().Sub(t.lastMove), 10*time.Millisecond))
		}
		e.mu.Unlock()
		timer := time.NewTimer(wait)
		select {
		case a := <-t.start:
			timer.Stop()
			return a, nil
		case <-t.wake:
			e.mu.Lock()
			paused := t.paused
			e.mu.Unlock()
			if timer.Stop(); paused {
				return attempt{}, errPaused
			}
			continue
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return attempt{}, context.Cause(ctx)
		}
		e.mu.Lock()
		gone, keep, addrs := now().Sub(t.lastMove), t.view.Keep, t.addrs
		p := e.peers[t.view.Peer]
		here := p != nil && p.link != nil
		if gone >= stalledAfter {
			if last == nil {
				last = ErrLost
			}
			e.setState(t, Stalled, cause(last))
		}
		e.mu.Unlock()
		if !keep && gone >= patience {
			return attempt{}, fmt.Errorf("the sender is gone: %w", lostBy(last))
		}
		if !here {
			e.knock(ctx, t.view.Peer, addrs)
		}
	}
}

func (e *Engine) receiveOptions(t *transferState) transfer.ReceiveOptions {
	e.mu.Lock()
	defer e.mu.Unlock()
	o := transfer.ReceiveOptions{
		Dir: t.accept.Dir, ID: string(t.view.ID), Key: t.key(), Expect: t.view.Bytes, Reserve: t.accept.Reserve, Existing: t.accept.Existing,
		KeepExec: t.accept.KeepExec, Links: t.accept.Links, Known: e.isOpen,
	}
	if t.room > 0 && t.room < o.Expect {
		o.Expect = t.room
	}
	if t.accept.Choose != nil || len(t.chosen) > 0 {
		o.Choose = func(name string) Existing { return e.choose(t, name) }
	}
	if t.view.Items == int64(len(t.names)) {
		o.Names = t.names
	}
	return o
}

// isOpen tells whether a transfer is known that has not ended.
func (e *Engine) isOpen(id string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.transfers[TransferID(id)]
	return t != nil && !t.view.State.Final()
}

// choose asks the program what becomes of a name that is taken, once.
func (e *Engine) choose(t *transferState, name string) Existing {
	e.mu.Lock()
	policy, known := t.chosen[name]
	ask := t.accept.Choose
	e.mu.Unlock()
	if known {
		return policy
	}
	if policy = t.accept.Existing; ask != nil {
		policy = ask(name)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if t.chosen == nil {
		t.chosen = map[string]Existing{}
	}
	t.chosen[name] = policy
	e.save(t)
	return policy
}

// receiveOnce is one attempt to receive.
func (e *Engine) receiveOnce(ctx context.Context, t *transferState, a attempt) (transfer.Result, error) {
	o := e.receiveOptions(t)
	o.Told, o.Limit = e.track(t), e.allowance(t)
	r := e.newRun(ctx, t, a.link, a.n)
	defer r.end()
	e.mu.Lock()
	t.sawPeerAt(a.link)
	a.link.send(wire.OfferAnswer{ID: string(t.view.ID), Accept: true, Attempt: a.n})
	e.mu.Unlock()
	result, err := transfer.Receive(r.ctx, r.lanes, o)
	return result, r.reason(err)
}
