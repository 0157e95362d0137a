package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"multipeer/engine/internal/wire"
	"multipeer/transfer"
)

const (
	// countWait is how long an offer is held back for the totals of a folder, updateEvery how often they are told.
	countWait   = 300 * time.Millisecond
	updateEvery = 500 * time.Millisecond
	// patience is how long a transfer that is not kept lives without its peer: with the time in which that is noticed it
	// is less than 30 s.
	patience = 25 * time.Second
	// stalledAfter is how long no byte may be acknowledged before that is said, lostAfter before the lanes are made anew.
	stalledAfter = 5 * time.Second
	lostAfter    = time.Minute
	// vainAttempts is how often a transfer is gone on with, in a row, when each attempt fails without a byte.
	vainAttempts = 5
	// knockFor is how long a peer that is not in sight is tried at where it was last.
	knockFor   = 2 * time.Second
	retryFirst = 200 * time.Millisecond
	retryMost  = 5 * time.Second
)

// goesOn tells an end of an attempt after which the next one may do better.
func goesOn(err error) bool {
	if errors.Is(err, ErrNoRoom) {
		return false
	}
	for _, e := range []error{transfer.ErrInterrupted, ErrStalled, ErrDigest, ErrChanged, transfer.ErrFailed, ErrLost, ErrTimeout, ErrDiskFull} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// ends tells that ctx, a transfer's, has ended because the engine ends.
func (e *Engine) ends(ctx context.Context) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.ctx.Err() != nil && context.Cause(ctx) == context.Cause(e.ctx)
}

// endedBy turns the end of a transfer's own context into words.
func (e *Engine) endedBy(ctx context.Context) error {
	if e.ends(ctx) {
		return fmt.Errorf("%w: the program ended", ErrCancelled)
	}
	return context.Cause(ctx)
}

// send is the life of an outgoing transfer, from its offer to its end.
func (e *Engine) send(ctx context.Context, t *transferState) {
	counter, stopCounting := context.WithCancel(ctx)
	var counting sync.WaitGroup
	result, err := e.deliver(ctx, counter, t, &counting)
	stopCounting()
	counting.Wait()
	if cause := context.Cause(ctx); err != nil && cause != nil {
		if e.ends(ctx) && t.view.Keep { // and the outbox stays
			return
		}
		err = e.endedBy(ctx)
	} else if err != nil && goesOn(err) { // it has given up; the other side may have it yet
		e.mu.Lock()
		e.sendTo(t.view.Peer, wire.OfferCancel{ID: string(t.view.ID), Code: wire.Failed})
		e.mu.Unlock()
	}
	e.conclude(t, result, err)
}

// deliver offers, and sends when that was accepted, again and again until it is done or cannot be.
func (e *Engine) deliver(ctx, counter context.Context, t *transferState, counting *sync.WaitGroup) (transfer.Result, error) {
	var none transfer.Result
	vain, pause := 0, retryFirst
	counted := e.countFolders(counter, t, counting)
	for {
		if err := e.whilePaused(ctx, t); err != nil {
			return none, err
		}
		l, err := e.awaitPeer(ctx, t)
		if errors.Is(err, errPaused) {
			continue
		}
		if err != nil {
			return none, err
		}
		select {
		case <-counted:
		case <-time.After(countWait):
		case <-ctx.Done():
			return none, context.Cause(ctx)
		}
		n, err := e.propose(ctx, t, l)
		if errors.Is(err, wire.ErrDelivered) {
			e.mu.Lock()
			defer e.mu.Unlock()
			v := t.view
			return transfer.Result{Totals: transfer.Totals{Files: v.Files, Folders: v.Folders, Bytes: v.Bytes}}, nil
		}
		if err == nil {
			var before int64
			var result transfer.Result
			before, result, err = e.sendOnce(ctx, t, l, n)
			if err == nil {
				return result, nil
			}
			e.mu.Lock()
			if t.view.Done > before {
				vain, pause = 0, retryFirst
			}
			e.mu.Unlock()
		}
		switch {
		case ctx.Err() != nil:
			return none, context.Cause(ctx)
		case errors.Is(err, errPaused):
			continue
		case e.mayComeBack(t, err): // its program is there, and does not take offers at the moment
			vain = 0
		case !goesOn(err):
			return none, err
		}
		if !e.goesOnWithout(t, err) {
			return none, err
		}
		if l.conn.Err() == nil {
			if vain++; vain >= vainAttempts && !errors.Is(err, ErrDiskFull) {
				return none, err
			}
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return none, context.Cause(ctx)
		}
		pause = min(2*pause, retryMost)
	}
}

// mayComeBack tells an offer that is not refused by a person or a policy, but by a program that is starting or busy.
func (e *Engine) mayComeBack(t *transferState, err error) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return (t.accepted || t.view.Keep) && (errors.Is(err, ErrUnavailable) || errors.Is(err, ErrBusy))
}

// goesOnWithout notes why an attempt has ended; false if the transfer ends with it, since it was not accepted yet.
func (e *Engine) goesOnWithout(t *transferState, err error) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.log.Info("transfer interrupted", "id", t.view.ID, "peer", t.view.Peer.Short(), "incoming", t.view.Incoming, "err", err)
	switch {
	case !t.accepted && !t.view.Keep:
		return false
	case !t.accepted:
		e.setState(t, Queued, cause(err))
	default:
		e.setState(t, Stalled, cause(err))
	}
	return true
}

// cause is what a screen is told of an interruption.
func cause(err error) error {
	for _, e := range []error{ErrDiskFull, ErrStalled, ErrDigest} {
		if errors.Is(err, e) {
			return err
		}
	}
	if errors.Is(err, transfer.ErrInterrupted) {
		return ErrLost
	}
	return err
}

// sendOnce is one attempt to send, in its turn. before is what had arrived when it began.
func (e *Engine) sendOnce(ctx context.Context, t *transferState, l *link, n int64) (before int64, result transfer.Result, err error) {
	e.mu.Lock()
	e.setState(t, Queued, nil)
	before = t.view.Done
	e.mu.Unlock()
	leave, err := e.takeTurn(ctx, t)
	if err != nil {
		return before, result, err
	}
	defer leave()
	r := e.newRun(ctx, t, l, n)
	defer r.end()
	result, err = transfer.Send(r.ctx, r.lanes, transfer.SendOptions{Paths: t.paths, Links: t.opts.Links, Shared: t.shared, Told: e.track(t)})
	return before, result, r.reason(err)
}
