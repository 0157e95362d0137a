package mdns

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// maxSweep is how many addresses a network may have to be swept: a /22.
	maxSweep = 1024
	// sweepRate is how many packets are sent per second: a burst would overrun the buffer of a switch or a phone.
	sweepRate = 800
	// sweepShare is how many addresses one socket probes. Packets for unused addresses fill its buffer during the
	// seconds in which the system resolves them on the link, and a full buffer would block all others.
	sweepShare = 40
	// sweepSockets is how many sockets are open at a time: a system may allow a process only 256.
	sweepSockets = 32
	// sweepWait is how long after the last packet to wait for answers.
	sweepWait = time.Second
	// initialSize is the minimum size of a packet that a QUIC server answers (RFC 9000 section 14.1).
	initialSize = 1200
	// noVersion is a version that forces a version negotiation (RFC 9000 section 15).
	noVersion = 0x1a2a3a4a
)

// Sweep probes each address on the networks of some interfaces (empty means all) for a QUIC server on a port, and lists
// those that answer: a server answers a packet of an unknown version with the versions it supports (RFC 8999 section
// 6), before either side knows anything else about the other. If not all addresses were probed, the results are still
// valid and the error says why: it is ErrNoNetwork if no interface is up, names the networks that have more than 1024
// addresses, or comes from the system or from ctx.
func Sweep(ctx context.Context, interfaces []string, port uint16) ([]netip.AddrPort, error) {
	targets, left, err := sweepTargets(interfaces)
	if err != nil {
		return nil, err
	}
	found, err := sweepAll(ctx, targets, port)
	if err != nil && left != nil {
		err = fmt.Errorf("%w; %w", err, left)
	} else if err == nil {
		err = left
	}
	return found, err
}

// sweepAll probes all targets in parts. Each part has its own socket, and a limited number of parts run at a time.
func sweepAll(ctx context.Context, targets []netip.Addr, port uint16) ([]netip.AddrPort, error) {
	packet, ours := versionProbe()
	pace := rate.NewLimiter(sweepRate, 16)
	sweeping, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		mu    sync.Mutex
		found []netip.AddrPort
		asked int
		wg    sync.WaitGroup
		fail  error
	)
	slots := make(chan struct{}, sweepSockets)
	for part := range slices.Chunk(targets, sweepShare) {
		select {
		case slots <- struct{}{}:
		case <-sweeping.Done():
		}
		if sweeping.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-slots }()
			got, whole, err := sweepPart(sweeping, part, port, packet, ours, pace)
			mu.Lock()
			defer mu.Unlock()
			found = append(found, got...)
			if whole {
				asked += len(part)
			}
			if err != nil {
				fail = err
				cancel()
			}
		})
	}
	wg.Wait()
	if fail == nil && asked < len(targets) {
		cause := context.Cause(ctx)
		if cause == nil { // Wait fails early if the wait would exceed the deadline
			cause = context.DeadlineExceeded
		}
		fail = &cutError{asked, len(targets), cause}
	}
	return found, fail
}

// cutError is a search that ended early.
type cutError struct {
	asked, all int
	cause      error
}

func (e *cutError) Error() string {
	if errors.Is(e.cause, context.DeadlineExceeded) {
		return fmt.Sprintf("there was only time to probe %d of %d addresses", e.asked, e.all)
	}
	return fmt.Sprintf("only %d of %d addresses were probed: %v", e.asked, e.all, e.cause)
}

func (e *cutError) Unwrap() error { return e.cause }

// sweepPart probes some addresses from its own socket; whole reports that each was probed and had time to answer.
func sweepPart(ctx context.Context, targets []netip.Addr, port uint16, packet, ours []byte, pace *rate.Limiter) (found []netip.AddrPort, whole bool, err error) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{})
	if err != nil {
		return nil, false, err
	}
	defer conn.Close()
	all := make(chan []netip.AddrPort, 1)
	go func() { all <- answers(conn, targets, port, ours) }()
	for range 2 { // networks lose packets
		for _, a := range targets {
			if pace.Wait(ctx) != nil {
				_ = conn.Close()
				return <-all, false, nil // sweepAll reports the reason
			}
			_, _ = conn.WriteToUDPAddrPort(packet, netip.AddrPortFrom(a, port)) // may fail for unused addresses
		}
	}
	_ = conn.SetReadDeadline(time.Now().Add(sweepWait))
	return <-all, true, nil
}

// sweepTargets lists the IPv4 addresses that share a small network with this machine, except its own; left names the
// networks that were left out.
func sweepTargets(interfaces []string) (targets []netip.Addr, left, err error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, nil, fmt.Errorf("listing interfaces: %w", err)
	}
	slices.SortFunc(all, func(a, b net.Interface) int { return a.Index - b.Index })
	prefixes := prefixesByIndex(all)
	var on []iface
	for _, i := range all {
		if i.Flags&net.FlagUp == 0 || len(prefixes[i.Index]) == 0 || len(interfaces) > 0 && !slices.Contains(interfaces, i.Name) {
			continue
		}
		if i.Flags&net.FlagLoopback != 0 && len(interfaces) == 0 {
			continue
		}
		on = append(on, iface{Interface: i, prefixes: prefixes[i.Index]})
	}
	return targetsOn(on)
}

func targetsOn(on []iface) (targets []netip.Addr, left, err error) {
	if len(on) == 0 {
		return nil, nil, ErrNoNetwork
	}
	taken := map[netip.Addr]bool{}
	for _, f := range on {
		for _, p := range f.prefixes {
			taken[p.Addr()] = true
		}
	}
	var large, names []string
	four := false
	for _, f := range on {
		names = append(names, f.Name)
		for _, p := range f.prefixes {
			if !p.Addr().Is4() {
				continue
			}
			four = true
			if size := 1 << (32 - p.Bits()); size > maxSweep {
				large = append(large, fmt.Sprintf("%s (%s) has %d addresses", f.Name, p, size))
				continue
			}
			for a := p.Masked().Addr(); p.Contains(a); a = a.Next() {
				if !taken[a] && !broadcast(p, a) {
					targets = append(targets, a)
				}
				taken[a] = true
			}
		}
	}
	if len(large) > 0 {
		left = fmt.Errorf("some networks are too large to search (the limit is %d addresses): %s", maxSweep, strings.Join(large, ", "))
	}
	switch {
	case len(targets) > 0:
		return targets, left, nil
	case left != nil:
		return nil, nil, left
	case !four:
		return nil, nil, fmt.Errorf("a search needs an IPv4 network, and %s has none", strings.Join(names, ", "))
	}
	return nil, nil, fmt.Errorf("the network of %s has no other addresses", strings.Join(names, ", "))
}

// versionProbe returns a packet with a version that no server supports, and the connection ID that an answer returns.
func versionProbe() (packet, ours []byte) {
	ours = make([]byte, 16) // too many to guess without seeing the packet
	_, _ = rand.Read(ours)
	packet = append(packet, 0xc0)
	packet = binary.BigEndian.AppendUint32(packet, noVersion)
	packet = append(packet, byte(len(ours)))
	packet = append(packet, ours...)
	packet = append(packet, byte(len(ours)))
	packet = append(packet, ours...)
	return append(packet, make([]byte, initialSize-len(packet))...), ours
}

// answers reads until the deadline, and lists those of targets that answer from port. Answers from other addresses are
// ignored: otherwise anyone who has seen our packet could make us dial any address.
func answers(conn *net.UDPConn, targets []netip.Addr, port uint16, ours []byte) (out []netip.AddrPort) {
	b := make([]byte, 2048)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(b)
		if err != nil {
			return out
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		if from.Port() != port || !slices.Contains(targets, from.Addr()) { // guard: search-asked
			continue
		}
		if isNegotiation(b[:n], ours) && !slices.Contains(out, from) {
			out = append(out, from)
		}
	}
}

// isNegotiation reports whether b is a version negotiation that answers our packet: its destination is our source
// (RFC 8999 section 6).
func isNegotiation(b, ours []byte) bool {
	return len(b) >= 6+len(ours) && b[0]&0x80 != 0 && binary.BigEndian.Uint32(b[1:]) == 0 && int(b[5]) == len(ours) && bytes.Equal(b[6:6+len(ours)], ours)
}
