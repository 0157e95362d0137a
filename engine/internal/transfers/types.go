package transfers

import (
	"fmt"
	"io"
	"net/netip"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/transfer"
)

// The types below are documented where programs see them: in package engine, which converts or aliases them.

// ID is engine.TransferID.
type ID string

// State is engine.TransferState.
type State int

// The states; the last four are final. The zero value is not a valid state.
const (
	Queued State = iota + 1
	Offered
	Moving
	Stalled
	Paused
	Finishing
	Delivered
	Declined
	Cancelled
	Failed
)

func (s State) String() string {
	names := [...]string{"none", "queued", "offered", "moving", "stalled", "paused", "finishing", "delivered", "declined", "cancelled", "failed"}
	if int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("TransferState(%d)", int(s))
}

// Final reports whether the state cannot change any more.
func (s State) Final() bool { return s >= Delivered }

// Transfer is engine.Transfer, field by field.
type Transfer struct {
	ID       ID
	Peer     identity.PeerID
	PeerName string
	Incoming bool
	State    State
	ByPeer   bool
	Err      error
	Paths    []string
	Names    []string
	Items    int64

	Files, Folders, Bytes int64
	Counting              bool
	Priority              int
	Keep                  bool
	As                    string
	Links                 bool
	Note                  string
	Via                   string

	Done      int64
	DoneFiles int64
	Rate      float64
	Left      time.Duration
	Started   time.Time
	Ended     time.Time
	Lanes     []Lane
	Attempts  int64

	Dir       string
	Saved     []string
	Notes     []transfer.Note
	Renamed   int64
	LeftOut   int64
	Unkept    int64
	Unchanged int64
	Moved     int64
}

// Lane is engine.Lane.
type Lane struct {
	Proto string // "TCP" or "QUIC"
	Addr  netip.AddrPort
	Bytes int64 // in both directions, without the overhead of encryption
}

// OfferOptions is engine.OfferOptions, field by field.
type OfferOptions struct {
	Keep     bool
	Person   bool
	Priority int
	Links    bool
	Name     string    `json:",omitempty"`
	Note     string    `json:",omitempty"`
	Preview  []byte    `json:",omitempty"`
	Content  io.Reader `json:"-"`
}

// AcceptOptions mirrors engine.AcceptOptions.
type AcceptOptions struct {
	Dir      string
	Place    transfer.Place
	Existing transfer.Existing
	Choose   func(name string) transfer.Existing `json:"-"`
	Asks     bool                                // Choose was set, perhaps before a restart; Offer.Accept sets it
	Reread   bool
	KeepExec bool
	Links    bool
	Reserve  int64
	Person   bool
	Seen     *Transfer `json:"-"`
	Policy   bool      `json:"-"` // accepted by the user's rule for the peer, without asking
}
