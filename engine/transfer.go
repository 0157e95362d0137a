package engine

import (
	"context"
	"fmt"
	"time"

	"multipeer/engine/internal/transfers"
	"multipeer/transfer"
)

// TransferID identifies an offer and its transfer, and is the same on both sides. It is a string.
type TransferID = transfers.ID

// TransferState is the progress of a transfer. Its methods:
//
//	String() string   its name, such as "moving"
//	Final() bool      whether the state cannot change any more
type TransferState = transfers.State

// The states of a transfer. The last four are final.
const (
	Queued  = transfers.Queued  // waits for its turn or a peer; Err is the reason if it was running before
	Offered = transfers.Offered // waits for the receiver's answer
	Moving  = transfers.Moving  // data is being transferred
	// Stalled means that no byte was acknowledged for 5 s, the connection is gone, or the receiver's disk is full;
	// Err is the reason, if known. The transfer resumes by itself.
	Stalled   = transfers.Stalled
	Paused    = transfers.Paused    // paused by either side
	Finishing = transfers.Finishing // all bytes have arrived and are being made durable
	Delivered = transfers.Delivered // verified and durable under the final name; the receipt has arrived
	Declined  = transfers.Declined
	Cancelled = transfers.Cancelled
	Failed    = transfers.Failed
)

// Transfer describes the current state of an offer or a transfer.
type Transfer struct {
	ID       TransferID
	Peer     PeerID
	PeerName string
	Incoming bool
	State    TransferState
	Paths    []string // outgoing: what is sent, as absolute paths; do not modify
	Names    []string // top-level names, safe to display; at most 20
	Items    int64    // how many top-level names there are
	Files    int64
	Folders  int64
	Bytes    int64
	Counting bool // the sender is still counting; the totals grow
	Priority int  // outgoing: of those that wait, the highest goes first
	Keep     bool // it waits for an offline peer indefinitely, and across restarts

	Done      int64 // bytes that the receiver has verified
	DoneFiles int64
	Rate      float64       // bytes per second, smoothed
	Left      time.Duration // estimated time left; 0 means unknown
	Started   time.Time     // when it was accepted
	Ended     time.Time

	Lanes    []Lane // the lanes that carry it now, with the bytes of each
	Attempts int64  // how often it was started or resumed

	Dir     string   // incoming: the folder it was accepted into
	Saved   []string // incoming: full paths of the published entries; the first 100 after a restart
	Notes   []Note   // entries that were renamed, left out or not preserved in full; the first 1000
	Renamed int64
	LeftOut int64 // entries that were offered but not delivered
	Unkept  int64 // entries that were delivered but not preserved in full; see Note
	// Unchanged counts files that the receiver had already; see AcceptOptions.Existing.
	Unchanged int64
	// Moved is how many bytes this side has sent on lanes, in all attempts of this run.
	Moved int64
	Err   error // why it ended or makes no progress
}

// Lane is one connection that carries a transfer. Its fields:
//
//	Proto string           "TCP" or "QUIC"
//	Addr  netip.AddrPort   the remote address
//	Bytes int64            in both directions, without the overhead of encryption
type Lane = transfers.Lane

// Existing says what to do with an entry whose name is taken in the receiving folder.
type Existing = transfer.Existing

// The policies for names that are taken.
const (
	KeepBoth      = transfer.KeepBoth      // the new entry gets a number
	SkipIdentical = transfer.SkipIdentical // files that are there already are not sent; others get a number
	Replace       = transfer.Replace       // new files replace old ones, each once it is complete
)

// Note describes an entry that was not delivered under its own name or not preserved in full.
type Note = transfer.Note

// OfferOptions say how files are offered and sent.
type OfferOptions struct {
	// Keep puts the offer into the outbox: it waits for an offline peer indefinitely, including across restarts with
	// the same profile. Without it a transfer whose peer is gone fails within 30 s; see Retry.
	Keep bool
	// Priority orders the transfers that wait for their turn: higher values go first.
	Priority int
	// Links sends symbolic links that stay inside their folder as links, if the receiver accepts them; others are
	// left out.
	Links bool
}

// Offer offers files and folders to a peer and returns the state of the offer at once; nothing is transferred before
// the peer accepts. It needs no session, only a connection: the first thing that the peer accepts from us may be an
// offer. Wait waits for the end, Cancel withdraws the offer. Errors report what cannot be read or reached
// (sendResourceAtURL of MCSession).
func (e *Engine) Offer(ctx context.Context, to PeerID, paths ...string) (Transfer, error) {
	return e.OfferWith(ctx, to, OfferOptions{}, paths...)
}

// OfferWith is Offer with options. With Keep the peer may be offline, and ctx has no effect.
func (e *Engine) OfferWith(ctx context.Context, to PeerID, opts OfferOptions, paths ...string) (Transfer, error) {
	return e.offer(ctx, to, opts, nil, paths)
}

// OfferEach offers the same to several peers. The source is read once for all peers that keep pace with each other; a
// slow peer does not delay the others. Each offer has a transfer of its own, in the order of to; one that could not
// be made has only Peer, State and Err.
func (e *Engine) OfferEach(ctx context.Context, to []PeerID, opts OfferOptions, paths ...string) []Transfer {
	shared := &transfer.Shared{}
	out := make([]Transfer, len(to))
	for i, id := range to {
		t, err := e.offer(ctx, id, opts, shared, paths)
		if err != nil {
			t = Transfer{Peer: id, State: Failed, Err: err}
		}
		out[i] = t
	}
	return out
}

func (e *Engine) offer(ctx context.Context, to PeerID, opts OfferOptions, shared *transfer.Shared, paths []string) (Transfer, error) {
	source, err := transfers.NewSource(paths, opts.Links)
	if err != nil {
		return Transfer{}, err
	}
	if to == e.profile.ID || to.IsZero() {
		return Transfer{}, fmt.Errorf("offer: %w: a device cannot offer files to itself", ErrInvalid)
	}
	e.want(to)
	if !opts.Keep {
		if _, _, err := e.waitLink(ctx, to); err != nil {
			return Transfer{}, err
		}
	}
	t, err := e.transfers.Offer(TransferID(newID()), to, e.nameOf(to), source, transfers.OfferOptions(opts), shared)
	return Transfer(t), err
}

// nameOf returns the current name of a peer, or the last one that is known.
func (e *Engine) nameOf(id PeerID) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p := e.peers[id]; p != nil {
		return p.name
	}
	return e.profile.Peer(id).Name
}

// Transfers lists offers and transfers, running and finished, in the order in which they were created.
func (e *Engine) Transfers() []Transfer { return publicTransfers(e.transfers.List()) }

func publicTransfers(list []transfers.Transfer) []Transfer {
	var out []Transfer
	for _, t := range list {
		out = append(out, Transfer(t))
	}
	return out
}

// Wait waits until a transfer has ended and returns it; its Err is nil if it was delivered.
func (e *Engine) Wait(ctx context.Context, id TransferID) (Transfer, error) {
	t, err := e.transfers.Wait(ctx, id)
	return Transfer(t), err
}

// Cancel withdraws an offer or ends a transfer, on both sides; received data is removed. Files that are already being
// published under their final names are still delivered. It is idempotent.
func (e *Engine) Cancel(id TransferID) { e.transfers.Cancel(id) }

// Pause pauses a transfer, on both sides and across restarts, until either side calls Resume. Data that has arrived
// is kept. It is idempotent; ErrState means that the transfer has ended or is not accepted.
func (e *Engine) Pause(id TransferID) error { return e.transfers.Pause(id) }

// Resume continues a paused transfer.
func (e *Engine) Resume(id TransferID) error { return e.transfers.Resume(id) }

// Retry repeats an offer that has failed or was cancelled or declined; data that has arrived and is still there is
// not sent again. ErrState means that it has not failed.
func (e *Engine) Retry(id TransferID) error { return e.transfers.Retry(id) }

// SetPriority moves an outgoing transfer ahead of or behind others that wait; 0 is the default.
func (e *Engine) SetPriority(id TransferID, priority int) error {
	return e.transfers.SetPriority(id, priority)
}
