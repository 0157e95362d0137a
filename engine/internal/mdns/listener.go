package mdns

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/time/rate"
)

const mdnsPort = 5353

// The number of packets that are parsed, per second and in a burst: a network of a thousand devices sends fewer.
const (
	packetRate  = 1000
	packetBurst = 2000
)

// One sender gets at most half of that, so that it cannot starve the others; a machine that runs fifty programs stays
// below it. Only maxSources senders are distinguished per second; all further ones count as one.
const (
	sourceRate = packetRate / 2
	maxSources = 256
)

// maxPacket is the largest message of RFC 6762 section 17.
const maxPacket = 9000

var (
	group4 = &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: mdnsPort}
	group6 = &net.UDPAddr{IP: net.ParseIP("ff02::fb"), Port: mdnsPort}
)

// packet is one datagram that arrived at the mDNS port.
type packet struct {
	data    []byte
	from    netip.AddrPort
	ifIndex int  // 0 where the system does not report it
	group   bool // it was sent to the group, so it is from this link (RFC 6762 section 11)
	direct  bool // it was sent to one of our addresses; group and direct are false if the destination is unknown
}

// listener holds our sockets in the mDNS groups. Except for read and close, its methods may not be called
// concurrently.
type listener struct {
	log      *slog.Logger
	c4       *ipv4.PacketConn
	c6       *ipv6.PacketConn
	err      error // why there is no socket at all
	in4, in6 members
}

// packetBuffer is the receive buffer of a socket, in bytes, if the system allows that much. While others flood the
// group and this machine is busy, the packets of honest peers have to wait in it.
const packetBuffer = 1 << 20

func newListener(log *slog.Logger) *listener {
	l := &listener{log: log}
	l.in4 = members{group: group4, on: map[int]membership{}, more: func() (joiner, error) {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}) // it receives nothing
		if err != nil {
			return nil, err
		}
		return ipv4.NewPacketConn(c), nil
	}}
	l.in6 = members{group: group6, on: map[int]membership{}, more: func() (joiner, error) {
		c, err := net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback})
		if err != nil {
			return nil, err
		}
		return ipv6.NewPacketConn(c), nil
	}}
	c4, err4 := listenGroup("udp4", group4)
	c6, err6 := listenGroup("udp6", group6)
	for _, c := range []net.PacketConn{c4, c6} {
		if u, is := c.(*net.UDPConn); is {
			_ = u.SetReadBuffer(packetBuffer)
		}
	}
	if err4 == nil {
		l.c4 = ipv4.NewPacketConn(c4)
		_ = l.c4.SetControlMessage(ipv4.FlagInterface|ipv4.FlagDst, true)
		_ = l.c4.SetMulticastTTL(255)
		_ = l.c4.SetTTL(255)
		_ = l.c4.SetMulticastLoopback(true)
		l.in4.first = l.c4
	}
	if err6 == nil {
		l.c6 = ipv6.NewPacketConn(c6)
		_ = l.c6.SetControlMessage(ipv6.FlagInterface|ipv6.FlagDst, true)
		_ = l.c6.SetMulticastHopLimit(255)
		_ = l.c6.SetHopLimit(255)
		_ = l.c6.SetMulticastLoopback(true)
		l.in6.first = l.c6
	}
	if err4 != nil && err6 != nil {
		l.err = fmt.Errorf("listening on UDP port %d: %w (IPv6: %w); another program may be using it exclusively", mdnsPort, err4, err6)
		log.Warn("no multicast", "err", l.err)
	}
	return l
}

// join joins the groups on every interface of ifs and leaves them on all others. The error names an interface on
// which no group could be joined.
func (l *listener) join(ifs []iface) error {
	if l.err != nil {
		return l.err
	}
	here := map[int]bool{}
	for _, f := range ifs {
		here[f.Index] = true
	}
	l.in4.keep(here)
	l.in6.keep(here)
	var failed error
	for _, f := range ifs {
		err4, err6 := l.in4.join(f.Interface), l.in6.join(f.Interface)
		if err4 != nil && err6 != nil {
			if failed == nil { // the others fail for the same reason
				failed = fmt.Errorf("joining the multicast group on %s: %w (IPv6: %w)", f.Name, err4, err6)
			}
			l.log.Warn("joining multicast group", "interface", f.Name, "err4", err4, "err6", err6)
		}
	}
	return failed
}

// perPacket reports whether the control message of a packet selects its interface on this system. On other systems the
// socket has to be configured.
var perPacket = runtime.GOOS == "linux" || runtime.GOOS == "android" || runtime.GOOS == "darwin" || runtime.GOOS == "ios"

// send sends a packet. A packet that the system does not take is lost, as any packet on a network may be.
func (l *listener) send(o outgoing) {
	var err error
	switch {
	case o.six && l.c6 != nil:
		err = l.send6(o)
	case !o.six && l.c4 != nil:
		err = l.send4(o)
	}
	if err != nil {
		l.log.Debug("sending", "interface", o.on.Name, "err", err)
	}
}

func (l *listener) send4(o outgoing) error {
	to := group4
	if o.to.IsValid() {
		to = net.UDPAddrFromAddrPort(o.to)
	}
	var control *ipv4.ControlMessage
	if perPacket {
		control = &ipv4.ControlMessage{IfIndex: o.on.Index}
	} else if err := l.c4.SetMulticastInterface(&o.on.Interface); err != nil {
		return err
	}
	_, err := l.c4.WriteTo(o.data, control, to)
	return err
}

func (l *listener) send6(o outgoing) error {
	to := group6
	if o.to.IsValid() {
		to = net.UDPAddrFromAddrPort(o.to)
	}
	var control *ipv6.ControlMessage
	if perPacket {
		control = &ipv6.ControlMessage{IfIndex: o.on.Index}
	} else if err := l.c6.SetMulticastInterface(&o.on.Interface); err != nil {
		return err
	}
	_, err := l.c6.WriteTo(o.data, control, to)
	return err
}

// arrival is what the system reports about a packet.
type arrival struct {
	n       int
	from    net.Addr
	ifIndex int
	to      net.IP // nil where the system does not report it
}

// read passes packets to take until ctx ends.
func (l *listener) read(ctx context.Context, take func(packet)) {
	var wg sync.WaitGroup
	defer wg.Wait()
	if l.c4 != nil {
		wg.Go(func() {
			l.loop(ctx, take, func(b []byte) (arrival, error) {
				n, cm, from, err := l.c4.ReadFrom(b)
				if cm == nil {
					return arrival{n: n, from: from}, err
				}
				return arrival{n, from, cm.IfIndex, cm.Dst}, err
			})
		})
	}
	if l.c6 != nil {
		wg.Go(func() {
			l.loop(ctx, take, func(b []byte) (arrival, error) {
				n, cm, from, err := l.c6.ReadFrom(b)
				if cm == nil {
					return arrival{n: n, from: from}, err
				}
				return arrival{n, from, cm.IfIndex, cm.Dst}, err
			})
		})
	}
	<-ctx.Done()
	l.close()
}

func (l *listener) loop(ctx context.Context, take func(packet), read func([]byte) (arrival, error)) {
	b := make([]byte, maxPacket+1)
	pace := rate.NewLimiter(packetRate, packetBurst)
	var senders shares
	for {
		a, err := read(b)
		switch {
		case errors.Is(err, net.ErrClosed) || ctx.Err() != nil:
			return
		case err != nil:
			select { // for example an ICMP error; without a pause a broken socket would spin
			case <-time.After(50 * time.Millisecond):
				continue
			case <-ctx.Done():
				return
			}
		}
		from, ok := a.from.(*net.UDPAddr)
		if !ok {
			continue
		}
		if a.n > maxPacket { // guard: mdns-size
			continue
		}
		at := from.AddrPort()
		if !senders.allow(at.Addr(), time.Now()) { // guard: mdns-rate-per-sender
			continue
		}
		if !pace.Allow() { // guard: mdns-rate
			continue
		}
		p := packet{data: b[:a.n], from: netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), ifIndex: a.ifIndex}
		if a.to != nil {
			p.group = a.to.Equal(group4.IP) || a.to.Equal(group6.IP)
			p.direct = !p.group
		}
		take(p)
	}
}

// shares counts the packets of each sender in the current second.
type shares struct {
	began time.Time
	taken map[netip.Addr]int
}

// allow reports whether another packet of a sender may be parsed now.
func (s *shares) allow(from netip.Addr, now time.Time) bool {
	if s.taken == nil || now.Sub(s.began) >= time.Second {
		s.began, s.taken = now, map[netip.Addr]int{}
	}
	if _, known := s.taken[from]; !known && len(s.taken) >= maxSources {
		from = netip.Addr{}
	}
	s.taken[from]++
	return s.taken[from] <= sourceRate
}

// leave closes the sockets that only hold memberships.
func (l *listener) leave() {
	l.in4.close()
	l.in6.close()
}

func (l *listener) close() {
	if l.c4 != nil {
		_ = l.c4.Close()
	}
	if l.c6 != nil {
		_ = l.c6.Close()
	}
}
