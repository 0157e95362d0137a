// Package pairing lets two people verify each other's devices: by comparing codes on both screens, or by a link that
// one device shows and the other opens. It knows peers by their IDs, and connections by the interface Link. All methods
// of Manager may be called concurrently.
package pairing

import (
	"cmp"
	"context"
	"crypto/rand"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/tasks"
	"multipeer/engine/internal/wire"

	"golang.org/x/time/rate"
)

// Limits on pairing. Failures are counted over all peers and addresses, because an attacker can use any number of
// either. Package engine documents those that are exported.
const (
	Window      = 2 * time.Minute
	Timeout     = time.Minute
	MaxFailures = 3
	// LinkTimeout is how long the answer to a link may take.
	LinkTimeout = 30 * time.Second
	// maxPairingsADay limits the attempts with one key that reach the stage of a code.
	maxPairingsADay = 10
	// mismatchPause is how long a peer cannot pair after its code did not match.
	mismatchPause = 10 * time.Minute
)

// Manager holds the pairings of one engine.
type Manager struct {
	host    Host
	profile *identity.Profile
	tasks   *tasks.Group
	self    identity.PeerID
	log     *slog.Logger

	// mu guards what follows and the fields of every attempt. While it is held, only leaf locks may be taken: those of
	// the task group and of the profile, and those that the interface Host allows.
	mu       sync.Mutex
	attempts map[identity.PeerID]*attempt
	until    time.Time // when the pairing window closes; zero if it is closed
	failures int
	secret   []byte // the secret of the link; nil once it was used
	opened   int    // counts openings and closings of the window
	changed  bool   // the window was opened or closed, and the host has not been notified yet
	today    map[identity.PeerID]*tries
	sources  map[netip.Addr]*rate.Limiter // limits how often each source asks while the window is open
}

// New returns a manager whose pairing window is closed.
func New(host Host, profile *identity.Profile, group *tasks.Group, log *slog.Logger) *Manager {
	return &Manager{host: host, profile: profile, tasks: group, self: profile.ID, log: log, attempts: map[identity.PeerID]*attempt{}}
}

// unlock releases the lock, and then reports a change of the window.
func (m *Manager) unlock() {
	changed := m.changed
	m.changed = false
	m.mu.Unlock()
	if changed {
		m.host.WindowChanged()
	}
}

// Open opens the pairing window, in which other devices may ask for pairing, and returns when it closes; the zero time
// if the engine is not running.
func (m *Manager) Open() time.Time {
	m.mu.Lock()
	defer m.unlock()
	return m.openLocked()
}

// Close closes the pairing window and ends the pairings that have no code yet, except one by a link that was opened
// here.
func (m *Manager) Close() {
	m.mu.Lock()
	defer m.unlock()
	m.closeLocked(wire.ErrCancelled)
}

// Until returns when the pairing window closes; the zero time if it is closed.
func (m *Manager) Until() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.until
}

// IsOpen reports whether the pairing window is open.
func (m *Manager) IsOpen() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.isOpenLocked()
}

// Has reports whether a pairing with a peer is in progress.
func (m *Manager) Has(id identity.PeerID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.attempts[id] != nil
}

// Pair handles our user's choice to pair with p, over its current connection.
func (m *Manager) Pair(p Peer) error {
	m.mu.Lock()
	defer m.unlock()
	if p.Link = m.host.Current(p.ID); p.Link == nil {
		return wire.ErrNotConnected
	}
	return m.pairLocked(p)
}

// Confirm handles our user's confirmation; code is what the user has chosen or read, without spaces.
func (m *Manager) Confirm(id identity.PeerID, code string) error {
	m.mu.Lock()
	defer m.unlock()
	a := m.attempts[id]
	if a == nil || a.view.Stage != Compare {
		return wire.ErrAnswered
	}
	if code != a.code && (a.role == identity.Responder || code != "") {
		m.failLocked(a, wire.ErrMismatch, wire.Mismatch)
		return wire.ErrMismatch
	}
	m.confirmLocked(a)
	return nil
}

// Reject reports that the codes do not match.
func (m *Manager) Reject(id identity.PeerID) error {
	m.mu.Lock()
	defer m.unlock()
	a := m.attempts[id]
	if a == nil || a.view.Stage != Compare && a.view.Stage != Confirmed {
		return wire.ErrAnswered
	}
	m.failLocked(a, wire.ErrMismatch, wire.Mismatch)
	return nil
}

// Cancel ends a pairing with a peer, or declines one.
func (m *Manager) Cancel(id identity.PeerID) {
	m.mu.Lock()
	defer m.unlock()
	if a := m.attempts[id]; a != nil {
		m.failLocked(a, wire.ErrCancelled, wire.Cancelled)
	}
}

// LinkDown ends the pairing with a peer whose connection is gone. The caller may hold locks that WindowChanged takes.
func (m *Manager) LinkDown(id identity.PeerID, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a := m.attempts[id]; a != nil {
		m.failLocked(a, err, wire.Bye)
	}
	if m.changed {
		m.changed = false
		m.tasks.Start(func(context.Context) { m.host.WindowChanged() })
	}
}

// Freeze calls f with the pairings in progress, none of which changes in the meantime.
func (m *Manager) Freeze(f func([]View)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(m.viewsLocked())
}

// viewsLocked lists the pairings in progress.
func (m *Manager) viewsLocked() []View {
	var out []View
	for _, a := range m.attempts {
		out = append(out, a.view)
	}
	slices.SortFunc(out, func(a, b View) int { return cmp.Or(cmp.Compare(a.Name, b.Name), a.Peer.Compare(b.Peer)) })
	return out
}

// afterFuncLocked runs f after d with the lock held, unless the engine ends first.
func (m *Manager) afterFuncLocked(d time.Duration, f func()) {
	m.tasks.Start(func(ctx context.Context) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			m.mu.Lock()
			defer m.unlock()
			f()
		case <-ctx.Done():
		}
	})
}

// now is the clock; under testing/synctest it is the bubble's clock.
func now() time.Time { return time.Now() }

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}
