package engine

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"multipeer/engine/internal/identity"
)

// AutoAccept says what is taken from a verified peer without asking. The zero value asks for everything.
type AutoAccept struct {
	Bytes int64     // in 24 hours; 0 takes nothing
	Dir   string    // the folder that receives, absolute
	Until time.Time // zero is for good
}

// countLimit is how long an offer whose size is still counted waits for it before a person is asked.
const countLimit = 10 * time.Second

// SetAutoAccept keeps what is taken from a peer without asking, durable when it returns; only call it for a user's act.
// The peer must be verified, and what SetTrust makes of it later takes it back. The zero AutoAccept asks again. The
// error is ErrInvalid with the reason.
func (e *Engine) SetAutoAccept(id PeerID, a AutoAccept) error {
	bad := func(why string) error { return fmt.Errorf("auto-accept: %w: %s", ErrInvalid, why) }
	switch {
	case a != (AutoAccept{}) && e.profile.Peer(id).Trust != identity.Verified: // guard: auto-verified
		return bad("only from a verified peer; compare codes first")
	case a.Bytes < 0:
		return bad("a negative size")
	case a.Bytes > 0 && !filepath.IsAbs(a.Dir):
		return bad("name a folder that receives, by its whole path")
	}
	err := e.profile.Update(id, func(r *identity.Record) {
		r.Auto = identity.Auto{Bytes: a.Bytes, Dir: a.Dir, Until: a.Until, Day: r.Auto.Day, Used: r.Auto.Used}
		if a.Bytes == 0 {
			r.Auto = identity.Auto{}
		}
	})
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if p := e.peers[id]; p != nil {
		e.changed(p)
	}
	return nil
}

// autoFits tells whether the user lets an offer in without being asked. Call with Engine.mu held.
func (e *Engine) autoFits(t *transferState) (identity.Auto, bool) {
	return fitting(e.profile.Peer(t.view.Peer), t.view.Bytes)
}

// fitting tells whether so many bytes of a peer are taken without asking, and what of its day is used.
func fitting(r identity.Record, bytes int64) (identity.Auto, bool) {
	a := r.Auto
	if r.Trust != identity.Verified || a.Bytes <= 0 || !a.Until.IsZero() && now().After(a.Until) { // guard: auto-until
		return a, false
	}
	if now().Sub(a.Day) >= 24*time.Hour {
		a.Day, a.Used = now().UTC().Truncate(time.Second), 0
	}
	return a, bytes <= a.Bytes-a.Used
}

// takenByPolicy accepts an offer without asking, if the user has said so; one whose size is not known yet is held until
// it is. Call with Engine.mu held.
func (e *Engine) takenByPolicy(t *transferState) bool {
	a, fits := e.autoFits(t)
	if !fits {
		return false
	}
	if t.view.Counting {
		t.held = true
		e.later(countLimit, func() {
			if t.held {
				e.askAfterAll(t)
			}
		})
		return true
	}
	offer, bytes := t.offer, t.view.Bytes
	return e.start(func(context.Context) {
		fits := false
		err := e.profile.Update(offer.Transfer.Peer, func(r *identity.Record) { // others may have used it up meanwhile
			if a, fits = fitting(*r, bytes); fits {
				a.Used += bytes
				r.Auto = a
			}
		})
		if err == nil && !fits {
			err = ErrDeclined
		}
		if err == nil {
			err = offer.Accept(AcceptOptions{Dir: a.Dir})
		}
		if err != nil {
			e.log.Warn("accepting without asking", "peer", t.view.Peer.Short(), "err", err)
			e.mu.Lock()
			defer e.mu.Unlock()
			e.askAfterAll(t)
		}
	})
}

// release decides about an offer that was held, since its size is known now. Call with Engine.mu held.
func (e *Engine) release(t *transferState) {
	t.held = false
	if t.offer == nil || t.view.State != Offered {
		return
	}
	t.offer.Transfer = t.view
	if !e.takenByPolicy(t) {
		e.askAfterAll(t)
	}
}

// askAfterAll leaves an offer to a person after all. Call with Engine.mu held.
func (e *Engine) askAfterAll(t *transferState) {
	t.held = false
	if t.offer != nil && t.view.State == Offered {
		t.offer.Transfer = t.view
		e.publish(OfferReceived{t.offer})
	}
}

// Bounds on how often a peer that is not verified may ask for what was declined.
const (
	maxDeclined  = 3
	declinePause = 10 * time.Minute
)

// offended counts what was declined of a peer.
type offended struct {
	n     int
	since time.Time
}

// offend counts a no. Call with Engine.mu held.
func (e *Engine) offend(id PeerID) {
	p := e.peers[id]
	if p == nil || e.profile.Peer(id).Trust == identity.Verified {
		return
	}
	p.offended = offended{p.offended.n + 1, now()}
}

// tooOften tells a peer that was declined several times lately: it is declined without asking for a while. A yes
// forgets. Call with Engine.mu held.
func (e *Engine) tooOften(p *peer) bool {
	if now().Sub(p.offended.since) >= declinePause {
		p.offended = offended{}
	}
	return p.offended.n >= maxDeclined
}
