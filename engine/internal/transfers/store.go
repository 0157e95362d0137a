package transfers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/internal/rawpath"
	"multipeer/transfer"
)

// job is the profile's record of a transfer: of an outgoing one that waits for its peer, and of an incoming one that
// was accepted, until it has ended.
type job struct {
	Peer     identity.PeerID              `json:"peer"`
	Name     string                       `json:"name"`
	Incoming bool                         `json:"incoming,omitempty"`
	Names    []string                     `json:"names"`
	Items    int64                        `json:"items"`
	Files    int64                        `json:"files"`
	Folders  int64                        `json:"folders"`
	Bytes    int64                        `json:"bytes"`
	Counting bool                         `json:"counting,omitempty"`
	Keep     bool                         `json:"keep,omitempty"`
	Started  time.Time                    `json:"started,omitzero"`
	Order    int64                        `json:"order"`
	Attempt  int64                        `json:"attempt,omitempty"`
	Accepted bool                         `json:"accepted,omitempty"`
	Paused   bool                         `json:"paused,omitempty"`
	ByPeer   bool                         `json:"by_peer,omitempty"`
	State    State                        `json:"state"`
	Ended    time.Time                    `json:"ended,omitzero"`
	Why      string                       `json:"why,omitempty"`
	Unsent   bool                         `json:"unsent,omitempty"`
	Paths    []string                     `json:"paths,omitempty"`
	Spooled  string                       `json:"spooled,omitempty"` // the name of the file in the spool, like Entries
	Resolved []string                     `json:"resolved,omitempty"`
	Note     string                       `json:"note,omitempty"`
	Opts     OfferOptions                 `json:"opts"`
	Accept   AcceptOptions                `json:"accept"`
	Began    string                       `json:"began,omitempty"`
	ByPolicy bool                         `json:"by_policy,omitempty"`
	Chosen   map[string]transfer.Existing `json:"chosen,omitempty"`
	Addrs    []netip.AddrPort             `json:"addrs,omitempty"`
	Saved    []string                     `json:"saved,omitempty"` // the first entries of Transfer.Saved
	LeftOut  int64                        `json:"left_out,omitempty"`
	Entries  string                       `json:"entries,omitempty"`
	Sent     uint64                       `json:"sent,omitempty"`
	Agreed   *agreed                      `json:"agreed,omitempty"`
	Offered  time.Time                    `json:"offered,omitzero"`
}

// agreed is the stored form of an agreement.
type agreed struct {
	Files    int64 `json:"files"`
	Folders  int64 `json:"folders"`
	Bytes    int64 `json:"bytes"`
	Counting bool  `json:"counting"`
}

func (a agreement) toKeep() *agreed {
	if !a.counting {
		return nil
	}
	return &agreed{a.totals.Files, a.totals.Folders, a.totals.Bytes, a.counting}
}

func (a *agreed) agreement() agreement {
	if a == nil {
		return agreement{}
	}
	return agreement{transfer.Totals{Files: a.Files, Folders: a.Folders, Bytes: a.Bytes}, a.Counting}
}

// keptSaved is how many entries of Transfer.Saved are stored for the next run.
const keptSaved = 100

// recordLocked returns the record of t, or nil if there is nothing to store.
func (t *item) recordLocked() []byte {
	v := t.view
	switch {
	case v.Incoming && !t.accepted, !v.Incoming && !v.Keep:
		return nil
	case v.Incoming && isGateway(t.link): // a gateway's transfer does not resume
		return nil
	case v.State == Cancelled:
		if !t.unsent { // the other side knows that it was cancelled
			return nil
		}
	case v.State.Final() && !v.Incoming, v.State == Declined:
		return nil
	}
	why := ""
	if v.Err != nil {
		why = v.Err.Error()
	}
	accept := t.accept
	accept.Dir = rawpath.Encode(accept.Dir)
	paths, resolved := t.paths, t.resolved
	if t.spooled != "" { // the profile may be elsewhere in the next run
		paths, resolved = nil, nil
	}
	b, err := json.Marshal(job{
		Peer: v.Peer, Name: v.PeerName, Incoming: v.Incoming, Order: t.order, Offered: t.offered.UTC().Round(0),
		Names: t.names, Items: v.Items, Files: v.Files, Folders: v.Folders, Bytes: v.Bytes, Counting: v.Counting, Note: v.Note,
		Paths: rawpath.EncodeAll(paths), Resolved: rawpath.EncodeAll(resolved), Spooled: inSpool(t.spooled), Entries: inSpool(t.entries),
		Sent: t.sentState, Keep: v.Keep, Opts: t.opts, Accept: accept, Began: t.began, ByPolicy: t.byPolicy, Chosen: t.chosenStored, Agreed: t.agreed.toKeep(),
		Attempt: t.attempt, Accepted: t.accepted, Paused: t.paused, ByPeer: v.ByPeer, Unsent: t.unsent, Addrs: t.addrs,
		State: v.State, Started: v.Started, Ended: v.Ended, Why: why,
		Saved: rawpath.EncodeAll(v.Saved[:min(len(v.Saved), keptSaved)]), LeftOut: v.LeftOut,
	})
	if err != nil {
		panic(err) // cannot happen with our own types
	}
	return b
}

// saveSoonLocked stores the current state of t in the background: the disk may be slow, and nothing waits for it.
func (m *Manager) saveSoonLocked(t *item) {
	m.writer.put(recordKey(m.service, t.view.ID), t.recordLocked())
	m.startSaving()
}

// recordKey returns the key of a transfer's record in the profile, which engines of several services may share.
func recordKey(service string, id ID) string { return service + "/" + string(id) }

// saveEvery is the shortest time between two saves in the background: peers can cause changes faster than a disk
// stores them.
const saveEvery = 50 * time.Millisecond

// startSaving stores what has changed in the background, until nothing has. Before the run, Start calls it; after the
// run, Flush stores the rest.
func (m *Manager) startSaving() {
	if !m.writer.claim() { // guard: one-save
		return
	}
	started := m.tasks.Start(func(ctx context.Context) {
		for m.writer.waits() {
			if err := m.Flush(); err != nil { // the next change tries again
				m.log.Error("keeping transfers", "err", err)
				m.writer.release()
				return
			}
			select {
			case <-time.After(saveEvery):
			case <-ctx.Done():
			}
		}
	})
	if !started {
		m.writer.release()
	}
}

// receiptKept is how long a transfer that has ended is remembered: the other side may have missed its receipt or its
// end, and the received part of a failed one may still be resumed.
const receiptKept = 7 * 24 * time.Hour

// restoreLocked reads the transfers stored in the profile. They resume with Start.
func (m *Manager) restoreLocked() {
	for key, raw := range m.profile.Jobs() {
		service, id, _ := strings.Cut(key, "/")
		if service != m.service {
			continue
		}
		var j job
		if err := json.Unmarshal(raw, &j); err != nil || len(j.Names) == 0 || j.State.Final() && j.Ended.Before(now().Add(-receiptKept)) {
			m.log.Info("forgetting a transfer", "id", id, "err", err)
			if j.Incoming && j.Accept.Dir != "" {
				_ = transfer.Discard(rawpath.Decode(j.Accept.Dir), id)
			}
			_ = m.profile.KeepJob(key, nil)
			continue
		}
		j.Accept.Dir, j.Saved = rawpath.Decode(j.Accept.Dir), rawpath.DecodeAll(j.Saved)
		t := m.newLocked(ID(id), j.Peer, j.Name, j.Incoming)
		t.order = j.Order
		t.names = j.Names
		t.paths, t.resolved = rawpath.DecodeAll(j.Paths), rawpath.DecodeAll(j.Resolved)
		t.spooled, t.entries = m.spool.path(j.Spooled), m.spool.path(j.Entries)
		if t.spooled != "" {
			t.paths = []string{t.spooled}
		}
		if !j.State.Final() {
			m.spool.use(t.spooled)
			m.spool.use(t.entries)
		}
		t.opts = j.Opts
		t.accept = j.Accept
		t.chosen, t.chosenStored = j.Chosen, maps.Clone(j.Chosen)
		t.began = j.Began
		t.byPolicy = j.ByPolicy
		t.agreed = j.Agreed.agreement()
		t.attempt = j.Attempt
		t.accepted = j.Accepted
		t.restored = !j.Incoming
		t.mayHaveArrived, t.sentState = !j.Incoming, j.Sent // the last changes before a crash may not be stored
		t.paused = j.Paused
		t.addrs = j.Addrs
		t.offered = laterOf(j.Offered, j.Started)
		v := &t.view
		v.ByPeer = j.ByPeer
		v.Names = clean(j.Names)
		v.Items = j.Items
		v.Files = j.Files
		v.Folders = j.Folders
		v.Bytes = j.Bytes
		v.Counting = j.Counting
		v.Keep = j.Keep
		v.Note = j.Note
		v.As, v.Links = j.Opts.Name, j.Opts.Links
		v.Priority = j.Opts.Priority
		v.Started = j.Started
		v.Dir = j.Accept.Dir
		t.unsent, t.cancelled = j.Unsent, j.State == Cancelled
		switch {
		case j.State.Final():
			v.State, v.Ended = j.State, j.Ended
			m.before[v.ID] = v.Ended
			if j.State == Delivered {
				v.Done = j.Bytes
				v.DoneFiles = j.Files
				v.Saved = j.Saved
				v.LeftOut = j.LeftOut
			} else {
				v.Err = errors.New(j.Why)
			}
			close(t.done)
		case j.Paused:
			v.State = Paused
		case j.Incoming:
			v.State = Stalled
		}
		m.transfers[v.ID] = t
	}
	if err := m.spool.cleanLeftovers(); err != nil {
		m.log.Error("cleaning the spool", "err", err)
	}
}

// resumeLocked resumes the restored transfers.
func (m *Manager) resumeLocked() {
	for _, t := range m.orderedLocked() {
		if t.view.Incoming && t.view.State == Delivered { // the program may have ended before it was cleaned up
			m.tasks.Start(func(context.Context) { _ = transfer.Discard(t.accept.Dir, string(t.view.ID)) })
		}
		if t.view.State.Final() || t.cancel != nil {
			continue
		}
		t.lastMove = now()
		if t.view.Incoming {
			m.launchLocked(t, (&receiver{m, t}).run)
		} else {
			m.launchLocked(t, (&sender{m, t}).run)
		}
	}
}

// completeArrived completes an incoming transfer whose data had all arrived when the program ended.
func (r *receiver) completeArrived() (transfer.Result, bool) {
	m, t := r.m, r.t
	result, ok, err := transfer.Recover(r.receiveOptions())
	if err != nil && !errors.Is(err, transfer.ErrGone) && !errors.Is(err, transfer.ErrUnmounted) {
		m.log.Warn("completing a transfer", "id", t.view.ID, "err", err)
	}
	return result, ok
}

func (t *item) key() string { return fmt.Sprintf("%s %s", t.view.Peer, t.view.ID) }
