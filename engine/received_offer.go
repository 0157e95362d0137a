package engine

import (
	"multipeer/engine/internal/transfers"
	"multipeer/transfer"
)

// OfferTimeout is how long an offer waits for its answer.
const OfferTimeout = transfers.OfferTimeout

// Offer is a peer's offer of files. Call Accept or Decline once; the first answer counts.
type Offer struct {
	Transfer Transfer // as it was when it arrived
	// Preview is a small picture of the content, of at most MaxPreview bytes, which the sender chose. It is empty for
	// peers that were never accepted. It is untrusted input: check the size of the picture before decoding it.
	Preview []byte

	offer   *transfers.Offer
	claimed bool // a function decides about it, see HandleOffers; guarded by the lock of the transfers
}

// AcceptOptions configure where and how an offer is received.
type AcceptOptions struct {
	// Dir is the folder to receive into; it is created if it is missing.
	Dir string
	// Existing selects what to do with entries whose name already exists there. The zero value keeps both.
	Existing transfer.Existing
	// Choose, if set, decides that for each top-level name that is taken, instead of Existing. It runs on a goroutine
	// of the engine and may wait for a person.
	Choose func(name string) transfer.Existing `json:"-"`
	// Reread compares existing files by content even if neither the original nor the copy here has changed since an
	// earlier transfer brought it. Without it, the sizes, times and inodes of both are enough.
	Reread bool
	// KeepExec makes files that are executable on the sender's side executable here, for their owner.
	KeepExec bool
	// Links accepts symbolic links that stay inside their folder, if the sender sends them.
	Links bool
	// Reserve is how many bytes must stay free on the disk: 0 means the larger of 1 GiB and a twentieth of the disk
	// (but at most a tenth), less than 0 means none.
	Reserve int64
	// Policy means that the program accepts the offer by a rule, not a person: the trust in the peer does not change.
	Policy bool
	// Seen is the transfer as the person last saw it, if that is newer than Offer.Transfer: it limits what may
	// arrive.
	Seen *Transfer `json:"-"`
}

// Accept accepts the files into a folder. The transfer then runs by itself, and resumes by itself after any
// interruption, including a restart of either side with the same profile; Watch and Wait report its progress. It may
// deliver no more than was offered, plus a small margin for a source that has grown since. If there is more, such as in
// a folder whose size was not known yet, the offer is made again: it needs a reader of offers, or it fails with
// ErrUnavailable. Accept returns ErrAnswered, or an error that says why the folder cannot be used.
func (o *Offer) Accept(opts AcceptOptions) error {
	seen := transfers.Transfer(o.Transfer)
	if opts.Seen != nil {
		seen = transfers.Transfer(*opts.Seen)
	}
	return o.offer.Accept(transfers.AcceptOptions{
		Dir: opts.Dir, Existing: opts.Existing, Choose: opts.Choose, Reread: opts.Reread,
		KeepExec: opts.KeepExec, Links: opts.Links, Reserve: opts.Reserve, Policy: opts.Policy, Seen: &seen,
	})
}

// Closed returns a channel that is closed once the offer has been answered or withdrawn, or has expired.
func (o *Offer) Closed() <-chan struct{} { return o.offer.Closed() }

// Decline rejects the offer. It returns ErrAnswered if it is too late.
func (o *Offer) Decline() error { return o.offer.Decline() }

// Conflicts lists the names of top-level entries of the offer that a folder already contains, for a screen that asks
// what to do; AcceptOptions.Choose gets the same names. They are untrusted: show them by CleanLine. It only knows the
// names in Transfer.Names, not those after the first 20, so a screen has to choose "keep both" for all names that it
// did not list.
func (o *Offer) Conflicts(dir string) []string { return o.offer.Conflicts(dir) }
