package peers

import (
	"encoding/json"
	"fmt"

	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// Invitation is a peer's request for a session. It closes when it is answered, or the peer withdraws it or is lost.
type Invitation struct {
	ID      string
	Peer    Peer            // as it was when it asked
	Context json.RawMessage // from its program; untrusted
	Handle  any             // the value that programs see; only the host uses it, with the lock held

	m      *Manager
	peer   *peer
	closed chan struct{}
}

// Closed returns a channel that is closed when the invitation is answered, is withdrawn or expires.
func (i *Invitation) Closed() <-chan struct{} { return i.closed }

// closeInvitationLocked ends the invitation of p, if there is one. Manager.mu is held.
func (p *peer) closeInvitationLocked() {
	if p.invitation != nil {
		close(p.invitation.closed)
		p.invitation = nil
	}
}

// Answer accepts the invitation, with a context for the other program, or rejects it; person reports whether a person
// has decided, which makes the peer known, or counts against a peer that asks too often. The first answer counts. It returns ErrAnswered if it is too late, ErrBusy
// if the limit of peers is reached.
func (i *Invitation) Answer(yes bool, with json.RawMessage, person bool) error {
	m := i.m
	m.mu.Lock()
	defer m.mu.Unlock()
	p := i.peer
	if p.invitation != i || p.link == nil {
		return wire.ErrAnswered
	}
	if yes && m.invitations.fullLocked(p) {
		return fmt.Errorf("%w: the limit of %d peers (MaxPeers) is reached", wire.ErrBusy, m.cfg.MaxPeers)
	}
	p.closeInvitationLocked()
	m.publish(InvitationClosed{i})
	if !yes {
		m.asks.Unaccepted(p.id)
		if person {
			m.asks.Declined(p.id)
		}
		p.link.Send(wire.InviteAnswer{ID: i.ID, Code: wire.Declined})
		return nil
	}
	if person {
		delete(m.invitations.kicked, p.id)
	}
	m.asks.Accepted(p.id)
	m.invitations.acceptLocked(p, i.ID, i.Context, with, consent{person, i.Peer.Name, m.profile.Decisions(p.id)})
	return nil
}

// acceptLocked accepts an invitation. by records whether a person or a policy decided.
func (in *invitations) acceptLocked(p *peer, id string, theirs, ours json.RawMessage, by consent) {
	m := in.m
	if !by.person {
		by = p.asked.consent()
	}
	if p.asked == nil && p.session == nil {
		p.accepted = id
	}
	p.link.large.Store(true) // a large message may follow our answer at once
	p.link.Send(wire.InviteAnswer{ID: id, Accept: true, Context: ours})
	in.settleLocked(p, nil)
	m.sessions.beginLocked(p, theirs, by)
}

// admit reports whether Config.AcceptIf accepts an invitation. Like every policy, it is not asked about a peer that was
// kicked. No lock is held.
func (in *invitations) admit(p *peer, msg wire.Invite) bool {
	m := in.m
	if m.cfg.AcceptIf == nil {
		return false
	}
	m.mu.Lock()
	from, decided := m.table.viewLocked(p), p.session != nil || p.asked != nil || in.kicked[p.id]
	m.mu.Unlock()
	return !decided && m.cfg.AcceptIf(from, msg.Context)
}

func (in *invitations) takeInvite(p *peer, l *Link, msg wire.Invite) {
	m := in.m
	if len(msg.Context) > MaxContext { // guard: context-size
		l.Send(wire.InviteAnswer{ID: msg.ID, Code: wire.TooLarge})
		return
	}
	admitted := in.admit(p, msg)
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case p.link != l:
	case p.invitation != nil: // guard: one-invitation
		l.Send(wire.InviteAnswer{ID: msg.ID, Code: wire.Busy}) // one invitation at a time
	case p.session == nil && in.fullLocked(p):
		l.Send(wire.InviteAnswer{ID: msg.ID, Code: wire.Busy})
	case p.session != nil, p.asked != nil, admitted, in.policyAdmitsLocked(m.cfg.Accept, p.id):
		// Both sides want the session, or the policy admits it.
		in.acceptLocked(p, msg.ID, msg.Context, m.context, consent{})
	case m.asks.RefusedTooOften(p.id): // guard: invited-often
		l.Send(wire.InviteAnswer{ID: msg.ID, Code: wire.Declined})
	default:
		if !m.asks.MayPrompt(p.id, transport.SourceOf(l.conn.RemoteAddr().Addr()), false) { // guard: prompts
			l.Send(wire.InviteAnswer{ID: msg.ID, Code: wire.Busy})
			return
		}
		inv := &Invitation{ID: msg.ID, Peer: m.table.viewLocked(p), Context: msg.Context, m: m, peer: p, closed: make(chan struct{})}
		if refused := m.publish(InvitationReceived{inv}); refused != 0 {
			l.Send(wire.InviteAnswer{ID: msg.ID, Code: refused})
			return
		}
		p.invitation = inv
	}
}

func (in *invitations) takeCancel(p *peer, msg wire.InviteCancel) {
	m := in.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if inv := p.invitation; inv != nil && inv.ID == msg.ID {
		p.closeInvitationLocked()
		m.asks.Unaccepted(p.id)
		m.publish(InvitationClosed{inv})
	}
	if p.session != nil && p.accepted == msg.ID { // the withdrawal crossed our acceptance
		delete(m.sessions.resume, p.id)
		m.sessions.endLocked(p, wire.ErrCancelled)
	}
}
