package peers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"multipeer/engine/internal/wire"
)

const (
	// InviteTimeout is how long an invitation waits for its answer.
	InviteTimeout = 30 * time.Second
	// MaxContext is the maximum size of the context of an invitation or its answer, in bytes of JSON.
	MaxContext = 16 << 10
)

// invitations sends and answers invitations.
type invitations struct {
	m      *Manager
	kicked map[PeerID]bool // disconnected by the program; policies must not bring them back
	// othersDue is set while inviteOthersLocked waits.
	othersDue bool
}

// asking is an invitation that we have sent.
type asking struct {
	id      string
	policy  bool         // Config.Invite wants it, even if no caller waits
	answers []chan error // the callers that wait
	persons []chan error // the callers among them that a person has caused
	name    string       // the name of the peer that the last person was shown
	decided int          // identity.Profile.Decisions when that person asked
	expires func()       // stops the timer that withdraws it; nil if there is none
}

// consent records whether a person waits for the answer, and not just a policy.
func (a *asking) consent() consent {
	if a == nil || len(a.persons) == 0 {
		return consent{}
	}
	return consent{true, a.name, a.decided}
}

// leave removes a caller that no longer waits.
func (a *asking) leave(answer chan error) {
	is := func(c chan error) bool { return c == answer }
	a.answers = slices.DeleteFunc(a.answers, is)
	a.persons = slices.DeleteFunc(a.persons, is)
}

func (a *asking) finish(err error) {
	for _, c := range a.answers {
		c <- err
	}
}

// Invite asks a peer for a session, sends it a context, and waits for the answer. It returns nil when connected. When
// ctx ends, the invitation is withdrawn. If the peer has invited us in the meantime, that counts as its acceptance.
// person reports whether a person wants it, which makes the peer known.
func (m *Manager) Invite(ctx context.Context, id PeerID, with json.RawMessage, person bool) error {
	return m.invitations.invite(ctx, id, with, person)
}

func (in *invitations) invite(ctx context.Context, id PeerID, with json.RawMessage, person bool) error {
	m := in.m
	ctx, cancel := context.WithTimeoutCause(ctx, InviteTimeout, wire.ErrTimeout)
	defer cancel()
	l, err := m.AwaitLink(ctx, id)
	if err != nil {
		return err
	}
	p := l.peer
	answer := make(chan error, 1)
	m.mu.Lock()
	if person {
		delete(in.kicked, id)
	}
	if p.session != nil {
		if person {
			p.session.person = true
			m.sessions.pinPeerLocked(p, p.name, m.profile.Decisions(id)) // a policy may have begun it; a user wants it
		}
		m.mu.Unlock()
		return nil
	}
	if p.link == nil {
		m.mu.Unlock()
		return wire.ErrNotConnected
	}
	if inv := p.invitation; inv != nil {
		m.mu.Unlock()
		return inv.Answer(true, with, person)
	}
	if in.fullLocked(p) {
		m.mu.Unlock()
		return fmt.Errorf("%w: the limit of %d peers (MaxPeers) is reached", wire.ErrBusy, m.cfg.MaxPeers)
	}
	in.sendLocked(p, with, answer)
	if person {
		p.asked.persons = append(p.asked.persons, answer)
		p.asked.name, p.asked.decided = p.name, m.profile.Decisions(id)
	}
	m.mu.Unlock()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case err := <-answer: // the answer came at the same moment
		return err
	default:
	}
	if a := p.asked; a != nil {
		a.leave(answer)
		if len(a.answers) == 0 && !a.policy {
			in.withdrawLocked(p)
		}
	}
	return wire.EndOf(ctx)
}

// withdrawLocked withdraws our invitation to p.
func (in *invitations) withdrawLocked(p *peer) {
	m := in.m
	if a := p.asked; a != nil {
		if p.link != nil {
			p.link.Send(wire.InviteCancel{ID: a.id})
		}
		in.settleLocked(p, wire.ErrCancelled)
		m.table.publishLocked(p)
	}
}

// sendLocked sends an invitation, or joins the one in progress. It needs p.link.
func (in *invitations) sendLocked(p *peer, with json.RawMessage, answer chan error) {
	m := in.m
	if p.asked == nil {
		p.asked = &asking{id: wire.NewID()}
		p.happened(invited)
		p.link.large.Store(true) // a large message may follow in the packet after their acceptance
		p.link.Send(wire.Invite{ID: p.asked.id, Context: with})
		m.table.publishLocked(p)
	}
	if answer != nil {
		p.asked.answers = append(p.asked.answers, answer)
	}
}

// settleLocked ends our own invitation.
func (in *invitations) settleLocked(p *peer, err error) {
	if a := p.asked; a != nil {
		p.asked = nil
		if a.expires != nil {
			a.expires()
		}
		p.happened(answered)
		a.finish(err)
		if err != nil {
			in.inviteOthersLocked()
		}
	}
}

func (in *invitations) takeAnswer(p *peer, l *Link, msg wire.InviteAnswer) {
	m := in.m
	m.mu.Lock()
	defer m.mu.Unlock()
	// The peer considers us connected, but we have withdrawn the invitation.
	if p.link == l && msg.Accept && p.asked == nil && p.session == nil {
		l.Send(wire.Leave{Code: wire.Cancelled})
		if inv := p.invitation; inv != nil { // older than that acceptance, so it no longer counts
			p.closeInvitationLocked()
			m.publish(InvitationClosed{inv})
		}
	}
	if p.link != l || p.asked == nil || p.asked.id != msg.ID {
		return // withdrawn, or settled by an invitation that crossed it
	}
	if !msg.Accept {
		err := wire.ErrDeclined
		if msg.Code != wire.Bye {
			err = msg.Code.Err()
		}
		p.declined = errors.Is(err, wire.ErrDeclined)
		if !p.declined && p.asked.policy { // guard: busy-pause
			in.pauseLocked(p)
		}
		in.settleLocked(p, err)
		m.table.publishLocked(p)
		return
	}
	if len(msg.Context) > MaxContext {
		msg.Context = nil
	}
	if inv := p.invitation; inv != nil {
		p.closeInvitationLocked()
		m.publish(InvitationClosed{inv})
	}
	by := p.asked.consent()
	in.settleLocked(p, nil)
	m.sessions.beginLocked(p, msg.Context, by)
}

// dropLocked ends the invitations of a connection that is gone.
func (in *invitations) dropLocked(p *peer, err error) {
	m := in.m
	in.settleLocked(p, err)
	if inv := p.invitation; inv != nil {
		p.closeInvitationLocked()
		m.asks.Unaccepted(p.id)
		m.publish(InvitationClosed{inv})
	}
}
