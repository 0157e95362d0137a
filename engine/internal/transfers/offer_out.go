package transfers

import (
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/wire"
	"multipeer/transfer"
)

// Source is what is offered, checked and listed.
type Source struct {
	listing *transfer.Listing
	paths   []string
}

// NewSource lists what is at paths. Errors report what cannot be read.
func NewSource(paths []string, links bool) (Source, error) {
	listing, err := transfer.NewListing(paths, links)
	if err != nil {
		return Source{}, fmt.Errorf("offer: %w", err)
	}
	paths = slices.Clone(paths)
	for i := range paths { // the program may change its working directory
		if paths[i], err = filepath.Abs(paths[i]); err != nil {
			return Source{}, fmt.Errorf("offer: %w", err)
		}
	}
	return Source{listing, paths}, nil
}

// Offer offers a source to a peer under a new ID, and returns the state of the offer at once. With
// OfferOptions.Keep, the offer is durable before Offer returns. shared is set if several peers get the same source.
func (m *Manager) Offer(id ID, to identity.PeerID, name string, src Source, opts OfferOptions, shared *transfer.Shared) (Transfer, error) {
	t, record := m.newOutgoing(id, to, name, src, opts, shared)
	if record != nil {
		if err := m.profile.KeepJob(string(id), record); err != nil {
			return Transfer{}, err
		}
	}
	view, ok := m.addOutgoing(t)
	if !ok {
		if err := m.profile.KeepJob(string(id), nil); err != nil {
			m.log.Error("forgetting a transfer", "id", id, "err", err)
		}
		return Transfer{}, wire.ErrClosed
	}
	return view, nil
}

// newOutgoing returns a new outgoing transfer that is not in the table yet, and its record; nil if there is nothing to
// store.
func (m *Manager) newOutgoing(id ID, to identity.PeerID, name string, src Source, opts OfferOptions, shared *transfer.Shared) (t *item, record []byte) {
	summary := src.listing.Top()
	m.mu.Lock()
	defer m.mu.Unlock()
	t = m.newLocked(id, to, name, false)
	t.names = summary.Names[:min(len(summary.Names), wire.MaxOfferNames)]
	t.paths = src.paths
	t.listing = src.listing
	t.opts = opts
	t.shared = shared
	t.resolved = src.listing.Resolved()
	if summary.Folders == 0 {
		t.room = summary.Room
	}
	v := &t.view
	v.Names, v.Items = clean(t.names), int64(len(summary.Names))
	v.Files = summary.Files
	v.Folders = summary.Folders
	v.Bytes = summary.Bytes
	v.Counting = summary.Folders > 0
	v.Keep, v.Priority = opts.Keep, opts.Priority
	if m.host.Current(to) != nil {
		v.State = Offered // it is about to be sent
	}
	return t, t.recordLocked()
}

// addOutgoing adds t to the table and starts it; without a run it waits for one, if it is kept. It returns false if
// the run has ended.
func (m *Manager) addOutgoing(t *item) (Transfer, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	begun := m.tasks.Begun() // if it begins right now, Start resumes the transfer
	if !m.launchLocked(t, (&sender{m, t}).run) {
		if !t.opts.Keep || m.closed() || begun {
			return Transfer{}, false
		}
	}
	m.transfers[t.view.ID] = t
	m.publishLocked(t)
	return t.currentViewLocked(), true
}

// Retry repeats an offer that has failed or was cancelled or declined; data that has arrived and is still there is
// not sent again.
func (m *Manager) Retry(id ID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.transfers[id]
	switch {
	case t == nil || t.view.Incoming:
		return wire.ErrUnknownOffer
	case t.view.State == Delivered || !t.view.State.Final():
		return wire.Reword("the transfer has not failed", wire.ErrState)
	}
	if !m.launchLocked(t, (&sender{m, t}).run) {
		return wire.ErrClosed
	}
	t.listing, t.listed = nil, 0 // list what is there by now
	m.reviveLocked(t)
	return nil
}

// reviveLocked makes a transfer that has ended continue.
func (m *Manager) reviveLocked(t *item) {
	t.done = make(chan struct{})
	t.paused = false
	t.cancelled = false
	t.unsent = false
	v := &t.view
	v.Ended = time.Time{}
	t.stepLocked(revived, nil)
	t.lastMove = now()
	m.saveSoonLocked(t)
	m.publishLocked(t)
}

// closed reports whether the engine is closed.
func (m *Manager) closed() bool {
	select {
	case <-m.ended:
		return true
	default:
		return false
	}
}
