package engine

import (
	"encoding/json"
	"log/slog"
	"net"

	"multipeer/engine/discovery"
	"multipeer/engine/gateway"
	"multipeer/engine/internal/peers"
)

// Audience is the set of peers to which a policy applies. It is an integer.
type Audience = peers.Audience

// The audiences. The zero value includes no one.
const (
	Nobody   = peers.Nobody
	Verified = peers.Verified // peers whose key the user has verified
	Known    = peers.Known    // verified peers and peers that were accepted before
	Everyone = peers.Everyone
)

// Visibility controls who can see an engine and whose connections it answers. It never restricts connections that the
// engine dials itself. Its methods:
//
//	String() string   its name, such as "everyone"
type Visibility = peers.Visibility

// The visibilities.
const (
	VisibleToAll    = peers.VisibleToAll    // advertises the name and lets strangers send invitations
	VisibleToKnown  = peers.VisibleToKnown  // advertises only the ID, which means nothing to strangers; answers known peers only
	VisibleToNobody = peers.VisibleToNobody // does not advertise; answers known peers, which may have the address
)

// Config configures an engine. The zero value of every field is usable.
type Config struct {
	Name    string // the display name; empty means the one stored in the profile, or the kind of device and its ID
	Service string // engines with the same service type find each other; empty means that of the Multipeer programs
	// Profile is the folder of the identity and the decisions about peers, created if it is missing. One engine can use it
	// at a time. Empty means an identity that ends with the engine.
	Profile string
	// Share is another engine of this program, with another Service, whose profile and PeerID this one uses too. Profile
	// must be empty then. Decisions about peers are common; sessions and transfers are not. The last to end frees the profile.
	Share      *Engine
	Port       int      // the UDP port; 0 means DefaultPort, or any free one if that is taken
	Dial       []string // addresses (HOST or HOST:PORT) and tickets of peers to connect to, for as long as the engine runs
	Interfaces []string // names of the network interfaces to find peers on; empty means all that support multicast
	// Visible controls who can see this engine and connect to it: unlike that of Invite and Accept, its zero value is everyone.
	Visible       Visibility
	Hidden, Blind bool // start without advertising, without browsing; see SetLooking
	// Invite and Accept select the peers that are invited when they are found, and those whose invitations are accepted.
	// A session that begins this way does not make a peer known. Others become an Invitation.
	Invite, Accept Audience
	// Offers selects the peers that may offer files without a session. Peers with a session and devices behind Gateways
	// always may, and what SetAutoAccept admits is accepted. Other offers fail with ErrUnavailable at their senders.
	Offers Audience
	// AcceptIf, if set, accepts invitations that Accept does not include. false does not decline: Accept and then readers of
	// invitations decide. It must return at once, because it runs on the goroutine that reads from that peer; a panic counts
	// as false.
	AcceptIf func(from Peer, context json.RawMessage) bool
	// Context is a JSON value of at most MaxContext bytes for the programs that we have sessions with; nil means none.
	Context any
	// Info is the discovery info that everyone sees: at most 1000 bytes, 400 are advised. A key is printable ASCII without
	// =, does not begin with _, and differs from others not only in case; with its value it has at most 255 bytes.
	Info map[string]string
	// Verify, if set, can refuse a peer by its ID or its certificate (DER), in each handshake, before anything else is
	// exchanged. It may be called concurrently. This side gets its error, the other side ErrRefused; a panic refuses too.
	Verify   func(id PeerID, certificate []byte) error
	MaxPeers int // limits the sessions; 0 means no limit. More peers get ErrBusy, and are invited when a session has ended
	// NoTCP sends files over QUIC only: slower on a fast link. MaxLanes limits the QUIC connections of a transfer, 1 to 8;
	// 0 means 8.
	NoTCP    bool
	MaxLanes int
	Gateways []gateway.Gateway // reach devices that speak other protocols, while the engine runs
	// Discovery replaces multicast DNS, PacketConn the UDP socket and, with it, TCP. The engine does not close it.
	Discovery  discovery.Discovery
	PacketConn net.PacketConn
	// Log is for developers; nil means none. A panic in a function of the program then goes to the default logger of slog.
	Log *slog.Logger
}

// advisedInfo is the size of discovery info that Apple recommends, in bytes.
const advisedInfo = 400

func infoSize(info map[string]string) int {
	n := 0
	for k, v := range info {
		n += len(k) + len(v) + 2
	}
	return n
}
