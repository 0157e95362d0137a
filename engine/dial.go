package engine

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"multipeer/engine/internal/address"
)

// ParseAddress parses HOST:PORT as a user types it. The port is optional; without it an IPv6 address needs no
// brackets. Names are resolved later, by Dial. The error is ErrInvalid.
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

// Dial connects to a peer by its address (HOST or HOST:PORT) or its Ticket when it cannot be found, and returns its ID;
// with a ticket, the peer must have the ticket's key. It waits, at most some seconds, for the connection, and not for a
// session: the peer is Found, and Invite comes next, unless a policy invites. From then on the engine dials it until it
// is lost, also if ctx has ended (MCSession connectPeer). Errors are ErrInvalid, ErrTimeout, ErrIdentity, ErrBlocked,
// ErrRefused, ErrOwnKey, ErrClosed, or the system's.
func (e *Engine) Dial(ctx context.Context, target string) (PeerID, error) {
	return e.peers.Dial(ctx, target)
}

// Search probes every address of this machine's networks, of at most 1024 addresses, for an engine on DefaultPort,
// where multicast does not work, and returns the peers found, connected as after Dial. It takes some seconds and sends
// two packets to each address: only call it in response to a user's action. An error says why not every address was
// probed, and comes with the peers found. An engine that is hidden from strangers connects to known peers only. With
// Config.PacketConn or Config.Discovery, which may stand for another network, the error is ErrInvalid.
func (e *Engine) Search(ctx context.Context) ([]PeerID, error) {
	if e.Self().Running && (e.cfg.PacketConn != nil || e.cfg.Discovery != nil) {
		return nil, fmt.Errorf("searching: %w: not possible with Config.PacketConn or Config.Discovery", ErrInvalid)
	}
	return e.peers.Search(ctx)
}
