package engine

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"multipeer/engine/internal/wire"
)

const (
	// InviteTimeout is how long an invitation waits for its answer if its context has no deadline (as Apple's).
	InviteTimeout = 30 * time.Second
	// MaxContext is the largest context of an invitation or its answer, in bytes of JSON.
	MaxContext = 16 << 10
)

func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// encodeContext checks a context where it is given, so that no invitation fails on it later.
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

// asking is an invitation of ours.
type asking struct {
	id      string
	policy  bool         // Config.Invite wants it, whoever else waits
	answers []chan error // of those who wait
}

func (a *asking) finish(err error) {
	for _, c := range a.answers {
		c <- err
	}
}

// Invite asks a peer for a session, with the context of Config or SetContext, and waits for the answer: nil when connected, ErrDeclined,
// ErrTimeout after InviteTimeout, ErrNoPeer, ErrCancelled, ErrBusy with MaxPeers connected, here or there. A peer that
// is found but not reached yet is waited for. When ctx ends the invitation is withdrawn. If the peer has invited us
// meanwhile, that is taken as its yes (MCNearbyServiceBrowser invitePeer).
func (e *Engine) Invite(ctx context.Context, id PeerID) error {
	return e.invite(ctx, id, e.initial())
}

// InviteWith is Invite with a context of its own: any JSON value of at most MaxContext bytes, or nil for none. If an
// invitation is under way already it joins that, and this context does not go out.
func (e *Engine) InviteWith(ctx context.Context, id PeerID, context any) error {
	encoded, err := encodeContext(context)
	if err != nil {
		return err
	}
	return e.invite(ctx, id, encoded)
}

func (e *Engine) invite(ctx context.Context, id PeerID, with json.RawMessage) error {
	ctx, cancel := context.WithTimeoutCause(ctx, InviteTimeout, ErrTimeout)
	defer cancel()
	p, _, err := e.waitLink(ctx, id)
	if err != nil {
		return err
	}
	answer := make(chan error, 1)
	e.mu.Lock()
	delete(e.kicked, id)
	if p.session != nil {
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
	if e.full(p) {
		e.mu.Unlock()
		return fmt.Errorf("%w: MaxPeers (%d) are connected", ErrBusy, e.cfg.MaxPeers)
	}
	e.ask(p, with, answer)
	e.mu.Unlock()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	select {
	case err := <-answer: // it came in the same moment
		return err
	default:
	}
	if a := p.asked; a != nil {
		a.answers = slices.DeleteFunc(a.answers, func(c chan error) bool { return c == answer })
		if len(a.answers) == 0 && !a.policy {
			e.withdraw(p)
		}
	}
	return ended(ctx)
}

// withdraw ends our invitation to p. Call with Engine.mu held.
func (e *Engine) withdraw(p *peer) {
	if a := p.asked; a != nil {
		if p.link != nil {
			p.link.send(wire.InviteCancel{ID: a.id})
		}
		e.settleAsking(p, ErrCancelled)
		e.changed(p)
	}
}

// ask sends an invitation, or joins the one under way. Call with Engine.mu held and p.link set.
func (e *Engine) ask(p *peer, with json.RawMessage, answer chan error) {
	if p.asked == nil {
		p.asked = &asking{id: newID()}
		p.state, p.link.joined = Connecting, true // their yes and a large message may be one packet apart
		p.link.send(wire.Invite{ID: p.asked.id, Context: with})
		e.changed(p)
	}
	if answer != nil {
		p.asked.answers = append(p.asked.answers, answer)
	}
}

// Invitation is a peer's request for a session. Accept or Decline it once; the first answer counts. It closes when
// the peer withdraws it or is lost.
type Invitation struct {
	ID      string
	Peer    Peer            // as it was when it asked
	Context json.RawMessage // of its program; untrusted

	e    *Engine
	peer *peer
}

// Accept starts the session; the other program gets the context of Config or SetContext. ErrAnswered if it is too late, ErrBusy with
// MaxPeers connected.
func (i *Invitation) Accept() error { return i.answer(true, i.e.initial()) }

// AcceptWith is Accept with a context of its own: any JSON value of at most MaxContext bytes, or nil for none.
func (i *Invitation) AcceptWith(context any) error {
	encoded, err := encodeContext(context)
	if err != nil {
		return err
	}
	return i.answer(true, encoded)
}

// Decline tells the peer no. ErrAnswered if it is too late.
func (i *Invitation) Decline() error { return i.answer(false, nil) }

func (i *Invitation) answer(yes bool, with json.RawMessage) error {
	e := i.e
	e.mu.Lock()
	defer e.mu.Unlock()
	p := i.peer
	if p.invitation != i || p.link == nil {
		return ErrAnswered
	}
	if yes && e.full(p) {
		return fmt.Errorf("%w: MaxPeers (%d) are connected", ErrBusy, e.cfg.MaxPeers)
	}
	p.invitation = nil
	e.publish(InvitationClosed{i})
	if !yes {
		e.offend(p.id)
		p.link.send(wire.InviteAnswer{ID: i.ID, Code: wire.Declined})
		return nil
	}
	delete(e.kicked, p.id)
	e.forgive(p.id)
	e.acceptInvite(p, i.ID, i.Context, with)
	return nil
}

// acceptInvite answers yes. Call with Engine.mu held.
func (e *Engine) acceptInvite(p *peer, id string, theirs, ours json.RawMessage) {
	if p.asked == nil && p.session == nil {
		p.accepted = id
	}
	p.link.send(wire.InviteAnswer{ID: id, Accept: true, Context: ours})
	e.settleAsking(p, nil)
	e.connect(p, theirs)
}

// settleAsking ends our own invitation. Call with Engine.mu held.
func (e *Engine) settleAsking(p *peer, err error) {
	if a := p.asked; a != nil {
		p.asked = nil
		if p.state == Connecting {
			p.state = Found
		}
		a.finish(err)
		if err != nil {
			e.askOthers()
		}
	}
}

// admit has Config.Admit decide about an invitation, without a lock.
func (e *Engine) admit(p *peer, m wire.Invite) Decision {
	if e.cfg.Admit == nil {
		return Ask
	}
	e.mu.Lock()
	from, wanted := e.view(p), p.session != nil || p.asked != nil
	e.mu.Unlock()
	if wanted {
		return Ask
	}
	return e.cfg.Admit(from, m.Context)
}

func (e *Engine) takeInvite(p *peer, l *link, m wire.Invite) {
	if len(m.Context) > MaxContext { // guard: context-size
		l.send(wire.InviteAnswer{ID: m.ID, Code: wire.TooLarge})
		return
	}
	decision := e.admit(p, m)
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case p.link != l:
	case p.invitation != nil: // guard: one-invitation
		l.send(wire.InviteAnswer{ID: m.ID, Code: wire.Busy}) // one at a time
	case p.session == nil && e.full(p):
		l.send(wire.InviteAnswer{ID: m.ID, Code: wire.Busy})
	case p.session != nil, p.asked != nil, decision == Yes, decision == Ask && e.admits(e.cfg.Accept, p.id):
		// Both want it, or the policy does.
		e.acceptInvite(p, m.ID, m.Context, e.context)
	case decision == No, e.tooOften(p): // guard: invited-often
		l.send(wire.InviteAnswer{ID: m.ID, Code: wire.Declined})
	default:
		if !e.mayPrompt(p) { // guard: prompts
			l.send(wire.InviteAnswer{ID: m.ID, Code: wire.Busy})
			return
		}
		inv := &Invitation{ID: m.ID, Peer: e.view(p), Context: m.Context, e: e, peer: p}
		if !e.publish(InvitationReceived{inv}) {
			l.send(wire.InviteAnswer{ID: m.ID, Code: e.untaken()})
			return
		}
		p.invitation = inv
	}
}

func (e *Engine) takeInviteAnswer(p *peer, l *link, m wire.InviteAnswer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p.link == l && m.Accept && p.asked == nil && p.session == nil { // it counts us as connected, and we have withdrawn
		l.send(wire.Leave{Code: wire.Cancelled})
		if inv := p.invitation; inv != nil { // older than that yes, hence void
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
		e.settleAsking(p, err)
		e.changed(p)
		return
	}
	if len(m.Context) > MaxContext {
		m.Context = nil
	}
	if inv := p.invitation; inv != nil {
		p.invitation = nil
		e.publish(InvitationClosed{inv})
	}
	e.settleAsking(p, nil)
	e.connect(p, m.Context)
}

func (e *Engine) takeInviteCancel(p *peer, m wire.InviteCancel) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if inv := p.invitation; inv != nil && inv.ID == m.ID {
		p.invitation = nil
		e.publish(InvitationClosed{inv})
	}
	if p.session != nil && p.accepted == m.ID { // it crossed our yes
		delete(e.resume, p.id)
		e.disconnect(p, ErrCancelled)
	}
}

// dropInvitations ends what was asked on a conn that is gone. Call with Engine.mu held.
func (e *Engine) dropInvitations(p *peer, err error) {
	e.settleAsking(p, err)
	if inv := p.invitation; inv != nil {
		p.invitation = nil
		e.publish(InvitationClosed{inv})
	}
}
