package transport

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/wire"

	"github.com/quic-go/quic-go"
)

// ErrLost tells that the peer fell silent: crashed, asleep, or the network is gone.
var ErrLost = errors.New("connection lost")

// ErrRefused tells that the other side does not let our key in.
var ErrRefused = errors.New("the other side refuses this device's key")

// ResetError tells that the other program gave a stream up, and its reason.
type ResetError struct{ Code uint16 }

func (e *ResetError) Error() string {
	return fmt.Sprintf("stream reset by the other side, code %d", e.Code)
}

// resetBase is where the codes of programs begin; below are the engine's own.
const resetBase = 1 << 16

// Conn is one QUIC conn whose two keys are proven. Its methods may be called concurrently.
type Conn struct {
	q       *quic.Conn
	Peer    identity.PeerID // from the handshake, never from a packet
	Kind    Kind
	Dialled bool // by us
}

func newConn(q *quic.Conn, dialled bool) (*Conn, error) {
	s := q.ConnectionState().TLS
	id, err := peerOf(s)
	if err != nil {
		_ = q.CloseWithError(quic.ApplicationErrorCode(wire.Identity), "")
		return nil, err
	}
	return &Conn{q: q, Peer: id, Kind: Kind(s.NegotiatedProtocol), Dialled: dialled}, nil
}

// Close ends the conn; the other side learns the code at once. Later calls do nothing.
func (c *Conn) Close(code wire.Code) {
	_ = c.q.CloseWithError(quic.ApplicationErrorCode(code), "")
}

// Context ends with the conn.
func (c *Conn) Context() context.Context { return c.q.Context() }

// Done is closed when the conn has ended; Err then says why.
func (c *Conn) Done() <-chan struct{} { return c.q.Context().Done() }

// Err is nil while the conn lives. ErrBye is a clean goodbye of the other side, ErrLost is silence, the errors of
// package wire are what either side closed it for.
func (c *Conn) Err() error {
	if c.q.Context().Err() == nil {
		return nil
	}
	return Cause(context.Cause(c.q.Context()))
}

// Cause turns an error of QUIC into the error of its code.
func Cause(err error) error {
	var app *quic.ApplicationError
	if errors.As(err, &app) {
		return wire.Code(app.ErrorCode).Err()
	}
	var st *quic.StreamError
	if errors.As(err, &st) {
		if st.ErrorCode >= resetBase && st.ErrorCode < 2*resetBase {
			if !st.Remote {
				return fmt.Errorf("%w: the stream was reset here", wire.ErrCancelled)
			}
			return &ResetError{uint16(st.ErrorCode - resetBase)}
		}
		return wire.Code(st.ErrorCode).Err()
	}
	var idle *quic.IdleTimeoutError
	var reset *quic.StatelessResetError
	var te *quic.TransportError
	if errors.As(err, &te) && te.Remote && te.ErrorCode.IsCryptoError() {
		return fmt.Errorf("%w: %v", ErrRefused, err)
	}
	if errors.As(err, &idle) || errors.As(err, &reset) || errors.As(err, &te) {
		return fmt.Errorf("%w: %v", ErrLost, err)
	}
	return err
}

// RemoteAddr is where the peer is now; it changes when the peer moves to another network.
func (c *Conn) RemoteAddr() netip.AddrPort {
	a, ok := c.q.RemoteAddr().(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := a.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// RTT is the smoothed round-trip time (RFC 9002 section 5.3).
func (c *Conn) RTT() time.Duration { return c.q.ConnectionStats().SmoothedRTT }

// Received counts the bytes that have come from the peer.
func (c *Conn) Received() uint64 { return c.q.ConnectionStats().BytesReceived }

// Stats is what is known of the way to the peer, all since the conn began.
type Stats struct {
	RTT, MinRTT, Jitter      time.Duration // smoothed, least, mean deviation (RFC 9002 section 5)
	BytesSent, BytesReceived uint64        // of QUIC, without UDP and IP
	PacketsSent, PacketsLost uint64        // lost are those of ours
	PacketsReceived          uint64
}

// Stats reads them.
func (c *Conn) Stats() Stats {
	s := c.q.ConnectionStats()
	return Stats{
		s.SmoothedRTT, s.MinRTT, s.MeanDeviation, s.BytesSent, s.BytesReceived,
		s.PacketsSent, s.PacketsLost, s.PacketsReceived,
	}
}

// LocalAddr is our end, as far as the socket tells: the address is unspecified on a conn that we dialled.
func (c *Conn) LocalAddr() netip.AddrPort {
	a, ok := c.q.LocalAddr().(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := a.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// Token binds a lane to this session conn: see wire.Lane.
func (c *Conn) Token(id string) (string, error) {
	s := c.q.ConnectionState().TLS
	b, err := s.ExportKeyingMaterial(wire.LaneLabel, []byte(id), 32)
	return hex.EncodeToString(b), err
}

// Binding is what only the two ends of this conn can know (RFC 9266): see identity.Pairing.
func (c *Conn) Binding() ([]byte, error) {
	s := c.q.ConnectionState().TLS
	return s.ExportKeyingMaterial(identity.BindingLabel, nil, identity.NonceSize)
}

// SendDatagram sends b unreliably: at once or not at all (RFC 9221).
func (c *Conn) SendDatagram(b []byte) error { return c.q.SendDatagram(b) }

// ReceiveDatagram waits for the next datagram.
func (c *Conn) ReceiveDatagram(ctx context.Context) ([]byte, error) { return c.q.ReceiveDatagram(ctx) }

// Stream is a flow-controlled byte stream in both directions, with frames at its start.
type Stream struct {
	s *quic.Stream
}

// OpenStream opens a stream and waits, until ctx ends, while the other side has too many open.
func (c *Conn) OpenStream(ctx context.Context) (*Stream, error) {
	s, err := c.q.OpenStreamSync(ctx)
	if err != nil {
		return nil, Cause(err)
	}
	return &Stream{s}, nil
}

// AcceptStream waits for the other side's next stream.
func (c *Conn) AcceptStream(ctx context.Context) (*Stream, error) {
	s, err := c.q.AcceptStream(ctx)
	if err != nil {
		return nil, Cause(err)
	}
	return &Stream{s}, nil
}

// Read reads bytes; io.EOF is the other side's CloseWrite.
func (s *Stream) Read(b []byte) (int, error) {
	n, err := s.s.Read(b)
	if err != nil && err != io.EOF {
		err = Cause(err)
	}
	return n, err
}

// Write writes bytes and blocks while the other side does not read.
func (s *Stream) Write(b []byte) (int, error) {
	n, err := s.s.Write(b)
	if err != nil {
		err = Cause(err)
	}
	return n, err
}

// CloseWrite ends our direction; what was written still arrives.
func (s *Stream) CloseWrite() error { return s.s.Close() }

// Reset gives both directions up at once; the other side gets the code.
func (s *Stream) Reset(code wire.Code) {
	s.s.CancelRead(quic.StreamErrorCode(code))
	s.s.CancelWrite(quic.StreamErrorCode(code))
}

// ResetProgram is Reset with a code of the program.
func (s *Stream) ResetProgram(code uint16) {
	s.s.CancelRead(resetBase + quic.StreamErrorCode(code))
	s.s.CancelWrite(resetBase + quic.StreamErrorCode(code))
}

// StopReading tells the other side that nothing more is read; what it writes fails there.
func (s *Stream) StopReading(code wire.Code) { s.s.CancelRead(quic.StreamErrorCode(code)) }

// SetDeadline bounds both directions; the zero time lifts the bound.
func (s *Stream) SetDeadline(t time.Time) { _ = s.s.SetDeadline(t) }

// SetReadDeadline bounds reading.
func (s *Stream) SetReadDeadline(t time.Time) { _ = s.s.SetReadDeadline(t) }

// SetWriteDeadline bounds writing.
func (s *Stream) SetWriteDeadline(t time.Time) { _ = s.s.SetWriteDeadline(t) }

// WriteMessage writes one frame, within 15 s.
func (s *Stream) WriteMessage(m wire.Message) error {
	frame, err := wire.Frame(m)
	if err != nil {
		return err
	}
	return s.WriteFrame(frame)
}

// WriteFrame writes an encoded frame, within 15 s.
func (s *Stream) WriteFrame(frame []byte) error {
	_ = s.s.SetWriteDeadline(time.Now().Add(writeTimeout))
	defer func() { _ = s.s.SetWriteDeadline(time.Time{}) }()
	_, err := s.Write(frame)
	return err
}

// ReadMessage reads the next message whose type this version knows.
func (s *Stream) ReadMessage(limit int) (wire.Message, error) {
	return readMessage(s, func() int { return limit })
}

// Messages returns a function that reads the messages of a stream on which nothing else follows: the control stream.
// It reads ahead. limit is asked for anew for each message.
func (s *Stream) Messages(limit func() int) func() (wire.Message, error) {
	ahead := bufio.NewReader(s)
	return func() (wire.Message, error) { return readMessage(ahead, limit) }
}

func readMessage(r io.Reader, limit func() int) (wire.Message, error) {
	for {
		raw, err := wire.ReadFrameWithin(r, limit)
		if err != nil {
			return nil, err
		}
		if m, err := wire.Decode(raw); m != nil || err != nil {
			return m, err
		}
	}
}
