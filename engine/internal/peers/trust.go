package peers

import (
	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/wire"
)

// TrustChanged applies a decision of the user about a key that the profile holds already.
func (m *Manager) TrustChanged(id PeerID, t identity.Trust) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t == identity.Blocked || t == identity.Unknown {
		delete(m.sessions.resume, id)
	}
	m.invitations.recheckLocked() // a policy may no longer admit it
	p := m.peers[id]
	if p == nil {
		return
	}
	if t == identity.Blocked && p.link != nil {
		p.link.conn.Close(wire.Blocked)
	}
	if t == identity.Unknown {
		m.sessions.leaveLocked(id, 0)
	}
	p.failures, p.retry = 0, true
	p.wakeDialLoop()
	if t == identity.Unknown {
		p.wanted = false
		m.table.leaveStrangersLocked() // it is a stranger now
	}
	m.table.publishAllLocked() // the owner of a name may have changed
}

// Accepted records that a person here has accepted a peer that was shown under a name.
func (m *Manager) Accepted(id PeerID, name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.peers[id]; p != nil {
		m.sessions.pinPeerLocked(p, name, m.profile.Decisions(id))
	}
}

// AcceptedBy records that the peer of a link has accepted what the user has sent to it. decisions is
// identity.Profile.Decisions when the person sent it.
func (m *Manager) AcceptedBy(l *Link, name string, decisions int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := l.peer
	m.sessions.pinPeerLocked(p, name, decisions) // the user has chosen to send to this peer
	if l.shared {
		m.conflicts.reportLocked(p.id, p.name, l.conn.RemoteAddr())
	}
}
