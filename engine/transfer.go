package engine

import (
	"time"

	"multipeer/engine/internal/transfers"
	"multipeer/engine/internal/wire"
	"multipeer/transfer"
)

// TransferID identifies an offer and its transfer, and is the same on both sides. It is a string.
type TransferID = transfers.ID

// TransferState is the progress of a transfer. Its methods:
//
//	String() string   its name, such as "moving"
//	Final() bool      whether the state can no longer change
type TransferState = transfers.State

// The states of a transfer. The last four are final.
const (
	Queued  = transfers.Queued  // waits for its turn or for its peer; Err is the reason if it was running before
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
	ByPeer   bool     // paused or cancelled by the peer, not by this side
	Paths    []string // outgoing: what is sent, as absolute paths; nil if it came from a reader; do not modify
	Names    []string // top-level names, safe to display; at most 20
	Items    int64    // how many top-level names there are
	Files    int64
	Folders  int64
	Bytes    int64
	Counting bool   // the sender is still counting; the totals grow
	Priority int    // outgoing: of the waiting transfers, the highest goes first
	Keep     bool   // it waits for an offline peer indefinitely, and across restarts
	Note     string // the sender's note, safe to display
	As       string // outgoing: OfferOptions.Name
	Links    bool   // outgoing: OfferOptions.Links
	Via      string // the Gateway that moves it, as in Peer.Via: it cannot be paused or resumed; empty for all others

	Done      int64 // bytes that the receiver has verified
	DoneFiles int64
	Rate      float64       // bytes per second, smoothed
	Left      time.Duration // estimated time left; 0 means unknown
	Started   time.Time     // when it was accepted
	Ended     time.Time

	Lanes    []Lane // the lanes that carry it now, with the bytes of each
	Attempts int64  // how often it was started or resumed

	Dir     string          // incoming: the folder it was accepted into
	Saved   []string        // incoming: full paths of the published entries; the first 100 after a restart
	Notes   []transfer.Note // entries that were renamed, left out or not preserved in full; the first 1000
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

// MaxNote is the largest note of an offer, in bytes of UTF-8.
const MaxNote = wire.MaxNote

// MaxPreview limits the preview of an offer, in bytes.
const MaxPreview = wire.MaxPreview

func publicTransfers(list []transfers.Transfer) []Transfer {
	var out []Transfer
	for _, t := range list {
		out = append(out, Transfer(t))
	}
	return out
}
