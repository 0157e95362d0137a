package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"multipeer/engine/internal/identity"

	"github.com/quic-go/quic-go"
)

// transportOf is a socket for lanes with its QUIC transport.
type transportOf struct{ *quic.Transport }

func (e *Endpoint) laneTransport(c *net.UDPConn) *transportOf {
	return &transportOf{&quic.Transport{Conn: coalesce(c), StatelessResetKey: resetKey(e.cfg.Identity), VerifySourceAddress: e.laneGate.mustProve}}
}

// LaneWindow is how many bytes may be under way on a lane over QUIC. It is the session streams' window, for the same
// reason: with more a file fills whatever queue a line has, and messages wait in it, or are lost with it.
const LaneWindow = streamWindow

// laneConfig has one stream.
func laneConfig() *quic.Config {
	c := quicConfig()
	c.MaxIncomingStreams = 1
	c.InitialStreamReceiveWindow, c.MaxStreamReceiveWindow = LaneWindow, LaneWindow
	c.InitialConnectionReceiveWindow, c.MaxConnectionReceiveWindow = LaneWindow, LaneWindow
	c.EnableDatagrams = false
	return c
}

// handshakes bounds the TCP connections that have not proven their key yet, in all and for one address.
const (
	maxHandshakes        = 64
	maxHandshakesPerAddr = 16
)

// Lanes takes lanes that others dial, over sockets of its own: files then cause no queue where messages pass. There is
// none for an endpoint on a socket that is not its own; lanes come over that one then.
type Lanes struct {
	e    *Endpoint
	udp  *net.UDPConn
	tr   *transportOf
	quic *quic.Listener
	tcp  net.Listener

	mu      sync.Mutex
	waiting map[netip.Addr]int
	all     int
}

// ListenLanes opens the ports for lanes: TCP with the number of the endpoint's UDP port, UDP with the next one, or any
// that are free. tcp false leaves TCP out. The caller closes it.
func (e *Endpoint) ListenLanes(tcp bool) (*Lanes, error) {
	l := &Lanes{e: e, waiting: map[netip.Addr]int{}}
	var err error
	if l.udp, err = net.ListenUDP("udp", &net.UDPAddr{Port: e.Port() + 1}); err != nil {
		if l.udp, err = net.ListenUDP("udp", nil); err != nil {
			return nil, fmt.Errorf("opening a UDP port for lanes: %w", err)
		}
	}
	l.tr = e.laneTransport(l.udp)
	if l.quic, err = l.tr.Listen(e.tlsConfig(identity.PeerID{}, false, nil, Lane), e.laneGate.guarded(laneConfig())); err != nil {
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

// Ports are where lanes are taken; 0 for TCP if it is not.
func (l *Lanes) Ports() (udp, tcp int) {
	if l.tcp != nil {
		tcp = l.tcp.Addr().(*net.TCPAddr).Port
	}
	return l.udp.LocalAddr().(*net.UDPAddr).Port, tcp
}

// Serve accepts until Close and gives each conn to quic or each lane to tcp, on goroutines that it waits for. Their keys
// are proven then, and what they are for is not.
func (l *Lanes) Serve(ctx context.Context, overQUIC func(*Conn), overTCP func(*LaneConn)) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for {
			q, err := l.quic.Accept(ctx)
			if err != nil {
				return
			}
			if c, err := newConn(q, false); err == nil {
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
		if err != nil { // too many open files; the ones that are open end some time
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		leave := l.enter(c)
		if leave == nil {
			_ = c.Close()
			continue
		}
		wg.Go(func() {
			lane, err := l.e.tcpLane(ctx, c, identity.PeerID{}, false)
			leave()
			if err == nil {
				overTCP(lane)
			}
		})
	}
}

func (l *Lanes) enter(c net.Conn) (leave func()) {
	a, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok || !l.e.laneGate.enter(a) {
		return nil
	}
	addr := a.AddrPort().Addr().Unmap()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all >= maxHandshakes || l.waiting[addr] >= maxHandshakesPerAddr { // guard: handshakes-waiting
		return nil
	}
	l.all++
	l.waiting[addr]++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.all--
		if l.waiting[addr]--; l.waiting[addr] == 0 {
			delete(l.waiting, addr)
		}
	}
}

// Close gives the ports up and ends the lanes over QUIC. It is idempotent.
func (l *Lanes) Close() error {
	var err error
	if l.tcp != nil {
		err = l.tcp.Close()
	}
	return errors.Join(err, l.quic.Close(), l.tr.Close(), l.udp.Close())
}
