package engine

import (
	"context"
	"fmt"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/wire"
)

// SetVisible changes who can see this engine, for the duration d or, if d is 0, until the next call; after d, the previous value is restored. Strangers that are connected without a session are disconnected if the new value no longer
// includes them. Errors are ErrInvalid, and ErrClosed for a duration that begins before Run.
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
		if !s.VisibleTo.IsZero() { // a temporary value is not the one to return to
			before = e.lasting
		}
		s.Visible, s.VisibleTo, e.lasting = v, time.Time{}, before
		if d > 0 {
			timed := e.timed
			s.VisibleTo = now().Add(d)
			e.afterFuncLocked(d, func() {
				if e.timed == timed {
					e.tasks.Start(func(context.Context) { _ = e.SetVisible(before, 0) })
				}
			})
		}
	})
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range e.peers {
		p.wanted = p.wanted && p.asked != nil // the reason for which it was wanted is over
	}
	e.table.leaveStrangersLocked()
	for _, p := range e.peers { // more peers may be dialled now
		p.retry = true
		p.wakeDialLoop()
	}
	return nil
}

// answers reports whether a connection that id has dialled is accepted. Strangers are accepted only while they may
// see us, while the pairing window is open, or if they already have a connection or a transfer.
func (a *acceptor) answers(id PeerID) bool {
	e := a.e
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.peers[id]
	return e.self.Visible == VisibleToAll || e.pairings.IsOpen() || p != nil && p.link != nil || e.transfers.Busy(id)
}

// leaveStrangersLocked closes connections to strangers that are not in use and that the program has not asked for.
func (pt *peerTable) leaveStrangersLocked() {
	e := pt.e
	if e.self.Visible == VisibleToAll || e.pairings.IsOpen() {
		return
	}
	for _, p := range e.peers {
		if p.link == nil {
			if p.dialling != nil && p.session == nil && !e.dialer.mayShowLocked(p) {
				p.dialling()
			}
			pt.removeUnusedLocked(p)
		} else if !p.wanted && !e.pairings.Has(p.id) && p.session == nil && !e.transfers.Busy(p.id) && e.profile.Peer(p.id).Trust == identity.Unknown {
			p.link.conn.Close(wire.Bye)
		}
	}
}
