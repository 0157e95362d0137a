package transfers

import (
	"fmt"

	"multipeer/engine/internal/identity"
)

// LinkUp sends a reconnected peer the decisions that were made while it was offline.
func (m *Manager) LinkUp(id identity.PeerID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range m.transfers {
		if t.view.Peer == id && t.unsent {
			m.sendDecisionLocked(t)
		}
	}
}

// Drop ends the transfers with a peer that refuses this engine.
func (m *Manager) Drop(id identity.PeerID, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range m.transfers {
		if t.view.Peer == id && !t.view.State.Final() {
			m.stopLocked(t, fmt.Errorf("the connection ended: %w", err))
		}
	}
}

// LinkDown ends the offers that wait for an answer here on a connection that is gone: the other side repeats
// them if it wants to. Accepted transfers continue.
func (m *Manager) LinkDown(l Link, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range m.transfers {
		if t.link == l && t.view.Incoming && t.view.State == Offered {
			m.stopLocked(t, err)
		}
	}
}

// Busy reports whether a transfer with a peer is running or waiting for the peer. Hiding this device should not
// interrupt such a transfer, and the peer already knows this device.
func (m *Manager) Busy(id identity.PeerID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range m.transfers {
		if t.view.Peer == id && !t.view.State.Final() && t.view.State != Offered {
			return true
		}
	}
	return false
}

// Moves reports whether an attempt of a transfer with a peer is running.
func (m *Manager) Moves(id identity.PeerID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range m.transfers {
		if t.run != nil && t.view.Peer == id {
			return true
		}
	}
	return false
}
