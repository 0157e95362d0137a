// Package discovery defines what an engine needs in order to find peers. Config.Discovery of package engine replaces
// the built-in multicast DNS by a program's own Discovery.
package discovery

import (
	"context"
	"maps"
	"net/netip"

	"multipeer/engine/internal/identity"
)

// Discovery finds peers, as nearbyConnectionData of MCSession lets a program do. Implementations must accept calls from
// any goroutine.
type Discovery interface {
	// Run announces self and reports to the sink until ctx ends; then it says goodbye and returns.
	Run(ctx context.Context, self Announcement, to Sink) error
	// Update replaces the announcement. If it is called before Run, it is newer than the one passed to Run.
	Update(self Announcement)
	// Forget drops what is known about a peer, because nothing answers at its address. It must not call the sink.
	Forget(id identity.PeerID)
	// Recheck queries whether a peer that does not answer is still there. If nothing comes back, Sink.Lost follows
	// within seconds (RFC 6762 section 10.4). Recheck must not call the sink before it returns.
	Recheck(id identity.PeerID)
	// Link returns the name of the network interface through which an address is directly reachable; peers on the same
	// interface are announced to each other. Empty means none, and may be returned for all addresses. A link-local IPv6
	// address has its interface as the zone. It is called with the engine locked: it must not call the sink, nor wait
	// for a goroutine that does.
	Link(a netip.Addr) string
}

// Announcement is what an engine announces about itself.
type Announcement struct {
	ID        identity.PeerID
	Name      string // the display name, at most 63 bytes
	Service   string // the service type, such as "multipeer"
	Port      int    // the UDP port of the engine
	Advertise bool   // let others find it
	Browse    bool   // find others
	// Known advertises only the ID, without the name and info, so that only peers that know the ID recognize it.
	Known bool
	Info  map[string]string // discovery info, valid by engine.ValidateInfo; do not modify it
}

// Equal reports whether both announcements are equal.
func (a Announcement) Equal(b Announcement) bool {
	return a.ID == b.ID && a.Name == b.Name && a.Service == b.Service && a.Port == b.Port &&
		a.Advertise == b.Advertise && a.Browse == b.Browse && a.Known == b.Known && maps.Equal(a.Info, b.Info)
}

// Hint is one peer as the network describes it. Nothing in it is verified.
type Hint struct {
	ID    identity.PeerID
	Name  string
	Info  map[string]string // the engine keeps it; do not modify it afterwards
	Addrs []netip.AddrPort  // where it can be dialled, best first
	How   string            // how it was found, for Peer.How
	Known bool              // it wants to be visible only to peers that know its ID
	// Multicast reports whether the hint was received by multicast, and not only in a unicast answer to this device.
	Multicast bool
}

// Sink receives what a Discovery finds. Its methods may be called from any goroutine and may block briefly.
type Sink interface {
	// Found reports a peer that appeared or whose description changed.
	Found(Hint)
	// Lost reports a peer that said goodbye or whose records have expired.
	Lost(identity.PeerID)
	// NetworkChanged reports that interfaces or addresses changed, or that the machine was asleep.
	NetworkChanged()
	// Problem reports why discovery does not work; nil means that it works again.
	Problem(error)
}
