package pairing

import (
	"fmt"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/wire"
)

// openLocked opens the pairing window, or extends it.
func (m *Manager) openLocked() time.Time {
	if !m.tasks.Running() { // no timer would close the window
		return time.Time{}
	}
	if !m.isOpenLocked() || m.secret == nil { // the window is new, or the link was used
		m.secret = random(identity.SecretSize)
	}
	m.until = now().Add(Window)
	m.failures = 0
	m.sources = nil
	m.opened++
	opened := m.opened
	m.afterFuncLocked(Window, func() {
		if m.opened == opened {
			m.closeLocked(wire.ErrTimeout)
		}
	})
	m.changed = true
	return m.until
}

// closeLocked closes the pairing window and ends the pairings that have no code yet, except one by a link that was
// opened here.
func (m *Manager) closeLocked(why error) {
	if m.until.IsZero() {
		return
	}
	m.until, m.secret = time.Time{}, nil
	m.opened++
	for _, a := range m.attempts {
		if !a.counts && a.answer == nil {
			m.failLocked(a, why, wire.Unavailable)
		}
	}
	m.changed = true
}

// isOpenLocked reports whether the pairing window is open.
func (m *Manager) isOpenLocked() bool { return now().Before(m.until) }

// countFailureLocked counts a failure, and closes the pairing window after too many.
func (m *Manager) countFailureLocked() {
	m.failures++
	if m.failures >= MaxFailures { // guard: pairing-failures
		m.closeLocked(fmt.Errorf("%w: %d pairings have failed", wire.ErrCancelled, MaxFailures))
	}
}
