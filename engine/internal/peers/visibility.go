package peers

import (
	"context"
	"fmt"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/wire"
)

// SetVisible changes who can see this engine, for the duration d or, if d is 0, until the next call; after d, the
// previous value is restored. Strangers that are connected without a session are disconnected if the new value no
// longer includes them. Errors are ErrInvalid, and ErrClosed if d is not 0 and the engine is not running.
func (m *Manager) SetVisible(v Visibility, d time.Duration) error {
	if v < VisibleToAll || v > VisibleToNobody || d < 0 {
		return fmt.Errorf("visible to %v for %v: %w", v, d, wire.ErrInvalid)
	}
	if d > 0 && !m.Self().Running {
		return fmt.Errorf("temporary visibility: %w", wire.ErrClosed)
	}
	m.setVisible(v, d, 0)
	return nil
}

// setVisible changes the visibility. When a temporary visibility ends, timed is its number: if the visibility was
// changed since then, it stays as it is.
func (m *Manager) setVisible(v Visibility, d time.Duration, timed int) {
	m.Update(func(s *Self) {
		if timed != 0 && m.timed != timed {
			return
		}
		m.timed++
		before := s.Visible
		if !s.VisibleTo.IsZero() { // a temporary value is not the one to return to
			before = m.lasting
		}
		s.Visible, s.VisibleTo, m.lasting = v, time.Time{}, before
		if d > 0 {
			timed := m.timed
			s.VisibleTo = now().Add(d)
			m.afterFuncLocked(d, func() {
				m.tasks.Start(func(context.Context) { m.setVisible(before, 0, timed) })
			})
		}
	})
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.peers {
		p.wanted = p.wanted && p.asked != nil // the reason why it was wanted no longer applies
	}
	m.table.leaveStrangersLocked()
	for _, p := range m.peers { // more peers may be dialled now
		p.retry = true
		p.wakeDialLoop()
	}
}

// PairingChanged is called after the pairing window opens or closes.
func (m *Manager) PairingChanged() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pairings.IsOpen() {
		for _, p := range m.peers { // strangers may see us now
			p.retry = true
			p.wakeDialLoop()
		}
	} else {
		m.table.leaveStrangersLocked()
	}
	m.publish(SelfChanged{m.selfViewLocked()})
}

// answers reports whether a connection that id has dialled is accepted. Strangers are accepted only while they may
// see us, while the pairing window is open, or if they already have a connection or a transfer.
func (a *acceptor) answers(id PeerID) bool {
	m := a.m
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.peers[id]
	return m.self.Visible == VisibleToAll || m.pairings.IsOpen() || p != nil && p.link != nil || m.transfers.Busy(id)
}

// welcomeLocked reports whether a connection that id has dialled may become its link. It repeats the check in answers,
// since this engine may have hidden, or its pairing window may have closed, after the handshake. A session continues.
func (a *acceptor) welcomeLocked(id PeerID) bool {
	m := a.m
	if m.self.Visible == VisibleToAll || m.profile.Peer(id).Trust != identity.Unknown {
		return true
	}
	p := m.peers[id]
	return m.pairings.IsOpen() || p != nil && (p.session != nil || p.wanted) || m.transfers.Busy(id)
}

// leaveStrangersLocked closes unused connections to strangers that the program has not asked for.
func (pt *peerTable) leaveStrangersLocked() {
	m := pt.m
	if m.self.Visible == VisibleToAll || m.pairings.IsOpen() {
		return
	}
	for _, p := range m.peers {
		if p.link == nil {
			if p.dialling != nil && p.session == nil && !m.dialer.mayShowLocked(p) {
				p.dialling()
			}
			pt.removeUnusedLocked(p)
		} else if !p.wanted && !m.pairings.Has(p.id) && p.session == nil && !m.transfers.Busy(p.id) && m.profile.Peer(p.id).Trust == identity.Unknown {
			p.link.conn.Close(wire.Bye)
		}
	}
}
