package engine

import (
	"multipeer/engine/internal/wire"
)

// Disconnect ends the session with a peer, or withdraws the invitation to it (cancelConnectPeer); both still see each
// other. It is a kick: from then on no policy of this engine (Config.Invite, Config.Accept) brings the peer back, but
// Invite and Invitation.Accept do. PeerRemoved follows, with ErrCancelled here and ErrKicked there. To refuse the
// peer's connections as well, call SetTrust with TrustBlocked. It is idempotent.
func (e *Engine) Disconnect(id PeerID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.invitations.kicked[id] = true
	e.sessions.leaveLocked(id, wire.Declined)
}

// Leave ends all sessions. Found peers stay found, and policies may bring sessions back (disconnect in the Pythonista
// module, MCSession disconnect). It is idempotent.
func (e *Engine) Leave() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for id := range e.peers {
		e.sessions.leaveLocked(id, 0)
	}
	clear(e.sessions.resume)
}

// leaveLocked ends the session with one peer; why is sent to that peer.
func (ss *sessions) leaveLocked(id PeerID, why wire.Code) {
	e := ss.e
	delete(ss.resume, id)
	p := e.peers[id]
	if p == nil {
		return
	}
	e.invitations.withdrawLocked(p)
	if p.session != nil {
		if p.link != nil {
			p.link.send(wire.Leave{Code: why})
		}
		ss.endLocked(p, ErrCancelled)
	}
}

func (ss *sessions) takeLeave(p *peer, l *link, m wire.Leave) {
	e := ss.e
	e.mu.Lock()
	defer e.mu.Unlock()
	if p.link != l {
		return
	}
	delete(ss.resume, p.id)
	err := m.Code.Err()
	if m.Code == wire.Declined { // its policies decline our invitations from now on
		err, p.declined = ErrKicked, true
	}
	ss.endLocked(p, err)
}
