package peers

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
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

// PingRate is how many pings a second are sent to a peer without a session; 0 means that they are not limited.
func PingRate(mode PingMode) int {
	switch mode {
	case PingReliable:
		return pingsReliable
	case PingUnreliable:
		return pingsUnreliable
	}
	return 0
}

// Pinger makes one round trip to a peer. The peer's engine answers, not its program.
type Pinger struct {
	m      *Manager
	l      *Link
	mode   PingMode
	stream *transport.Stream
}

// NewPinger prepares a ping to a connected peer; a session is not needed. The caller must close it.
func (m *Manager) NewPinger(ctx context.Context, id PeerID, mode PingMode) (*Pinger, error) {
	l, err := m.AwaitLink(ctx, id)
	if err != nil {
		return nil, err
	}
	p := &Pinger{m: m, l: l, mode: mode}
	switch mode {
	case PingReliable, PingUnreliable:
	case PingStream:
		if p.stream, err = l.echo.open(ctx, l.conn); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("ping mode %q: %w: must be reliable, unreliable or stream", mode, wire.ErrInvalid)
	}
	return p, nil
}

// limiter returns the limiter that currently applies to pings; nil if none does. Without a session the other side delays
// or drops faster pings, so Ping waits before it sends. All pings to one peer share the limit.
func (p *Pinger) limiter() *rate.Limiter {
	switch {
	case p.mode == PingStream, p.l.session.Load() != nil:
		return nil
	case p.mode == PingReliable:
		return p.l.pings
	}
	return p.l.datagramPings
}

// Ping makes the round trip and returns its duration, not counting the wait for its turn (see limiter). If the ping is
// lost, the error is ErrTimeout once the deadline of ctx passes. Call it once: over a stream, a late answer would count
// for the next call.
func (p *Pinger) Ping(ctx context.Context) (time.Duration, error) {
	if limit := p.limiter(); limit != nil {
		if err := limit.Wait(ctx); ctx.Err() != nil {
			return 0, wire.EndOf(ctx)
		} else if err != nil {
			return 0, fmt.Errorf("%w: the deadline leaves no time for the required %v between pings", wire.ErrBusy, time.Duration(float64(time.Second)/float64(limit.Limit())))
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
		return 0, wire.EndOf(ctx)
	}
}

func (p *Pinger) overStream(ctx context.Context) (time.Duration, error) {
	stop := context.AfterFunc(ctx, func() { p.stream.SetDeadline(now()) })
	var b [8]byte
	start := now()
	_, err := p.stream.Write(b[:])
	if err == nil {
		_, err = io.ReadFull(p.stream, b[:])
	}
	switch {
	case err == nil && stop():
		rtt := now().Sub(start)
		p.l.echo.keep(p.stream)
		p.stream = nil
		return rtt, nil
	case ctx.Err() != nil:
		return 0, wire.EndOf(ctx)
	}
	return 0, err
}

// Close ends the pinger. It is idempotent.
func (p *Pinger) Close() {
	if p.stream != nil {
		endEcho(p.stream)
		p.stream = nil
	}
}

// echoIdle is how long the stream of the last ping stays open for the next one.
const echoIdle = 5 * time.Second

// echoStream is the stream of a link that the next ping can use. Without a session the other side limits how many streams are
// opened.
type echoStream struct {
	mu     sync.Mutex
	stream *transport.Stream // nil if there is none, or a ping is using it
	idle   *time.Timer
}

// open returns the stream, or opens a new one. The caller owns it.
func (e *echoStream) open(ctx context.Context, c *transport.Conn) (*transport.Stream, error) {
	if s := e.take(); s != nil {
		return s, nil
	}
	s, err := c.OpenStream(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.WriteMessage(wire.Echo{}); err != nil {
		s.Reset(wire.Bye)
		return nil, err
	}
	return s, nil
}

func (e *echoStream) take() *transport.Stream {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.stream
	if s != nil {
		e.idle.Stop()
		e.stream = nil
	}
	return s
}

// keep keeps a stream that has no answer outstanding for the next ping.
func (e *echoStream) keep(s *transport.Stream) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stream != nil {
		endEcho(s)
		return
	}
	e.stream = s
	e.idle = time.AfterFunc(echoIdle, func() {
		if s := e.take(); s != nil {
			endEcho(s)
		}
	})
}

func endEcho(s *transport.Stream) {
	_ = s.CloseWrite()
	s.Reset(wire.Bye)
}
