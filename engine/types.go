package engine

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/peers"
	"multipeer/engine/internal/wire"
)

// PeerID identifies a peer: SHA-256 of its public key (SPKI). It is comparable and can be a map key; in JSON it is
// its text. Its methods:
//
//	String() string          the complete text form, with check characters
//	Short() string           the first eight characters, for people to distinguish equal names
//	Compare(PeerID) int      an order that is the same on every device, for example to elect a leader
//	Less(PeerID) bool        Compare below zero
//	IsZero() bool            no peer
//	HasPrefix(string) bool   whether the text form begins with a prefix of at least four characters, typed by a person
type PeerID = identity.PeerID

// ParsePeerID parses the text form of an ID; hyphens, spaces and case do not matter.
func ParsePeerID(s string) (PeerID, error) { return identity.ParsePeerID(s) }

// Trust is what the user has decided about a peer's key. Only a user's action raises it.
type Trust = identity.Trust

// The levels of trust.
const (
	TrustUnknown  = identity.Unknown  // never accepted
	TrustSeen     = identity.Seen     // accepted once, by a person; the key is pinned
	TrustVerified = identity.Verified // the user has compared the ID
	TrustBlocked  = identity.Blocked  // refused without asking
)

// Self describes an engine.
type Self struct {
	ID          PeerID
	Name        string
	Service     string
	Port        int // the UDP port; 0 before Run has opened it
	Running     bool
	Advertising bool
	Browsing    bool
	Info        map[string]string // discovery info; a copy
	Visible     Visibility
	VisibleTo   time.Time // when Visible returns to the previous value; zero means never
	// PairingUntil is when the pairing window closes; zero if it is closed.
	PairingUntil time.Time
}

// State is the state of the connection to a peer (MCSessionState, plus found before it). Its methods:
//
//	String() string   its name, such as "connected"
type State = peers.State

// The states.
const (
	Found      = peers.Found      // seen on the network, or connected, without a session
	Connecting = peers.Connecting // our invitation waits for its answer
	Connected  = peers.Connected  // a session is active
	// Reconnecting means that a session is active but its connection has broken. Messages wait for at most 3 s. A break
	// is only noticed after 7.5 to 10 s without an answer, or at once when an interface changes.
	Reconnecting = peers.Reconnecting
)

// Peer describes the current state of another device.
type Peer struct {
	ID    PeerID
	Name  string // its display name, safe to display; several peers may have the same
	State State
	Trust Trust
	// Confirmed means that its key was proven on a live connection. Without it, ID and Name are only what the network
	// reports.
	Confirmed bool
	Addrs     []netip.AddrPort // where it can be dialled, best first
	Addr      netip.AddrPort   // the remote address of the live connection; zero without one
	RTT       time.Duration    // round-trip time of the live connection
	How       string           // "mDNS", "address", "incoming", "remembered", "search" or "peer exchange"
	// Heard means that multicast discovery sees it now, however it was found first.
	Heard bool
	// Context is what its program sent with the invitation or its answer (initial data in the Pythonista module); nil
	// without a session, or if it sent none. Untrusted.
	Context json.RawMessage
	// Info is its discovery info, valid by ValidateInfo. Untrusted; do not modify it.
	Info map[string]string
	// LooksLike is another peer, more trusted than this one, with the same name or one that looks the same; zero if
	// there is none. Warn the user: names prove nothing.
	LooksLike PeerID
	// AutoAccept selects which of its offers are accepted without asking.
	AutoAccept AutoAccept
	Err        error // why it cannot be reached at the moment; nil if it can be or was not tried yet
	// Via is the name of the Gateway that reaches it, such as "LocalSend"; empty for all others. Such a device takes
	// files, folders and text, and has no session.
	Via string
	// Plain means that what is exchanged with it is not encrypted. It is never set without Via.
	Plain bool
	// Key is what the other protocol identifies it by, such as a fingerprint; empty without Via, or if it proves
	// nothing.
	Key string
}

// HasSession reports whether a session is active, even if its connection has just broken.
func (p Peer) HasSession() bool { return p.State == Connected || p.State == Reconnecting }

// TakesTexts reports whether a message to it can be sent now: it has a session, or a Gateway reaches it.
func (p Peer) TakesTexts() bool { return p.HasSession() || p.Via != "" }

// AutoAccept selects which offers of a verified peer are accepted without asking. The zero value always asks.
type AutoAccept struct {
	// Bytes is how much is accepted in 24 hours; 0 accepts nothing. Each offer is charged its bytes plus a sixteenth,
	// plus 64 KiB, plus 4 KiB for each file and folder.
	Bytes int64
	Dir   string    // the folder to receive into; absolute
	Until time.Time // when the rule expires; zero means never
}

func publicAutoAccept(a identity.Auto) AutoAccept { return AutoAccept{a.Bytes, a.Dir, a.Until} }

// Conflict is an identity that two devices use at once, each of which has proven its key: a profile was copied, or a
// disk cloned. What is sent to it reaches one of the two. To resolve it, give one of them an empty profile folder.
type Conflict struct {
	ID    PeerID           // Self().ID if the other device has this device's own identity
	Name  string           // safe to display
	Addrs []netip.AddrPort // the addresses of the other device, or of both devices of a peer
	At    time.Time        // when it was last seen
}

// Message is a received message.
type Message struct {
	From PeerID
	Name string // the sender's display name
	// Topic is the name of the topic that it was sent to; empty for messages without a topic.
	Topic string
	Body  json.RawMessage // nil if it was sent as raw bytes
	Data  []byte          // not nil if it was sent as raw bytes (MCSession sendData)
	At    time.Time       // when it arrived, by our clock
	// Unreliable means that it was sent with SendDatagram: such messages may be lost or reordered.
	Unreliable bool
}

// Decode decodes the body as JSON into v, like json.Unmarshal, or copies Data if v is a *[]byte. Messages are
// untrusted: check their contents. The error is ErrInvalid if the message has the other form.
func (m Message) Decode(v any) error {
	b, bytes := v.(*[]byte)
	switch {
	case bytes != (m.Data != nil):
		return fmt.Errorf("message: %w: cannot decode raw bytes as JSON, or JSON as raw bytes", ErrInvalid)
	case bytes:
		*b = slices.Clone(m.Data)
		return nil
	}
	return json.Unmarshal(m.Body, v)
}

// Result is the outcome of a message for one recipient. After Send and Post, a nil Err means that the other program
// has it; after SendDatagram, that it was handed to the network.
type Result struct {
	Peer PeerID
	Err  error
}

// Limits that the Validate functions check, in bytes.
const (
	MaxName    = wire.MaxName    // the length of a display name
	MaxService = wire.MaxService // the length of a service type
	MaxPair    = wire.MaxPair    // the length of one key=value of discovery info
	MaxInfo    = wire.MaxInfo    // all discovery info, including two bytes for each pair
)

// ValidateName checks a display name: 1 to 63 bytes of UTF-8 (MCPeerID) with a visible character and no control or
// bidirectional characters. The error wraps ErrInvalid and names the rule.
func ValidateName(name string) error { return wire.ValidateName(name) }

// ValidateServiceType checks a service type: 1 to 15 characters of a-z, 0-9 and -, with at least one letter and no
// hyphen at either end or doubled (RFC 6335 section 5.1). The error wraps ErrInvalid and names the rule.
func ValidateServiceType(s string) error { return wire.ValidateServiceType(s) }

// ValidateInfo checks discovery info: each key=value is at most 255 bytes, keys are printable ASCII without =, do not
// differ only in case and do not begin with an underscore, values are UTF-8, and the total is at most 1,000 bytes
// (MCNearbyServiceAdvertiser; RFC 6763 section 6). The error wraps ErrInvalid and names the rule.
func ValidateInfo(info map[string]string) error { return wire.ValidateInfo(info) }
