package engine

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Waiting for a peer that is not there.

// whilePaused waits until t is not paused.
func (e *Engine) whilePaused(ctx context.Context, t *transferState) error {
	for {
		e.mu.Lock()
		paused := t.paused
		if paused {
			e.setState(t, Paused, nil)
		}
		e.mu.Unlock()
		if !paused {
			return nil
		}
		select {
		case <-t.wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// awaitPeer waits for a conn to t's peer, and dials where it was last if nobody finds it. A transfer that is not kept is
// given up after a while; of one that is kept it is said that it waits.
func (e *Engine) awaitPeer(ctx context.Context, t *transferState) (*link, error) {
	for wait := time.Second; ; wait = min(2*wait, 30*time.Second) {
		var l *link
		var err error
		e.mu.Lock()
		gone := now().Sub(t.lastMove)
		if t.lastMove.IsZero() {
			gone = 0
		}
		keep := t.view.Keep
		e.mu.Unlock()
		if !keep {
			wait = min(wait, max(patience-gone, 10*time.Millisecond))
		}
		within, cancel := context.WithTimeout(ctx, wait)
		e.until(within, func() bool {
			_, l, err = e.linkTo(t.view.Peer)
			e.mu.Lock()
			defer e.mu.Unlock()
			if t.paused {
				l, err = nil, errPaused
			}
			return l != nil || t.paused
		})
		cancel()
		switch {
		case l != nil, errors.Is(err, errPaused):
			return l, err
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case !keep && gone >= patience:
			if errors.Is(err, ErrNoPeer) || err == nil {
				err = ErrLost
			}
			return nil, fmt.Errorf("the peer is gone: %w", err)
		}
		e.mu.Lock()
		if gone >= patience || !t.accepted {
			if err == nil || errors.Is(err, ErrClosed) {
				err = ErrNoPeer
			}
			e.setState(t, Queued, err)
		}
		addrs := t.addrs
		e.mu.Unlock()
		e.knock(ctx, t.view.Peer, addrs)
	}
}

// knock dials a peer that is not in sight where it was last.
func (e *Engine) knock(ctx context.Context, id PeerID, addrs []netip.AddrPort) {
	if _, known := e.Peer(id); known || len(addrs) == 0 || id.IsZero() {
		return
	}
	ticket := id.String() + "@"
	for i, a := range addrs[:min(len(addrs), maxTicket)] {
		if i > 0 {
			ticket += ","
		}
		ticket += a.String()
	}
	ctx, cancel := context.WithTimeout(ctx, knockFor)
	defer cancel()
	if _, err := e.Dial(ctx, ticket); err != nil {
		e.log.Debug("knocking", "peer", id.Short(), "err", err)
	}
}

// sawPeerAt remembers where the peer is. Call with Engine.mu held.
func (t *transferState) sawPeerAt(l *link) {
	at := l.conn.RemoteAddr()
	if !l.conn.Dialled { // its port may be one that it only dials from
		if addrs := l.peer.all(); len(addrs) > 0 {
			at = addrs[0]
		}
	}
	t.addrs = append([]netip.AddrPort{at}, slices.DeleteFunc(slices.Clone(t.addrs), func(a netip.AddrPort) bool { return a == at })...)
	t.addrs = t.addrs[:min(len(t.addrs), 4)]
}
