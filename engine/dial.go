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

// ParseAddress reads HOST:PORT as a person types it: the port may be left out, an IPv6 address needs no brackets
// then. Names are resolved later, by Dial.
func ParseAddress(s string) (host string, port uint16, err error) {
	s = strings.TrimSpace(s)
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return a.String(), DefaultPort, nil
	}
	host, text, err := net.SplitHostPort(s)
	if err != nil {
		host, text = s, strconv.Itoa(DefaultPort)
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 || host == "" || strings.ContainsAny(host, " /@:") && net.ParseIP(host) == nil && !strings.Contains(host, "%") {
		return "", 0, fmt.Errorf("address %q: %w: write HOST:PORT, such as 192.168.1.20:%d", s, ErrInvalid, DefaultPort)
	}
	return host, uint16(n), nil
}

// maxTicket is how many addresses of a ticket are tried.
const maxTicket = 16

// Ticket is what another device needs to reach this one where neither can be found: the ID and the addresses, to be
// shown, scanned, or sent by the program's own discovery (MCSession nearbyConnectionData). Dial takes it. Empty before
// Run has opened the port.
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

// parseTarget reads an address or a ticket. The ID is zero for an address.
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

// resolve finds the IP addresses of targets; the error is that of the last name that failed, if none was found.
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

// Dial connects to a peer by its address (HOST, HOST:PORT, IP) or its Ticket where it cannot be found, and returns who
// it is; with a ticket it must be the ticket's key. It waits for the conn, not for a session: Invite comes next, unless
// a policy invites. The peer stays dialled until it is lost (MCSession connectPeer; ending ctx is cancelConnectPeer).
// Errors are ErrInvalid, ErrTimeout, ErrIdentity, ErrBlocked, ErrRefused, or the system's.
func (e *Engine) Dial(ctx context.Context, target string) (PeerID, error) {
	want, targets, err := parseTarget(target)
	if err != nil {
		return PeerID{}, err
	}
	endpoint := e.open()
	if endpoint == nil {
		return PeerID{}, ErrClosed
	}
	ctx, cancel := context.WithTimeout(ctx, 2*transport.DialTimeout+transport.HelloTimeout)
	defer cancel()
	addrs, err := resolve(ctx, targets)
	if err != nil {
		return PeerID{}, err
	}
	// The first conn only tells who is there. The one that counts is dialled as any other, with that key expected.
	conn, err := endpoint.DialAny(ctx, addrs, want, transport.Session, transport.DialTimeout)
	if err != nil {
		return want, err
	}
	id, at := conn.Peer, conn.RemoteAddr()
	conn.Close(wire.Duplicate)
	return id, e.meet(ctx, id, at, "address")
}

// meet takes up the chase of a peer that the program wants, at an address where it answers, and waits for the conn.
func (e *Engine) meet(ctx context.Context, id PeerID, at netip.AddrPort, how string) error {
	watch, stop := context.WithCancel(ctx)
	defer stop()
	events := e.WatchState(watch)
	e.mu.Lock()
	p := e.peer(id)
	if p == nil {
		e.mu.Unlock()
		return ErrBusy
	}
	p.reached(at)
	if p.how == "" {
		p.how = how
	}
	p.failures, p.err, p.wanted, p.shown, p.retry = 0, nil, true, true, true
	e.chase(p)
	e.mu.Unlock()
	for range events {
		p, ok := e.Peer(id)
		switch {
		case !ok:
			return ErrLost
		case p.Confirmed:
			return nil
		case p.Err != nil:
			return p.Err
		}
	}
	if err := context.Cause(ctx); !errors.Is(err, context.DeadlineExceeded) && err != nil {
		return err
	}
	return ErrTimeout
}

func (e *Engine) open() *transport.Endpoint {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ctx == nil || e.ctx.Err() != nil {
		return nil
	}
	return e.endpoint
}

// keepDialling serves one entry of Config.Dial until ctx ends.
func (e *Engine) keepDialling(ctx context.Context, address string) {
	for failures := 0; ; {
		id, err := e.Dial(ctx, address)
		if errors.Is(err, ErrInvalid) {
			(*sink)(e).Problem(err)
			return
		}
		failures++
		if err == nil {
			failures = 0
			e.waitGone(ctx, id)
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

// waitGone returns when id is no peer any more.
func (e *Engine) waitGone(ctx context.Context, id PeerID) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	for range e.WatchState(ctx) {
		if _, ok := e.Peer(id); !ok {
			return
		}
	}
}
