package peers

import (
	"context"
	"time"

	"multipeer/engine/internal/transport"
)

// reconnectTimeout is how long a session lives without a connection. It equals the time that one dial may take.
const reconnectTimeout = transport.DialTimeout

// minConnLifetime is how long a new connection must live to restart the reconnect timeout when it breaks.
const minConnLifetime = 300 * time.Millisecond

// startReconnectTimerLocked keeps the session of p for the reconnect timeout after its connection l broke with err. A
// connection that lived only briefly does not restart the timeout: it counts from the earlier break.
func (ss *sessions) startReconnectTimerLocked(p *peer, l *Link, err error) {
	m := ss.m
	if p.session == nil {
		return
	}
	if p.broken.IsZero() || now().Sub(l.began) > minConnLifetime || l.began.Sub(p.broken) > reconnectTimeout {
		p.broken = now()
	}
	p.happened(broke)
	p.rtt = l.conn.RTT()
	p.session.window.Detach()
	left := p.broken.Add(reconnectTimeout).Sub(now())
	p.away++
	away := p.away
	waits := m.tasks.Start(func(ctx context.Context) {
		timer := time.NewTimer(left)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		if p.away != away || p.state != Reconnecting {
			return
		}
		ss.endLocked(p, err)
		if p.suspect && p.failures > 0 && m.peers[p.id] == p { // all dials since then have failed
			m.table.removeGoneLocked(p)
		} else {
			m.table.removeUnusedLocked(p)
		}
	})
	if !waits {
		ss.endLocked(p, err)
	}
}
