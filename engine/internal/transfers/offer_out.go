package transfers

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/wire"
	"multipeer/transfer"
)

// Source is what is offered, to one peer or to several.
type Source struct {
	paths   []string // absolute
	spooled string   // the file of the spool, if the content came from a reader
}

// NewSource checks what is at paths, or what opts.Content yields, which it stores first. Errors report what cannot be
// read. The caller passes the source to Offer and then calls Release.
func (m *Manager) NewSource(ctx context.Context, paths []string, opts OfferOptions) (Source, error) {
	src, err := m.spool.newSource(ctx, paths, opts)
	if err != nil {
		m.Release(src)
		return Source{}, fmt.Errorf("preparing the offer: %w", err)
	}
	return src, nil
}

func (s *spool) newSource(ctx context.Context, paths []string, opts OfferOptions) (src Source, err error) {
	if err := opts.check(paths); err != nil {
		return src, err
	}
	src.paths = slices.Clone(paths)
	if opts.Content != nil {
		src.spooled, err = s.store(ctx, opts.Content)
		if err != nil {
			return src, err
		}
		src.paths = []string{src.spooled}
	}
	if _, err := transfer.NewListing(src.paths, opts.listing()); err != nil {
		return src, err
	}
	for i, p := range src.paths { // the program may change its working directory
		if src.paths[i], err = filepath.Abs(p); err != nil {
			return src, err
		}
	}
	return src, nil
}

// Release ends the use of a source by the caller of NewSource.
func (m *Manager) Release(src Source) {
	if src.spooled != "" && m.spool.release(src.spooled) {
		m.spool.cleanNow(context.Background())
	}
}

// check reports options that contradict each other or the paths.
func (o OfferOptions) check(paths []string) error {
	switch {
	case o.Content == nil && len(paths) == 0:
		return fmt.Errorf("%w: an offer needs paths or Content", wire.ErrInvalid)
	case o.Content != nil && len(paths) > 0:
		return fmt.Errorf("%w: an offer has either Content or paths", wire.ErrInvalid)
	case o.Content != nil && o.Name == "":
		return fmt.Errorf("%w: Content needs a Name", wire.ErrInvalid)
	case o.Name != "" && len(paths) > 1:
		return fmt.Errorf("%w: Name can only be used with a single path, not with %d", wire.ErrInvalid, len(paths))
	}
	if o.Name != "" {
		if err := transfer.ValidateName(o.Name); err != nil {
			return fmt.Errorf("%w: %w", wire.ErrInvalid, err)
		}
	}
	if len(o.Preview) > wire.MaxPreview {
		return fmt.Errorf("preview: %w: %d bytes, at most %d", wire.ErrInvalid, len(o.Preview), wire.MaxPreview)
	}
	return wire.ValidateNote(o.Note)
}

func (o OfferOptions) listing() transfer.ListOptions {
	return transfer.ListOptions{Links: o.Links, Name: o.Name}
}

// Offer offers a source to a peer under a new ID, and returns the state of the offer at once. With
// OfferOptions.Keep, the offer is durable before Offer returns. shared is set if several peers get the same source.
func (m *Manager) Offer(id ID, to identity.PeerID, name string, src Source, opts OfferOptions, shared *transfer.Shared) (Transfer, error) {
	listing, err := transfer.NewListing(src.paths, opts.listing())
	if err != nil {
		return Transfer{}, fmt.Errorf("preparing the offer: %w", err)
	}
	t, record := m.newOutgoing(id, to, name, src, listing, opts, shared)
	if record != nil {
		if err := m.profile.KeepJob(recordKey(m.service, id), record); err != nil {
			m.Release(src)
			return Transfer{}, err
		}
	}
	view, ok := m.addOutgoing(t)
	if !ok {
		if err := m.profile.KeepJob(recordKey(m.service, id), nil); err != nil {
			m.log.Error("forgetting a transfer", "id", id, "err", err)
		}
		m.Release(src)
		return Transfer{}, wire.ErrClosed
	}
	return view, nil
}

// newOutgoing counts one more user of src's file in the spool. It returns a new outgoing transfer that is not in the
// table yet, and its record, which is nil if there is nothing to store.
func (m *Manager) newOutgoing(id ID, to identity.PeerID, name string, src Source, listing *transfer.Listing, opts OfferOptions, shared *transfer.Shared) (t *item, record []byte) {
	summary := listing.Top()
	m.mu.Lock()
	defer m.mu.Unlock()
	t = m.newLocked(id, to, name, false)
	t.names = summary.Names[:min(len(summary.Names), wire.MaxOfferNames)]
	t.paths = src.paths
	t.spooled = src.spooled
	m.spool.use(t.spooled)
	t.listing = listing
	t.opts = opts
	t.opts.Content = nil
	t.opts.Preview = bytes.Clone(opts.Preview)
	t.shared = shared
	t.resolved = listing.Resolved()
	if summary.Folders == 0 {
		t.onDisk = summary.OnDisk
	}
	v := &t.view
	v.Names, v.Items = clean(t.names), int64(len(summary.Names))
	v.Files = summary.Files
	v.Folders = summary.Folders
	v.Bytes = summary.Bytes
	v.Counting = summary.Folders > 0
	v.Keep, v.Priority = opts.Keep, opts.Priority
	v.Note = wire.CleanText(opts.Note)
	v.As, v.Links = opts.Name, opts.Links
	if l := m.host.Current(to); l != nil {
		v.State = Offered // it is about to be sent
		v.Via = via(l)
	}
	return t, t.recordLocked()
}

// addOutgoing adds t to the table and starts it. Before the engine runs, only a transfer with Keep is added, and waits
// for Start. It returns false if t was not added.
func (m *Manager) addOutgoing(t *item) (Transfer, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	begun := m.tasks.Begun() // if it begins right now, Start resumes the transfer
	if !m.launchLocked(t, (&sender{m, t}).run) {
		if !t.opts.Keep || isClosed(m.ended) || begun {
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
	case t.spooled != "":
		return wire.Reword("the content came from a reader and is not kept; offer it again", wire.ErrState)
	}
	if !m.launchLocked(t, (&sender{m, t}).run) {
		return wire.ErrClosed
	}
	t.listing = nil // list the files again
	if s := t.view.State; s == Cancelled || s == Declined {
		t.accepted = false // its receiver is asked again
	}
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
	v.ByPeer = false
	v.Ended = time.Time{}
	t.stepLocked(revived, nil)
	t.lastMove = now()
	m.saveSoonLocked(t)
	m.publishLocked(t)
}

// isClosed reports whether a channel is closed, to which nothing is sent.
func isClosed(ended <-chan struct{}) bool {
	select {
	case <-ended:
		return true
	default:
		return false
	}
}
