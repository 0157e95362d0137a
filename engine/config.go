package engine

import (
	"encoding/json"
	"log/slog"
	"net"

	"multipeer/engine/discovery"
	"multipeer/engine/gateway"
	"multipeer/engine/internal/peers"
	"multipeer/engine/internal/transport"
)

// DefaultService is the service type of the Multipeer programs.
const DefaultService = "multipeer"

// DefaultPort is the UDP port that an engine tries to bind first.
const DefaultPort = transport.DefaultPort

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
	// VisibleToAll advertises the name and lets strangers send invitations.
	VisibleToAll = peers.VisibleToAll
	// VisibleToKnown advertises only the ID, which means nothing to strangers, and answers known peers only.
	VisibleToKnown = peers.VisibleToKnown
	// VisibleToNobody does not advertise. Known peers are still answered, since they may have the address.
	VisibleToNobody = peers.VisibleToNobody
)

// Decision is the result of Config.Admit for an invitation. It is an integer.
type Decision = peers.Decision

// The decisions.
const (
	Ask = peers.Ask // leave it to Config.Accept, and then to InvitationReceived
	Yes = peers.Yes
	No  = peers.No
)

// Config configures an engine. The zero value of every field is usable.
type Config struct {
	// Name is the display name, 1 to 63 bytes of UTF-8. Empty means the name stored in the profile, or else the kind
	// of this device followed by the start of its ID.
	Name string
	// Service is the service type; only engines with the same type find each other. It consists of 1 to 15 characters
	// of a-z, 0-9 and -. Empty means DefaultService.
	Service string
	// Profile is the folder that holds the identity and the decisions about peers. It is created on the first start,
	// and only one engine can use it at a time. Empty means a new identity that is discarded at the end.
	Profile string
	// Share is another engine of this program whose identity and profile this one uses as well, with another Service:
	// a device that offers a game and a chat is one peer. Profile must be empty then. Decisions about peers apply to
	// both; sessions and transfers are each engine's own. The profile is released when the last of them has ended.
	Share *Engine
	// Port is the UDP port. 0 means DefaultPort, or any free port if that one is taken.
	Port int
	// Dial lists addresses (HOST:PORT) or tickets of peers to connect to where multicast does not reach. They are
	// tried until Run ends. Without a port, DefaultPort is used.
	Dial []string
	// Interfaces names the network interfaces to find peers on. Empty means all that support multicast, or loopback
	// if there are none.
	Interfaces []string
	// Visible controls who can see this engine and connect to it. The zero value is everyone.
	Visible Visibility
	// Hidden starts without advertising, Blind without browsing; see SetAdvertising and SetBrowsing.
	Hidden, Blind bool
	// Invite selects which peers the engine invites automatically when it finds them. The zero value leaves that to
	// Engine.Invite. Such an invitation waits for its answer as long as the connection lives, or for InviteTimeout if
	// MaxPeers is set, unless Disconnect withdraws it. A session that it starts does not change the trust in the peer.
	Invite Audience
	// Accept selects the peers whose invitations the engine accepts automatically. All others become an
	// InvitationReceived. Accepting this way does not change the trust in the peer, even if Admit returns Yes: only
	// Invite, Invitation.Accept and Offer.Accept make it TrustSeen.
	Accept Audience
	// Context is any JSON value that is sent with invitations and their answers, for the other program to read while
	// connected (initial data in the Pythonista module); see SetContext. nil means none. It holds at most MaxContext
	// bytes.
	Context any
	// Info is the discovery info that others see before they connect; see ValidateInfo and SetInfo. Keep it under
	// about 400 bytes: more makes discovery packets large.
	Info map[string]string
	// Admit, if set, decides on each invitation of a peer before Accept does; its Yes also admits a peer that was
	// kicked. It is not called for peers that this engine invites: to keep out some of the peers that Invite includes,
	// use Verify. It gets the peer and its context, and runs on the goroutine that reads what the peer sends. It must
	// return at once: a call to that peer from within Admit would wait for itself. A panic in Admit is logged and
	// declines.
	Admit func(from Peer, context json.RawMessage) Decision
	// Verify, if set, has the final say on who can connect (session:didReceiveCertificate:fromPeer). It gets the
	// peer's ID and its certificate in DER, in each handshake, before anything else is exchanged; it may be called
	// concurrently. If it returns an error, the connection fails: this side gets the error, the other side
	// ErrRefused. A panic in Verify is logged and refuses the peer.
	Verify func(id PeerID, certificate []byte) error
	// MaxPeers limits the number of concurrent sessions; further peers get ErrBusy. When a session ends,
	// Config.Invite is applied again to the peers that are found. 0 means no limit.
	MaxPeers int
	// NoTCP sends files over QUIC only, which is several times slower than TCP on a fast link.
	NoTCP bool
	// MaxLanes limits how many QUIC connections carry one transfer, 1 to 8. 0 means 8. Lanes are added only while
	// each one adds speed.
	MaxLanes int
	// Gateways reach devices that do not speak Multipeer's protocol. Each runs while the engine does.
	Gateways []gateway.Gateway
	// Discovery replaces multicast DNS. nil means multicast DNS.
	Discovery discovery.Discovery
	// PacketConn replaces the UDP socket. Run does not close it.
	PacketConn net.PacketConn
	// Log receives log records for developers. nil means none, but a panic in a function of the program goes to the
	// default logger of package slog. The library that answers multicast DNS only supports the standard logger of
	// package log: a program that draws on a terminal must redirect that logger itself.
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
