package pairing

import (
	"fmt"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/wire"
)

// tries counts the attempts with one key.
type tries struct {
	since time.Time
	n     int
	pause time.Time // no attempt is allowed before
}

// mayPairLocked returns nil if an attempt with p may get as far as showing codes.
func (m *Manager) mayPairLocked(p Peer) error {
	for id, other := range m.attempts {
		if id != p.ID && other.counts {
			return fmt.Errorf("%w: codes are being compared with %q", wire.ErrBusy, other.view.Name)
		}
	}
	switch t := m.today[p.ID]; {
	case t == nil:
	case now().Before(t.pause): // guard: pairing-mismatch
		return wire.Reword(fmt.Sprintf("the codes did not match; try again in %v", t.pause.Sub(now()).Round(time.Minute)), wire.ErrMismatch)
	case t.n >= maxPairingsADay && now().Sub(t.since) < 24*time.Hour: // guard: pairings-a-day
		return fmt.Errorf("%w: %d pairings with this peer were attempted within a day; try again later", wire.ErrBusy, maxPairingsADay)
	}
	return nil
}

// triesOfLocked returns the attempt counter of a peer.
func (m *Manager) triesOfLocked(id identity.PeerID) *tries {
	if m.today == nil {
		m.today = map[identity.PeerID]*tries{}
	}
	t := m.today[id]
	if t == nil || now().Sub(t.since) >= 24*time.Hour && now().After(t.pause) {
		t = &tries{since: now()}
		m.today[id] = t
	}
	return t
}
