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

// Ping makes one round trip to the engine of a peer, not its program, and returns how long it took. It needs a
// connection, for which it waits, but no session: without one it also waits until the peer's rate limit admits the
// ping. It waits at most SendTimeout. Errors are ErrTimeout, also for a ping that was lost, ErrCancelled, ErrNoPeer,
// ErrLost, ErrInvalid, and ErrBusy if the deadline of ctx is too early for the rate limit.
func (e *Engine) Ping(ctx context.Context, id PeerID, mode PingMode) (_ time.Duration, err error) {
	defer withPeer(&err, "ping", id)
	if err := unlessDevice(e, id); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, SendTimeout)
	defer cancel()
	p, err := e.peers.NewPinger(ctx, id, peers.PingMode(mode))
	if err != nil {
		return 0, err
	}
	defer p.Close()
	return p.Ping(ctx)
}
