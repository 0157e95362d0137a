package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/time/rate"
)

const mdnsPort = 5353

// How many packets are looked into, in a second and at once: a network of a thousand devices has fewer.
const (
	packetRate  = 1000
	packetBurst = 2000
)

var (
	group4 = &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: mdnsPort}
	group6 = &net.UDPAddr{IP: net.ParseIP("ff02::fb"), Port: mdnsPort}
)

// packet is one datagram that came to the mDNS group.
type packet struct {
	data    []byte
	from    netip.Addr
	ifIndex int
}

// listener holds our own sockets in the mDNS groups.
type listener struct {
	log    *slog.Logger
	c4     *ipv4.PacketConn
	c6     *ipv6.PacketConn
	err    error // why there is no socket at all
	joined map[int]bool
}

func newListener(log *slog.Logger) *listener {
	l := &listener{log: log, joined: map[int]bool{}}
	c4, err4 := listenGroup("udp4", group4)
	if err4 == nil {
		l.c4 = ipv4.NewPacketConn(c4)
		_ = l.c4.SetControlMessage(ipv4.FlagInterface, true)
		_ = l.c4.SetMulticastTTL(255)
		_ = l.c4.SetMulticastLoopback(true)
	}
	c6, err6 := listenGroup("udp6", group6)
	if err6 == nil {
		l.c6 = ipv6.NewPacketConn(c6)
		_ = l.c6.SetControlMessage(ipv6.FlagInterface, true)
		_ = l.c6.SetMulticastHopLimit(255)
		_ = l.c6.SetMulticastLoopback(true)
	}
	if err4 != nil && err6 != nil {
		l.err = fmt.Errorf("listening on UDP port %d: %w; another program may hold it for itself", mdnsPort, errors.Join(err4, err6))
		log.Warn("no multicast", "err", l.err)
	}
	return l
}

// join enters the groups on every interface; one that was entered already is left as it is.
func (l *listener) join(ifs []iface) error {
	if l.err != nil {
		return l.err
	}
	now := map[int]bool{}
	for _, f := range ifs {
		now[f.Index] = l.joined[f.Index]
		if l.joined[f.Index] {
			continue
		}
		var err4, err6 error = net.ErrClosed, net.ErrClosed
		if l.c4 != nil {
			err4 = l.c4.JoinGroup(&f.Interface, group4)
		}
		if l.c6 != nil {
			err6 = l.c6.JoinGroup(&f.Interface, group6)
		}
		if err4 != nil && err6 != nil {
			l.log.Warn("joining multicast group", "interface", f.Name, "err4", err4, "err6", err6)
			continue
		}
		now[f.Index] = true
	}
	l.joined = now
	return nil
}

func (l *listener) send(data []byte, f iface, six bool) {
	if l.c4 != nil && f.hasIPv4() {
		if _, err := l.c4.WriteTo(data, &ipv4.ControlMessage{IfIndex: f.Index}, group4); err != nil {
			l.log.Debug("asking", "interface", f.Name, "err", err)
		}
	}
	if l.c6 != nil && six {
		if _, err := l.c6.WriteTo(data, &ipv6.ControlMessage{IfIndex: f.Index}, group6); err != nil {
			l.log.Debug("asking", "interface", f.Name, "err", err)
		}
	}
}

// read hands over packets until ctx ends.
func (l *listener) read(ctx context.Context, take func(packet)) {
	var wg sync.WaitGroup
	defer wg.Wait()
	if l.c4 != nil {
		wg.Go(func() {
			l.loop(ctx, take, func(b []byte) (int, int, net.Addr, error) {
				n, cm, src, err := l.c4.ReadFrom(b)
				if cm == nil {
					return n, 0, src, err
				}
				return n, cm.IfIndex, src, err
			})
		})
	}
	if l.c6 != nil {
		wg.Go(func() {
			l.loop(ctx, take, func(b []byte) (int, int, net.Addr, error) {
				n, cm, src, err := l.c6.ReadFrom(b)
				if cm == nil {
					return n, 0, src, err
				}
				return n, cm.IfIndex, src, err
			})
		})
	}
	<-ctx.Done()
	l.close()
}

func (l *listener) loop(ctx context.Context, take func(packet), read func([]byte) (int, int, net.Addr, error)) {
	b := make([]byte, 9000) // the largest message of RFC 6762 section 17
	pace := rate.NewLimiter(packetRate, packetBurst)
	for {
		n, index, src, err := read(b)
		switch {
		case errors.Is(err, net.ErrClosed) || ctx.Err() != nil:
			return
		case err != nil:
			select { // such as an ICMP error; without a pause a broken socket would spin
			case <-time.After(50 * time.Millisecond):
				continue
			case <-ctx.Done():
				return
			}
		}
		from, ok := src.(*net.UDPAddr)
		if !ok || from.Port != mdnsPort { // RFC 6762 section 6: responses come from port 5353
			continue
		}
		if !pace.Allow() { // guard: mdns-rate
			continue
		}
		a, _ := netip.AddrFromSlice(from.IP)
		take(packet{b[:n], a.Unmap(), index})
	}
}

func (l *listener) close() {
	if l.c4 != nil {
		_ = l.c4.Close()
	}
	if l.c6 != nil {
		_ = l.c6.Close()
	}
}
