package discovery

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// maxSweep is how many addresses a network may have to be swept: a /22.
	maxSweep = 1024
	// sweepRate is how many packets a second are sent: a burst would overrun a switch's or a phone's buffer.
	sweepRate = 800
	// sweepShare is how many addresses one socket asks. Packets for addresses that nobody has fill its buffer for the
	// seconds in which the system asks for them on the link, and a full buffer would hold up all others.
	sweepShare = 40
	// sweepWait is how long after the last packet answers are waited for.
	sweepWait = time.Second
	// initialSize is the least size of a packet that a QUIC server answers (RFC 9000 section 14.1).
	initialSize = 1200
	// noVersion is one that forces a version negotiation (RFC 9000 section 15).
	noVersion = 0x1a2a3a4a
)

// Sweep asks each address of the networks of some interfaces (empty is all) for a QUIC server on a port, and lists those
// that answer: a packet of an unknown version is answered with the versions that are known (RFC 8999 section 6), before
// anything else is known of either side. Networks with more than 1024 addresses are left out. The error is ErrNoNetwork
// if none is left, or that of the system.
func Sweep(ctx context.Context, interfaces []string, port uint16) ([]netip.AddrPort, error) {
	targets, err := sweepTargets(interfaces)
	if err != nil {
		return nil, err
	}
	packet, ours := versionProbe()
	pace := rate.NewLimiter(sweepRate, 16)
	sweeping, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		mu    sync.Mutex
		found []netip.AddrPort
		wg    sync.WaitGroup
		fail  error
	)
	for part := range slices.Chunk(targets, sweepShare) {
		wg.Go(func() {
			got, err := sweepPart(sweeping, part, port, packet, ours, pace)
			mu.Lock()
			defer mu.Unlock()
			found = append(found, got...)
			if err != nil {
				fail = err
				cancel()
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return found, fail
}

// sweepPart asks some addresses from a socket of its own.
func sweepPart(ctx context.Context, targets []netip.Addr, port uint16, packet, ours []byte, pace *rate.Limiter) ([]netip.AddrPort, error) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	found := make(chan []netip.AddrPort, 1)
	go func() { found <- answers(conn, ours) }()
	for range 2 { // a network loses some
		for _, a := range targets {
			if pace.Wait(ctx) != nil {
				_ = conn.Close()
				<-found
				return nil, nil // Sweep says why
			}
			_, _ = conn.WriteToUDPAddrPort(packet, netip.AddrPortFrom(a, port)) // an address nobody has is an error on some systems
		}
	}
	_ = conn.SetReadDeadline(time.Now().Add(sweepWait))
	return <-found, nil
}

// sweepTargets lists the IPv4 addresses that share a small network with this machine, without its own.
func sweepTargets(interfaces []string) ([]netip.Addr, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var out, own []netip.Addr
	for _, i := range all {
		if i.Flags&net.FlagUp == 0 || i.Flags&net.FlagLoopback != 0 || len(interfaces) > 0 && !slices.Contains(interfaces, i.Name) {
			continue
		}
		for _, p := range prefixesOf(i) {
			if !p.Addr().Is4() || 1<<(32-p.Bits()) > maxSweep {
				continue
			}
			own = append(own, p.Addr())
			for a := p.Masked().Addr(); p.Contains(a); a = a.Next() {
				if !slices.Contains(out, a) {
					out = append(out, a)
				}
			}
		}
	}
	out = slices.DeleteFunc(out, func(a netip.Addr) bool { return slices.Contains(own, a) })
	if len(out) == 0 {
		return nil, ErrNoNetwork
	}
	return out, nil
}

// versionProbe is a packet with a version that nobody has, and the connection ID that an answer comes back with.
func versionProbe() (packet, ours []byte) {
	ours = make([]byte, 16) // too many to be guessed by who does not see the packet
	_, _ = rand.Read(ours)
	packet = append(packet, 0xc0)
	packet = binary.BigEndian.AppendUint32(packet, noVersion)
	packet = append(packet, byte(len(ours)))
	packet = append(packet, ours...)
	packet = append(packet, byte(len(ours)))
	packet = append(packet, ours...)
	return append(packet, make([]byte, initialSize-len(packet))...), ours
}

// answers reads until the deadline.
func answers(conn *net.UDPConn, ours []byte) (out []netip.AddrPort) {
	b := make([]byte, 2048)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(b)
		if err != nil {
			return out
		}
		if from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port()); isNegotiation(b[:n], ours) && !slices.Contains(out, from) && len(out) < maxSweep {
			out = append(out, from)
		}
	}
}

// isNegotiation tells a version negotiation that answers our packet: its destination is our source (RFC 8999 section 6).
func isNegotiation(b, ours []byte) bool {
	return len(b) >= 6+len(ours) && b[0]&0x80 != 0 && binary.BigEndian.Uint32(b[1:]) == 0 && int(b[5]) == len(ours) && bytes.Equal(b[6:6+len(ours)], ours)
}
