package pairing

import "multipeer/engine/internal/identity"

// The functions in this file are for the tests of package engine, which reach the pairings only through them.

// SetCodeSpace reduces the number of codes until the returned function is called.
func SetCodeSpace(n uint64) (restore func()) {
	old := codeSpace
	codeSpace = n
	return func() { codeSpace = old }
}

// Code returns the code of a pairing, whichever role this side has.
func (m *Manager) Code(id identity.PeerID) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a := m.attempts[id]; a != nil && a.view.Stage == Compare {
		return a.code
	}
	return ""
}

// Reset discards the attempt to pair with a peer, and resets all counters of attempts and failures.
func (m *Manager) Reset(id identity.PeerID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.attempts, id)
	m.today, m.failures = nil, 0
}
