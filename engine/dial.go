package engine

import (
	"context"
	"net"
	"net/netip"

	"multipeer/engine/internal/address"
)

// ParseAddress parses HOST:PORT as a user types it. The port is optional; without it an IPv6 address needs no
// brackets. Names are resolved later, by Dial.
func ParseAddress(s string) (host string, port uint16, err error) { return address.Parse(s) }

// Addresses lists this machine's addresses with the engine's port, to be typed on another device. It is empty before
// Run.
func (e *Engine) Addresses() []netip.AddrPort {
	port := e.Self().Port
	addrs, err := net.InterfaceAddrs()
	if err != nil || port == 0 {
		return nil
	}
	var out []netip.AddrPort
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err != nil || p.Addr().IsLoopback() || p.Addr().IsLinkLocalUnicast() {
			continue
		}
		out = append(out, netip.AddrPortFrom(p.Addr(), uint16(port)))
	}
	return out
}

// Ticket returns what another device needs to reach this one when neither can find the other: the ID and the
// addresses, to be shown, scanned, or sent by the program's own discovery (MCSession nearbyConnectionData). Dial
// accepts it. It is empty before Run has opened the port.
func (e *Engine) Ticket() string {
	addrs := e.Addresses()
	if len(addrs) == 0 {
		return ""
	}
	return address.Ticket(e.Self().ID, addrs)
}

// Dial connects to a peer by its address (HOST, HOST:PORT, IP) or its Ticket when it cannot be found, and returns its
// ID; with a ticket, the peer must have the ticket's key. It waits for the connection, not for a session: call Invite
// next, unless a policy invites. The engine keeps dialling the peer until it is lost (MCSession connectPeer; cancelling
// ctx corresponds to cancelConnectPeer). Errors are ErrInvalid, ErrTimeout, ErrIdentity, ErrBlocked and ErrRefused, or
// come from the system.
func (e *Engine) Dial(ctx context.Context, target string) (PeerID, error) {
	return e.peers.Dial(ctx, target)
}

// Search probes every address of this machine's networks, if they have at most 1024 addresses, for an engine on its
// default port, and connects to those that answer: for networks that do not carry multicast. If this engine is hidden
// from strangers, it connects to known peers only. Search takes some seconds and sends one packet of 1,200 bytes to
// each address, twice. Only call it in response to a user's action. It returns the peers found, connected and without a
// session, as after Dial. An error says why not every address was probed; the peers found are returned with it. Errors
// are ErrClosed, ErrNoNetwork if no interface is up, a network that is too large, the end of ctx, or an error of the
// system.
func (e *Engine) Search(ctx context.Context) ([]PeerID, error) { return e.peers.Search(ctx) }
