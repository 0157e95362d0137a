package engine

import (
	"context"
	"time"

	"multipeer/engine/internal/peers"
)

// PingMode is how a ping is sent.
type PingMode string

// The ping modes.
const (
	PingReliable   PingMode = "reliable"   // like a message
	PingUnreliable PingMode = "unreliable" // as a datagram, which may be lost
	PingStream     PingMode = "stream"     // over a byte stream
)

// Pinger measures round trips to one peer. The peer's engine answers, not its program.
type Pinger struct{ p *peers.Pinger }

// NewPinger prepares pings to a connected peer; a session is not needed, but see Pinger.Pace. The caller must close
// it.
func (e *Engine) NewPinger(ctx context.Context, id PeerID, mode PingMode) (_ *Pinger, err error) {
	defer withPeer(&err, "ping", id)
	if err := unlessDevice(e, id); err != nil {
		return nil, err
	}
	p, err := e.peers.NewPinger(ctx, id, peers.PingMode(mode))
	if err != nil {
		return nil, err
	}
	return &Pinger{p}, nil
}

// Pace returns the current minimum interval between two pings: 0 with a session or over a stream. Without a session the
// other side delays or drops faster pings, so Ping waits before it sends. All pingers to one peer share the limit.
func (p *Pinger) Pace() time.Duration { return p.p.Pace() }

// Ping makes one round trip and returns its duration, not counting the wait before it sends (see Pace). If the ping
// is lost, the error is ErrTimeout once the deadline of ctx passes. Allow a second or more. Only one call may run at
// a time.
func (p *Pinger) Ping(ctx context.Context) (time.Duration, error) { return p.p.Ping(ctx) }

// Close ends the pinger. It is idempotent.
func (p *Pinger) Close() { p.p.Close() }
