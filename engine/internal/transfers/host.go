package transfers

import (
	"context"
	"net/netip"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// Host is what transfers need from the engine around them. The manager calls some methods with its own lock held: these
// must not take a lock that is held during a call to the manager.
type Host interface {
	// Link returns the connection to a peer, or the reason why there is none. It is called without the manager's lock.
	Link(id identity.PeerID) (Link, error)
	// Current returns the connection to a peer, or nil. The manager's lock may be held.
	Current(id identity.PeerID) Link
	// Changed returns a channel that is closed when a peer or its connection changes.
	Changed() <-chan struct{}
	// Probe dials the last addresses of a peer that discovery does not find, and waits for the result. It is called
	// without the manager's lock.
	Probe(ctx context.Context, id identity.PeerID, addrs []netip.AddrPort)
	// Accepted is called when a peer's offer was accepted by a person, or by policy if the peer is known. It is called
	// without the manager's lock. name is what the person was shown.
	Accepted(id identity.PeerID, name string)
	// AcceptedBy is called when a peer has accepted an offer that the user has made to it. It is called without the
	// manager's lock. name is what the person was shown.
	AcceptedBy(l Link, name string, decisions int)
	// Publish publishes the newest state of a transfer. The manager's lock is held.
	Publish(t Transfer)
	// MayOffer reports whether a person may be asked about the offers of a peer. The manager's lock is held.
	MayOffer(l Link) bool
	// PublishOffer asks a person about an offer. If no reader takes the offer, code is the answer for the other side.
	// The manager's lock is held.
	PublishOffer(o *Offer) (code wire.Code, taken bool)
}

// Link is the connection to a peer that carries offers and their answers. It is comparable.
type Link interface {
	// Send queues a message and does not wait. The manager's lock may be held.
	Send(m wire.Message)
	// Addrs lists the addresses where the peer may be dialled, best first. The manager's lock must not be held.
	Addrs() []netip.AddrPort
	// LanePorts returns the peer's ports for lanes; 0 means none.
	LanePorts() (udp, tcp int)
	// Token returns what proves that a lane belongs to this connection (RFC 8446 section 7.5).
	Token(transfer string) (string, error)
	Dialled() bool // by this side
	RemoteAddr() netip.AddrPort
	Done() <-chan struct{}
	Err() error // why it has ended; nil until then
}

// Asks limits how often peers may prompt a person. Callers may hold any lock but that of the profile.
type Asks interface {
	// MayPrompt reports whether a peer at a source may cause one more prompt; device means that a gateway reaches it.
	MayPrompt(id identity.PeerID, source netip.Addr, device bool) bool
	// Unaccepted counts a prompt that was declined, withdrawn, or not answered in time.
	Unaccepted(id identity.PeerID)
	// Declined counts a refusal, Accepted resets the count, and RefusedTooOften reports whether it is too high.
	Declined(id identity.PeerID)
	Accepted(id identity.PeerID)
	RefusedTooOften(id identity.PeerID) bool
}

// Dialer opens lanes.
type Dialer interface {
	DialTCP(ctx context.Context, to netip.AddrPort, want identity.PeerID) (*transport.LaneConn, error)
	DialQUIC(ctx context.Context, to netip.AddrPort, want identity.PeerID) (*transport.LaneConn, error)
}
