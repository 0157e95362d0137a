package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"multipeer/engine/internal/identity"

	"github.com/quic-go/quic-go"
)

// transportOf is a socket for lanes with its QUIC transport.
type transportOf struct{ *quic.Transport }

func (e *Endpoint) laneTransport(c *net.UDPConn, reset *quic.StatelessResetKey) *transportOf {
	return &transportOf{&quic.Transport{Conn: coalesce(c), StatelessResetKey: reset, VerifySourceAddress: e.laneGate.mustProve}}
}

// LaneWindow is how many bytes may be in flight on a lane over QUIC. It equals the window of session streams, for the
// same reason: with more, a file fills whatever queue the path has, and messages wait in that queue, or are lost.
const LaneWindow = streamWindow

// laneConfig allows one stream.
func laneConfig() *quic.Config {
	c := quicConfig()
	c.MaxIncomingStreams = 1
	c.InitialStreamReceiveWindow, c.MaxStreamReceiveWindow = firstWindow, LaneWindow
	c.InitialConnectionReceiveWindow, c.MaxConnectionReceiveWindow = firstWindow, LaneWindow // one stream
	c.EnableDatagrams = false
	return c
}

// handshaking limits the TCP connections that have not proven their key yet.
var handshaking = AcceptLimits{All: 64, PerSource: 16}

// Lanes accepts the lanes that other devices dial, over its own sockets, so that files do not fill the queues that
// messages pass through. An endpoint that does not own its socket has no Lanes; lanes then use that socket.
type Lanes struct {
	e    *Endpoint
	udp  *net.UDPConn
	tr   *transportOf
	quic *quic.Listener
	tcp  net.Listener

	handshakes *AcceptQueue
}

// ListenLanes opens the ports for lanes: TCP on the same port number as the endpoint's UDP socket, UDP on the next one,
// or any free ports. If tcp is false, there is no TCP port. The caller must close it.
func (e *Endpoint) ListenLanes(tcp bool) (*Lanes, error) {
	l := &Lanes{e: e, handshakes: NewAcceptQueue(handshaking)}
	var err error
	if l.udp, err = net.ListenUDP("udp", &net.UDPAddr{Port: e.Port() + 1}); err != nil {
		if l.udp, err = net.ListenUDP("udp", nil); err != nil {
			return nil, fmt.Errorf("opening a UDP port for lanes: %w", err)
		}
	}
	l.tr = e.laneTransport(l.udp, resetKey(e.cfg.Identity, "lanes"))
	if l.quic, err = l.tr.Listen(e.tlsConfig(AnyKey, false, nil, Lane), e.laneGate.guarded(laneConfig())); err != nil {
		_ = l.udp.Close()
		return nil, fmt.Errorf("listening for lanes: %w", err)
	}
	if tcp {
		if l.tcp, err = net.Listen("tcp", fmt.Sprintf(":%d", e.Port())); err != nil {
			if l.tcp, err = net.Listen("tcp", ":0"); err != nil {
				e.cfg.Log.Warn("no TCP port for lanes", "err", err)
				l.tcp = nil
			}
		}
	}
	return l, nil
}

// Ports returns the ports that accept lanes; 0 for TCP if there is none.
func (l *Lanes) Ports() (udp, tcp int) {
	if l.tcp != nil {
		tcp = l.tcp.Addr().(*net.TCPAddr).Port
	}
	return l.udp.LocalAddr().(*net.UDPAddr).Port, tcp
}

// Serve accepts until Close and passes each connection to overQUIC or each lane to overTCP, on goroutines that it waits
// for. By then the peers' keys are proven, but not the purpose of the connections.
func (l *Lanes) Serve(ctx context.Context, overQUIC func(*Conn), overTCP func(*LaneConn)) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for {
			q, err := l.quic.Accept(ctx)
			if err != nil {
				return
			}
			if c, err := l.e.newConn(q, false); err == nil {
				wg.Go(func() { overQUIC(c) })
			}
		}
	})
	if l.tcp == nil {
		return
	}
	for {
		c, err := l.tcp.Accept()
		if errors.Is(err, net.ErrClosed) || ctx.Err() != nil {
			if c != nil {
				_ = c.Close()
			}
			return
		}
		if err != nil { // too many open files; some will be closed eventually
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		place := l.enter(c)
		if place == nil {
			_ = c.Close()
			continue
		}
		wg.Go(func() {
			lane, err := l.e.tcpLane(ctx, c, AnyKey, false)
			place.Leave()
			if err == nil {
				overTCP(lane)
			}
		})
	}
}

// enter reserves a slot for a connection that begins its handshake; nil if there are too many.
func (l *Lanes) enter(c net.Conn) *Waiting {
	a, ok := addrOf(c.RemoteAddr())
	if !ok || !l.e.laneGate.enter(c.RemoteAddr()) {
		return nil
	}
	return l.handshakes.Enter(identity.PeerID{}, a, func() { _ = c.Close() })
}

// Close closes the ports and ends the lanes over QUIC. It is idempotent.
func (l *Lanes) Close() error {
	var err error
	if l.tcp != nil {
		err = l.tcp.Close()
	}
	return errors.Join(err, l.quic.Close(), l.tr.Close(), l.udp.Close())
}
