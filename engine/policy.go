package engine

import (
	"context"
	"math/rand/v2"
	"time"

	"multipeer/engine/internal/identity"
)

// admits tells whether a policy includes id. Call with Engine.mu held.
func (e *Engine) admits(a Audience, id PeerID) bool {
	if e.kicked[id] {
		return false
	}
	switch e.profile.Peer(id).Trust {
	case identity.Blocked:
		return false
	case identity.Verified:
		return a >= Verified
	case identity.Seen:
		return a >= Known
	}
	return a >= Everyone
}

// full tells that there are as many other sessions and invitations of ours as Config.MaxPeers allows. Call with
// Engine.mu held.
func (e *Engine) full(but *peer) bool {
	n := 0
	for _, p := range e.peers {
		if p != but && (p.session != nil || p.asked != nil) {
			n++
		}
	}
	return e.cfg.MaxPeers > 0 && n >= e.cfg.MaxPeers
}

// askByPolicy invites p if Config.Invite says so. Where places are few an invitation does not hold one for ever. Call
// with Engine.mu held.
func (e *Engine) askByPolicy(p *peer) {
	if p.link == nil || p.state != Found || p.declined || !e.admits(e.cfg.Invite, p.id) || e.full(p) {
		return
	}
	e.ask(p, e.context, nil)
	p.asked.policy = true
	if e.cfg.MaxPeers == 0 {
		return
	}
	asked := p.asked
	e.later(InviteTimeout, func() {
		if p.asked == asked {
			p.declined = true
			e.withdraw(p)
		}
	})
}

// askOthers applies Config.Invite again when a place has become free, a moment later: engines that all want each other
// would go round in circles otherwise. Call with Engine.mu held.
func (e *Engine) askOthers() {
	if e.cfg.MaxPeers == 0 || e.cfg.Invite == Nobody {
		return
	}
	e.later(time.Second+rand.N(time.Second), func() {
		for _, p := range e.peers {
			e.askByPolicy(p)
		}
	})
}

// later runs f with Engine.mu held, unless the engine ends before. Call with Engine.mu held.
func (e *Engine) later(d time.Duration, f func()) {
	e.start(func(ctx context.Context) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			e.mu.Lock()
			defer e.mu.Unlock()
			f()
		case <-ctx.Done():
		}
	})
}
