package engine

import (
	"net"
	"net/netip"
	"time"
)

// Path is the way to a peer as it is now. Counts are those since the conn began.
type Path struct {
	Local, Remote netip.AddrPort // Local is unspecified where the system does not tell
	Interface     string         // the network interface that Local belongs to; empty if none is known
	Dialled       bool           // by us

	RTT    time.Duration // smoothed round-trip time (RFC 9002 section 5.3)
	MinRTT time.Duration // the least
	Jitter time.Duration // mean deviation of the round-trip time

	BytesSent, BytesReceived uint64 // of QUIC, without UDP and IP
	PacketsSent, PacketsLost uint64 // of ours
	PacketsReceived          uint64
}

// Loss is the part of our packets that was lost, 0 to 1.
func (p Path) Loss() float64 {
	if p.PacketsSent == 0 {
		return 0
	}
	return float64(p.PacketsLost) / float64(p.PacketsSent)
}

// Path tells over what a peer is reached. Errors are ErrNoPeer and ErrNotConnected, when there is no conn at the moment.
func (e *Engine) Path(id PeerID) (Path, error) {
	_, l, err := e.linkTo(id)
	if err != nil {
		return Path{}, err
	}
	s := l.conn.Stats()
	p := Path{
		Local: l.conn.LocalAddr(), Remote: l.conn.RemoteAddr(), Dialled: l.conn.Dialled,
		RTT: s.RTT, MinRTT: s.MinRTT, Jitter: s.Jitter, BytesSent: s.BytesSent, BytesReceived: s.BytesReceived,
		PacketsSent: s.PacketsSent, PacketsLost: s.PacketsLost, PacketsReceived: s.PacketsReceived,
	}
	if p.Local.Addr().IsUnspecified() {
		p.Local = netip.AddrPortFrom(routeTo(p.Remote), p.Local.Port())
	}
	p.Interface = interfaceOf(p.Local.Addr())
	return p, nil
}

// routeTo is the address that the system sends from to a; nothing is sent.
func routeTo(a netip.AddrPort) netip.Addr {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(a))
	if err != nil {
		return netip.IPv6Unspecified()
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
}

// interfaceOf finds the interface with an address.
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
