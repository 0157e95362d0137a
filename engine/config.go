package engine

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net"

	"multipeer/engine/internal/transport"
)

// DefaultService is the service type of the Multipeer programs.
const DefaultService = "multipeer"

// DefaultPort is the UDP port that an engine tries first.
const DefaultPort = transport.DefaultPort

// Audience is a set of peers, for policies.
type Audience int

// The audiences. The zero value is Nobody.
const (
	Nobody   Audience = iota
	Verified          // peers whose key the user has verified
	Known             // those, and peers that were accepted before
	Everyone
)

// Visibility says who may see an engine, and whose conns it answers. A peer that it dials itself may always be
// connected.
type Visibility int

// The visibilities.
const (
	// VisibleToAll advertises the name, and lets strangers ask.
	VisibleToAll Visibility = iota
	// VisibleToKnown advertises the ID alone, which tells something only to who knows it, and answers nobody else.
	VisibleToKnown
	// VisibleToNobody does not advertise. Known peers are still answered: they may have the address.
	VisibleToNobody
)

func (v Visibility) String() string {
	switch v {
	case VisibleToAll:
		return "everyone"
	case VisibleToKnown:
		return "known"
	case VisibleToNobody:
		return "nobody"
	}
	return fmt.Sprintf("Visibility(%d)", int(v))
}

// Decision is what Config.Admit says of an invitation.
type Decision int

// The decisions.
const (
	Ask Decision = iota // leave it to Config.Accept, and then to InvitationReceived
	Yes
	No
)

// Config says what an engine is. The zero value of every field is usable.
type Config struct {
	// Name is the display name, 1 to 63 bytes of UTF-8. Empty means the name kept in the profile, or else the kind
	// of this device with the start of its ID.
	Name string
	// Service is the service type: only engines of the same type find each other. 1 to 15 of a-z, 0-9 and -.
	// Empty means DefaultService.
	Service string
	// Profile is the folder with the identity and what was decided about peers; it is made on the first start and
	// can be held by one engine at a time. Empty means a new identity that is forgotten at the end.
	Profile string
	// Port is the UDP port. 0 means DefaultPort, or any free one if that is taken.
	Port int
	// Dial lists addresses (HOST:PORT) or tickets of peers to connect to where multicast does not reach. They are tried until
	// Run ends. No port means DefaultPort.
	Dial []string
	// Interfaces names the network interfaces to find peers on. Empty means all that can do multicast, or loopback
	// if there is none.
	Interfaces []string
	// Visible says who may see this engine and connect to it. The zero value is everyone.
	Visible Visibility
	// Hidden starts without advertising, Blind without browsing; see SetAdvertising and SetBrowsing.
	Hidden, Blind bool
	// Invite says whom the engine invites by itself when it finds them. Nobody leaves it to Engine.Invite. Such an
	// invitation waits for its answer as long as the conn lives, unless Disconnect withdraws it.
	Invite Audience
	// Accept says whose invitations the engine accepts by itself. Others become an InvitationReceived.
	Accept Audience
	// Context is any JSON value that goes with invitations and their answers, for the other program to read while
	// connected (initial data in the Pythonista module); see SetContext. nil means none. At most MaxContext bytes.
	Context any
	// Info is the discovery info that others see before they connect; see ValidateInfo and SetInfo. About 400 bytes
	// are advised: more makes for large packets.
	Info map[string]string
	// Admit, if set, is asked about each invitation before Accept counts; its Yes counts for a peer that was kicked,
	// too. It gets the peer and its context, runs on the goroutine that reads what the peer sends, and must answer at
	// once: a call to that peer from within would wait for itself.
	Admit func(from Peer, context json.RawMessage) Decision
	// Verify, if set, has the last word on who may connect (session:didReceiveCertificate:fromPeer). It gets the peer's
	// ID and its certificate in DER, in each handshake, before anything else is exchanged; it may be called
	// concurrently. With an error there is no conn: this side gets the error, the other ErrRefused.
	Verify func(id PeerID, certificate []byte) error
	// MaxPeers is how many sessions there may be at once; others get ErrBusy. When one ends, Config.Invite applies again to
	// those who are found. 0 means no limit.
	MaxPeers int
	// NoTCP keeps files off TCP: then they go over QUIC alone, several times slower on a fast wire.
	NoTCP bool
	// MaxLanes is how many QUIC conns may carry one transfer, 1 to 8. 0 means 8. One more is added only while each adds
	// speed.
	MaxLanes int
	// Discovery replaces multicast DNS. nil means multicast DNS.
	Discovery Discovery
	// PacketConn replaces the UDP socket. Run does not close it.
	PacketConn net.PacketConn
	// Log gets what happens, for developers. nil means none. The library that answers multicast DNS knows only the
	// standard logger of package log: a program that draws on a terminal gives that another output.
	Log *slog.Logger
}
