package transfers

import "time"

// The functions in this file are for the tests of package engine, which reach the transfers only through them.

// attemptsEndSlowly delays the end of an attempt that brought too much, as a slow disk would.
var attemptsEndSlowly time.Duration

// SetAttemptsEndSlowly sets attemptsEndSlowly until the returned function is called.
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
