package peers

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"multipeer/engine/internal/address"
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// dialer dials peers: those that discovery finds, those that the program wants, and known ones that are missing.
type dialer struct {
	m          *Manager
	dials      chan struct{} // dials in progress to peers that are neither known nor wanted here
	knownDials chan struct{} // dials in progress to other peers
}

// maxDials limits concurrent dials. More would slow each other down until they look like failures.
const maxDials = 8

// Dial connects to a peer by its address or a ticket when it cannot be found, and returns its ID. It waits for the
// connection, not for a session. The peer is dialled until it is lost.
func (m *Manager) Dial(ctx context.Context, target string) (PeerID, error) {
	want, targets, err := address.ParseTarget(target)
	if err != nil {
		return PeerID{}, err
	}
	endpoint := m.dialer.open()
	if endpoint == nil {
		return PeerID{}, wire.ErrClosed
	}
	caller := ctx
	ctx, cancel := context.WithTimeout(ctx, 2*transport.DialTimeout+transport.HelloTimeout)
	defer cancel()
	addrs, err := address.Resolve(ctx, targets)
	if err != nil {
		return PeerID{}, err
	}
	// The first connection only shows which peer answers. The lasting one is dialled like any other, expecting that
	// key.
	pin := transport.KeyOf(want)
	if want.IsZero() { // the target is an address alone
		pin = transport.AnyKey
	}
	conn, err := endpoint.DialAny(ctx, addrs, pin, transport.Session, transport.DialTimeout)
	if err != nil && caller.Err() != nil {
		return want, wire.EndOf(caller)
	}
	if err != nil {
		return want, err
	}
	id, at := conn.Peer, conn.RemoteAddr()
	conn.Close(wire.Duplicate)
	return id, m.dialer.dialWanted(ctx, id, at, "address")
}

// dialWanted starts dialling a peer that the program wants, at an address where it has answered, and waits for the
// connection.
func (d *dialer) dialWanted(ctx context.Context, id PeerID, at netip.AddrPort, how string) error {
	m := d.m
	m.mu.Lock()
	p := m.table.addLocked(id)
	if p == nil {
		m.mu.Unlock()
		return wire.ErrBusy
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
	m.mu.Unlock()
	decided, err := false, error(nil)
	m.until(ctx, func() bool {
		p, ok := m.Peer(id)
		switch {
		case !ok:
			decided, err = true, transport.ErrLost
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
	if ctx.Err() != nil {
		return wire.EndOf(ctx)
	}
	return wire.ErrClosed // until returned because the engine has ended
}

func (d *dialer) open() *transport.Endpoint {
	m := d.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.tasks.Running() {
		return nil
	}
	return m.endpoint
}

// keepDialling dials one entry of Config.Dial until ctx ends.
func (d *dialer) keepDialling(ctx context.Context, target string) {
	m := d.m
	for failures := 0; ; {
		id, err := m.Dial(ctx, target)
		if errors.Is(err, wire.ErrInvalid) {
			(*sink)(m).Problem(err)
			return
		}
		failures++
		if err == nil {
			failures = 0
			d.waitGone(ctx, id)
		} else {
			m.log.Info("dialling by address", "address", target, "err", err)
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
	m := d.m
	m.until(ctx, func() bool {
		_, ok := m.Peer(id)
		return !ok
	})
}
