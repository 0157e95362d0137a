package engine

import (
	"math/rand/v2"
	"time"

	"multipeer/engine/internal/identity"
)

// policyAdmitsLocked reports whether a policy includes id.
func (in *invitations) policyAdmitsLocked(a Audience, id PeerID) bool {
	e := in.e
	if in.kicked[id] {
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

// fullLocked reports whether sessions with others and our invitations to them reach Config.MaxPeers.
func (in *invitations) fullLocked(but *peer) bool {
	e := in.e
	n := 0
	for _, p := range e.peers {
		if p != but && (p.session != nil || p.asked != nil) {
			n++
		}
	}
	return e.cfg.MaxPeers > 0 && n >= e.cfg.MaxPeers
}

// askByPolicyLocked invites p if Config.Invite includes it. With MaxPeers set, an unanswered invitation frees its
// slot after InviteTimeout.
func (in *invitations) askByPolicyLocked(p *peer) {
	e := in.e
	if p.link == nil || p.state != Found || p.declined || !in.policyAdmitsLocked(e.cfg.Invite, p.id) || in.fullLocked(p) {
		return
	}
	in.sendLocked(p, e.context, nil)
	p.asked.policy = true
	if e.cfg.MaxPeers == 0 {
		return
	}
	asked := p.asked
	e.afterFuncLocked(InviteTimeout, func() {
		if p.asked == asked {
			p.declined = true
			in.withdrawLocked(p)
		}
	})
}

// inviteOthersLocked applies Config.Invite again after a slot has become free. It waits a random time of one to two
// seconds: otherwise engines that all want each other could keep colliding.
func (in *invitations) inviteOthersLocked() {
	e := in.e
	if e.cfg.MaxPeers == 0 || e.cfg.Invite == Nobody {
		return
	}
	e.afterFuncLocked(time.Second+rand.N(time.Second), func() {
		for _, p := range e.peers {
			in.askByPolicyLocked(p)
		}
	})
}
