package engine

import (
	"net"
	"net/netip"
	"time"
)

// Path is the network path to a peer. Its counts start with the connection.
type Path struct {
	Local, Remote netip.AddrPort // Local is unspecified if the system does not report it
	Interface     string         // the network interface that Local belongs to; empty if unknown
	Dialled       bool           // dialled by us

	RTT, Jitter time.Duration // smoothed round-trip time, and its mean deviation (RFC 9002 section 5.3)

	BytesSent, BytesReceived uint64 // of QUIC, without UDP and IP headers
	// Loss is the fraction of our packets that acknowledgements showed to be lost (RFC 9002 section 6.1), 0 to 1. It is a
	// lower bound: QUIC does not count packets that it retransmits after a timeout, of which a lossy path has many.
	Loss float64
}

// Path returns the network path to a peer. Errors are ErrNoPeer, and ErrNotConnected if there is no connection at the
// moment.
func (e *Engine) Path(id PeerID) (_ Path, err error) {
	defer withPeer(&err, "path to", id)
	if err := unlessDevice(e, id); err != nil {
		return Path{}, err
	}
	l, err := e.peers.Link(id)
	if err != nil {
		return Path{}, err
	}
	s := l.Stats()
	p := Path{
		Local: l.LocalAddr(), Remote: l.RemoteAddr(), Dialled: l.Dialled(),
		RTT: s.RTT, Jitter: s.Jitter, BytesSent: s.BytesSent, BytesReceived: s.BytesReceived,
		Loss: float64(s.PacketsLost) / float64(max(s.PacketsSent, 1)),
	}
	if p.Local.Addr().IsUnspecified() {
		p.Local = netip.AddrPortFrom(routeTo(p.Remote), p.Local.Port())
	}
	p.Interface = interfaceOf(p.Local.Addr())
	return p, nil
}

// routeTo returns the address that the system would send from to reach a; it sends nothing.
func routeTo(a netip.AddrPort) netip.Addr {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(a))
	if err != nil {
		return netip.IPv6Unspecified()
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
}

// interfaceOf returns the name of the interface that has an address.
func interfaceOf(a netip.Addr) string {
	ifs, err := net.Interfaces()
	if err != nil {
		return ""
	}
	for _, f := range ifs {
		addrs, err := f.Addrs()
		if err != nil {
			continue
		}
		for _, x := range addrs {
			if p, err := netip.ParsePrefix(x.String()); err == nil && p.Addr().WithZone("") == a.WithZone("") && (a.Zone() == "" || a.Zone() == f.Name) {
				return f.Name
			}
		}
	}
	return ""
}
