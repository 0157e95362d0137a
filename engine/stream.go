package engine

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"

	"golang.org/x/time/rate"
)

const (
	// MaxStreams is how many streams to one peer may be open at once, in each direction of opening; a few more at
	// times. It leaves room for the engine's own.
	MaxStreams = transport.MaxStreams - 8
	// MaxStreamName is the longest name of a stream, in bytes of UTF-8.
	MaxStreamName = wire.MaxStreamName
	// maxUnopened bounds the streams of a peer without a session that have not said yet what they are.
	maxUnopened = 8
	// maxEchoes bounds the echo streams of one peer, echoChunk what each holds.
	maxEchoes = 4
	echoChunk = 4 << 10
)

// ResetError is the error of a stream that the other program gave up by Reset, with its code. Find it with errors.As.
type ResetError = transport.ResetError

// Stream is a byte stream to one peer, in both directions, with flow control: a Write blocks while the other side
// does not read, and nothing else does (MCSession startStream, but for the flow control). It ends with the session
// or its conn, and then fails with ErrLost, ErrBye or the like; a stream does not outlive a conn that breaks. All
// methods may be called concurrently; of two Writes one waits. Close it when it is done with: until both sides have,
// it counts.
type Stream struct {
	Peer PeerID
	Name string // by the side that opened it

	s       *transport.Stream
	l       *link
	writing sync.Mutex
	busy    atomic.Bool // a Write is under way
	once    sync.Once
	held    held // in the queues of readers
}

// OpenStream opens a stream to a connected peer; its program gets StreamReceived. There is no round trip: what is
// written at once arrives with the opening. It waits, SendTimeout at the longest, for one to be closed while MaxStreams
// are open, and for a conn that has broken to be back. Errors are ErrInvalid, ErrNoPeer, ErrNotConnected, ErrTimeout.
// The other program may refuse it: then reading and writing fail with ErrUnavailable or ErrBusy. Only an answer of the
// other program tells that it has what was written.
func (e *Engine) OpenStream(ctx context.Context, to PeerID, name string) (*Stream, error) {
	if err := wire.ValidateStreamName(name); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, SendTimeout, fmt.Errorf("%w: %d streams are open", ErrTimeout, MaxStreams))
	defer cancel()
	var l *link
	err := ErrClosed
	e.until(ctx, func() bool {
		if _, err = e.sessionWith(to); err == nil {
			_, l, err = e.linkTo(to)
			return err == nil
		}
		return true
	})
	if err != nil {
		if errors.Is(err, ErrClosed) && ctx.Err() != nil {
			err = ended(ctx)
		}
		return nil, err
	}
	raw, err := l.conn.OpenStream(ctx)
	if err != nil {
		if ctx.Err() != nil {
			err = ended(ctx)
		}
		return nil, fmt.Errorf("opening stream: %w", err)
	}
	if err := raw.WriteMessage(wire.StreamOpen{Name: name}); err != nil {
		raw.Reset(wire.CodeOf(err))
		return nil, fmt.Errorf("opening stream: %w", err)
	}
	s := &Stream{Peer: to, Name: name, s: raw, l: l}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.join(s); err != nil {
		return nil, err
	}
	return s, nil
}

// join makes s a stream of its session: it ends with it. Call with Engine.mu held.
func (e *Engine) join(s *Stream) error {
	if p := s.l.peer; p.session == nil || p.link != s.l {
		s.end(func() { s.s.Reset(wire.NotConnected) })
		return ErrNotConnected
	}
	s.l.mu.Lock()
	defer s.l.mu.Unlock()
	s.l.streams[s] = struct{}{}
	return nil
}

// resetStreams ends the streams of a session that has ended while its conn stays.
func (l *link) resetStreams() {
	l.mu.Lock()
	open := l.streams
	l.streams = map[*Stream]struct{}{}
	l.mu.Unlock()
	for s := range open {
		s.end(func() { s.s.Reset(wire.NotConnected) })
	}
}

// end runs the first of the ways to end s.
func (s *Stream) end(how func()) {
	s.once.Do(func() {
		how()
		s.l.mu.Lock()
		delete(s.l.streams, s)
		s.l.mu.Unlock()
	})
}

// Read reads bytes. io.EOF is the other side's CloseWrite or Close; a *ResetError its Reset.
func (s *Stream) Read(b []byte) (int, error) { return s.s.Read(b) }

// Write writes all of b, or fails. It blocks while the other side does not read.
func (s *Stream) Write(b []byte) (int, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.busy.Store(true)
	defer s.busy.Store(false)
	return s.s.Write(b)
}

// CloseWrite ends our direction; what was written still arrives, and the other side reads io.EOF after it.
func (s *Stream) CloseWrite() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.s.CloseWrite()
}

// Close ends both directions: what was written still arrives, what comes is not read any more, and a Read under way
// fails. A Write under way cannot be ended so that what it has written counts: then Close is Reset with code 0. It is
// idempotent.
func (s *Stream) Close() error {
	s.end(func() {
		if s.busy.Load() {
			s.s.ResetProgram(0)
			return
		}
		s.writing.Lock()
		defer s.writing.Unlock()
		_ = s.s.CloseWrite()
		s.s.StopReading(wire.Cancelled)
	})
	return nil
}

// Reset gives both directions up at once, what was written and has not arrived included; the other side gets a
// *ResetError with the code; all codes are the program's. Reads and Writes under way here fail. It is idempotent, and
// may follow Close.
func (s *Stream) Reset(code uint16) {
	s.end(func() {})
	s.s.ResetProgram(code)
}

// abandon is the end of a stream whose program ends.
func (s *Stream) abandon() { s.end(func() { s.s.Reset(wire.Bye) }) }

// SetDeadline bounds both directions, SetReadDeadline and SetWriteDeadline one; the zero time lifts the bound. Past
// it a call fails with os.ErrDeadlineExceeded; a frame that it cuts leaves the stream out of step.
func (s *Stream) SetDeadline(t time.Time) { s.s.SetDeadline(t) }

// SetReadDeadline bounds reading.
func (s *Stream) SetReadDeadline(t time.Time) { s.s.SetReadDeadline(t) }

// SetWriteDeadline bounds writing.
func (s *Stream) SetWriteDeadline(t time.Time) { s.s.SetWriteDeadline(t) }

// WriteFrame writes b with its length before it, for ReadFrame on the other side: a stream itself has no boundaries.
// One call at a time.
func (s *Stream) WriteFrame(b []byte) error {
	_, err := s.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...))
	return err
}

// ReadFrame reads what one WriteFrame wrote, at most limit bytes: a longer one is ErrTooLarge, and nothing can be read
// after it. io.EOF is an end between two frames, io.ErrUnexpectedEOF one inside. One call at a time.
func (s *Stream) ReadFrame(limit int) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(s, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if uint64(n) > uint64(max(limit, 0)) {
		return nil, fmt.Errorf("frame of %d bytes: %w: at most %d", n, ErrTooLarge, limit)
	}
	var body bytes.Buffer // it grows with what arrives: an announced length costs nothing
	if _, err := io.CopyN(&body, s, int64(n)); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return body.Bytes(), nil
}

// acceptStreams serves the streams that the peer opens.
func (e *Engine) acceptStreams(ctx context.Context, p *peer, l *link) {
	var wg sync.WaitGroup
	defer wg.Wait()
	echoes := make(chan struct{}, maxEchoes)
	var unopened atomic.Int32
	opens := newPace(strangerOpens, strangerOpens, openRate, openBurst)
	echoed := rate.NewLimiter(echoRate, echoChunk)
	for {
		if opens.wait(ctx, e.joined(p)) != nil {
			return
		}
		s, err := l.conn.AcceptStream(ctx)
		if err != nil {
			return
		}
		if unopened.Load() >= maxUnopened && !e.joined(p) { // guard: streams-of-strangers
			s.Reset(wire.Busy)
			continue
		}
		unopened.Add(1)
		wg.Go(func() { // as many as QUIC lets the peer have open
			s.SetReadDeadline(now().Add(transport.HelloTimeout))
			m, err := s.ReadMessage(wire.MaxHello)
			s.SetReadDeadline(time.Time{})
			unopened.Add(-1)
			if err != nil {
				s.Reset(wire.CodeOf(err))
				return
			}
			switch m := m.(type) {
			case wire.Echo:
				select {
				case echoes <- struct{}{}:
					echo(ctx, s, echoed)
					<-echoes
				default:
					s.Reset(wire.Busy)
				}
			case wire.StreamOpen:
				e.takeStream(ctx, p, l, s, m.Name)
			default:
				s.Reset(wire.Protocol)
			}
		})
	}
}

// joined tells whether p has a session.
func (e *Engine) joined(p *peer) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return p.session != nil
}

// takeStream hands a stream to the program.
func (e *Engine) takeStream(ctx context.Context, p *peer, l *link, raw *transport.Stream, name string) {
	s := &Stream{Peer: p.id, Name: name, s: raw, l: l}
	refuse := func(code wire.Code) { s.end(func() { raw.Reset(code) }) }
	// The answer to our invitation may be overtaken by a stream that follows it.
	settled := func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return p.session != nil || p.link != l || p.asked == nil
	}
	if !settled() {
		ctx, cancel := context.WithTimeout(ctx, transport.HelloTimeout)
		defer cancel()
		e.until(ctx, settled)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.join(s) == nil && !e.publish(StreamReceived{s}) {
		refuse(e.untaken())
	}
}

// echo sends back what comes.
func echo(ctx context.Context, s *transport.Stream, pace *rate.Limiter) {
	b := make([]byte, echoChunk)
	for {
		s.SetDeadline(now().Add(time.Minute))
		n, err := s.Read(b)
		if n > 0 {
			_ = pace.WaitN(ctx, n)
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
