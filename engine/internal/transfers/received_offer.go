package transfers

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"multipeer/engine/internal/wire"
	"multipeer/transfer"
)

// Offer is a peer's offer of files. Call Accept or Decline once; the first answer counts.
type Offer struct {
	Transfer Transfer // as it was when it arrived
	Preview  []byte   // from known peers only

	m      *Manager
	t      *item
	closed chan struct{}

	// Handle belongs to the host, which may keep its own value for the offer here; the manager's lock guards it.
	Handle any
}

// Source returns where the offer came from; see transport.SourceOf.
func (o *Offer) Source() netip.Addr { return o.t.source }

// Closed returns a channel that is closed when the offer was answered or withdrawn, or has expired.
func (o *Offer) Closed() <-chan struct{} { return o.closed }

// setOfferLocked replaces the offer that waits for an answer; nil means that none does.
func (t *item) setOfferLocked(o *Offer) {
	if t.offer != nil {
		close(t.offer.closed)
	}
	t.offer = o
}

// Accept accepts the files into a folder. The transfer then runs by itself, and resumes by itself after any
// interruption, including a restart of either side with the same profile; Watch and Wait report its progress. It may
// deliver no more than was offered, plus a small margin for a source that has grown since. Errors are wire.ErrAnswered,
// and the reasons why the folder cannot be used.
func (o *Offer) Accept(opts AcceptOptions) error {
	dir, err := filepath.Abs(opts.Dir)
	if err != nil || opts.Dir == "" {
		return fmt.Errorf("folder %q: %w: specify a folder to receive into", opts.Dir, wire.ErrInvalid)
	}
	if err := transfer.MakeFolder(dir, opts.Place); err != nil && !errors.Is(err, transfer.ErrUnmounted) { // otherwise it waits for the disk
		return fmt.Errorf("cannot receive into the folder %s: %w", dir, err)
	}
	opts.Dir = dir
	if opts.Place == "" { // guard: place-accepted
		if opts.Place, err = transfer.PlaceOf(dir); err != nil {
			return fmt.Errorf("cannot receive into %w", err)
		}
	}
	if err := o.m.accept(o, opts); err != nil {
		return err
	}
	peer := o.t.view.Peer
	o.m.asks.Accepted(peer)
	switch {
	case opts.Person:
		o.m.host.Accepted(peer, o.Transfer.PeerName)
	case !o.m.profile.Knows(peer): // guard: policy-accepts
	default:
		o.m.host.Accepted(peer, "") // no one has seen the name that it has now
	}
	return nil
}

func (m *Manager) accept(o *Offer, opts AcceptOptions) error {
	t := o.t
	m.mu.Lock()
	defer m.mu.Unlock()
	if t.offer != o || t.view.State != Offered {
		return wire.ErrAnswered
	}
	if opts.Policy && !t.byPolicy { // guard: rule-withdrawn
		return wire.ErrDeclined // while the folder was made, which can take seconds
	}
	if t.accept.Dir != "" && t.accept.Dir != opts.Dir {
		m.discardLocked(t) // what arrived after an earlier acceptance is in the earlier folder
	}
	if t.accept.Dir != opts.Dir {
		t.began = ""
	}
	t.accept = opts
	t.accept.Asks = opts.Choose != nil
	t.chosen, t.chosenStored, t.questions = nil, nil, nil
	t.answers++
	if !m.launchLocked(t, (&receiver{m, t}).run) {
		return wire.ErrClosed
	}
	// Only from here on is data with this ID from this peer accepted.
	seen := o.Transfer
	if opts.Seen != nil {
		seen = *opts.Seen
	}
	t.agreed = agreement{transfer.Totals{Files: seen.Files, Folders: seen.Folders, Bytes: seen.Bytes}, seen.Counting}
	t.setOfferLocked(nil)
	t.accepted = true
	t.view.Started, t.view.Dir = now(), opts.Dir
	t.lastMove, t.offered = now(), now()
	m.happenedLocked(t, accepted, nil)
	m.saveSoonLocked(t)
	select {
	case <-t.start: // left over from before the person was asked again
	default:
	}
	t.start <- attempt{t.link, t.attempt}
	return nil
}

// Conflicts lists the names in a folder that top-level entries of the offer would have too. It lists none for an offer
// that a gateway receives, because that never replaces anything.
func (o *Offer) Conflicts(dir string) []string {
	o.m.mu.Lock()
	renames := isGateway(o.t.link)
	o.m.mu.Unlock()
	if renames {
		return nil
	}
	var out []string
	for _, n := range o.t.names {
		if _, err := os.Lstat(filepath.Join(dir, transfer.SavedName(n))); err == nil {
			out = append(out, transfer.SavedName(n))
		}
	}
	return out
}

// Decline rejects the offer; person reports whether a person has decided, which counts against a peer that asks too
// often. It returns wire.ErrAnswered if it is too late.
func (o *Offer) Decline(person bool) error {
	m, t := o.m, o.t
	m.mu.Lock()
	defer m.mu.Unlock()
	if t.offer != o || t.view.State != Offered {
		return wire.ErrAnswered
	}
	t.link.Send(wire.OfferAnswer{ID: string(t.view.ID), Code: wire.Declined, Attempt: t.attempt})
	if person {
		m.asks.Declined(t.view.Peer)
	}
	m.finishLocked(t, wire.ErrDeclined)
	m.discardLocked(t)
	return nil
}
