package transfers

import "time"

// This file is for the tests of package engine, which see the transfers only through it.

// attemptsEndSlowly delays the end of an attempt that brought too much, as a slow disk does.
var attemptsEndSlowly time.Duration

// SetAttemptsEndSlowly sets that delay until the returned function is called.
func SetAttemptsEndSlowly(d time.Duration) (restore func()) {
	old := attemptsEndSlowly
	attemptsEndSlowly = d
	return func() { attemptsEndSlowly = old }
}

// Alter changes this side's view of a transfer, and the names of its offer.
func (m *Manager) Alter(id ID, change func(v *Transfer, names []string)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.transfers[id]
	change(&t.view, t.names)
}
