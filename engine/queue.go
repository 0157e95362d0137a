package engine

import (
	"context"
	"slices"
)

// How many outgoing transfers move at once: more would only share the same wire.
const (
	turnsPerPeer = 4
	turnsInAll   = 12
)

// turns is who moves and who waits. It is guarded by Engine.mu.
type turns struct {
	all     int
	peers   map[PeerID]int
	waiting []*waiter
}

type waiter struct {
	t     *transferState
	ready chan struct{}
}

// takeTurn waits until t may move; leave gives the turn back.
func (e *Engine) takeTurn(ctx context.Context, t *transferState) (leave func(), err error) {
	w := &waiter{t, make(chan struct{})}
	e.mu.Lock()
	e.turns.waiting = append(e.turns.waiting, w)
	e.serveTurns()
	e.mu.Unlock()
	leave = func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.turns.all--
		if e.turns.peers[t.view.Peer]--; e.turns.peers[t.view.Peer] == 0 {
			delete(e.turns.peers, t.view.Peer)
		}
		e.serveTurns()
	}
	for {
		select {
		case <-w.ready:
			return leave, nil
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-t.wake:
			e.mu.Lock()
			if t.paused {
				err = errPaused
			}
			e.mu.Unlock()
		}
		if err == nil {
			continue
		}
		e.mu.Lock()
		i := slices.Index(e.turns.waiting, w)
		if i >= 0 {
			e.turns.waiting = slices.Delete(e.turns.waiting, i, i+1)
		}
		e.mu.Unlock()
		if i < 0 { // it came in the same moment
			leave()
		}
		return nil, err
	}
}

// serveTurns gives the turns that are free: to the highest priority first, among equals to who came first. Call with
// Engine.mu held.
func (e *Engine) serveTurns() {
	q := &e.turns
	if q.peers == nil {
		q.peers = map[PeerID]int{}
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
		q.all++
		q.peers[id]++
		close(w.ready)
		return true
	})
}
