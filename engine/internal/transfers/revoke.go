package transfers

import (
	"encoding/json"
	"errors"
	"strings"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/wire"
)

// Forget ends the transfers with a peer that the user has forgotten. A delivery would make it known again.
func (m *Manager) Forget(id identity.PeerID) {
	dropStored(m, id, func(job) bool { return true })
	m.mu.Lock()
	defer m.mu.Unlock()
	m.revokeLocked(id, wire.ErrCancelled, func(*item) bool { return true })
	for _, t := range m.transfers {
		if t.view.Peer == id && !t.view.Incoming && !t.view.State.Final() {
			m.cancelLocked(t)
		}
	}
}

// Block ends the transfers with a peer that the user has blocked.
func (m *Manager) Block(id identity.PeerID) {
	dropStored(m, id, func(job) bool { return true })
	m.mu.Lock()
	m.revokeLocked(id, wire.ErrBlocked, func(*item) bool { return true })
	m.mu.Unlock()
	m.Drop(id, wire.ErrBlocked)
}

// RevokePolicy ends the transfers with a peer that were accepted without asking.
func (m *Manager) RevokePolicy(id identity.PeerID) {
	dropStored(m, id, func(j job) bool { return j.Incoming && j.ByPolicy })
	m.mu.Lock()
	defer m.mu.Unlock()
	m.revokeLocked(id, wire.ErrCancelled, func(t *item) bool { return t.byPolicy })
}

// dropStored forgets the stored transfers of other services with a peer: engines of these services, which may run later
// with the same profile, must not resume what the user has revoked. The next transfer into the same folder removes what
// has arrived.
func dropStored(m *Manager, id identity.PeerID, which func(job) bool) {
	for key, raw := range m.profile.Jobs() {
		var j job
		service, _, _ := strings.Cut(key, "/")
		if service == m.service || json.Unmarshal(raw, &j) != nil || j.Peer != id || !which(j) {
			continue
		}
		if err := m.profile.KeepJob(key, nil); err != nil {
			m.log.Error("forgetting a transfer of another service", "key", key, "err", err)
		}
	}
}

// revokeLocked ends the incoming transfers of a peer that were accepted with a level of trust that it no longer has.
// They no longer count as accepted, and neither do those that have failed: if the peer offers them again, the user is
// asked.
func (m *Manager) revokeLocked(id identity.PeerID, why error, which func(*item) bool) {
	for _, t := range m.transfers {
		if t.view.Peer != id || !t.view.Incoming || !which(t) {
			continue
		}
		if !t.accepted {
			t.byPolicy = false // it may be about to be accepted
			continue
		}
		switch {
		case t.view.State.Final():
			m.forgetAcceptanceLocked(t)
		case errors.Is(why, wire.ErrCancelled):
			m.cancelLocked(t)
		default:
			t.revoked = true
			m.stopLocked(t, why)
		}
	}
}

// forgetAcceptanceLocked withdraws the acceptance of a failed transfer, and removes what has arrived. If the transfer
// is offered again, the user is asked again.
func (m *Manager) forgetAcceptanceLocked(t *item) {
	if t.view.State != Failed || !t.accepted {
		return
	}
	t.accepted = false
	m.saveSoonLocked(t)
	m.discardLocked(t)
}
