package peers

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

const (
	// MaxStreams limits the streams to one peer that may be open at once, separately for those opened by each side; at
	// times a few more are possible. It leaves room for the engine's own streams.
	MaxStreams = transport.MaxStreams - 8
	// maxUnopened limits the streams of unknown type that a peer without a session may have open. A stream above that
	// limit, or above the rate limit, is refused at once, because a stream that is not accepted keeps its flow-control
	// window. A peer with more than refusedStreams refusals in a short time loses its connection.
	maxUnopened    = 8
	refusedStreams = 200
	// maxEchoes limits the echo streams of one peer, echoChunk the buffer of each.
	maxEchoes = 4
	echoChunk = 4 << 10
	// OpenTimeout is how long OpenStream waits.
	OpenTimeout = 30 * time.Second
)

// Stream is a byte stream in both directions that ends with its session or its connection. Its methods may be called
// concurrently.
type Stream struct {
	Peer PeerID
	Name string // chosen by the side that opened it

	s       *transport.Stream
	l       *Link
	writing sync.Mutex
	busy    atomic.Bool // a Write is in progress
	once    sync.Once
	ended   chan struct{} // closed when the stream has ended
}

func newStream(peer PeerID, name string, raw *transport.Stream, l *Link) *Stream {
	return &Stream{Peer: peer, Name: name, s: raw, l: l, ended: make(chan struct{})}
}

// OpenStream opens a stream to a connected peer. It waits, at most OpenTimeout, for a stream to be closed while
// MaxStreams are open, and for a broken connection to return.
func (m *Manager) OpenStream(ctx context.Context, to PeerID, name string) (*Stream, error) {
	if err := wire.ValidateStreamName(name); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, OpenTimeout, wire.Reword(fmt.Sprintf("%d streams are open, and none was closed in time", MaxStreams), wire.ErrTimeout))
	defer cancel()
	var l *Link
	err := wire.ErrClosed
	m.until(ctx, func() bool {
		if _, err = m.sessionWith(to); err == nil {
			l, err = m.Link(to)
			return err == nil
		}
		return true
	})
	if err != nil {
		if errors.Is(err, wire.ErrClosed) && ctx.Err() != nil {
			err = wire.EndOf(ctx)
		}
		return nil, err
	}
	raw, err := l.conn.OpenStream(ctx)
	if err != nil {
		if ctx.Err() != nil {
			err = wire.EndOf(ctx)
		}
		return nil, fmt.Errorf("opening stream: %w", err)
	}
	if err := raw.WriteMessage(wire.StreamOpen{Name: name}); err != nil {
		raw.Reset(wire.CodeOf(err))
		return nil, fmt.Errorf("opening stream: %w", err)
	}
	s := newStream(to, name, raw, l)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.joinStreamLocked(s); err != nil {
		return nil, err
	}
	return s, nil
}

// joinStreamLocked adds s to its session, with which it ends.
func (m *Manager) joinStreamLocked(s *Stream) error {
	if p := s.l.peer; p.session == nil || p.link != s.l {
		s.end(func() { s.s.Reset(wire.NotConnected) })
		return wire.ErrNotConnected
	}
	s.l.mu.Lock()
	defer s.l.mu.Unlock()
	s.l.streams[s] = struct{}{}
	return nil
}

// resetStreams ends the streams of a session that has ended while its connection stays up.
func (l *Link) resetStreams() {
	for s := range l.takeStreams() {
		s.end(func() { s.s.Reset(wire.NotConnected) })
	}
}

// forgetStreams ends the streams of a connection that is gone: they fail with its reason.
func (l *Link) forgetStreams() {
	for s := range l.takeStreams() {
		s.end(func() {})
	}
}

func (l *Link) takeStreams() map[*Stream]struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	open := l.streams
	l.streams = map[*Stream]struct{}{}
	return open
}

// end ends s by calling how, once; later calls do nothing.
func (s *Stream) end(how func()) {
	s.once.Do(func() {
		how()
		s.l.mu.Lock()
		delete(s.l.streams, s)
		s.l.mu.Unlock()
		close(s.ended)
	})
}

// Read reads bytes. io.EOF means that the other side called CloseWrite or Close; a *ResetError, that it called Reset.
func (s *Stream) Read(b []byte) (int, error) { return s.s.Read(b) }

// Write writes all of b, or fails. It blocks until the other side reads.
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
// progress fails. If a Write is in progress, Close acts like Reset with code 0, so that the part already written is not
// mistaken for the whole. It is idempotent.
func (s *Stream) Close() error {
	s.end(func() {
		for !s.writing.TryLock() { // it must not wait for a Write, which may never return
			if s.busy.Load() {
				s.s.ResetProgram(0)
				return
			}
			runtime.Gosched() // a Write is about to set busy, or a CloseWrite is about to return
		}
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

// Abandon ends a stream that the program does not handle, or whose handler has panicked. why is what the other side
// learns.
func (s *Stream) Abandon(why wire.Code) { s.end(func() { s.s.Reset(why) }) }

// Done returns a channel that is closed when this side has ended the stream, or its session or connection has ended.
func (s *Stream) Done() <-chan struct{} { return s.ended }

// SetDeadline sets the deadline of both directions, SetReadDeadline and SetWriteDeadline that of one; the zero time
// removes it. After the deadline, calls fail with os.ErrDeadlineExceeded; if that interrupts a frame, the stream can
// no longer be used for frames.
func (s *Stream) SetDeadline(t time.Time) { s.s.SetDeadline(t) }

// SetReadDeadline sets the deadline for reading.
func (s *Stream) SetReadDeadline(t time.Time) { s.s.SetReadDeadline(t) }

// SetWriteDeadline sets the deadline for writing.
func (s *Stream) SetWriteDeadline(t time.Time) { s.s.SetWriteDeadline(t) }
