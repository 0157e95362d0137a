package peers

import (
	"math/rand/v2"
	"time"
)

// askByPolicyLocked invites p if Config.Invite includes it. With MaxPeers set, an unanswered invitation frees its
// slot after InviteTimeout.
func (in *invitations) askByPolicyLocked(p *peer) {
	m := in.m
	if p.link == nil || p.state != Found || p.declined || now().Before(p.busyUntil) || !in.policyAdmitsLocked(m.cfg.Invite, p.id) || in.fullLocked(p) {
		return
	}
	in.sendLocked(p, m.context, nil)
	p.asked.policy = true
	if m.cfg.MaxPeers == 0 {
		return
	}
	asked := p.asked
	asked.expires = m.afterFuncLocked(InviteTimeout, func() {
		if p.asked == asked {
			p.declined = true
			in.withdrawLocked(p)
		}
	})
}

// inviteAgainLocked applies Config.Invite again to a peer whose session either side has left, after a delay of one to
// two seconds. While both sides are looking for peers, they reconnect, as after disconnect in the Pythonista module.
func (in *invitations) inviteAgainLocked(p *peer) {
	if p.invitesAgain {
		return
	}
	p.invitesAgain = true
	in.m.afterFuncLocked(time.Second+rand.N(time.Second), func() {
		p.invitesAgain = false
		in.askByPolicyLocked(p)
	})
}

// inviteOthersLocked applies Config.Invite again after a slot has become free. It waits a random time of one to two
// seconds: otherwise engines that all invite each other could keep colliding.
func (in *invitations) inviteOthersLocked() {
	m := in.m
	if m.cfg.MaxPeers == 0 || m.cfg.Invite == Nobody || in.othersDue {
		return
	}
	in.othersDue = true
	m.afterFuncLocked(time.Second+rand.N(time.Second), func() {
		in.othersDue = false
		for _, p := range m.peers {
			if in.fullLocked(nil) {
				return
			}
			in.askByPolicyLocked(p)
		}
	})
}

// Pauses of Config.Invite after a peer had no room: the first, and the longest one.
const (
	busyPauseFirst = 2 * time.Second
	busyPauseMost  = 2 * time.Minute
)

// pauseLocked keeps Config.Invite from inviting p for a while, longer each time: it had no room for a session, or its
// program did not answer.
func (in *invitations) pauseLocked(p *peer) {
	p.busyPause = min(max(busyPauseFirst, 2*p.busyPause), busyPauseMost)
	pause := p.busyPause + rand.N(p.busyPause/2)
	p.busyUntil = now().Add(pause)
	if in.m.cfg.MaxPeers == 0 {
		return
	}
	in.m.afterFuncLocked(pause, func() { in.askByPolicyLocked(p) })
}
