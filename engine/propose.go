package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"multipeer/engine/internal/wire"
	"multipeer/transfer"
)

// An offer on its way, and its answer.

// countFolders counts what is in folders, beside everything else; the channel is closed when that is done.
func (e *Engine) countFolders(ctx context.Context, t *transferState, counting *sync.WaitGroup) <-chan struct{} {
	counted := make(chan struct{})
	e.mu.Lock()
	folders := t.view.Counting
	e.mu.Unlock()
	if !folders {
		close(counted)
		return counted
	}
	counting.Go(func() {
		defer close(counted)
		e.count(ctx, t)
	})
	return counted
}

// count walks the source and keeps both sides up to date about the totals.
func (e *Engine) count(ctx context.Context, t *transferState) {
	var last time.Time
	tell := func(totals transfer.Totals, counting bool) {
		e.mu.Lock()
		defer e.mu.Unlock()
		v := &t.view
		if v.State.Final() || ctx.Err() != nil {
			return
		}
		v.Files, v.Folders, v.Bytes, v.Counting = totals.Files+totals.Links, totals.Folders, totals.Bytes, counting
		if t.proposed && (!counting || now().Sub(last) >= updateEvery) {
			last = now()
			e.sendTo(v.Peer, wire.OfferUpdate{ID: string(v.ID), Files: v.Files, Folders: v.Folders, Bytes: v.Bytes, Counting: counting})
		}
		e.tell(t)
	}
	s, err := transfer.Count(ctx, t.paths, t.opts.Links, func(totals transfer.Totals) { tell(totals, true) })
	if err != nil {
		e.log.Debug("counting", "err", err) // sending will tell what is wrong
	} else {
		e.mu.Lock()
		t.room = s.Room
		e.mu.Unlock()
	}
	tell(s.Totals, false)
}

// propose sends the offer over l and waits for its answer. It returns the number of the attempt.
func (e *Engine) propose(ctx context.Context, t *transferState, l *link) (int64, error) {
	e.mu.Lock()
	select {
	case <-t.answer: // to an earlier one
	default:
	}
	t.attempt++
	t.link, t.proposed = l, true
	t.sawPeerAt(l)
	v := t.view
	if !t.accepted {
		e.setState(t, Offered, nil)
	}
	l.send(wire.Offer{
		ID: string(v.ID), Names: slices.Clone(t.names), Items: v.Items, Files: v.Files, Folders: v.Folders, Bytes: v.Bytes,
		Counting: v.Counting, Room: t.room, Attempt: t.attempt, Keep: v.Keep,
	})
	n, accepted := t.attempt, t.accepted
	e.save(t)
	e.mu.Unlock()

	timer := time.NewTimer(OfferTimeout)
	defer timer.Stop()
	for {
		select {
		case a := <-t.answer:
			if a.attempt != n {
				continue
			}
			if a.err != nil {
				return n, a.err
			}
			e.mu.Lock()
			if !t.accepted {
				t.accepted = true
				t.view.Started, t.lastMove = now(), now()
				t.mark = now()
			}
			e.mu.Unlock()
			return n, nil
		case <-l.conn.Done():
			return n, fmt.Errorf("the connection ended: %w", lostBy(l.conn.Err()))
		case <-timer.C:
			if accepted { // the other side has forgotten it, and nobody there answers
				return n, fmt.Errorf("going on: %w", ErrTimeout)
			}
			e.mu.Lock()
			e.sendTo(v.Peer, wire.OfferCancel{ID: string(v.ID), Code: wire.Timeout})
			e.mu.Unlock()
			return n, errUnanswered
		case <-t.wake:
			e.mu.Lock()
			paused := t.paused && t.accepted
			e.mu.Unlock()
			if paused {
				return n, errPaused
			}
		case <-ctx.Done():
			return n, context.Cause(ctx)
		}
	}
}

// errUnanswered is an offer that nobody has answered: no retry makes somebody answer.
var errUnanswered = fmt.Errorf("%w: nobody accepted or declined", context.DeadlineExceeded)

// lostBy is the end of a conn for a transfer, which goes on over the next one whatever it was.
func lostBy(err error) error {
	if err == nil || goesOn(err) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrLost, err)
}
