package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"multipeer/engine/internal/pairing"
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"

	"golang.org/x/time/rate"
)

// maxOut is how many frames may wait to be written. They pile up only if the peer does not read.
const maxOut = 1024

// link is a greeted connection with its control stream and the requests that wait for answers on it.
type link struct {
	e       *Engine
	peer    *peer
	conn    *transport.Conn
	control *transport.Stream
	adopted chan struct{} // closed once it is the link of its peer
	boot    string        // identifies this run of the peer's engine
	udp     int           // the peer's ports for lanes; 0 means none
	tcp     int
	shared  bool // the peer says that another device has its identity

	// What each frame asks, so that it needs no lock that other peers share.
	session atomic.Pointer[session] // the session that the link carries now; changed under Engine.mu
	large   atomic.Bool             // has carried a session, or may soon: a large message may come
	name    atomic.Pointer[string]  // the peer's display name

	out      chan []byte // frames for the control stream
	unsure   chan []byte // datagrams
	began    time.Time
	renewed  bool               // a Renew has arrived; guarded by Engine.mu
	endsTold uint64             // the count of session ends that the peer knows; guarded by Engine.mu
	told     map[PeerID]telling // the peers announced to this peer; guarded by Engine.mu

	pings, datagramPings *rate.Limiter // limit our pings while there is no session

	mu      sync.Mutex
	ended   error
	counter uint64
	pongs   map[uint64]chan time.Time // pings that wait for an answer
	streams map[*Stream]struct{}      // the program's open streams
}

func newLink(e *Engine, p *peer, conn *transport.Conn, control *transport.Stream, boot string) *link {
	return &link{
		e: e, peer: p, conn: conn, control: control, boot: boot, adopted: make(chan struct{}),
		out: make(chan []byte, maxOut), unsure: make(chan []byte, maxUnsure), began: now(),
		told: map[PeerID]telling{}, pongs: map[uint64]chan time.Time{}, streams: map[*Stream]struct{}{},
		pings: rate.NewLimiter(pingsReliable, 1), datagramPings: rate.NewLimiter(pingsUnreliable, 1),
	}
}

// send queues m for the peer without waiting. A full queue means that the peer does not read, so the connection is
// closed.
func (l *link) send(m wire.Message) {
	frame, err := wire.Frame(m)
	if err != nil {
		// The engine's own messages fit its limits.
		panic(fmt.Sprintf("frame: %v", err))
	}
	l.queue(frame)
}

func (l *link) queue(frame []byte) {
	select {
	case l.out <- frame:
	default:
		l.conn.Close(wire.Busy)
	}
}

// fail ends every request that waits for an answer.
func (l *link) fail(err error) {
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
func (l *link) run(ctx context.Context) {
	e := l.e
	p := l.peer
	<-l.adopted
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { l.write(ctx) })
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
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sessions.linkDownLocked(p, l, l.conn.Err())
}

// write is the only writer of the control stream.
func (l *link) write(ctx context.Context) {
	for {
		select {
		case frame := <-l.out:
			if err := l.control.WriteFrame(frame); err != nil {
				l.conn.Close(wire.Timeout)
				return
			}
		case <-l.conn.Done():
			return
		case <-ctx.Done():
			return
		}
	}
}

// pathSettles is how long a new connection is not examined: it begins with packets that every path carries, and a machine
// on which many connections begin at once loses some of them.
const pathSettles = 5 * time.Second

// watchPath closes a connection whose path has started to lose all large packets: the next connection starts with
// small ones.
func (l *link) watchPath(ctx context.Context) {
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
func (l *link) readControl() (err error) {
	e := l.e
	p := l.peer
	defer func() {
		if r := recover(); r != nil {
			e.log.Error("panic while handling a peer", "peer", p.id.Short(), "panic", fmt.Sprintf("%q", fmt.Sprint(r)), "stack", string(debug.Stack()))
			if panicked != nil {
				panicked(r)
			}
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
		if err := pace.frame(ctx, l.joined(), len(raw)); err != nil {
			return err
		}
		m, err := wire.Decode(raw)
		if err != nil {
			return err
		}
		if m == nil {
			continue // a type from a later version; it counted against the rate like any other
		}
		if err := pace.message(ctx, m); err != nil {
			return err
		}
		if err := l.handle(m); err != nil {
			return err
		}
	}
}

// frameLimit returns the maximum size of a frame from the peer: only connected peers may send large messages.
func (l *link) frameLimit() int {
	if l.large.Load() { // a large message may be in flight when the session ends
		return wire.MaxFrame
	}
	return wire.MaxControl
}

// panicked is set by tests, so that a recovered panic fails the test.
var panicked func(any)

// joined reports whether l carries a session, or one is beginning and holds Engine.mu.
func (l *link) joined() bool {
	return l.session.Load() != nil || l.large.Load() && l.sessionNow() != nil
}

// sessionNow returns the session that l carries, or nil. What comes over l may overtake a session that is about to
// begin: then it waits for it.
func (l *link) sessionNow() *session {
	e := l.e
	if s := l.session.Load(); s != nil {
		return s
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return l.session.Load()
}

// handle handles one message of a greeted peer. An error closes the connection with its code.
func (l *link) handle(m wire.Message) error {
	e := l.e
	p := l.peer
	switch m := m.(type) {
	case wire.Ping:
		l.send(wire.Pong(m))
	case wire.Pong:
		l.pong(m.N)
	case wire.Text:
		l.takeMessage(m)
	case wire.TextAck:
		if s := l.sessionNow(); s != nil {
			s.answered(l, m.N, m.Code)
		}
	case wire.Offer:
		e.transfers.TakeOffer(p.id, e.nameOf(p.id), peerLink{e, l}, m)
	case wire.OfferUpdate:
		e.transfers.TakeUpdate(p.id, m)
	case wire.OfferAnswer:
		e.transfers.TakeAnswer(p.id, peerLink{e, l}, m)
	case wire.OfferCancel:
		e.transfers.TakeCancel(p.id, m)
	case wire.OfferPause:
		e.transfers.TakePause(p.id, m.ID, true)
	case wire.OfferResume:
		e.transfers.TakePause(p.id, m.ID, false)
	case wire.Lanes:
		e.transfers.TakeLanes(p.id, m)
	case wire.PairStart, wire.PairNonce, wire.PairReveal, wire.PairConfirm, wire.PairLink, wire.PairCancel:
		return e.pairings.Take(pairing.Peer{ID: p.id, Name: e.nameOf(p.id), Link: peerLink{e, l}}, m)
	case wire.Invite:
		e.invitations.takeInvite(p, l, m)
	case wire.InviteAnswer:
		e.invitations.takeAnswer(p, l, m)
	case wire.InviteCancel:
		e.invitations.takeCancel(p, m)
	case wire.Leave:
		e.sessions.takeLeave(p, l, m)
	case wire.Renew:
		return e.sessions.takeRenew(p, l, m)
	case wire.Info:
		e.mu.Lock()
		defer e.mu.Unlock()
		if p.link == l {
			p.setName(wire.CleanName(m.Name))
			p.info, p.open = m.Info, m.Open
			e.table.publishLocked(p)
			e.exchange.changed()
		}
	case wire.Peers:
		return e.exchange.takePeers(p, l, m)
	default: // a second hello, or a message that belongs on a lane
		return wire.ErrProtocol
	}
	return nil
}

// newPing registers a ping.
func (l *link) newPing() (uint64, chan time.Time, error) {
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

func (l *link) pong(n uint64) {
	at := now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.pongs[n]; c != nil {
		delete(l.pongs, n)
		c <- at
	}
}

func (l *link) dropPing(n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.pongs, n)
}

// alive sends a ping and reports whether the peer responds. Anything that arrives counts, since the answer may queue
// behind messages.
func (l *link) alive(ctx context.Context, within time.Duration) bool {
	n, c, err := l.newPing()
	if err != nil {
		return false
	}
	defer l.dropPing(n)
	before := l.conn.Received()
	l.send(wire.Ping{N: n})
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case _, ok := <-c:
		return ok
	case <-timer.C:
		return l.conn.Received() > before
	case <-l.conn.Done():
	case <-ctx.Done():
	}
	return false
}

// linkTo returns a peer and its live link.
func (e *Engine) linkTo(id PeerID) (*peer, *link, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.peers[id]
	switch {
	case p == nil || !p.shown:
		return nil, nil, ErrNoPeer
	case p.link == nil && p.err != nil:
		return p, nil, fmt.Errorf("%w: %w", ErrNotConnected, p.err)
	case p.link == nil:
		return p, nil, ErrNotConnected
	}
	return p, p.link, nil
}

// want requests dialling of a peer that would not be dialled automatically; see dialer.mayShowLocked.
func (e *Engine) want(id PeerID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p := e.peers[id]; p != nil && p.shown && !p.wanted {
		p.wanted, p.retry = true, true
		e.dialer.ensureLoopLocked(p)
	}
}

// waitLink is like linkTo but waits, until ctx ends, for a found peer to be connected.
func (e *Engine) waitLink(ctx context.Context, id PeerID) (p *peer, l *link, err error) {
	e.want(id)
	err = ErrClosed
	e.until(ctx, func() bool {
		p, l, err = e.linkTo(id)
		return err == nil || errors.Is(err, ErrNoPeer)
	})
	if errors.Is(err, ErrClosed) && ctx.Err() != nil {
		err = ended(ctx)
	}
	return p, l, err
}
