package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"multipeer/transfer"
)

// job is what the profile keeps of a transfer: of an outgoing one that waits for its peer, and of an incoming one that
// was accepted, until it has ended.
type job struct {
	Peer     PeerID              `json:"peer"`
	Name     string              `json:"name"`
	Incoming bool                `json:"incoming,omitempty"`
	Names    []string            `json:"names"`
	Items    int64               `json:"items"`
	Files    int64               `json:"files"`
	Folders  int64               `json:"folders"`
	Bytes    int64               `json:"bytes"`
	Counting bool                `json:"counting,omitempty"`
	Keep     bool                `json:"keep,omitempty"`
	Started  time.Time           `json:"started,omitzero"`
	Order    int64               `json:"order"`
	Attempt  int64               `json:"attempt,omitempty"`
	Accepted bool                `json:"accepted,omitempty"`
	Paused   bool                `json:"paused,omitempty"`
	State    TransferState       `json:"state"`
	Ended    time.Time           `json:"ended,omitzero"`
	Why      string              `json:"why,omitempty"`
	Untold   bool                `json:"untold,omitempty"`
	Paths    []string            `json:"paths,omitempty"`
	Opts     OfferOptions        `json:"opts"`
	Accept   AcceptOptions       `json:"accept"`
	ByPolicy bool                `json:"by_policy,omitempty"`
	Chosen   map[string]Existing `json:"chosen,omitempty"`
	Addrs    []netip.AddrPort    `json:"addrs,omitempty"`
	Saved    []string            `json:"saved,omitempty"` // the first of Transfer.Saved
}

// keptSaved is how many of Transfer.Saved are kept for the next run.
const keptSaved = 100

// toKeep is the record of t, or nil if there is nothing to keep. Call with Engine.mu held.
func (t *transferState) toKeep() []byte {
	v := t.view
	switch {
	case v.Incoming && !t.accepted, !v.Incoming && !v.Keep:
		return nil
	case v.State == Cancelled:
		if !t.untold { // the other side knows
			return nil
		}
	case v.State.Final() && !v.Incoming, v.State == Declined:
		return nil
	}
	why := ""
	if v.Err != nil {
		why = v.Err.Error()
	}
	b, err := json.Marshal(job{
		Peer: v.Peer, Name: v.PeerName, Incoming: v.Incoming, Names: t.names, Items: v.Items, Files: v.Files, Folders: v.Folders, Bytes: v.Bytes,
		Counting: v.Counting, Keep: v.Keep, Started: v.Started, Order: t.order, Attempt: t.attempt, Accepted: t.accepted, Paused: t.paused, State: v.State, Ended: v.Ended, Why: why, Untold: t.untold,
		Paths: t.paths, Opts: t.opts, Accept: t.accept, ByPolicy: t.byPolicy, Chosen: t.chosen, Addrs: t.addrs, Saved: v.Saved[:min(len(v.Saved), keptSaved)],
	})
	if err != nil {
		panic(err) // our own types
	}
	return b
}

// saveNow keeps t, durable when it returns. Call with Engine.mu held: the caller has a promise to make that hangs on it.
func (e *Engine) saveNow(t *transferState) error {
	return e.profile.KeepJob(string(t.view.ID), t.toKeep())
}

// save keeps t as it is now, soon: the disk may be slow, and nothing waits for it. Call with Engine.mu held.
func (e *Engine) save(t *transferState) {
	id, record := string(t.view.ID), t.toKeep()
	e.saving.put(id, record)
	write := func(context.Context) {
		if err := e.saving.write(e.profile.KeepJob); err != nil {
			e.log.Error("keeping transfer", "err", err)
		}
	}
	if !e.start(write) && !e.running { // Run writes what is left when it ends
		write(context.Background())
	}
}

// forget removes what is kept of t. Call with Engine.mu held.
func (e *Engine) forget(t *transferState) { _ = e.profile.KeepJob(string(t.view.ID), nil) }

// receiptKept is how long a transfer that has ended is remembered: its receipt, or the word of its end, may have been
// lost, and what has arrived of a failed one may be gone on with.
const receiptKept = 7 * 24 * time.Hour

// restore reads what the profile keeps. The transfers go on with Run.
func (e *Engine) restore() {
	for id, raw := range e.profile.Jobs() {
		var j job
		if err := json.Unmarshal(raw, &j); err != nil || len(j.Names) == 0 || j.State.Final() && j.Ended.Before(now().Add(-receiptKept)) {
			e.log.Info("forgetting a transfer", "id", id, "err", err)
			if j.Incoming && j.Accept.Dir != "" {
				_ = transfer.Discard(j.Accept.Dir, id)
			}
			_ = e.profile.KeepJob(id, nil)
			continue
		}
		t := e.newTransfer(TransferID(id), j.Peer, j.Name, j.Incoming)
		t.order, t.names, t.paths, t.opts, t.accept, t.chosen = j.Order, j.Names, j.Paths, j.Opts, j.Accept, j.Chosen
		t.byPolicy = j.ByPolicy
		t.attempt, t.accepted, t.paused, t.addrs = j.Attempt, j.Accepted, j.Paused, j.Addrs
		v := &t.view
		v.Names, v.Items, v.Files, v.Folders, v.Bytes, v.Counting = clean(j.Names), j.Items, j.Files, j.Folders, j.Bytes, j.Counting
		v.Keep, v.Priority, v.Started, v.Dir = j.Keep, j.Opts.Priority, j.Started, j.Accept.Dir
		t.untold, t.cancelled = j.Untold, j.State == Cancelled
		switch {
		case j.State.Final():
			v.State, v.Ended = j.State, j.Ended
			e.before[v.ID] = v.Ended
			if j.State == Delivered {
				v.Done, v.DoneFiles, v.Saved = j.Bytes, j.Files, j.Saved
			} else {
				v.Err = errors.New(j.Why)
			}
			close(t.done)
		case j.Paused:
			v.State = Paused
		case j.Incoming:
			v.State = Stalled
		}
		e.transfers[v.ID] = t
	}
}

// resumeTransfers lets the restored ones go on. Call with Engine.mu held.
func (e *Engine) resumeTransfers() {
	for _, t := range e.ordered() {
		if t.view.Incoming && t.view.State == Delivered { // the program may have ended before it was cleaned up
			e.start(func(context.Context) { _ = transfer.Discard(t.accept.Dir, string(t.view.ID)) })
		}
		if t.view.State.Final() || t.cancel != nil {
			continue
		}
		t.lastMove = now()
		if t.view.Incoming {
			e.launch(t, func(ctx context.Context) { e.receive(ctx, t) })
		} else {
			e.launch(t, func(ctx context.Context) { e.send(ctx, t) })
		}
	}
}

// recover completes an incoming transfer of which everything was there when the program ended.
func (e *Engine) recover(t *transferState) (transfer.Result, bool) {
	r, ok, err := transfer.Recover(e.receiveOptions(t))
	if err != nil && !errors.Is(err, transfer.ErrGone) {
		e.log.Warn("completing a transfer", "id", t.view.ID, "err", err)
	}
	return r, ok
}

func (t *transferState) key() string { return fmt.Sprintf("%s %s", t.view.Peer, t.view.ID) }
