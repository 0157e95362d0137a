// Package address parses and resolves what a person types, scans or pastes to say where a device is.
package address

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// MaxTicket is the maximum number of addresses in a ticket.
const MaxTicket = 16

// Parse parses HOST:PORT as typed by a person. The port is optional; without it an IPv6 address needs no
// brackets. Names are resolved later, by Resolve.
func Parse(s string) (host string, port uint16, err error) {
	s = strings.TrimSpace(s)
	bare := s
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		bare = s[1 : len(s)-1]
	}
	// A zone may contain anything except brackets and colons, which delimit the address.
	if a, err := netip.ParseAddr(bare); err == nil && !strings.ContainsAny(a.Zone(), "[]:") {
		return a.String(), transport.DefaultPort, nil
	}
	host, text, err := net.SplitHostPort(s)
	if err != nil {
		host, text = s, strconv.Itoa(transport.DefaultPort)
	}
	n, err := strconv.ParseUint(text, 10, 16)
	ip, notIP := netip.ParseAddr(host)
	badHost := host == "" || strings.ContainsAny(host, " /@[]") || strings.Contains(host, ":") && notIP != nil || strings.Contains(ip.Zone(), ":")
	if err != nil || n == 0 || badHost {
		return "", 0, fmt.Errorf("address %q: %w: write HOST:PORT, such as 192.168.1.20:%d", s, wire.ErrInvalid, transport.DefaultPort)
	}
	return host, uint16(n), nil
}

// Ticket returns a ticket for a peer that may be at some addresses.
func Ticket(id identity.PeerID, addrs []netip.AddrPort) string {
	var list []string
	for _, a := range addrs[:min(len(addrs), MaxTicket)] {
		list = append(list, a.String())
	}
	return id.String() + "@" + strings.Join(list, ",")
}

// ParseTarget parses an address or a ticket. The ID is zero for an address.
func ParseTarget(s string) (identity.PeerID, []string, error) {
	id, list, ok := strings.Cut(s, "@")
	if !ok {
		_, _, err := Parse(s)
		return identity.PeerID{}, []string{s}, err
	}
	want, err := identity.ParsePeerID(strings.TrimSpace(id))
	if err != nil {
		return identity.PeerID{}, nil, fmt.Errorf("ticket: %w: %w", wire.ErrInvalid, err)
	}
	addresses := strings.Split(list, ",")
	if len(addresses) > MaxTicket {
		return identity.PeerID{}, nil, fmt.Errorf("ticket: %w: %d addresses, at most %d", wire.ErrInvalid, len(addresses), MaxTicket)
	}
	for _, a := range addresses {
		host, _, err := Parse(a)
		if err != nil {
			return identity.PeerID{}, nil, fmt.Errorf("ticket: %w", err)
		}
		if ip, err := netip.ParseAddr(host); err == nil && !isInterface(ip.Zone()) { // guard: ticket-zone
			return identity.PeerID{}, nil, fmt.Errorf("ticket: %w: %.20q is not a network interface", wire.ErrInvalid, ip.Zone())
		}
	}
	return want, addresses, nil
}

// isInterface reports whether a zone looks like an interface name. Tickets are untrusted, and prompts show their
// addresses: a zone must not be able to hold a sentence.
func isInterface(zone string) bool {
	letters := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_.-", r)
	}
	return len(zone) <= 16 && strings.TrimFunc(zone, letters) == ""
}

// Resolve returns the IP addresses of targets. If there are none, it returns the error of the last name that failed.
func Resolve(ctx context.Context, targets []string) ([]netip.AddrPort, error) {
	var addrs []netip.AddrPort
	var failed error
	for _, t := range targets {
		host, port, err := Parse(t)
		if err != nil {
			return nil, err
		}
		if ip, err := netip.ParseAddr(host); err == nil { // the resolver would drop its zone
			addrs = append(addrs, netip.AddrPortFrom(ip.Unmap(), port))
			continue
		}
		ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		if err != nil {
			failed = fmt.Errorf("resolving %s: %w", host, err)
		}
		for _, ip := range ips {
			addrs = append(addrs, netip.AddrPortFrom(ip.Unmap(), port))
		}
	}
	if len(addrs) == 0 {
		return nil, failed
	}
	return addrs, nil
}
