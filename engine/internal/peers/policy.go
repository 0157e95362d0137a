package peers

import (
	"multipeer/engine/internal/identity"
)

// SetPolicies changes which peers are invited and accepted automatically.
func (m *Manager) SetPolicies(invite, accept Audience) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cfg.Invite, m.cfg.Accept = invite, accept
	m.invitations.recheckLocked()
	for _, p := range m.peers {
		m.invitations.askByPolicyLocked(p)
	}
}

// recheckLocked withdraws what a policy has begun and no longer admits: invitations without a waiting caller, and
// sessions that would resume when their peer returns.
func (in *invitations) recheckLocked() {
	m := in.m
	for _, p := range m.peers {
		if a := p.asked; a != nil && a.policy && !in.policyAdmitsLocked(m.cfg.Invite, p.id) { // guard: policy-changed
			a.policy = false
			if len(a.answers) == 0 {
				in.withdrawLocked(p)
			}
		}
	}
	for id, s := range m.sessions.resume {
		p := m.peers[id]
		live := p != nil && p.session == s
		if !live && !s.person && !in.policyAdmitsLocked(max(m.cfg.Invite, m.cfg.Accept), id) { // guard: policy-resume
			delete(m.sessions.resume, id)
		}
	}
}

// policyAdmitsLocked reports whether a policy includes id.
func (in *invitations) policyAdmitsLocked(a Audience, id PeerID) bool {
	m := in.m
	return !in.kicked[id] && a.Includes(m.profile.Peer(id).Trust)
}

// Includes reports whether a peer with this trust is in the audience. A blocked peer is in none.
func (a Audience) Includes(trust identity.Trust) bool {
	switch trust {
	case identity.Blocked:
		return false
	case identity.Verified:
		return a >= Verified
	case identity.Seen:
		return a >= Known
	}
	return a >= Everyone
}

// fullLocked reports whether the sessions and our invitations, except those of but, reach Config.MaxPeers.
func (in *invitations) fullLocked(but *peer) bool {
	m := in.m
	n := 0
	for _, p := range m.peers {
		if p != but && (p.session != nil || p.asked != nil) {
			n++
		}
	}
	return m.cfg.MaxPeers > 0 && n >= m.cfg.MaxPeers
}
