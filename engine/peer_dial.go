package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// ParseAddress parses HOST:PORT as typed by a person. The port is optional; without it an IPv6 address needs no
// brackets. Names are resolved later, by Dial.
func ParseAddress(s string) (host string, port uint16, err error) {
	s = strings.TrimSpace(s)
	bare := s
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		bare = s[1 : len(s)-1]
	}
	// A zone may hold anything, but no bracket and no colon: those belong to what is around the address.
	if a, err := netip.ParseAddr(bare); err == nil && !strings.ContainsAny(a.Zone(), "[]:") {
		return a.String(), DefaultPort, nil
	}
	host, text, err := net.SplitHostPort(s)
	if err != nil {
		host, text = s, strconv.Itoa(DefaultPort)
	}
	n, err := strconv.ParseUint(text, 10, 16)
	ip, notIP := netip.ParseAddr(host)
	badHost := host == "" || strings.ContainsAny(host, " /@[]") || strings.Contains(host, ":") && notIP != nil || strings.Contains(ip.Zone(), ":")
	if err != nil || n == 0 || badHost {
		return "", 0, fmt.Errorf("address %q: %w: write HOST:PORT, such as 192.168.1.20:%d", s, ErrInvalid, DefaultPort)
	}
	return host, uint16(n), nil
}

// dialer dials peers: those that discovery finds, those that the program wants, and known ones that are missing.
type dialer struct {
	e       *Engine
	dials   chan struct{} // dials in progress to peers that are neither known nor wanted here
	friends chan struct{} // dials in progress to other peers
}

// maxDials limits concurrent dials. More at a time slow each other down and then look like failures.
const maxDials = 8

// maxTicket limits the addresses of a ticket.
const maxTicket = 16

// Ticket returns what another device needs to reach this one when neither can find the other: the ID and the
// addresses, to be shown, scanned, or sent by the program's own discovery (MCSession nearbyConnectionData). Dial
// accepts it. It is empty before Run has opened the port.
func (e *Engine) Ticket() string {
	var addrs []string
	for _, a := range e.Addresses() {
		addrs = append(addrs, a.String())
	}
	if len(addrs) == 0 {
		return ""
	}
	return e.Self().ID.String() + "@" + strings.Join(addrs[:min(len(addrs), maxTicket)], ",")
}

// ticketOf returns a ticket for a peer that may be at some addresses.
func ticketOf(id PeerID, addrs []netip.AddrPort) string {
	var list []string
	for _, a := range addrs[:min(len(addrs), maxTicket)] {
		list = append(list, a.String())
	}
	return id.String() + "@" + strings.Join(list, ",")
}

// parseTarget parses an address or a ticket. The ID is zero for an address.
func parseTarget(s string) (PeerID, []string, error) {
	id, list, ok := strings.Cut(s, "@")
	if !ok {
		_, _, err := ParseAddress(s)
		return PeerID{}, []string{s}, err
	}
	want, err := ParsePeerID(strings.TrimSpace(id))
	if err != nil {
		return PeerID{}, nil, fmt.Errorf("ticket: %w: %w", ErrInvalid, err)
	}
	addresses := strings.Split(list, ",")
	if len(addresses) > maxTicket {
		return PeerID{}, nil, fmt.Errorf("ticket: %w: %d addresses, at most %d", ErrInvalid, len(addresses), maxTicket)
	}
	for _, a := range addresses {
		if _, _, err := ParseAddress(a); err != nil {
			return PeerID{}, nil, fmt.Errorf("ticket: %w", err)
		}
	}
	return want, addresses, nil
}

// resolve returns the IP addresses of targets; if there are none, the error is that of the last name that failed.
func resolve(ctx context.Context, targets []string) ([]netip.AddrPort, error) {
	var addrs []netip.AddrPort
	var failed error
	for _, t := range targets {
		host, port, err := ParseAddress(t)
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

// Dial connects to a peer by its address (HOST, HOST:PORT, IP) or its Ticket when it cannot be found, and returns its
// ID; with a ticket, the peer must have the ticket's key. It waits for the connection, not for a session: call Invite
// next, unless a policy invites. The engine keeps dialling the peer until it is lost (MCSession connectPeer; ending
// ctx is cancelConnectPeer). Errors are ErrInvalid, ErrTimeout, ErrIdentity, ErrBlocked, ErrRefused, or come from the
// system.
func (e *Engine) Dial(ctx context.Context, target string) (PeerID, error) {
	want, targets, err := parseTarget(target)
	if err != nil {
		return PeerID{}, err
	}
	endpoint := e.dialer.open()
	if endpoint == nil {
		return PeerID{}, ErrClosed
	}
	ctx, cancel := context.WithTimeout(ctx, 2*transport.DialTimeout+transport.HelloTimeout)
	defer cancel()
	addrs, err := resolve(ctx, targets)
	if err != nil {
		return PeerID{}, err
	}
	// The first connection only shows which peer answers. The lasting one is dialled like any other, expecting that
	// key.
	conn, err := endpoint.DialAny(ctx, addrs, want, transport.Session, transport.DialTimeout)
	if err != nil {
		return want, err
	}
	id, at := conn.Peer, conn.RemoteAddr()
	conn.Close(wire.Duplicate)
	return id, e.dialer.dialWanted(ctx, id, at, "address")
}

// dialWanted has a peer that the program wants dialled, at an address where it answers, and waits for the connection.
func (d *dialer) dialWanted(ctx context.Context, id PeerID, at netip.AddrPort, how string) error {
	e := d.e
	e.mu.Lock()
	p := e.table.addLocked(id)
	if p == nil {
		e.mu.Unlock()
		return ErrBusy
	}
	p.reached(at)
	if p.how == "" {
		p.how = how
	}
	p.failures = 0
	p.err = nil
	p.wanted = true
	p.shown = true
	p.retry = true
	d.ensureLoopLocked(p)
	e.mu.Unlock()
	decided, err := false, error(nil)
	e.until(ctx, func() bool {
		p, ok := e.Peer(id)
		switch {
		case !ok:
			decided, err = true, ErrLost
		case p.Confirmed:
			decided = true
		case p.Err != nil:
			decided, err = true, p.Err
		}
		return decided
	})
	if decided {
		return err
	}
	if err := context.Cause(ctx); !errors.Is(err, context.DeadlineExceeded) && err != nil {
		return err
	}
	return ErrTimeout
}

func (d *dialer) open() *transport.Endpoint {
	e := d.e
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.tasks.Running() {
		return nil
	}
	return e.endpoint
}

// keepDialling dials one entry of Config.Dial until ctx ends.
func (d *dialer) keepDialling(ctx context.Context, address string) {
	e := d.e
	for failures := 0; ; {
		id, err := e.Dial(ctx, address)
		if errors.Is(err, ErrInvalid) {
			(*sink)(e).Problem(err)
			return
		}
		failures++
		if err == nil {
			failures = 0
			d.waitGone(ctx, id)
		} else {
			e.log.Info("dialling by address", "address", address, "err", err)
		}
		select {
		case <-time.After(min(5*time.Second, backoff(failures))):
		case <-ctx.Done():
			return
		}
	}
}

// waitGone returns when id is no longer a peer.
func (d *dialer) waitGone(ctx context.Context, id PeerID) {
	e := d.e
	e.until(ctx, func() bool {
		_, ok := e.Peer(id)
		return !ok
	})
}
