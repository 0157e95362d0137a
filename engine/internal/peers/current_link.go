package peers

import (
	"context"
	"errors"
	"fmt"

	"multipeer/engine/internal/wire"
)

// Current returns the connection to a peer, or nil. The only lock that it takes is a leaf.
func (m *Manager) Current(id PeerID) *Link { return m.links.get(id) }

// Link returns the connection to a peer that the program knows. The error is ErrNoPeer, ErrClosed, or
// ErrNotConnected with the reason.
func (m *Manager) Link(id PeerID) (*Link, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.peers[id]
	switch {
	case m.closed:
		return nil, wire.ErrClosed
	case p == nil || !p.shown:
		return nil, wire.ErrNoPeer
	case p.link == nil && p.err != nil:
		return nil, fmt.Errorf("%w: %w", wire.ErrNotConnected, p.err)
	case p.link == nil:
		return nil, wire.ErrNotConnected
	}
	return p.link, nil
}

// Want requests a dial to a peer that would not be dialled automatically; see dialer.mayShowLocked.
func (m *Manager) Want(id PeerID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.peers[id]; p != nil && p.shown && !p.wanted {
		p.wanted, p.retry = true, true
		m.dialer.ensureLoopLocked(p)
	}
}

// AwaitLink is like Link, but has the peer dialled, and waits until it is connected or ctx ends.
func (m *Manager) AwaitLink(ctx context.Context, id PeerID) (l *Link, err error) {
	m.Want(id)
	err = wire.ErrClosed
	m.until(ctx, func() bool {
		l, err = m.Link(id)
		return err == nil || errors.Is(err, wire.ErrNoPeer) || errors.Is(err, wire.ErrClosed)
	})
	if errors.Is(err, wire.ErrClosed) && ctx.Err() != nil {
		err = wire.EndOf(ctx)
	}
	return l, err
}
