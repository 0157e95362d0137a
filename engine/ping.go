package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// PingMode is the way a ping takes.
type PingMode string

// The ways.
const (
	PingReliable   PingMode = "reliable"   // as a message goes
	PingUnreliable PingMode = "unreliable" // as a datagram, which may be lost
	PingStream     PingMode = "stream"     // over a byte stream
)

// Pinger measures round trips to one peer. The peer's engine answers, not its program.
type Pinger struct {
	l      *link
	mode   PingMode
	stream *transport.Stream
}

// NewPinger prepares pings to a peer that is reached; a session is not needed. The caller closes it.
func (e *Engine) NewPinger(ctx context.Context, id PeerID, mode PingMode) (*Pinger, error) {
	_, l, err := e.waitLink(ctx, id)
	if err != nil {
		return nil, err
	}
	p := &Pinger{l: l, mode: mode}
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
		return nil, fmt.Errorf("ping mode %q: %w: reliable, unreliable or stream", mode, ErrInvalid)
	}
	return p, nil
}

// Ping makes one round trip; it waits until ctx ends. One at a time.
func (p *Pinger) Ping(ctx context.Context) (time.Duration, error) {
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
		p.l.send(wire.Ping{N: n})
	} else {
		b := binary.BigEndian.AppendUint64([]byte{datagramPing}, n)
		if err := p.l.conn.SendDatagram(b); err != nil {
			return 0, transport.Cause(err)
		}
	}
	select {
	case at, ok := <-c:
		if !ok {
			return 0, ErrLost
		}
		return at.Sub(start), nil
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return 0, ErrTimeout
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
