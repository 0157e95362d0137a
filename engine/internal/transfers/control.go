package transfers

import (
	"fmt"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/wire"
	"multipeer/transfer"
)

// Cancel withdraws an offer or ends a transfer, on both sides; received data is removed. Files that are already being
// published under their final names are still delivered. It is idempotent.
func (m *Manager) Cancel(id ID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.transfers[id]
	switch {
	case t == nil:
		return wire.ErrUnknownOffer
	case !t.view.State.Final():
		m.cancelLocked(t)
	case t.view.Incoming: // its sender could continue it
		m.forgetAcceptanceLocked(t)
	}
	return nil
}

func (m *Manager) cancelLocked(t *item) {
	t.cancelled = true
	t.view.ByPeer = false
	m.stopLocked(t, wire.ErrCancelled)
	if t.view.Incoming || t.proposed {
		m.sendDecisionLocked(t)
	}
}

// sendToLocked sends msg to a peer if it is connected.
func (m *Manager) sendToLocked(id identity.PeerID, msg wire.Message) (sent bool) {
	l := m.host.Current(id)
	if l == nil {
		return false
	}
	l.Send(msg)
	return true
}

// sendDecisionLocked sends this side's decision about a transfer to the peer, now or when it is connected again.
func (m *Manager) sendDecisionLocked(t *item) {
	var msg wire.Message = wire.OfferResume{ID: string(t.view.ID)}
	switch {
	case t.cancelled:
		msg = wire.OfferCancel{ID: string(t.view.ID), Code: wire.Cancelled}
	case t.paused:
		msg = wire.OfferPause{ID: string(t.view.ID)}
	}
	t.decided = now()
	if unsent := !m.sendToLocked(t.view.Peer, msg); unsent != t.unsent {
		t.unsent = unsent
		m.saveSoonLocked(t)
	}
}

// Pause pauses a transfer, on both sides and across restarts, until either side calls Resume. Data that has arrived
// is kept. It is idempotent; wire.ErrState means that the transfer has ended or is not accepted.
func (m *Manager) Pause(id ID) error { return m.setPaused(id, true) }

// Resume continues a paused transfer.
func (m *Manager) Resume(id ID) error { return m.setPaused(id, false) }

func (m *Manager) setPaused(id ID, on bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.transfers[id]
	switch {
	case t == nil:
		return wire.ErrUnknownOffer
	case t.view.State.Final(), t.view.Incoming && !t.accepted:
		return wire.Reword("the transfer has ended or was not accepted", wire.ErrState)
	case isGateway(t.link):
		return errNoPause
	}
	m.pauseLocked(t, on, false)
	m.sendDecisionLocked(t)
	return nil
}

// TakePause handles a pause or resumption by the other side.
func (m *Manager) TakePause(from identity.PeerID, id string, on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t := m.ofLocked(from, id); t != nil && !t.view.State.Final() && (t.accepted || !t.view.Incoming) {
		t.unsent = false // the latest decision of either side counts
		m.pauseLocked(t, on, true)
	}
}

// errPaused ends an attempt that will resume later.
var errPaused = fmt.Errorf("%w: paused", transfer.ErrInterrupted)

// pauseLocked stores the choice and which side made it, and ends the attempt in progress.
func (m *Manager) pauseLocked(t *item, on, byPeer bool) {
	if t.paused == on {
		return
	}
	t.paused = on
	t.view.ByPeer = on && byPeer
	t.offered = now() // its sender or its user is present
	if on {
		m.happenedLocked(t, pauses, nil)
		if t.run != nil {
			t.run.stop(errPaused)
		}
	} else {
		t.lastMove = now()
		m.happenedLocked(t, resumes, nil)
	}
	m.saveSoonLocked(t)
	t.notify()
}

func (t *item) notify() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// SetPriority moves an outgoing transfer ahead of or behind others that wait;
func (m *Manager) SetPriority(id ID, priority int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.transfers[id]
	if t == nil || t.view.Incoming {
		return wire.ErrUnknownOffer
	}
	t.view.Priority, t.opts.Priority = priority, priority
	m.saveSoonLocked(t)
	m.publishLocked(t)
	return nil
}
