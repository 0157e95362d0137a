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

// PeerID identifies a peer: SHA-256 of its public key (SPKI). It is comparable and can be a map key; in JSON it is its
// text, which for the zero value cannot be decoded again: use omitzero. Its methods:
//
//	String() string          the complete text form, with check characters
//	Short() string           the first eight characters, for people to distinguish equal names; never compare by it
//	Compare(PeerID) int      an order that is the same on every device, for example to elect a leader
//	IsZero() bool            no peer
//	HasPrefix(string) bool   whether the text begins with at least four characters that a person typed
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
	ID                             PeerID
	Name, Service                  string
	Port                           int // the UDP port; 0 until Start has opened it
	Running, Advertising, Browsing bool
	Info                           map[string]string // a copy
	Visible                        Visibility
	VisibleTo                      time.Time // when Visible returns to its previous value; zero means never
	PairingUntil                   time.Time // when the pairing window closes; zero if it is closed
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
	// Reconnecting: the session waits 3 s for a broken connection. A break is noticed within 10 s without an answer.
	Reconnecting = peers.Reconnecting
)

// Peer is the current state of another device. Its slices and maps are shared: do not modify them.
type Peer struct {
	ID         PeerID
	Name       string // safe to display, but not as a file name: it may contain "../"; several peers may have the same
	LooksLike  PeerID // a peer that the user trusts more, with a name that looks the same: warn the user; zero if none
	State      State
	Trust      Trust
	Confirmed  bool              // its key was proven on a live connection; otherwise ID and Name are what the network says
	Addrs      []netip.AddrPort  // where it can be dialled, best first
	Addr       netip.AddrPort    // of the live connection; zero without one
	RTT        time.Duration     // of the live connection
	Err        error             // why it cannot be reached at the moment; nil if it can be or was not tried yet
	How        string            // "mDNS", "address", "incoming", "remembered", "search" or "peer exchange"
	Heard      bool              // multicast discovery sees it now, however it was found first
	Context    json.RawMessage   // from its program, untrusted; nil without a session, or if it sent none
	Info       map[string]string // its discovery info, untrusted
	AutoAccept AutoAccept        // which of its offers are accepted without asking

	Via   string // the Gateway that reaches it, such as "LocalSend": it takes files and text, and has no session
	Plain bool   // via a Gateway: without encryption
	Key   string // via a Gateway: its identity there; empty if it proves none
}

// HasSession reports whether a session is active, even if its connection has just broken.
func (p Peer) HasSession() bool { return p.State == Connected || p.State == Reconnecting }

// AutoAccept selects which offers of a verified peer are accepted without asking. The zero value always asks.
type AutoAccept struct {
	// Bytes is how much is accepted in 24 hours; 0 accepts nothing. Each offer is charged its bytes plus a sixteenth,
	// plus 64 KiB, plus 4 KiB for each file and folder.
	Bytes int64
	Dir   string    // the folder to receive into; absolute, and only at its place when the rule is set (transfer.Place)
	Until time.Time // when the rule expires; zero means never
}

func publicAutoAccept(a identity.Auto) AutoAccept { return AutoAccept{a.Bytes, string(a.Dir), a.Until} }

// Conflict is an identity that two devices have proven to have: a profile was copied, or a disk cloned. As an event it is
// repeated every minute while that lasts. Show it to the user: what is sent to it may reach either device, until one of
// them gets an empty profile folder.
type Conflict struct {
	ID    PeerID           // Self().ID if it is this device's own
	Name  string           // safe to display
	Addrs []netip.AddrPort // of the other device, or of both devices of a peer
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
	case bytes && m.Data == nil:
		return fmt.Errorf("message: %w: it is JSON, not raw bytes", ErrInvalid)
	case !bytes && m.Data != nil:
		return fmt.Errorf("message: %w: it is raw bytes, not JSON", ErrInvalid)
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

// ValidateName checks a display name: 1 to 63 bytes of UTF-8 (MCPeerID) with a visible character and no control or
// bidirectional characters. The error wraps ErrInvalid and names the rule.
func ValidateName(name string) error { return wire.ValidateName(name) }
