package pairing

import (
	"net/netip"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/wire"
)

// Host is what pairings need from the engine around them.
type Host interface {
	// Current returns the connection to a peer, or nil. The manager's lock may be held.
	Current(id identity.PeerID) Link
	// MayAsk reports whether a peer may prompt the user once more. The manager's lock may be held.
	MayAsk(id identity.PeerID) bool
	// Publish publishes the newest state of a pairing. The manager's lock is held.
	Publish(v View)
	// WindowChanged is called after the pairing window was opened or closed. The manager's lock is not held.
	WindowChanged()
	// Verified is called after a peer was verified. The manager's lock is not held.
	Verified(id identity.PeerID)
}

// Link is the connection over which two devices pair. It is comparable.
type Link interface {
	// Send queues a message and does not wait. The manager's lock may be held.
	Send(m wire.Message)
	// Binding returns a value that both sides of this connection share, and no other connection has (RFC 8446 section
	// 7.5).
	Binding() ([]byte, error)
	RemoteAddr() netip.AddrPort
}

// Peer is the other device, and the connection to it; Pair and ProveLink look up the connection themselves.
type Peer struct {
	ID   identity.PeerID
	Name string
	Link Link
}
