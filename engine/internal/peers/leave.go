package peers

import (
	"multipeer/engine/internal/wire"
)

// ErrKicked is an ErrBye for a session that the other side ended with Disconnect.
var ErrKicked = wire.Reword("the other side has disconnected this device", wire.ErrBye)

// Disconnect ends the session with a peer, or withdraws the invitation to it (cancelConnectPeer); both still see each
// other. It is a kick: from then on no policy of this engine (Config.Invite, Config.Accept) brings the peer back, but
// Invite and Invitation.Accept do. PeerRemoved follows, with ErrCancelled on this side and ErrKicked on the other. To
// refuse the peer's connections as well, call SetTrust with TrustBlocked. It is idempotent.
func (m *Manager) Disconnect(id PeerID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.invitations.kicked[id] = true
	m.sessions.leaveLocked(id, wire.Declined)
}

// Leave ends all sessions. Found peers stay found, and policies may bring sessions back (disconnect in the Pythonista
// module, MCSession disconnect).
func (m *Manager) Leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id := range m.peers {
		m.sessions.leaveLocked(id, 0)
	}
	clear(m.sessions.resume)
}

// leaveLocked ends the session with one peer; why is sent to that peer.
func (ss *sessions) leaveLocked(id PeerID, why wire.Code) {
	m := ss.m
	delete(ss.resume, id)
	p := m.peers[id]
	if p == nil {
		return
	}
	if p.session == nil && p.asked == nil {
		return
	}
	m.invitations.withdrawLocked(p)
	if p.session != nil {
		if p.link != nil {
			p.link.Send(wire.Leave{Code: why})
		}
		ss.endLocked(p, wire.ErrCancelled)
	}
	m.invitations.inviteAgainLocked(p)
}

// endMute ends a session whose peer does not answer messages, so that it does not hold up broadcasts. The first time,
// policies may bring the session back, since the peer may have been asleep.
func (ss *sessions) endMute(id PeerID, s *session) {
	m := ss.m
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.peers[id]
	if p == nil || p.session != s || p.link == nil {
		return
	}
	m.log.Info("the peer does not answer messages", "peer", id.Short())
	why := wire.Busy
	if m.asks.WasMute(id) { // guard: mute-again
		m.invitations.kicked[id] = true
		why = wire.Declined
	}
	delete(ss.resume, id)
	p.link.Send(wire.Leave{Code: why})
	ss.endLocked(p, wire.ErrBusy)
	m.invitations.inviteAgainLocked(p)
}

func (ss *sessions) takeLeave(p *peer, l *Link, msg wire.Leave) {
	m := ss.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if p.link != l {
		return
	}
	delete(ss.resume, p.id)
	err := msg.Code.Err()
	if msg.Code == wire.Declined { // its policies decline our invitations from now on
		err, p.declined = ErrKicked, true
	}
	ss.endLocked(p, err)
	m.invitations.inviteAgainLocked(p)
}
