package engine

import (
	"context"
	"fmt"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/wire"
)

// SetVisible changes who may see this engine, for a while or, with d 0, until the next call; then it is what it was
// before. Strangers that are connected without a session are left when it no longer includes them. Errors are
// ErrInvalid, and ErrClosed for a while that begins before Run.
func (e *Engine) SetVisible(v Visibility, d time.Duration) error {
	if v < VisibleToAll || v > VisibleToNobody || d < 0 {
		return fmt.Errorf("%v for %v: %w", v, d, ErrInvalid)
	}
	if d > 0 && !e.Self().Running {
		return fmt.Errorf("visibility for a while: %w", ErrClosed)
	}
	e.update(func(s *Self) {
		e.timed++
		before := s.Visible
		if !s.VisibleTo.IsZero() { // what was for a while is not what it falls back to
			before = e.lasting
		}
		s.Visible, s.VisibleTo, e.lasting = v, time.Time{}, before
		if d > 0 {
			timed := e.timed
			s.VisibleTo = now().Add(d)
			e.later(d, func() {
				if e.timed == timed {
					e.start(func(context.Context) { _ = e.SetVisible(before, 0) })
				}
			})
		}
	})
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range e.peers {
		p.wanted = p.wanted && p.asked != nil // what it was asked for is over
	}
	e.leaveStrangers()
	for _, p := range e.peers { // more may be dialled now
		p.retry = true
		p.poke()
	}
	return nil
}

// answers tells whether a conn that id has dialled is taken: from strangers only while they may see us, while the user
// has opened the window for pairing, or where there is a conn or a transfer already.
func (e *Engine) answers(id PeerID) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.peers[id]
	return e.self.Visible == VisibleToAll || e.pairingOpen() || p != nil && p.link != nil || e.busyWith(id)
}

// busyWith tells whether a transfer with a peer is under way or waits for it: who hides does not want to break that off,
// and the other side knows us already. Call with Engine.mu held.
func (e *Engine) busyWith(id PeerID) bool {
	for _, t := range e.transfers {
		if t.view.Peer == id && !t.view.State.Final() && t.view.State != Offered {
			return true
		}
	}
	return false
}

// leaveStrangers closes the conns to strangers that serve nothing and that the program has not asked for. Call
// with Engine.mu held.
func (e *Engine) leaveStrangers() {
	if e.self.Visible == VisibleToAll || e.pairingOpen() {
		return
	}
	for _, p := range e.peers {
		if p.link == nil {
			if p.dialling != nil && p.session == nil && !e.mayShow(p) {
				p.dialling()
			}
			e.tidy(p)
		} else if !p.wanted && p.pairing == nil && p.session == nil && !e.busyWith(p.id) && e.profile.Peer(p.id).Trust == identity.Unknown {
			p.link.conn.Close(wire.Bye)
		}
	}
}
