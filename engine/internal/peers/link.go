package peers

import (
	"context"
	"fmt"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"

	"golang.org/x/time/rate"
)

// Link is a greeted connection with its control stream and the requests that wait for answers on it.
type Link struct {
	m       *Manager
	peer    *peer
	conn    *transport.Conn
	control *transport.Stream
	adopted chan struct{} // closed once it is the link of its peer
	boot    string        // identifies this run of the peer's engine
	udp     int           // the peer's ports for lanes; 0 means none
	tcp     int
	shared  bool // the peer reports that another device has its identity

	// These are read for every frame, and atomic, so that no lock shared with other peers is needed.
	session atomic.Pointer[session] // the session that the link carries now; changed under Manager.mu
	large   atomic.Bool             // has carried a session, or may soon: a large message may come
	name    atomic.Pointer[string]  // the peer's display name

	out       *controlWriter
	unsure    chan []byte // datagrams
	began     time.Time
	renewed   bool                 // a Renew has arrived; guarded by Manager.mu
	endsSent  uint64               // the count of session ends that the peer knows; guarded by Manager.mu
	announced map[PeerID]announced // the peers announced to this peer; guarded by Manager.mu

	pings, datagramPings *rate.Limiter // limit our pings while there is no session
	read                 atomic.Uint64 // bytes that were read or used; see unread
	echo                 echoStream

	mu      sync.Mutex
	ended   error
	counter uint64
	pongs   map[uint64]chan time.Time // pings that wait for an answer
	streams map[*Stream]struct{}      // the program's open streams
}

func newLink(m *Manager, p *peer, conn *transport.Conn, control *transport.Stream, boot string) *Link {
	return &Link{
		m: m, peer: p, conn: conn, control: control, boot: boot, adopted: make(chan struct{}),
		out: newControlWriter(control), unsure: make(chan []byte, maxUnsure), began: now(),
		announced: map[PeerID]announced{}, pongs: map[uint64]chan time.Time{}, streams: map[*Stream]struct{}{},
		pings: rate.NewLimiter(pingsReliable, 1), datagramPings: rate.NewLimiter(pingsUnreliable, 1),
	}
}

// HasSession reports whether the link carries a session. It takes no lock.
func (l *Link) HasSession() bool { return l.session.Load() != nil }

// Send queues a message for the peer without waiting. A full queue means that the peer does not read, so the connection
// is closed.
func (l *Link) Send(msg wire.Message) {
	frame, err := wire.Frame(msg)
	if err != nil {
		// The engine's own messages fit its limits.
		panic(fmt.Sprintf("frame: %v", err))
	}
	l.Queue(frame)
}

// Queue queues an encoded frame without waiting.
func (l *Link) Queue(frame []byte) {
	if !l.out.queue(frame) {
		l.conn.Close(wire.Busy)
	}
}

// fail ends every request that waits for an answer.
func (l *Link) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended != nil {
		return
	}
	l.ended = err
	for _, c := range l.pongs {
		close(c)
	}
	clear(l.pongs)
}

// run serves l, once it is adopted, until its connection ends.
func (l *Link) run(ctx context.Context) {
	m := l.m
	p := l.peer
	<-l.adopted
	defer m.unread.add(l)()
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { l.out.run(ctx, l.conn) })
	wg.Go(func() { l.watchPath(ctx) })
	wg.Go(func() { l.writeDatagrams(ctx) })
	wg.Go(func() { l.readDatagrams(ctx) })
	wg.Go(func() { l.acceptStreams(ctx) })
	err := l.readControl()
	code := wire.CodeOf(err)
	if ctx.Err() != nil {
		code = wire.Bye
	}
	l.conn.Close(code) // no effect if the connection has already ended and made the read fail
	<-l.conn.Done()
	cancel()
	wg.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sessions.linkDownLocked(p, l, l.conn.Err())
}

// pathSettles is how long a new connection is not examined: it begins with packets that every path carries, and a
// machine on which many connections begin at once loses some of them.
const pathSettles = 5 * time.Second

// watchPath closes a connection whose path has started to lose all large packets: the next connection starts with
// small ones.
func (l *Link) watchPath(ctx context.Context) {
	var hole transport.BlackHole
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-l.conn.Done():
			return
		case <-ctx.Done():
			return
		}
		if now().Sub(l.began) < pathSettles {
			continue
		}
		if hole.Found(l.conn.Stats()) {
			l.conn.Close(wire.Timeout)
			return
		}
	}
}

// readControl handles messages until one cannot be read or handled. A panic in a handler ends only this peer's
// connection.
func (l *Link) readControl() (err error) {
	m := l.m
	p := l.peer
	defer func() {
		if r := recover(); r != nil {
			m.cfg.Panics.Error("panic while handling a peer", "peer", p.id.Short(), "panic", fmt.Sprintf("%q", fmt.Sprint(r)), "stack", string(debug.Stack()))
			err = wire.ErrInternal
		}
	}()
	ctx := l.conn.Context()
	next := l.control.Frames(l.frameLimit)
	pace := newReading()
	for {
		raw, err := next()
		if err != nil {
			return err
		}
		l.read.Add(uint64(len(raw)))
		if err := pace.frame(ctx, l.joined(), len(raw)); err != nil {
			return err
		}
		msg, err := wire.Decode(raw)
		if err != nil {
			return err
		}
		if msg == nil {
			continue // a type from a later version; it counted against the rate like any other
		}
		if err := pace.message(ctx, l.joined(), msg); err != nil {
			return err
		}
		if err := l.handle(msg); err != nil {
			return err
		}
	}
}

// frameLimit returns the maximum size of a frame from the peer: only connected peers may send large messages.
func (l *Link) frameLimit() int {
	if l.large.Load() { // a large message may be in flight when the session ends
		return wire.MaxFrame
	}
	return wire.MaxControl
}

// joined reports whether l carries a session. If one is about to begin, it waits for that.
func (l *Link) joined() bool {
	return l.session.Load() != nil || l.large.Load() && l.sessionNow() != nil
}

// sessionNow returns the session that l carries, or nil. A frame on l may overtake a session that is about to begin;
// sessionNow then waits for that session.
func (l *Link) sessionNow() *session {
	m := l.m
	if s := l.session.Load(); s != nil {
		return s
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return l.session.Load()
}

// handle handles one message of a greeted peer. An error closes the connection with its code.
func (l *Link) handle(msg wire.Message) error {
	m := l.m
	p := l.peer
	switch msg := msg.(type) {
	case wire.Ping:
		l.Send(wire.Pong(msg))
	case wire.Pong:
		l.pong(msg.N)
	case wire.Text:
		l.takeMessage(msg)
	case wire.TextAck:
		if s := l.sessionNow(); s != nil {
			s.window.Answered(l, msg.N, msg.Code)
		}
	case wire.Offer, wire.OfferUpdate, wire.OfferAnswer, wire.OfferCancel, wire.OfferPause, wire.OfferResume, wire.Lanes:
		m.transfers.Take(l, msg)
	case wire.PairStart, wire.PairNonce, wire.PairReveal, wire.PairConfirm, wire.PairLink, wire.PairCancel:
		return m.pairings.Take(l, msg)
	case wire.Invite:
		m.invitations.takeInvite(p, l, msg)
	case wire.InviteAnswer:
		m.invitations.takeAnswer(p, l, msg)
	case wire.InviteCancel:
		m.invitations.takeCancel(p, msg)
	case wire.Leave:
		m.sessions.takeLeave(p, l, msg)
	case wire.Renew:
		return m.sessions.takeRenew(p, l, msg)
	case wire.Info:
		m.mu.Lock()
		defer m.mu.Unlock()
		if p.link == l {
			p.setName(wire.CleanName(msg.Name))
			p.info, p.open = msg.Info, msg.Open
			m.table.publishLocked(p)
			m.exchange.changed()
		}
	case wire.Peers:
		return m.exchange.takePeers(p, l, msg)
	default: // a second hello, or a message that belongs on a lane
		return wire.ErrProtocol
	}
	return nil
}

// newPing registers a ping.
func (l *Link) newPing() (uint64, chan time.Time, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended != nil {
		return 0, nil, l.ended
	}
	l.counter++
	c := make(chan time.Time, 1)
	l.pongs[l.counter] = c
	return l.counter, c, nil
}

func (l *Link) pong(n uint64) {
	at := now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.pongs[n]; c != nil {
		delete(l.pongs, n)
		c <- at
	}
}

func (l *Link) dropPing(n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.pongs, n)
}

// alive sends a ping and reports whether the peer responds. Anything that arrives counts, since the answer may queue
// behind messages.
func (l *Link) alive(ctx context.Context, within time.Duration) bool {
	n, c, err := l.newPing()
	if err != nil {
		return false
	}
	defer l.dropPing(n)
	_, before := l.conn.Received()
	l.Send(wire.Ping{N: n})
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case _, ok := <-c:
		return ok
	case <-timer.C:
		_, packets := l.conn.Received()
		return packets > before
	case <-l.conn.Done():
	case <-ctx.Done():
	}
	return false
}

// Name returns the peer's display name.
func (l *Link) Name() string { return *l.name.Load() }

// Peer returns the ID of the peer.
func (l *Link) Peer() PeerID { return l.peer.id }

// Addrs lists the addresses where the peer may be dialled, best first. It takes the manager's lock.
func (l *Link) Addrs() []netip.AddrPort {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	return l.peer.all()
}

// LanePorts returns the peer's ports for lanes; 0 means none.
func (l *Link) LanePorts() (udp, tcp int) { return l.udp, l.tcp }

// Token returns what proves that a lane belongs to this connection (RFC 8446 section 7.5).
func (l *Link) Token(transfer string) (string, error) { return l.conn.Token(transfer) }

// Binding returns bytes that both sides of this connection know, and that differ for every other connection (RFC 8446
// section 7.5).
func (l *Link) Binding() ([]byte, error) { return l.conn.Binding() }

// Dialled reports whether this side dialled.
func (l *Link) Dialled() bool { return l.conn.Dialled }

// RemoteAddr returns the current address of the peer.
func (l *Link) RemoteAddr() netip.AddrPort { return l.conn.RemoteAddr() }

// LocalAddr returns our end; see transport.Conn.
func (l *Link) LocalAddr() netip.AddrPort { return l.conn.LocalAddr() }

// Stats returns the statistics of the connection.
func (l *Link) Stats() transport.Stats { return l.conn.Stats() }

// Done returns a channel that is closed when the connection has ended; Err then returns why.
func (l *Link) Done() <-chan struct{} { return l.conn.Done() }

// Err returns why the connection has ended; nil before that.
func (l *Link) Err() error { return l.conn.Err() }
