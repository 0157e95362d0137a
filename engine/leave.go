package engine

import (
	"fmt"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/wire"
)

// Disconnect ends the session with a peer, or withdraws the invitation to it (cancelConnectPeer); both still see each
// other. It is a kick: from then on no policy of this engine (Config.Invite, Config.Accept) brings the peer back, but
// Invite and Invitation.Accept do. PeerRemoved follows, here with ErrCancelled, there with ErrKicked. To refuse its conns too, SetTrust it TrustBlocked. It is idempotent.
func (e *Engine) Disconnect(id PeerID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.kicked[id] = true
	e.leave(id, wire.Declined)
}

// Leave ends all sessions; found peers stay found, and policies may bring sessions back (disconnect in the Pythonista
// module, MCSession disconnect). It is idempotent.
func (e *Engine) Leave() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for id := range e.peers {
		e.leave(id, 0)
	}
	clear(e.resume)
}

// leave ends the session with one peer; why is for that one. Call with Engine.mu held.
func (e *Engine) leave(id PeerID, why wire.Code) {
	delete(e.resume, id)
	p := e.peers[id]
	if p == nil {
		return
	}
	e.withdraw(p)
	if p.session != nil {
		if p.link != nil {
			p.link.send(wire.Leave{Code: why})
		}
		e.disconnect(p, ErrCancelled)
	}
}

func (e *Engine) takeLeave(p *peer, l *link, m wire.Leave) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p.link != l {
		return
	}
	delete(e.resume, p.id)
	err := m.Code.Err()
	if m.Code == wire.Declined { // its policies decline ours from now on
		err, p.declined = ErrKicked, true
	}
	e.disconnect(p, err)
}

// Trust is what is kept of a key, found or not.
func (e *Engine) Trust(id PeerID) Trust { return e.profile.Peer(id).Trust }

// SetTrust keeps what the user decides about a key, found or not, durable when it returns. Blocking ends the conn
// at once; TrustUnknown forgets the peer. Only call it for a user's act: TrustVerified says that somebody compared
// the whole ID.
func (e *Engine) SetTrust(id PeerID, t Trust) error {
	switch t {
	case TrustUnknown, TrustSeen, TrustVerified, TrustBlocked:
	default:
		return fmt.Errorf("trust %q: %w", t, ErrInvalid)
	}
	if id == e.profile.ID || id.IsZero() {
		return fmt.Errorf("trust: %w: that is this device", ErrInvalid)
	}
	seen, _ := e.Peer(id) // not inside Update: a save may wait for that with Engine.mu held
	err := e.profile.Update(id, func(r *identity.Record) {
		if r.Trust = t; t == TrustUnknown {
			*r = identity.Record{}
		}
		if t != TrustVerified {
			r.Auto = identity.Auto{}
		} else if r.Name == "" {
			r.Name = seen.Name // by which it will be told from others that take it
		}
	})
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if t == TrustBlocked || t == TrustUnknown {
		delete(e.resume, id)
	}
	if p := e.peers[id]; p != nil {
		if t == TrustBlocked && p.link != nil {
			p.link.conn.Close(wire.Blocked)
		}
		if t == TrustUnknown {
			e.leave(id, 0)
		}
		p.failures, p.retry = 0, true
		p.poke()
		e.changed(p)
	}
	return nil
}
