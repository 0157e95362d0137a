package engine

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"multipeer/engine/internal/events"
	"multipeer/engine/internal/peers"
	"multipeer/engine/internal/transport"
)

// ResetError is the error of a stream that the other program ended with Reset, with its code. Find it with errors.As.
type ResetError = transport.ResetError

// Stream is a bidirectional byte stream with flow control: a Write blocks while the other side does not read, and
// blocks nothing else (MCSession startStream). It is a net.Conn, for net/http for example, whose addresses are only a PeerID and a name.
// Methods may be called concurrently. Close it: it counts as open until both sides have closed it.
//
// It ends with its connection, even if the session goes on. It fails with ErrNotConnected when the session has ended,
// with the reason, such as ErrLost, when the connection has, and with ErrCancelled when either side closed it: that is
// net.ErrClosed, too, if this side did.
type Stream struct {
	Peer PeerID
	Name string // chosen by the side that opened it

	s    *peers.Stream
	self PeerID      // this engine
	held events.Held // counts the readers' queues that hold it
}

// OpenStream opens a stream to a peer with a session, without a round trip. It waits, at most SendTimeout, for another
// to be closed while 32 are open, and for a broken connection to return; ctx does not concern the stream. Errors are
// ErrInvalid, ErrNoPeer, ErrNotConnected and ErrTimeout. If the other program refuses it, reading and writing fail with
// ErrUnavailable or ErrBusy; only its answer proves that it has the data.
func (e *Engine) OpenStream(ctx context.Context, to PeerID, name string) (_ *Stream, err error) {
	defer withPeer(&err, "open stream to", to)
	if err := unlessDevice(e, to); err != nil {
		return nil, err
	}
	s, err := e.peers.OpenStream(ctx, to, name)
	if err != nil {
		return nil, err
	}
	return e.newStream(s), nil
}

func (e *Engine) newStream(s *peers.Stream) *Stream {
	return &Stream{Peer: s.Peer, Name: s.Name, s: s, self: e.profile.ID}
}

// Read reads bytes. io.EOF means that the other side called CloseWrite or Close; a *ResetError, that it called Reset.
func (s *Stream) Read(b []byte) (int, error) { return s.s.Read(b) }

// Write writes all of b, or fails. It blocks until the other side reads.
func (s *Stream) Write(b []byte) (int, error) { return s.s.Write(b) }

// CloseWrite ends our direction. Data already written still arrives, and then the other side reads io.EOF.
func (s *Stream) CloseWrite() error { return s.s.CloseWrite() }

// Close ends both directions: data already written still arrives unless the engine ends first, incoming data is no
// longer read, and a Read in progress fails. If a Write is in progress, Close acts like Reset with code 0, so that the
// part already written is not mistaken for the whole. It is idempotent.
func (s *Stream) Close() error { return s.s.Close() }

// Done returns a channel that is closed when this side has ended the stream, or its session or connection has ended. If
// the other side ends it, Read and Write report that.
func (s *Stream) Done() <-chan struct{} { return s.s.Done() }

// Reset ends both directions at once and discards written data that has not arrived. The other side gets a
// *ResetError with the code; the program may use any code. Reads and Writes in progress here fail. It is
// idempotent, and may be called after Close.
func (s *Stream) Reset(code uint16) { s.s.Reset(code) }

// SetDeadline sets the deadline of both directions, SetReadDeadline and SetWriteDeadline that of one; the zero time
// removes it. After the deadline, calls fail with os.ErrDeadlineExceeded; if that interrupts a frame, the stream can
// no longer be used for frames.
func (s *Stream) SetDeadline(t time.Time) error {
	s.s.SetDeadline(t)
	return nil
}

// SetReadDeadline sets the deadline for reading.
func (s *Stream) SetReadDeadline(t time.Time) error {
	s.s.SetReadDeadline(t)
	return nil
}

// SetWriteDeadline sets the deadline for writing.
func (s *Stream) SetWriteDeadline(t time.Time) error {
	s.s.SetWriteDeadline(t)
	return nil
}

// WriteFrame writes the length of b and then b, for ReadFrame on the other side: a stream itself has no message
// boundaries. One call may run at a time.
func (s *Stream) WriteFrame(b []byte) error {
	_, err := s.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...))
	return err
}

// ReadFrame reads what one WriteFrame wrote, at most limit bytes: a longer frame returns ErrTooLarge, and nothing can
// be read after it. io.EOF means that the stream ended between two frames, io.ErrUnexpectedEOF within one. One call may run at a time.
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
