package transport

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/wire"
)

// Proto is the protocol of a lane.
type Proto string

// The protocols of lanes. Both are encrypted by TLS 1.3 with both keys.
const (
	QUIC Proto = "QUIC"
	TCP  Proto = "TCP"
)

// LaneConn is a connection that carries the bytes of a transfer, one stream in both directions: a QUIC connection or
// a TLS connection. It implements transfer.Pipe. The first frames on it are wire.Lane and wire.LaneAck.
type LaneConn struct {
	Peer    identity.PeerID // from the handshake
	Proto   Proto
	Dialled bool // whether we dialled

	sent, received atomic.Int64
	stream         stream
	end            func()
	once           sync.Once
	remote         netip.AddrPort
	socket         *net.TCPConn // for TCP
	queue          int          // bytes that may be in flight over TCP; only the goroutine that calls MindRate uses it
	stats          func() Stats // for QUIC
}

type stream interface {
	Read([]byte) (int, error)
	Write([]byte) (int, error)
	CloseWrite() error
	SetDeadline(time.Time)
}

// Read implements io.Reader.
func (l *LaneConn) Read(b []byte) (int, error) {
	n, err := l.stream.Read(b)
	l.received.Add(int64(n))
	return n, err
}

// Write implements io.Writer; it may run concurrently with Read, but not with itself.
func (l *LaneConn) Write(b []byte) (int, error) {
	n, err := l.stream.Write(b)
	l.sent.Add(int64(n))
	return n, err
}

// CloseWrite ends our direction; data already written still arrives.
func (l *LaneConn) CloseWrite() error { return l.stream.CloseWrite() }

// Interrupt ends the lane at once, in both directions. It is idempotent.
func (l *LaneConn) Interrupt() { l.once.Do(l.end) }

// Bytes returns the number of bytes sent and received.
func (l *LaneConn) Bytes() (sent, received int64) { return l.sent.Load(), l.received.Load() }

// RemoteAddr returns the other end.
func (l *LaneConn) RemoteAddr() netip.AddrPort { return l.remote }

// Line returns a lane's statistics: packets sent, how many of them were lost, and the round-trip time. packets is 0
// if the counts are unknown.
func (l *LaneConn) Line() (packets, lost uint64, rtt time.Duration) {
	switch {
	case l.stats != nil:
		s := l.stats()
		return s.PacketsSent, s.PacketsLost, s.RTT
	case l.socket != nil:
		return tcpLine(l.socket)
	}
	return 0, 0, 0
}

// The bytes that may be in flight over TCP. With the system's default limit, a file fills whatever queue the path has,
// and messages wait in that queue, or are lost.
const (
	firstQueue = 192 << 10
	mostQueue  = 4 << 20
)

// MindRate allows more bytes in flight if the present limit is too low for rate, in bytes per second, over this round
// trip. It must be called from one goroutine.
func (l *LaneConn) MindRate(rate float64) {
	if l.socket == nil || l.queue >= mostQueue {
		return
	}
	if away := leastRTT(l.socket).Seconds(); rate*away > 0.5*float64(l.queue) {
		l.queue *= 2
		limitQueue(l.socket, l.queue)
	}
}

// MindLoss requests another congestion control from the system, because the default one suffers from random loss. It
// does nothing for QUIC, where more connections are the remedy.
func (l *LaneConn) MindLoss() {
	if l.socket != nil {
		preferBBR(l.socket)
	}
}

// WriteMessage writes one frame, within the deadline that SetDeadline sets.
func (l *LaneConn) WriteMessage(m wire.Message) error {
	frame, err := wire.Frame(m)
	if err != nil {
		return err
	}
	_, err = l.Write(frame)
	return err
}

// ReadMessage reads the next message of a type that this version knows, and skips a few of other types.
func (l *LaneConn) ReadMessage() (wire.Message, error) { return readMessage(l, wire.MaxHello) }

// SetDeadline sets the deadline for reading and writing; the zero time clears it.
func (l *LaneConn) SetDeadline(t time.Time) { l.stream.SetDeadline(t) }

// quicLane returns the lane over its own QUIC connection.
func quicLane(c *Conn, s *Stream) *LaneConn {
	return &LaneConn{Peer: c.Peer, Proto: QUIC, Dialled: c.Dialled, stream: s, remote: c.RemoteAddr(), stats: c.Stats, end: func() {
		s.Reset(wire.Cancelled)
		c.Close(wire.Bye)
	}}
}

// tcpStream is TLS over TCP with large system reads and writes: TLS has records of 16 KiB.
type tcpStream struct {
	*tls.Conn
	out *gathering
}

// Write writes all of b at once.
func (t *tcpStream) Write(b []byte) (int, error) {
	t.out.hold()
	n, err := t.Conn.Write(b)
	if flushErr := t.out.release(); err == nil {
		err = flushErr
	}
	return n, err
}

// SetDeadline is Conn.SetDeadline without the error.
func (t *tcpStream) SetDeadline(at time.Time) { _ = t.Conn.SetDeadline(at) }

// gathering buffers what TLS writes while it is held.
type gathering struct {
	net.Conn
	in *bufio.Reader

	mu   sync.Mutex
	held bool
	buf  []byte
}

func (g *gathering) Read(b []byte) (int, error) { return g.in.Read(b) }

func (g *gathering) Write(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.held {
		return g.Conn.Write(b)
	}
	g.buf = append(g.buf, b...)
	return len(b), nil
}

func (g *gathering) hold() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held = true
}

func (g *gathering) release() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held = false
	if len(g.buf) == 0 {
		return nil
	}
	_, err := g.Conn.Write(g.buf)
	g.buf = g.buf[:0]
	return err
}

// tcpLane performs the handshake over a TCP connection; on an error it closes it.
func (e *Endpoint) tcpLane(ctx context.Context, c net.Conn, want Pin, dialled bool) (*LaneConn, error) {
	g := &gathering{Conn: c, in: bufio.NewReaderSize(c, 256<<10)}
	var refusal error
	cfg := e.tlsConfig(want, dialled, func(err error) { refusal = err }, Lane)
	cfg.DynamicRecordSizingDisabled = true
	t := tls.Server(g, cfg)
	if dialled {
		t = tls.Client(g, cfg)
	}
	_ = c.SetDeadline(time.Now().Add(DialTimeout))
	err := t.HandshakeContext(ctx)
	if err == nil && t.ConnectionState().NegotiatedProtocol != string(Lane) {
		err = wire.ErrProtocol
	}
	var id identity.PeerID
	if err == nil {
		id, err = peerOf(t.ConnectionState())
	}
	if err == nil && id == e.cfg.Identity.ID {
		err = ErrOwnKey
	}
	if err != nil {
		_ = c.Close()
		if refusal != nil {
			err = refusal
		}
		return nil, err
	}
	_ = c.SetDeadline(time.Time{})
	socket, _ := c.(*net.TCPConn)
	if socket != nil {
		limitQueue(socket, firstQueue)
	}
	remote := netip.AddrPort{}
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		remote = netip.AddrPortFrom(a.AddrPort().Addr().Unmap(), uint16(a.Port))
	}
	return &LaneConn{Peer: id, Proto: TCP, Dialled: dialled, stream: &tcpStream{t, g}, remote: remote, socket: socket, queue: firstQueue, end: func() { _ = c.Close() }}, nil
}

// DialTCP opens a lane over TCP to addr. The peer's key must be want.
func (e *Endpoint) DialTCP(ctx context.Context, addr netip.AddrPort, want identity.PeerID) (*LaneConn, error) {
	ctx, cancel := context.WithTimeout(ctx, DialTimeout)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr.String())
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			err = wire.ErrTimeout
		}
		return nil, fmt.Errorf("opening a data connection over TCP to %s: %w", addr, err)
	}
	l, err := e.tcpLane(ctx, c, KeyOf(want), true)
	if err != nil {
		return nil, fmt.Errorf("opening a data connection over TCP to %s: %w", addr, err)
	}
	return l, nil
}

// DialQUIC opens a lane over a QUIC connection, from a new socket if the endpoint owns its socket: the system spreads
// sockets over cores, and a lane's queue does not block others.
func (e *Endpoint) DialQUIC(ctx context.Context, addr netip.AddrPort, want identity.PeerID) (*LaneConn, error) {
	dial := e.dialFrom(e.tr)
	var own *net.UDPConn
	var tr *transportOf
	if e.own {
		var err error
		if own, err = net.ListenUDP("udp", nil); err != nil {
			return nil, fmt.Errorf("opening a UDP port for a lane: %w", err)
		}
		tr = e.laneTransport(own, nil)
		dial = e.dialFrom(tr.Transport)
	}
	giveUp := func() {
		if own != nil {
			_ = tr.Close()
			_ = own.Close()
		}
	}
	c, err := dial(ctx, addr, KeyOf(want), Lane)
	if err != nil {
		giveUp()
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, DialTimeout)
	defer cancel()
	s, err := c.OpenStream(ctx)
	if err != nil {
		c.Close(wire.CodeOf(err))
		giveUp()
		return nil, err
	}
	l := quicLane(c, s)
	end := l.end
	l.end = func() { end(); giveUp() }
	return l, nil
}

// AcceptLane turns an accepted connection into a lane: its dialler opens the stream, and no other one.
func AcceptLane(ctx context.Context, c *Conn) (*LaneConn, error) {
	s, err := c.AcceptStream(ctx)
	if err != nil {
		return nil, err
	}
	l := quicLane(c, s)
	end, stop := l.end, c.refuseStreams(context.WithoutCancel(ctx)) // it ends with the connection
	l.end = func() { end(); stop() }
	return l, nil
}
