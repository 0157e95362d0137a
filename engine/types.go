package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"time"

	"multipeer/engine/internal/discovery"
	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/wire"
	"multipeer/transfer"
)

// PeerID names a peer: SHA-256 of its public key (SPKI). It can be compared and be a map's key; in JSON it is its text.
// Its methods:
//
//	String() string          the whole text form, with check characters
//	Short() string           the first eight characters, for people to tell equal names apart
//	Compare(PeerID) int      an order that is the same on every device, such as for who leads
//	Less(PeerID) bool        Compare below zero
//	IsZero() bool            no peer
//	HasPrefix(string) bool   whether the text form begins so, as a person types it
type PeerID = identity.PeerID

// ParsePeerID reads the text form of an ID; hyphens, spaces and case do not matter.
func ParsePeerID(s string) (PeerID, error) { return identity.ParsePeerID(s) }

// Trust is what the user has decided about a peer's key. Only a user's act raises it.
type Trust = identity.Trust

// The levels of trust.
const (
	TrustUnknown  = identity.Unknown  // never accepted
	TrustSeen     = identity.Seen     // accepted once; the key is pinned
	TrustVerified = identity.Verified // the user has compared the ID
	TrustBlocked  = identity.Blocked  // refused without asking
)

// Discovery finds peers. The engine has multicast DNS built in; a program may bring its own, as with
// nearbyConnectionData of MCSession. Implementations must accept calls from any goroutine.
type Discovery interface {
	// Run announces self and reports to the sink until ctx ends; then it says goodbye and returns.
	Run(ctx context.Context, self Announcement, to Sink) error
	// Update replaces what is announced. If it is called before Run it is newer than what Run is given.
	Update(self Announcement)
	// Forget drops what is known of a peer, because nobody answers there. It must not call the sink.
	Forget(id PeerID)
	// Recheck asks anew whether a peer that does not answer is still there. If nothing is heard of it, Sink.Lost
	// follows within seconds (RFC 6762 section 10.4). It must not call the sink before it returns.
	Recheck(id PeerID)
	// Link names the network interface that an address is directly reached over; peers on the same one are told of each
	// other. Empty is none, and all addresses may be on none. A link-local address of IPv6 has its interface as zone. It
	// is called with the engine locked: it must not call the sink, nor wait for who does.
	Link(a netip.Addr) string
}

// The types of a Discovery.
type (
	Announcement = discovery.Announcement
	Hint         = discovery.Hint
	Sink         = discovery.Sink
)

// Self describes an engine.
type Self struct {
	ID          PeerID
	Name        string
	Service     string
	Port        int // UDP; 0 before Run has opened it
	Running     bool
	Advertising bool
	Browsing    bool
	Info        map[string]string // discovery info; a copy
	Visible     Visibility
	VisibleTo   time.Time // when Visible falls back; zero is never
	// PairingUntil is when the window for pairing closes; zero if it is closed.
	PairingUntil time.Time
}

// open tells whether everybody on the network may learn where this engine is.
func (s Self) open() bool { return s.Advertising && s.Visible == VisibleToAll }

func (s Self) equal(o Self) bool {
	same := maps.Equal(s.Info, o.Info)
	s.Info, o.Info = nil, nil
	return same && reflect.DeepEqual(s, o)
}

// State is how near a peer is (MCSessionState, and found before it).
type State int

// The states.
const (
	Found      State = iota // seen on the network, or reached, without a session
	Connecting              // an invitation of ours waits for its answer
	Connected               // a session is up
	// Reconnecting: a session is up whose conn has broken. Messages wait for at most 3 s. A break shows by itself only
	// after 7.5 to 10 s of silence, or at once when an interface changes.
	Reconnecting
)

func (s State) String() string {
	switch s {
	case Found:
		return "found"
	case Connecting:
		return "connecting"
	case Connected:
		return "connected"
	case Reconnecting:
		return "reconnecting"
	}
	return fmt.Sprintf("State(%d)", int(s))
}

// Peer is another device as it is now.
type Peer struct {
	ID    PeerID
	Name  string // its display name, fit to be shown; several peers may have the same
	State State
	Trust Trust
	// Confirmed tells that its key was proven on a live conn. Without it, ID and Name are what the network says.
	Confirmed bool
	Addrs     []netip.AddrPort // where it can be dialled, the best first
	Addr      netip.AddrPort   // where the live conn goes; zero without one
	RTT       time.Duration    // round-trip time of the live conn
	How       string           // how it was found: "mDNS", "address", "incoming", "remembered", "search", "peer exchange"
	// Context is what its program sent with the invitation or its answer (initial data in the Pythonista module); nil
	// without a session, or if it sent none. Untrusted.
	Context json.RawMessage
	// Info is its discovery info, valid by ValidateInfo. Untrusted; not to be changed.
	Info map[string]string
	// LooksLike is another peer, better known than this one, that has the same name or one that looks the same; zero if
	// there is none. Warn: names prove nothing.
	LooksLike PeerID
	// AutoAccept is what is taken from it without asking.
	AutoAccept AutoAccept
	Err        error // why it cannot be reached at the moment; nil if it can or was not tried yet
}

// HasSession tells that a session is up, be its conn there or just broken.
func (p Peer) HasSession() bool { return p.State == Connected || p.State == Reconnecting }

// Message is one message that arrived.
type Message struct {
	From PeerID
	Name string // the sender's display name
	Body json.RawMessage
	At   time.Time // when it arrived, by our clock
	// Unreliable tells that it came by SendDatagram: others of its kind may have been lost or overtaken.
	Unreliable bool
}

// Decode reads the body as JSON into v, as json.Unmarshal does. What a peer sends is untrusted: check what it says.
func (m Message) Decode(v any) error { return json.Unmarshal(m.Body, v) }

// Result is what became of a message for one recipient. After Send and Post, Err is nil when the other program has it;
// after SendDatagram, when it was handed to the network.
type Result struct {
	Peer PeerID
	Err  error
}

// TransferID names an offer and its transfer, the same on both sides.
type TransferID string

// TransferState is how far a transfer is.
type TransferState int

// The states of a transfer. The last four are final.
const (
	Queued  TransferState = iota // waits for its turn, or for a peer that is not there; Err is why, if it was under way
	Offered                      // waits for the receiver's answer
	Moving                       // bytes flow
	// Stalled: no byte was acknowledged for 5 s, or the connection is gone, or the receiver's disk is full; Err is why, as
	// far as that is known. It goes on by itself.
	Stalled
	Paused    // held by either side
	Finishing // all bytes are there; they are being made durable
	Delivered // verified and durable under the final name; the receipt is in
	Declined
	Cancelled
	Failed
)

func (s TransferState) String() string {
	names := [...]string{"queued", "offered", "moving", "stalled", "paused", "finishing", "delivered", "declined", "cancelled", "failed"}
	if int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("TransferState(%d)", int(s))
}

// Final tells a state that does not change any more.
func (s TransferState) Final() bool { return s >= Delivered }

// Transfer is an offer or a transfer as it is now.
type Transfer struct {
	ID       TransferID
	Peer     PeerID
	PeerName string
	Incoming bool
	State    TransferState
	Paths    []string // outgoing: what is sent, absolute; not to be changed
	Names    []string // top-level names, fit to be shown; at most 20
	Items    int64    // how many top-level names there are
	Files    int64
	Folders  int64
	Bytes    int64
	Counting bool // the sender still walks; the totals grow
	Priority int  // outgoing: of several that wait, the higher one goes first
	Keep     bool // it waits for a peer that is gone, for as long as that takes, and across restarts

	Done      int64 // bytes that the receiver has verified
	DoneFiles int64
	Rate      float64       // bytes per second, smoothed
	Left      time.Duration // estimated; 0 is unknown
	Started   time.Time     // when it was accepted
	Ended     time.Time

	Lanes    []Lane // that carry it now, with what each has carried
	Attempts int64  // how often it was begun, or gone on with

	Dir     string   // incoming: the folder it was accepted into
	Saved   []string // incoming: full paths of what was published; the first 100 after a restart
	Notes   []Note   // entries that were renamed or left out, the first 1000
	Renamed int64
	LeftOut int64
	// Unchanged counts files that the receiver had already; see AcceptOptions.Existing.
	Unchanged int64
	// Moved is how many bytes this side has put on lanes, in all attempts of this run.
	Moved int64
	Err   error // why it ended, or does not move
}

// Lane is one conn that carries a transfer.
type Lane struct {
	Proto string // "TCP" or "QUIC"
	Addr  netip.AddrPort
	Bytes int64 // in both directions, with encryption's own left out
}

// Existing says what becomes of an entry whose name is taken in the folder that receives.
type Existing = transfer.Existing

// The policies for names that are taken.
const (
	KeepBoth      = transfer.KeepBoth      // the newcomer is numbered
	SkipIdentical = transfer.SkipIdentical // files that are there already are not sent; others are numbered
	Replace       = transfer.Replace       // new files take the place of old ones, each when it is whole
)

// Note tells what became of an entry that did not arrive under its own name.
type Note = transfer.Note

// Limits that the validating functions hold to, in bytes.
const (
	MaxName    = wire.MaxName    // of a display name
	MaxService = wire.MaxService // of a service type
	MaxPair    = wire.MaxPair    // of one key=value of discovery info
	MaxInfo    = wire.MaxInfo    // of discovery info in all, with two bytes for each pair
)

// ValidateName checks a display name: 1 to 63 bytes of UTF-8 (MCPeerID), something visible, no control or bidi
// characters. The error wraps ErrInvalid and names the rule.
func ValidateName(name string) error { return wire.ValidateName(name) }

// ValidateServiceType checks a service type: 1 to 15 of a-z, 0-9 and -, a letter, no hyphen at an edge or doubled
// (RFC 6335 section 5.1). The error wraps ErrInvalid and names the rule.
func ValidateServiceType(s string) error { return wire.ValidateServiceType(s) }

// ValidateInfo checks discovery info: each key=value at most 255 bytes, printable ASCII keys without = that differ in
// more than case and do not begin with an underscore, values of UTF-8, 1,000 bytes in all
// (MCNearbyServiceAdvertiser; RFC 6763 section 6). The error wraps ErrInvalid and names the rule.
func ValidateInfo(info map[string]string) error { return wire.ValidateInfo(info) }
