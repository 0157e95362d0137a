package transfers

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// Waiting for a peer that is offline.

// whilePaused waits until t is not paused.
func (m *Manager) whilePaused(ctx context.Context, t *item) error {
	for {
		m.mu.Lock()
		paused := t.paused
		if paused {
			m.happenedLocked(t, pauses, nil)
		}
		m.mu.Unlock()
		if !paused {
			return nil
		}
		if t.view.Incoming && m.isIdle(t) {
			return fmt.Errorf("paused for too long: %w", transport.ErrLost)
		}
		timer := time.NewTimer(time.Hour)
		select {
		case <-t.wake:
		case <-timer.C: // the transfer may be idle now
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
		timer.Stop()
	}
}

// awaitPeer waits for a connection to t's peer, and dials its last addresses if discovery does not find it. Without
// Keep the transfer fails after a while; with Keep its state shows that it is waiting.
func (s *sender) awaitPeer(ctx context.Context) (Link, error) {
	m, t := s.m, s.t
	for wait := time.Second; ; wait = min(2*wait, 30*time.Second) {
		m.mu.Lock()
		gone := now().Sub(t.lastMove)
		if t.lastMove.IsZero() {
			gone = 0
		}
		keep := t.view.Keep
		m.mu.Unlock()
		if !keep {
			wait = min(wait, max(patience-gone, 10*time.Millisecond))
		}
		l, err := s.linkWithin(ctx, wait)
		switch {
		case l != nil, errors.Is(err, errPaused):
			return l, err
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case !keep && gone >= patience:
			if errors.Is(err, wire.ErrNoPeer) || err == nil {
				err = transport.ErrLost
			}
			return nil, fmt.Errorf("the peer is gone: %w", err)
		}
		m.mu.Lock()
		if gone >= patience || !t.accepted {
			if err == nil || errors.Is(err, wire.ErrClosed) {
				err = wire.ErrNoPeer
			}
			m.happenedLocked(t, waits, err)
		}
		addrs := t.addrs
		m.mu.Unlock()
		m.probe(ctx, t.view.Peer, addrs)
	}
}

// linkWithin waits for a connection to t's peer. The error is the reason why there is none, or errPaused.
func (s *sender) linkWithin(ctx context.Context, wait time.Duration) (Link, error) {
	m, t := s.m, s.t
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		changed := m.host.Changed()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		l, err := m.host.Link(t.view.Peer)
		m.mu.Lock()
		paused := t.paused
		m.mu.Unlock()
		switch {
		case paused:
			return nil, errPaused
		case err == nil:
			return l, nil
		}
		select {
		case <-changed:
		case <-t.wake: // it was paused, or resumed
		case <-timer.C:
			return nil, err
		case <-ctx.Done():
		case <-m.ended:
			return nil, err
		}
	}
}

// probe dials the last addresses of a peer that discovery does not find.
func (m *Manager) probe(ctx context.Context, id identity.PeerID, addrs []netip.AddrPort) {
	if len(addrs) == 0 || id.IsZero() || !m.beginProbe(id) {
		return
	}
	defer m.endProbe(id)
	ctx, cancel := context.WithTimeout(ctx, probeFor)
	defer cancel()
	m.host.Probe(ctx, id, addrs)
}

// beginProbe marks the peer as being probed. It returns false if another transfer already probes it: many transfers may
// wait for one peer.
func (m *Manager) beginProbe(id identity.PeerID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.probing[id] {
		return false
	}
	m.probing[id] = true
	return true
}

func (m *Manager) endProbe(id identity.PeerID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.probing, id)
}

// listensAt returns the address where the peer of a connection can be dialled.
func listensAt(l Link) netip.AddrPort {
	if !l.Dialled() { // the peer may only dial from this port, not listen on it
		if addrs := l.Addrs(); len(addrs) > 0 {
			return addrs[0]
		}
	}
	return l.RemoteAddr()
}

// sawPeerAtLocked remembers the address of the peer.
func (t *item) sawPeerAtLocked(at netip.AddrPort) {
	t.addrs = append([]netip.AddrPort{at}, slices.DeleteFunc(slices.Clone(t.addrs), func(a netip.AddrPort) bool { return a == at })...)
	t.addrs = t.addrs[:min(len(t.addrs), 4)]
}
