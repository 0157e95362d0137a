package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"multipeer/engine/internal/wire"
	"multipeer/transfer"
)

const (
	// countWait is how long an offer is held back for the totals of a folder, updateEvery how often they are told.
	countWait   = 300 * time.Millisecond
	updateEvery = 500 * time.Millisecond
	laneTimeout = 10 * time.Second
	// finalWait is how long a receiver keeps its lane open for the receipt to arrive.
	finalWait = 3 * time.Second
)

// send is the life of an outgoing transfer.
func (e *Engine) send(ctx context.Context, t *transferState, paths []string) {
	counter, stopCounting := context.WithCancel(ctx)
	var counting sync.WaitGroup
	result, err := func() (transfer.Result, error) {
		e.propose(counter, t, paths, &counting)
		if err := e.waitAnswer(ctx, t); err != nil {
			return transfer.Result{}, err
		}
		ln, err := e.openLane(ctx, t)
		if err != nil {
			return transfer.Result{}, err
		}
		defer ln.conn.Close(wire.Bye)
		return transfer.Send(ctx, pipe{ln.stream}, paths, e.track(t))
	}()
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = endedBy(cause)
	}
	stopCounting()
	counting.Wait()
	e.conclude(t, result, err)
}

// endedBy turns the end of the engine's own context into words.
func endedBy(cause error) error {
	if errors.Is(cause, context.Canceled) || errors.Is(cause, context.DeadlineExceeded) {
		return fmt.Errorf("%w: the program ended", ErrCancelled)
	}
	return cause
}

// propose sends the offer: at once for files, a moment later for folders so that their size can be told.
func (e *Engine) propose(ctx context.Context, t *transferState, paths []string, counting *sync.WaitGroup) {
	e.mu.Lock()
	folders := t.view.Counting
	e.mu.Unlock()
	if folders {
		counted := make(chan struct{})
		counting.Go(func() {
			defer close(counted)
			e.count(ctx, t, paths)
		})
		timer := time.NewTimer(countWait)
		defer timer.Stop()
		select {
		case <-counted:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if ctx.Err() != nil { // cancelled before it was out
		return
	}
	v := t.view
	t.proposed = true
	t.link.send(wire.Offer{
		ID: string(v.ID), Names: slices.Clone(t.names), Items: v.Items,
		Files: v.Files, Folders: v.Folders, Bytes: v.Bytes, Counting: v.Counting,
	})
}

// count walks the source and keeps both sides up to date about the totals.
func (e *Engine) count(ctx context.Context, t *transferState, paths []string) {
	var last time.Time
	tell := func(totals transfer.Totals, counting bool) {
		e.mu.Lock()
		defer e.mu.Unlock()
		v := &t.view
		if v.State.Final() || ctx.Err() != nil {
			return
		}
		v.Files, v.Folders, v.Bytes, v.Counting = totals.Files, totals.Folders, totals.Bytes, counting
		if t.proposed && (!counting || now().Sub(last) >= updateEvery) {
			last = now()
			t.link.send(wire.OfferUpdate{ID: string(v.ID), Files: v.Files, Folders: v.Folders, Bytes: v.Bytes, Counting: counting})
		}
		e.publish(TransferChanged{*v})
	}
	s, err := transfer.Count(ctx, paths, func(totals transfer.Totals) { tell(totals, true) })
	if err != nil {
		e.log.Debug("counting", "err", err) // sending will tell what is wrong
	}
	tell(s.Totals, false)
}

func (e *Engine) waitAnswer(ctx context.Context, t *transferState) error {
	timer := time.NewTimer(OfferTimeout)
	defer timer.Stop()
	select {
	case err := <-t.answer:
		return err
	case <-timer.C:
		t.link.send(wire.OfferCancel{ID: string(t.view.ID), Code: wire.Timeout})
		return ErrTimeout
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// receive is the life of an accepted offer.
func (e *Engine) receive(ctx context.Context, t *transferState, opts AcceptOptions) {
	e.mu.Lock()
	expect := t.view.Bytes
	receive := transfer.ReceiveOptions{Dir: opts.Dir, Expect: expect, KeepExec: opts.KeepExec, Told: e.track(t), Limit: e.allowance(t)}
	if t.view.Items == int64(len(t.names)) {
		receive.Names = t.names
	}
	e.mu.Unlock()

	result, err := func() (transfer.Result, error) {
		ln, err := e.openLane(ctx, t)
		if err != nil {
			return transfer.Result{}, err
		}
		defer ln.conn.Close(wire.Bye)
		result, err := transfer.Receive(ctx, pipe{ln.stream}, receive)
		if err == nil { // the receipt is on its way; the sender closes when it has it
			_ = ln.stream.CloseWrite()
		}
		timer := time.NewTimer(finalWait)
		defer timer.Stop()
		select {
		case <-ln.conn.Done():
		case <-ctx.Done():
		case <-timer.C:
		}
		return result, err
	}()
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = endedBy(cause)
	} else if err != nil {
		t.link.send(wire.OfferCancel{ID: string(t.view.ID), Code: wire.CodeOf(err)})
	}
	e.conclude(t, result, err)
}
