package engine

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
	// InviteTimeout is how long an invitation waits for its answer if its context has no deadline (as with Apple's
	// framework).
	InviteTimeout = 30 * time.Second
	// MaxContext is the maximum size of the context of an invitation or its answer, in bytes of JSON.
	MaxContext = 16 << 10
)

// encodeContext checks a context when it is set, so that no invitation fails because of it later.
func encodeContext(v any) (json.RawMessage, error) {
	if v == nil {
		return nil, nil
	}
	b, err := encode(v, MaxContext)
	if err != nil {
		return nil, fmt.Errorf("context: %w", err)
	}
	return b, nil
}

// invitations sends and answers invitations.
type invitations struct {
	e      *Engine
	kicked map[PeerID]bool // disconnected by the program; policies must not bring them back
}

// asking is an invitation that we have sent.
type asking struct {
	id      string
	policy  bool         // Config.Invite wants it, even if no caller waits
	answers []chan error // the callers that wait
}

// byPerson reports whether a caller waits for the answer, and not just the policy.
func (a *asking) byPerson() bool { return a != nil && len(a.answers) > 0 }

func (a *asking) finish(err error) {
	for _, c := range a.answers {
		c <- err
	}
}

// Invite asks a peer for a session, with the context of Config or SetContext, and waits for the answer. It returns
// nil when connected, ErrDeclined, ErrTimeout after InviteTimeout, ErrNoPeer, ErrCancelled, or ErrBusy if MaxPeers
// are connected, here or there. It waits for a peer that is found but not connected yet. When ctx ends, the
// invitation is withdrawn. If the peer has invited us meanwhile, that counts as its acceptance
// (MCNearbyServiceBrowser invitePeer).
func (e *Engine) Invite(ctx context.Context, id PeerID) error {
	return e.invitations.invite(ctx, id, e.initial())
}

// InviteWith is Invite with a context for this call: any JSON value of at most MaxContext bytes, or nil for none. If
// an invitation is already in progress, the call joins it, and its context is not sent.
func (e *Engine) InviteWith(ctx context.Context, id PeerID, context any) error {
	encoded, err := encodeContext(context)
	if err != nil {
		return err
	}
	return e.invitations.invite(ctx, id, encoded)
}

func (in *invitations) invite(ctx context.Context, id PeerID, with json.RawMessage) error {
	e := in.e
	ctx, cancel := context.WithTimeoutCause(ctx, InviteTimeout, ErrTimeout)
	defer cancel()
	p, _, err := e.waitLink(ctx, id)
	if err != nil {
		return err
	}
	answer := make(chan error, 1)
	e.mu.Lock()
	delete(in.kicked, id)
	if p.session != nil {
		e.sessions.pinPeerLocked(p) // a policy may have begun it; now a user wants it
		e.mu.Unlock()
		return nil
	}
	if p.link == nil {
		e.mu.Unlock()
		return ErrNotConnected
	}
	if inv := p.invitation; inv != nil {
		e.mu.Unlock()
		return inv.answer(true, with)
	}
	if in.fullLocked(p) {
		e.mu.Unlock()
		return fmt.Errorf("%w: the limit of %d peers (MaxPeers) is reached", ErrBusy, e.cfg.MaxPeers)
	}
	in.sendLocked(p, with, answer)
	e.mu.Unlock()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	select {
	case err := <-answer: // the answer came at the same moment
		return err
	default:
	}
	if a := p.asked; a != nil {
		a.answers = slices.DeleteFunc(a.answers, func(c chan error) bool { return c == answer })
		if len(a.answers) == 0 && !a.policy {
			in.withdrawLocked(p)
		}
	}
	return ended(ctx)
}

// withdrawLocked withdraws our invitation to p.
func (in *invitations) withdrawLocked(p *peer) {
	e := in.e
	if a := p.asked; a != nil {
		if p.link != nil {
			p.link.send(wire.InviteCancel{ID: a.id})
		}
		in.settleLocked(p, ErrCancelled)
		e.table.publishLocked(p)
	}
}

// sendLocked sends an invitation, or joins the one in progress. It needs p.link.
func (in *invitations) sendLocked(p *peer, with json.RawMessage, answer chan error) {
	e := in.e
	if p.asked == nil {
		p.asked = &asking{id: newID()}
		p.state = Connecting
		p.link.large.Store(true) // a large message may follow in the packet after their acceptance
		p.link.send(wire.Invite{ID: p.asked.id, Context: with})
		e.table.publishLocked(p)
	}
	if answer != nil {
		p.asked.answers = append(p.asked.answers, answer)
	}
}

// Invitation is a peer's request for a session. Call Accept or Decline once; the first answer counts. It closes when
// the peer withdraws it or is lost.
type Invitation struct {
	ID      string
	Peer    Peer            // as it was when it asked
	Context json.RawMessage // from its program; untrusted

	e    *Engine
	peer *peer
}

// Accept starts the session; the other program gets the context of Config or SetContext. It returns ErrAnswered if it
// is too late, ErrBusy if MaxPeers are connected.
func (i *Invitation) Accept() error { return i.answer(true, i.e.initial()) }

// AcceptWith is Accept with a context for this call: any JSON value of at most MaxContext bytes, or nil for none.
func (i *Invitation) AcceptWith(context any) error {
	encoded, err := encodeContext(context)
	if err != nil {
		return err
	}
	return i.answer(true, encoded)
}

// Decline rejects the invitation. It returns ErrAnswered if it is too late.
func (i *Invitation) Decline() error { return i.answer(false, nil) }

func (i *Invitation) answer(yes bool, with json.RawMessage) error {
	e := i.e
	e.mu.Lock()
	defer e.mu.Unlock()
	p := i.peer
	if p.invitation != i || p.link == nil {
		return ErrAnswered
	}
	if yes && e.invitations.fullLocked(p) {
		return fmt.Errorf("%w: the limit of %d peers (MaxPeers) is reached", ErrBusy, e.cfg.MaxPeers)
	}
	p.invitation = nil
	e.publish(InvitationClosed{i})
	if !yes {
		e.asks.Declined(p.id)
		p.link.send(wire.InviteAnswer{ID: i.ID, Code: wire.Declined})
		return nil
	}
	delete(e.invitations.kicked, p.id)
	e.asks.Accepted(p.id)
	e.invitations.acceptLocked(p, i.ID, i.Context, with, true)
	return nil
}

// acceptLocked accepts an invitation; person reports that a person accepts, not just a policy.
func (in *invitations) acceptLocked(p *peer, id string, theirs, ours json.RawMessage, person bool) {
	e := in.e
	person = person || p.asked.byPerson()
	if p.asked == nil && p.session == nil {
		p.accepted = id
	}
	p.link.large.Store(true) // a large message may follow our answer at once
	p.link.send(wire.InviteAnswer{ID: id, Accept: true, Context: ours})
	in.settleLocked(p, nil)
	e.sessions.beginLocked(p, theirs, person)
}

// settleLocked ends our own invitation.
func (in *invitations) settleLocked(p *peer, err error) {
	if a := p.asked; a != nil {
		p.asked = nil
		if p.state == Connecting {
			p.state = Found
		}
		a.finish(err)
		if err != nil {
			in.inviteOthersLocked()
		}
	}
}

// admit has Config.Admit decide on an invitation, without holding a lock.
func (in *invitations) admit(p *peer, m wire.Invite) Decision {
	e := in.e
	if e.cfg.Admit == nil {
		return Ask
	}
	e.mu.Lock()
	from, wanted := e.table.viewLocked(p), p.session != nil || p.asked != nil
	e.mu.Unlock()
	if wanted {
		return Ask
	}
	return e.cfg.Admit(from, m.Context)
}

func (in *invitations) takeInvite(p *peer, l *link, m wire.Invite) {
	e := in.e
	if len(m.Context) > MaxContext { // guard: context-size
		l.send(wire.InviteAnswer{ID: m.ID, Code: wire.TooLarge})
		return
	}
	decision := in.admit(p, m)
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case p.link != l:
	case p.invitation != nil: // guard: one-invitation
		l.send(wire.InviteAnswer{ID: m.ID, Code: wire.Busy}) // one invitation at a time
	case p.session == nil && in.fullLocked(p):
		l.send(wire.InviteAnswer{ID: m.ID, Code: wire.Busy})
	case p.session != nil, p.asked != nil, decision == Yes, decision == Ask && in.policyAdmitsLocked(e.cfg.Accept, p.id):
		// Both sides want the session, or the policy admits it.
		in.acceptLocked(p, m.ID, m.Context, e.context, false)
	case decision == No, e.asks.RefusedTooOften(p.id): // guard: invited-often
		l.send(wire.InviteAnswer{ID: m.ID, Code: wire.Declined})
	default:
		if !e.asks.MayPrompt(p.id) { // guard: prompts
			l.send(wire.InviteAnswer{ID: m.ID, Code: wire.Busy})
			return
		}
		inv := &Invitation{ID: m.ID, Peer: e.table.viewLocked(p), Context: m.Context, e: e, peer: p}
		if !e.publish(InvitationReceived{inv}) {
			l.send(wire.InviteAnswer{ID: m.ID, Code: e.unreadCode()})
			return
		}
		p.invitation = inv
	}
}

func (in *invitations) takeAnswer(p *peer, l *link, m wire.InviteAnswer) {
	e := in.e
	e.mu.Lock()
	defer e.mu.Unlock()
	// The peer considers us connected, but we have withdrawn the invitation.
	if p.link == l && m.Accept && p.asked == nil && p.session == nil {
		l.send(wire.Leave{Code: wire.Cancelled})
		if inv := p.invitation; inv != nil { // older than that acceptance, hence void
			p.invitation = nil
			e.publish(InvitationClosed{inv})
		}
	}
	if p.link != l || p.asked == nil || p.asked.id != m.ID {
		return // withdrawn, or settled by an invitation that crossed it
	}
	if !m.Accept {
		err := ErrDeclined
		if m.Code != wire.Bye {
			err = m.Code.Err()
		}
		p.declined = errors.Is(err, ErrDeclined)
		in.settleLocked(p, err)
		e.table.publishLocked(p)
		return
	}
	if len(m.Context) > MaxContext {
		m.Context = nil
	}
	if inv := p.invitation; inv != nil {
		p.invitation = nil
		e.publish(InvitationClosed{inv})
	}
	person := p.asked.byPerson()
	in.settleLocked(p, nil)
	e.sessions.beginLocked(p, m.Context, person)
}

func (in *invitations) takeCancel(p *peer, m wire.InviteCancel) {
	e := in.e
	e.mu.Lock()
	defer e.mu.Unlock()
	if inv := p.invitation; inv != nil && inv.ID == m.ID {
		p.invitation = nil
		e.publish(InvitationClosed{inv})
	}
	if p.session != nil && p.accepted == m.ID { // the withdrawal crossed our acceptance
		delete(e.sessions.resume, p.id)
		e.sessions.endLocked(p, ErrCancelled)
	}
}

// dropLocked ends the invitations of a connection that is gone.
func (in *invitations) dropLocked(p *peer, err error) {
	e := in.e
	in.settleLocked(p, err)
	if inv := p.invitation; inv != nil {
		p.invitation = nil
		e.publish(InvitationClosed{inv})
	}
}
