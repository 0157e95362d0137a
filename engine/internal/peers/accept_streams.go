package peers

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"

	"golang.org/x/time/rate"
)

// acceptStreams handles the streams that the peer opens.
func (l *Link) acceptStreams(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	echoes := make(chan struct{}, maxEchoes)
	var unopened atomic.Int32
	opens := newPace(strangerOpens, strangerOpens, openRate, openBurst)
	refused := rate.NewLimiter(1, refusedStreams)
	echoed := rate.NewLimiter(echoRate, echoChunk)
	for {
		s, err := l.conn.AcceptStream(ctx)
		if err != nil {
			return
		}
		if l.mayJoin() {
			if opens.friend.Wait(ctx) != nil {
				s.Reset(wire.Bye)
				return
			}
		} else if !opens.stranger.Allow() || unopened.Load() >= maxUnopened { // guard: streams-of-strangers
			s.Reset(wire.Busy)
			if !refused.Allow() { // guard: streams-refused
				l.conn.Close(wire.Busy)
				return
			}
			continue
		}
		unopened.Add(1)
		wg.Go(func() { // QUIC limits how many streams the peer may have open
			s.SetReadDeadline(now().Add(transport.HelloTimeout))
			msg, err := s.ReadMessage(wire.MaxHello)
			s.SetReadDeadline(time.Time{})
			unopened.Add(-1)
			if err != nil {
				s.Reset(wire.CodeOf(err))
				if errors.Is(err, os.ErrDeadlineExceeded) && !l.mayJoin() { // guard: streams-unopened
					l.conn.Close(wire.Timeout) // what has arrived of the stream stays in memory until the connection ends
				}
				return
			}
			switch msg := msg.(type) {
			case wire.Echo:
				select {
				case echoes <- struct{}{}:
					l.echoTo(ctx, s, func() *rate.Limiter {
						if !l.joined() { // guard: strangers-echo
							return l.m.strangersEcho
						}
						return echoed
					})
					<-echoes
				default:
					s.Reset(wire.Busy)
				}
			case wire.StreamOpen:
				l.takeStream(ctx, s, msg.Name)
			default:
				s.Reset(wire.Protocol)
			}
		})
	}
}

// mayJoin reports whether p has a session, or was invited to one: its streams may overtake its answer.
func (l *Link) mayJoin() bool {
	m := l.m
	p := l.peer
	m.mu.Lock()
	defer m.mu.Unlock()
	return p.session != nil || p.asked != nil
}

// takeStream passes a stream to the program.
func (l *Link) takeStream(ctx context.Context, raw *transport.Stream, name string) {
	m := l.m
	p := l.peer
	s := newStream(p.id, name, raw, l)
	refuse := func(code wire.Code) { s.end(func() { raw.Reset(code) }) }
	// A stream may overtake the answer to our invitation that was sent before it.
	settled := func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return p.session != nil || p.link != l || p.asked == nil
	}
	if !settled() {
		ctx, cancel := context.WithTimeout(ctx, transport.HelloTimeout)
		defer cancel()
		m.until(ctx, settled)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.joinStreamLocked(s) != nil {
		return
	}
	if refused := m.publish(StreamReceived{s}); refused != 0 {
		refuse(refused)
	}
}

// echoTo sends back what it reads, as fast as pace allows at the moment.
func (l *Link) echoTo(ctx context.Context, s *transport.Stream, pace func() *rate.Limiter) {
	b := make([]byte, echoChunk)
	for {
		s.SetDeadline(now().Add(time.Minute))
		n, err := s.Read(b)
		if n > 0 {
			l.read.Add(uint64(n))
			_ = pace().WaitN(ctx, n)
			if _, err := s.Write(b[:n]); err != nil {
				s.Reset(wire.Cancelled)
				return
			}
		}
		if err != nil {
			_ = s.CloseWrite()
			if !errors.Is(err, io.EOF) {
				s.Reset(wire.CodeOf(err))
			}
			return
		}
	}
}
