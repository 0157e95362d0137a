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
	"strings"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/wire"

	"github.com/quic-go/quic-go"
)

// ErrLost reports that the peer stopped responding: it crashed, is asleep, or the network is down.
var ErrLost = errors.New("connection lost")

// ErrRefused reports that the other side does not admit our key.
var ErrRefused = errors.New("the other side refuses this device's key")

// ResetError reports that the other program reset a stream, with its code.
type ResetError struct{ Code uint16 }

func (e *ResetError) Error() string {
	return fmt.Sprintf("stream reset by the other side, code %d", e.Code)
}

// resetBase is the first of the programs' codes; the engine's own are below it.
const resetBase = 1 << 16

// Conn is one QUIC connection on which both keys are proven. Its methods may be called concurrently.
type Conn struct {
	q       *quic.Conn
	Peer    identity.PeerID // from the handshake, never from a packet
	Kind    Kind
	Dialled bool // whether we dialled
}

// newConn wraps a connection whose handshake is complete: the other side has proven its key.
func (e *Endpoint) newConn(q *quic.Conn, dialled bool) (*Conn, error) {
	s := q.ConnectionState().TLS
	id, err := peerOf(s)
	if err != nil {
		_ = q.CloseWithError(quic.ApplicationErrorCode(wire.Identity), "")
		return nil, err
	}
	if id == e.cfg.Identity.ID { // guard: own-key
		e.ownHeld.take(q, dialled, e.cfg.OwnKey)
		return nil, ErrOwnKey
	}
	return &Conn{q: q, Peer: id, Kind: Kind(s.NegotiatedProtocol), Dialled: dialled}, nil
}

// Close ends the connection; the code is sent to the other side at once. Later calls do nothing.
func (c *Conn) Close(code wire.Code) {
	_ = c.q.CloseWithError(quic.ApplicationErrorCode(code), "")
}

// Context returns a context that ends with the connection.
func (c *Conn) Context() context.Context { return c.q.Context() }

// Done returns a channel that is closed when the connection has ended; Err then returns why.
func (c *Conn) Done() <-chan struct{} { return c.q.Context().Done() }

// Err returns nil while the connection is up. ErrBye means that the other side closed it cleanly, ErrLost
// that the peer stopped responding; the other errors of package wire say why either side closed it.
func (c *Conn) Err() error {
	if c.q.Context().Err() == nil {
		return nil
	}
	return Cause(context.Cause(c.q.Context()))
}

// errClosedHere is the error of a stream that this side has closed or reset.
var errClosedHere = wire.Reword("the stream is closed", wire.ErrCancelled, net.ErrClosed)

// Cause converts a QUIC error into the error of its code. It omits the reason phrase that the other side may send
// with the code: the sender of that text may not even have a key, and errors are printed.
func Cause(err error) error {
	var app *quic.ApplicationError
	if errors.As(err, &app) {
		return wire.Code(app.ErrorCode).Err()
	}
	var st *quic.StreamError
	if errors.As(err, &st) {
		if st.ErrorCode >= resetBase && st.ErrorCode < 2*resetBase {
			if !st.Remote {
				return errClosedHere
			}
			return &ResetError{uint16(st.ErrorCode - resetBase)}
		}
		if !st.Remote && wire.Code(st.ErrorCode) == wire.Cancelled {
			return errClosedHere
		}
		return wire.Code(st.ErrorCode).Err()
	}
	if errors.Is(err, quic.ErrStreamClosed) {
		return errClosedHere
	}
	var te *quic.TransportError
	if errors.As(err, &te) {
		why := te.ErrorCode.String()
		if alert := te.ErrorCode.Message(); alert != "" {
			why += ", " + alert
		}
		if te.Remote && te.ErrorCode.IsCryptoError() {
			return fmt.Errorf("%w: %s", ErrRefused, why)
		}
		if !te.Remote && te.ErrorCode == quic.InternalError && te.ErrorMessage != "" {
			// The text comes from this system, which could not send a packet, for example because a network is
			// unreachable.
			why = te.ErrorMessage[strings.LastIndex(te.ErrorMessage, ": ")+1:]
			why = strings.TrimSpace(why)
		}
		return fmt.Errorf("%w: %s", ErrLost, why)
	}
	var versions *quic.VersionNegotiationError
	if errors.As(err, &versions) {
		return fmt.Errorf("%w: no common version of QUIC", wire.ErrVersion)
	}
	var idle *quic.IdleTimeoutError
	var reset *quic.StatelessResetError
	if errors.As(err, &idle) || errors.As(err, &reset) {
		return fmt.Errorf("%w: %v", ErrLost, err)
	}
	var system *net.OpError
	if errors.As(err, &system) && system.Op != "remote error" { // the peer's TLS alert (RFC 8446 section 6)
		// The error's own text would repeat both addresses.
		return wire.Reword(fmt.Sprintf("%v: %v", ErrLost, system.Err), ErrLost, err)
	}
	return err
}

// RemoteAddr returns where the peer is now; it changes when the peer moves to another network.
func (c *Conn) RemoteAddr() netip.AddrPort {
	a, ok := c.q.RemoteAddr().(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := a.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// RTT returns the smoothed round-trip time (RFC 9002 section 5.3).
func (c *Conn) RTT() time.Duration { return c.q.ConnectionStats().SmoothedRTT }

// Received returns how many bytes have arrived for this connection, and how many packets of the peer. The bytes include
// those of packets that anyone can forge.
func (c *Conn) Received() (bytes, packets uint64) {
	s := c.q.ConnectionStats()
	return s.BytesReceived, s.PacketsReceived
}

// Stats are the statistics of the path to the peer since the connection began.
type Stats struct {
	RTT, MinRTT, Jitter      time.Duration // smoothed, least, mean deviation (RFC 9002 section 5)
	BytesSent, BytesReceived uint64        // of QUIC, without UDP and IP
	PacketsSent, PacketsLost uint64        // packets sent by us; lost ones do not include MTU probes
	BytesLost                uint64
	PacketsReceived          uint64
}

// Stats returns the current statistics.
func (c *Conn) Stats() Stats {
	s := c.q.ConnectionStats()
	return Stats{
		s.SmoothedRTT, s.MinRTT, s.MeanDeviation, s.BytesSent, s.BytesReceived,
		s.PacketsSent, s.PacketsLost, s.BytesLost, s.PacketsReceived,
	}
}

// LocalAddr returns our end, as far as the socket reports it: the address is unspecified if we dialled.
func (c *Conn) LocalAddr() netip.AddrPort {
	a, ok := c.q.LocalAddr().(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := a.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// Token returns the token that binds a lane to this session connection: see wire.Lane.
func (c *Conn) Token(id string) (string, error) {
	s := c.q.ConnectionState().TLS
	b, err := s.ExportKeyingMaterial(wire.LaneLabel, []byte(id), 32)
	return hex.EncodeToString(b), err
}

// Binding returns a secret that only the two ends of this connection can know (RFC 9266): see identity.Pairing.
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
	s     *quic.Stream
	ahead *bufio.Reader // holds what awaitData has read; only the control stream has it
}

// OpenStream opens a stream. While too many are open, it waits until ctx ends.
func (c *Conn) OpenStream(ctx context.Context) (*Stream, error) {
	s, err := c.q.OpenStreamSync(ctx)
	if err != nil {
		return nil, Cause(err)
	}
	return &Stream{s: s}, nil
}

// AcceptStream waits for the other side's next stream.
func (c *Conn) AcceptStream(ctx context.Context) (*Stream, error) {
	s, err := c.q.AcceptStream(ctx)
	if err != nil {
		return nil, Cause(err)
	}
	return &Stream{s: s}, nil
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

// CloseWrite ends our direction; data already written still arrives. ErrCancelled means that the stream was reset, or that
// the other side no longer reads.
func (s *Stream) CloseWrite() error {
	if s.s.Close() != nil { // the error's text is about stream numbers
		return fmt.Errorf("%w: the stream has ended", wire.ErrCancelled)
	}
	return nil
}

// Reset ends both directions at once; the code is sent to the other side.
func (s *Stream) Reset(code wire.Code) {
	s.s.CancelRead(quic.StreamErrorCode(code))
	s.s.CancelWrite(quic.StreamErrorCode(code))
}

// ResetProgram is Reset with a code of the program.
func (s *Stream) ResetProgram(code uint16) {
	s.s.CancelRead(resetBase + quic.StreamErrorCode(code))
	s.s.CancelWrite(resetBase + quic.StreamErrorCode(code))
}

// StopReading notifies the other side that nothing more is read; its writes then fail.
func (s *Stream) StopReading(code wire.Code) { s.s.CancelRead(quic.StreamErrorCode(code)) }

// SetDeadline sets the deadline of both directions; the zero time clears it.
func (s *Stream) SetDeadline(t time.Time) { _ = s.s.SetDeadline(t) }

// SetReadDeadline sets the deadline for reading.
func (s *Stream) SetReadDeadline(t time.Time) { _ = s.s.SetReadDeadline(t) }

// SetWriteDeadline sets the deadline for writing.
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
func (s *Stream) WriteFrame(frame []byte) error { return s.writeWithin(frame, writeTimeout) }

// TryWriteFrame writes an encoded frame if flow control allows it now, and reports whether it has; otherwise nothing of it
// is written. It does not wait: the connection keeps the frame in memory until congestion control allows it to be sent.
func (s *Stream) TryWriteFrame(frame []byte) bool { return s.s.TryWriteAll(frame) == nil }

func (s *Stream) writeWithin(frame []byte, limit time.Duration) error {
	_ = s.s.SetWriteDeadline(time.Now().Add(limit))
	defer func() { _ = s.s.SetWriteDeadline(time.Time{}) }()
	_, err := s.Write(frame)
	return err
}

// ReadMessage reads the next message of a type that this version knows, and skips a few of other types.
func (s *Stream) ReadMessage(limit int) (wire.Message, error) { return readMessage(s, limit) }

// Frames returns a function that reads the frames of a stream that holds nothing else: the control stream. It reads
// ahead. limit is called for each frame. The caller must rate-limit and decode them.
func (s *Stream) Frames(limit func() int) func() ([]byte, error) {
	ahead := s.ahead
	if ahead == nil {
		ahead = bufio.NewReader(s)
	}
	return func() ([]byte, error) { return wire.ReadFrameWithin(ahead, limit) }
}

// awaitData waits until there is something for Frames to read.
func (s *Stream) awaitData() error {
	s.ahead = bufio.NewReader(s)
	_, err := s.ahead.Peek(1)
	return err
}

// maxSkipped is how many frames of unknown types may precede the first message of a stream or a lane, which is not
// rate-limited.
const maxSkipped = 16

func readMessage(r io.Reader, limit int) (wire.Message, error) {
	for range maxSkipped + 1 {
		raw, err := wire.ReadFrame(r, limit)
		if err != nil {
			return nil, err
		}
		if m, err := wire.Decode(raw); m != nil || err != nil {
			return m, err
		}
	}
	return nil, fmt.Errorf("more than %d frames of unknown types: %w", maxSkipped, wire.ErrProtocol)
}
