package peers

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"

	"golang.org/x/time/rate"
)

// PingMode is how a ping is sent.
type PingMode string

// The ping modes.
const (
	PingReliable   PingMode = "reliable"   // like a message
	PingUnreliable PingMode = "unreliable" // as a datagram, which may be lost
	PingStream     PingMode = "stream"     // over a byte stream
)

// Without a session the other side limits the rate of pings: it delays the excess, and drops excess datagrams. A pinger
// then sends at a slightly lower rate, or it would measure the limit instead of the network.
const (
	pingsReliable   = strangerFrames * 4 / 5
	pingsUnreliable = strangerGrams * 4 / 5
)

// Pinger measures round trips to one peer. The peer's engine answers, not its program.
type Pinger struct {
	m      *Manager
	l      *Link
	mode   PingMode
	stream *transport.Stream
}

// NewPinger prepares pings to a connected peer; a session is not needed, but see Pinger.Pace. The caller must close
// it.
func (m *Manager) NewPinger(ctx context.Context, id PeerID, mode PingMode) (*Pinger, error) {
	l, err := m.AwaitLink(ctx, id)
	if err != nil {
		return nil, err
	}
	p := &Pinger{m: m, l: l, mode: mode}
	switch mode {
	case PingReliable, PingUnreliable:
	case PingStream:
		if p.stream, err = l.conn.OpenStream(ctx); err != nil {
			return nil, err
		}
		if err := p.stream.WriteMessage(wire.Echo{}); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("ping mode %q: %w: must be reliable, unreliable or stream", mode, wire.ErrInvalid)
	}
	return p, nil
}

// Pace returns the current minimum interval between two pings: 0 with a session or over a stream. Without a session the
// other side delays or drops faster pings, so Ping waits before it sends. All pingers to one peer share the limit.
func (p *Pinger) Pace() time.Duration {
	if limit := p.limiter(); limit != nil {
		return time.Duration(float64(time.Second) / float64(limit.Limit()))
	}
	return 0
}

// limiter returns the limiter that currently applies to pings; nil if none does.
func (p *Pinger) limiter() *rate.Limiter {
	switch {
	case p.mode == PingStream, p.l.session.Load() != nil:
		return nil
	case p.mode == PingReliable:
		return p.l.pings
	}
	return p.l.datagramPings
}

// Ping makes one round trip and returns its duration, not counting the wait before it sends (see Pace). If the ping
// is lost, the error is ErrTimeout once the deadline of ctx passes. Allow a second or more. Only one call may run at
// a time.
func (p *Pinger) Ping(ctx context.Context) (time.Duration, error) {
	if limit := p.limiter(); limit != nil {
		if err := limit.Wait(ctx); errors.Is(ctx.Err(), context.Canceled) {
			return 0, ctx.Err()
		} else if err != nil {
			return 0, fmt.Errorf("%w: the deadline leaves no time for the required %v between pings", wire.ErrBusy, p.Pace())
		}
	}
	if p.mode == PingStream {
		return p.overStream(ctx)
	}
	n, c, err := p.l.newPing()
	if err != nil {
		return 0, err
	}
	defer p.l.dropPing(n)
	start := now()
	if p.mode == PingReliable {
		p.l.Send(wire.Ping{N: n})
	} else {
		b := binary.BigEndian.AppendUint64([]byte{datagramPing}, n)
		if err := p.l.conn.SendDatagram(b); err != nil {
			return 0, transport.Cause(err)
		}
	}
	select {
	case at, ok := <-c:
		if !ok {
			return 0, transport.ErrLost
		}
		return at.Sub(start), nil
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return 0, wire.ErrTimeout
		}
		return 0, ctx.Err()
	}
}

func (p *Pinger) overStream(ctx context.Context) (time.Duration, error) {
	deadline, _ := ctx.Deadline()
	p.stream.SetDeadline(deadline)
	var b [8]byte
	start := now()
	if _, err := p.stream.Write(b[:]); err != nil {
		return 0, err
	}
	if _, err := io.ReadFull(p.stream, b[:]); err != nil {
		return 0, err
	}
	return now().Sub(start), nil
}

// Close ends the pinger. It is idempotent.
func (p *Pinger) Close() {
	if p.stream != nil {
		_ = p.stream.CloseWrite()
		p.stream.Reset(wire.Bye)
	}
}
