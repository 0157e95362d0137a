package engine

import (
	"multipeer/engine/internal/transfers"
	"multipeer/transfer"
)

// Offer is a peer's offer of files. Call Accept or Decline once; the first answer counts.
type Offer struct {
	Transfer Transfer // as it was when it arrived
	// Preview is a small picture of the content, of at most MaxPreview bytes, which the sender chose. It is empty for
	// peers that were never accepted. It is untrusted input: check the size of the picture before decoding it.
	Preview []byte

	engine  *Engine
	offer   *transfers.Offer
	claimed bool // a function decides about it, see HandleOffers; guarded by the lock of the transfers
}

// Peer returns the peer that offers, as it is now, such as how far it is trusted. Only ID, Name and Trust are set once the
// peer is lost.
func (o *Offer) Peer() Peer {
	if p, found := o.engine.Peer(o.Transfer.Peer); found {
		return p
	}
	return Peer{ID: o.Transfer.Peer, Name: o.Transfer.PeerName, Trust: o.engine.Trust(o.Transfer.Peer)}
}

// AcceptOptions configure where and how an offer is received.
type AcceptOptions struct {
	Dir string // the folder to receive into, created if it is missing; required
	// Place is where Dir was when it was chosen; empty means where it is now. While Dir is elsewhere, the transfer waits
	// (transfer.ErrUnmounted).
	Place transfer.Place
	// Existing selects what to do with entries whose name is taken; the zero value keeps both. Choose, if set, decides that
	// for each top-level name instead, once, on its own goroutine, and may wait for a person. After a restart of this
	// program, both entries are kept for names that it has not decided about, and for those after the first 1,000.
	Existing transfer.Existing
	Choose   func(name string) transfer.Existing
	Reread   bool // compare existing files by content even if both copies have the sizes and times of an earlier transfer
	KeepExec bool // make files that are executable there executable here, for their owner
	Links    bool // accept symbolic links that stay inside their folder
	// Reserve is how many bytes stay free on the disk: 0 means the larger of 1 GiB and a twentieth of the disk (but at most
	// a tenth), less than 0 means none.
	Reserve int64
	Person  bool      // a person accepts, not a rule of the program: the peer becomes known (TrustSeen)
	Seen    *Transfer // what the person last saw, if newer than Offer.Transfer: no more than that may arrive
}

// Accept accepts the files into a folder and returns at once. The transfer resumes by itself after any interruption. It
// may deliver no more than was offered, and a small margin for a source that has grown: if there is more, the offer is
// made again, and fails with ErrUnavailable if nothing reads offers. Errors are ErrAnswered, ErrInvalid, ErrClosed, or
// concern the folder.
func (o *Offer) Accept(opts AcceptOptions) error {
	seen := transfers.Transfer(o.Transfer)
	if opts.Seen != nil {
		seen = transfers.Transfer(*opts.Seen)
	}
	return o.offer.Accept(transfers.AcceptOptions{
		Dir: opts.Dir, Place: opts.Place, Existing: opts.Existing, Choose: opts.Choose, Reread: opts.Reread,
		KeepExec: opts.KeepExec, Links: opts.Links, Reserve: opts.Reserve, Person: opts.Person, Seen: &seen,
	})
}

// Closed returns a channel that is closed when the offer is answered, is withdrawn or expires.
func (o *Offer) Closed() <-chan struct{} { return o.offer.Closed() }

// Decline rejects the offer, by a rule of the program. It returns ErrAnswered if it is too late.
func (o *Offer) Decline() error { return o.offer.Decline(false) }

// DeclineByPerson is Decline for the decision of a person: see Invitation.DeclineByPerson.
func (o *Offer) DeclineByPerson() error { return o.offer.Decline(true) }

// Conflicts lists the names of top-level entries of the offer that a folder already contains, for a screen that asks
// what to do; AcceptOptions.Choose gets the same names. They are untrusted: show them by CleanLine. It only knows the
// names in Transfer.Names, not those after the first 20, so a screen has to choose "keep both" for all names that it
// did not list.
func (o *Offer) Conflicts(dir string) []string { return o.offer.Conflicts(dir) }
