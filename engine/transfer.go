package engine

import (
	"time"

	"multipeer/engine/internal/transfers"
	"multipeer/transfer"
)

// TransferID identifies an offer and its transfer, on both sides.
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
	// Stalled means that nothing was acknowledged for 5 s; Err is the reason, if known. The transfer resumes by itself.
	Stalled   = transfers.Stalled
	Paused    = transfers.Paused    // paused by either side
	Finishing = transfers.Finishing // all bytes have arrived and are being made durable
	// Delivered is confirmed: what was not left out (Transfer.Complete) is durable under its final name on the other disk.
	Delivered = transfers.Delivered
	Declined  = transfers.Declined
	Cancelled = transfers.Cancelled
	Failed    = transfers.Failed
)

// Transfer is the current state of an offer or a transfer. As an event it comes at most ten times a second. Its slices
// are shared: do not modify them.
type Transfer struct {
	ID       TransferID
	Peer     PeerID
	PeerName string
	Incoming bool
	State    TransferState
	ByPeer   bool     // paused or cancelled by the peer, not by this side
	Err      error    // why it ended, makes no progress, or arrived in part (ErrIncomplete); see State for whether it has ended
	Paths    []string // outgoing: what is sent, as absolute paths; nil for OfferOptions.Content
	Names    []string // the top-level names, safe to display; at most 20
	Items    int64    // how many top-level names there are

	Files, Folders, Bytes int64 // what is offered
	Counting              bool  // the sender still counts: Files, Folders and Bytes grow
	Priority              int   // outgoing, as Keep, As and Links: OfferOptions.Priority, Keep, Name and Links
	Keep                  bool
	As                    string
	Links                 bool
	Note                  string // the sender's note, safe to display
	Via                   string // the Gateway that moves it: it cannot be paused or resumed; empty for all others

	Done      int64 // bytes that the receiver has verified
	DoneFiles int64
	Rate      float64       // bytes per second, smoothed
	Left      time.Duration // estimated time left; 0 means unknown
	Started   time.Time     // when it was accepted
	Ended     time.Time
	Lanes     []Lane // the connections that carry it now
	Attempts  int64  // how often it was started or resumed

	Dir       string          // incoming: the folder it was accepted into
	Saved     []string        // incoming: full paths of the published entries; the first 100 after a restart
	Notes     []transfer.Note // entries that were renamed, left out or not kept in full; the first 1000
	Renamed   int64
	LeftOut   int64 // entries that were offered but not delivered
	Unkept    int64 // entries that were delivered without some attribute; see Note
	Unchanged int64 // files that the receiver had already; see AcceptOptions.Existing
	Moved     int64 // bytes that this side has sent on lanes, in all attempts of this run
}

// Complete reports whether all that was offered was delivered: the state is Delivered, and no entry was left out.
func (t Transfer) Complete() bool { return t.State == Delivered && t.LeftOut == 0 }

// Lane is one connection that carries a transfer. Its fields:
//
//	Proto string           "TCP" or "QUIC"
//	Addr  netip.AddrPort   the remote address
//	Bytes int64            in both directions, without the overhead of encryption
type Lane = transfers.Lane

// publicTransfer adds the error that programs get for a transfer that was delivered in part.
func publicTransfer(t transfers.Transfer) Transfer {
	if t.State == Delivered && t.LeftOut > 0 && t.Err == nil {
		t.Err = ErrIncomplete
	}
	return Transfer(t)
}

func publicTransfers(list []transfers.Transfer) []Transfer {
	var out []Transfer
	for _, t := range list {
		out = append(out, publicTransfer(t))
	}
	return out
}
