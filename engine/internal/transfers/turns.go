package transfers

import (
	"context"
	"slices"
	"time"

	"multipeer/engine/internal/identity"
)

// How many outgoing transfers run at once: more would only share the same network.
const (
	turnsPerPeer = 4
	turnsInAll   = 12
	// A transfer that is slower than slowRate, measured after slowAfter, does not count among turnsInAll: it hardly uses
	// the network, and its receiver must not keep others waiting.
	slowRate  = 256 << 10 // bytes per second
	slowAfter = 10 * time.Second
)

// turns tracks which transfers run and which wait. It is guarded by Manager.mu.
type turns struct {
	all     int
	peers   map[identity.PeerID]int
	waiting []*waiter
}

// yieldTurnLocked gives the turn of a transfer to others while its receiver accepts no data. The transfer gets the turn
// back when the receiver accepts data again, even if that makes one too many.
func (m *Manager) yieldTurnLocked(t *item) {
	if t.hasTurn && !t.yielded {
		t.yielded = true
		m.turns.all--
		m.serveTurnsLocked()
	}
}

// tooSlowLocked reports whether a transfer is so slow that others need not wait for it.
func (t *item) tooSlowLocked() bool {
	rate := t.takenRate
	if isGateway(t.link) { // which reports no blocks
		rate = t.view.Rate
	}
	return now().Sub(t.turnAt) > slowAfter && rate < slowRate
}

func (m *Manager) returnTurnLocked(t *item) {
	if t.hasTurn && t.yielded {
		t.yielded = false
		m.turns.all++
	}
}

func (m *Manager) countTurnLocked(t *item, n int) {
	q := &m.turns
	q.all += n
	q.peers[t.view.Peer] += n
	if q.peers[t.view.Peer] == 0 {
		delete(q.peers, t.view.Peer)
	}
}

type waiter struct {
	t     *item
	ready chan struct{}
}

// takeTurn waits until t may run; leave ends the turn.
func (m *Manager) takeTurn(ctx context.Context, t *item) (leave func(), err error) {
	w := &waiter{t, make(chan struct{})}
	m.mu.Lock()
	m.turns.waiting = append(m.turns.waiting, w)
	m.serveTurnsLocked()
	m.mu.Unlock()
	leave = func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.returnTurnLocked(t)
		t.hasTurn = false
		m.countTurnLocked(t, -1)
		m.serveTurnsLocked()
	}
	for {
		select {
		case <-w.ready:
			return leave, nil
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-t.wake:
			m.mu.Lock()
			if t.paused {
				err = errPaused
			}
			m.mu.Unlock()
		}
		if err == nil {
			continue
		}
		m.mu.Lock()
		i := slices.Index(m.turns.waiting, w)
		if i >= 0 {
			m.turns.waiting = slices.Delete(m.turns.waiting, i, i+1)
		}
		m.mu.Unlock()
		if i < 0 { // the turn came at the same moment
			leave()
		}
		return nil, err
	}
}

// serveTurnsLocked grants the free turns: to the highest priority first, among equals to the oldest transfer.
func (m *Manager) serveTurnsLocked() {
	q := &m.turns
	if q.peers == nil {
		q.peers = map[identity.PeerID]int{}
	}
	slices.SortStableFunc(q.waiting, func(a, b *waiter) int {
		if d := b.t.view.Priority - a.t.view.Priority; d != 0 {
			return d
		}
		return int(a.t.order - b.t.order)
	})
	q.waiting = slices.DeleteFunc(q.waiting, func(w *waiter) bool {
		id := w.t.view.Peer
		if q.all >= turnsInAll || q.peers[id] >= turnsPerPeer {
			return false
		}
		w.t.hasTurn, w.t.yielded, w.t.turnAt = true, false, now()
		m.countTurnLocked(w.t, 1)
		close(w.ready)
		return true
	})
}
