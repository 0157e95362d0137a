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

	"multipeer/engine/internal/events"
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"

	"golang.org/x/time/rate"
)

const (
	// MaxStreams limits the streams to one peer that may be open at once, in each direction of opening; at times a
	// few more are possible. It leaves room for the engine's own streams.
	MaxStreams = transport.MaxStreams - 8
	// MaxStreamName is the maximum length of a stream's name, in bytes of UTF-8.
	MaxStreamName = wire.MaxStreamName
	// maxUnopened limits the streams of a peer without a session whose type is not known yet. A stream beyond it, or
	// beyond the pace, is refused at once: one that is not accepted keeps its window of memory. After refusedStreams
	// the peer loses its connection.
	maxUnopened    = 8
	refusedStreams = 200
	// maxEchoes limits the echo streams of one peer, echoChunk the buffer of each.
	maxEchoes = 4
	echoChunk = 4 << 10
)

// ResetError is the error of a stream that the other program ended with Reset, with its code. Find it with errors.As.
type ResetError = transport.ResetError

// Stream is a bidirectional byte stream to one peer with flow control: a Write blocks while the other side does not
// read, and blocks nothing else (MCSession startStream, plus flow control). It ends with the session or its
// connection, and then fails with ErrLost, ErrBye or the like; a stream does not survive a broken connection. All
// methods may be called concurrently; concurrent Writes run one after the other. Close it when it is no longer
// needed: it counts as open until both sides have closed it.
type Stream struct {
	Peer PeerID
	Name string // chosen by the side that opened it

	s       *transport.Stream
	l       *link
	writing sync.Mutex
	busy    atomic.Bool // a Write is in progress
	once    sync.Once
	held    events.Held // counts the readers' queues that hold it
}

// OpenStream opens a stream to a connected peer; its program gets StreamReceived. There is no round trip: data
// written at once arrives with the opening. It waits, at most SendTimeout, for a stream to be closed while MaxStreams
// are open, and for a broken connection to return. Errors are ErrInvalid, ErrNoPeer, ErrNotConnected, ErrTimeout. The
// other program may refuse the stream: then reading and writing fail with ErrUnavailable or ErrBusy. Only an answer
// of the other program proves that it has received the data.
func (e *Engine) OpenStream(ctx context.Context, to PeerID, name string) (*Stream, error) {
	if err := wire.ValidateStreamName(name); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, SendTimeout, wire.Reword(fmt.Sprintf("%d streams are open, and none was closed in time", MaxStreams), ErrTimeout))
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
	if err := e.joinStreamLocked(s); err != nil {
		return nil, err
	}
	return s, nil
}

// joinStreamLocked adds s to its session, with which it ends.
func (e *Engine) joinStreamLocked(s *Stream) error {
	if p := s.l.peer; p.session == nil || p.link != s.l {
		s.end(func() { s.s.Reset(wire.NotConnected) })
		return ErrNotConnected
	}
	s.l.mu.Lock()
	defer s.l.mu.Unlock()
	s.l.streams[s] = struct{}{}
	return nil
}

// resetStreams ends the streams of a session that has ended while its connection stays up.
func (l *link) resetStreams() {
	l.mu.Lock()
	open := l.streams
	l.streams = map[*Stream]struct{}{}
	l.mu.Unlock()
	for s := range open {
		s.end(func() { s.s.Reset(wire.NotConnected) })
	}
}

// end ends s by calling how, once; later calls do nothing.
func (s *Stream) end(how func()) {
	s.once.Do(func() {
		how()
		s.l.mu.Lock()
		delete(s.l.streams, s)
		s.l.mu.Unlock()
	})
}

// Read reads bytes. io.EOF means that the other side called CloseWrite or Close; a *ResetError, that it called Reset.
func (s *Stream) Read(b []byte) (int, error) { return s.s.Read(b) }

// Write writes all of b, or fails. It blocks while the other side does not read.
func (s *Stream) Write(b []byte) (int, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.busy.Store(true)
	defer s.busy.Store(false)
	return s.s.Write(b)
}

// CloseWrite ends our direction. Data already written still arrives, and then the other side reads io.EOF.
func (s *Stream) CloseWrite() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.s.CloseWrite()
}

// Close ends both directions: data already written still arrives, incoming data is no longer read, and a Read in
// progress fails. If a Write is in progress, Close acts like Reset with code 0, since a Write cannot be interrupted
// so that the part written counts. It is idempotent.
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

// Reset ends both directions at once and discards written data that has not arrived. The other side gets a
// *ResetError with the code; all codes are free for the program's use. Reads and Writes in progress here fail. It is
// idempotent, and may follow Close.
func (s *Stream) Reset(code uint16) {
	s.end(func() {})
	s.s.ResetProgram(code)
}

// abandon ends a stream whose program ends.
func (s *Stream) abandon() { s.end(func() { s.s.Reset(wire.Bye) }) }

// SetDeadline sets the deadline of both directions, SetReadDeadline and SetWriteDeadline that of one; the zero time
// removes it. After the deadline, calls fail with os.ErrDeadlineExceeded; if that interrupts a frame, the stream can
// no longer be used for frames.
func (s *Stream) SetDeadline(t time.Time) { s.s.SetDeadline(t) }

// SetReadDeadline sets the deadline for reading.
func (s *Stream) SetReadDeadline(t time.Time) { s.s.SetReadDeadline(t) }

// SetWriteDeadline sets the deadline for writing.
func (s *Stream) SetWriteDeadline(t time.Time) { s.s.SetWriteDeadline(t) }

// WriteFrame writes the length of b and then b, for ReadFrame on the other side: a stream itself has no message
// boundaries. Only one call may run at a time.
func (s *Stream) WriteFrame(b []byte) error {
	_, err := s.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...))
	return err
}

// ReadFrame reads what one WriteFrame wrote, at most limit bytes: a longer frame returns ErrTooLarge, and nothing can
// be read after it. io.EOF means that the stream ended between two frames, io.ErrUnexpectedEOF within one. Only one
// call may run at a time.
func (s *Stream) ReadFrame(limit int) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(s, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if uint64(n) > uint64(max(limit, 0)) {
		return nil, fmt.Errorf("frame of %d bytes: %w: at most %d", n, ErrTooLarge, limit)
	}
	var body bytes.Buffer // grows with the data that arrives: an announced length allocates nothing
	if _, err := io.CopyN(&body, s, int64(n)); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return body.Bytes(), nil
}

// acceptStreams handles the streams that the peer opens.
func (l *link) acceptStreams(ctx context.Context) {
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
		wg.Go(func() { // QUIC limits how many the peer may have open
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
				l.takeStream(ctx, s, m.Name)
			default:
				s.Reset(wire.Protocol)
			}
		})
	}
}

// mayJoin reports whether p has a session, or was invited to one: its streams may overtake its answer.
func (l *link) mayJoin() bool {
	e := l.e
	p := l.peer
	e.mu.Lock()
	defer e.mu.Unlock()
	return p.session != nil || p.asked != nil
}

// takeStream passes a stream to the program.
func (l *link) takeStream(ctx context.Context, raw *transport.Stream, name string) {
	e := l.e
	p := l.peer
	s := &Stream{Peer: p.id, Name: name, s: raw, l: l}
	refuse := func(code wire.Code) { s.end(func() { raw.Reset(code) }) }
	// A stream may overtake the answer to our invitation that was sent before it.
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
	if e.joinStreamLocked(s) == nil && !e.publish(StreamReceived{s}) {
		refuse(e.unreadCode())
	}
}

// echo sends back what it reads.
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
