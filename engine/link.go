package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// maxOut is how many frames wait to be written. Only a peer that does not read lets them pile up.
const maxOut = 1024

// link is a greeted conn with its control stream, and what waits for answers on it.
type link struct {
	peer    *peer
	conn    *transport.Conn
	control *transport.Stream
	boot    string // of the peer's engine
	udp     int    // the ports where it takes lanes; 0 is none
	tcp     int

	out      chan []byte // frames for the control stream
	unsure   chan []byte // datagrams
	began    time.Time
	joined   bool               // it has carried a session; guarded by Engine.mu
	renewed  bool               // it has brought a Renew; guarded by Engine.mu
	endsTold uint64             // how often the session has ended, as the peer was told; guarded by Engine.mu
	told     map[PeerID]telling // whom the peer was told of; guarded by Engine.mu

	mu      sync.Mutex
	ended   error
	counter uint64
	pongs   map[uint64]chan time.Time // pings
	streams map[*Stream]struct{}      // of the program, open
}

func newLink(p *peer, conn *transport.Conn, control *transport.Stream, boot string) *link {
	return &link{
		peer: p, conn: conn, control: control, boot: boot,
		out: make(chan []byte, maxOut), unsure: make(chan []byte, maxUnsure), began: now(),
		told: map[PeerID]telling{}, pongs: map[uint64]chan time.Time{}, streams: map[*Stream]struct{}{},
	}
}

// send queues m for the peer without waiting. A queue that is full means that the peer does not read: the conn ends.
func (l *link) send(m wire.Message) {
	frame, err := wire.Frame(m)
	if err != nil {
		// What the engine itself says fits its own limits.
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

// fail ends everything that waits for an answer.
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

// runLink serves l until its conn ends.
func (e *Engine) runLink(ctx context.Context, p *peer, l *link) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { l.write(ctx) })
	wg.Go(func() { l.writeDatagrams(ctx) })
	wg.Go(func() { e.readDatagrams(ctx, p, l) })
	wg.Go(func() { e.acceptStreams(ctx, p, l) })
	err := e.readControl(p, l)
	code := wire.CodeOf(err)
	if ctx.Err() != nil {
		code = wire.Bye
	}
	l.conn.Close(code) // does nothing if the conn has ended, which is why the read failed
	<-l.conn.Done()
	cancel()
	wg.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.linkDown(p, l, l.conn.Err())
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

// readControl handles messages until one cannot be read or handled. A panic in a handler ends this peer's conn
// and nothing else.
func (e *Engine) readControl(p *peer, l *link) (err error) {
	defer func() {
		if r := recover(); r != nil {
			e.log.Error("panic while handling a peer", "peer", p.id.Short(), "panic", fmt.Sprintf("%q", fmt.Sprint(r)), "stack", string(debug.Stack()))
			if panicked != nil {
				panicked(r)
			}
			err = wire.ErrInternal
		}
	}()
	next := l.control.Messages(func() int { return e.frameLimit(l) })
	pace := newReading()
	for {
		m, err := next()
		if err != nil {
			return err
		}
		if err := pace.wait(l.conn.Context(), e.joined(p), m); err != nil {
			return err
		}
		if err := e.handle(p, l, m); err != nil {
			return err
		}
	}
}

// frameLimit is how large a frame may be that comes over l: messages are for connected peers.
func (e *Engine) frameLimit(l *link) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	if l.joined { // a large message may be under way when the session ends
		return wire.MaxFrame
	}
	return wire.MaxControl
}

// panicked is set by tests: there a recovered panic is a failure.
var panicked func(any)

// handle serves one message of a greeted peer. An error ends the conn with its code.
func (e *Engine) handle(p *peer, l *link, m wire.Message) error {
	switch m := m.(type) {
	case wire.Ping:
		l.send(wire.Pong(m))
	case wire.Pong:
		l.pong(m.N)
	case wire.Text:
		return e.takeMessage(p, l, m)
	case wire.TextAck:
		e.mu.Lock()
		s := p.session
		e.mu.Unlock()
		if s != nil {
			s.answered(l, m.N, m.Code)
		}
	case wire.Offer:
		e.takeOffer(p, l, m)
	case wire.OfferUpdate:
		e.takeOfferUpdate(p, m)
	case wire.OfferAnswer:
		e.takeOfferAnswer(p, l, m)
	case wire.OfferCancel:
		e.takeOfferCancel(p, m)
	case wire.OfferPause:
		e.takePause(p, m.ID, true)
	case wire.OfferResume:
		e.takePause(p, m.ID, false)
	case wire.Lanes:
		e.takeLanes(p, m)
	case wire.PairStart, wire.PairNonce, wire.PairReveal, wire.PairConfirm, wire.PairLink, wire.PairCancel:
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.takePairing(p, l, m)
	case wire.Invite:
		e.takeInvite(p, l, m)
	case wire.InviteAnswer:
		e.takeInviteAnswer(p, l, m)
	case wire.InviteCancel:
		e.takeInviteCancel(p, m)
	case wire.Leave:
		e.takeLeave(p, l, m)
	case wire.Renew:
		return e.takeRenew(p, l, m)
	case wire.Info:
		e.mu.Lock()
		defer e.mu.Unlock()
		if p.link == l {
			p.name, p.info, p.open = wire.CleanName(m.Name), m.Info, m.Open
			e.changed(p)
			e.passOn()
		}
	case wire.Peers:
		return e.takePeers(p, l, m)
	default: // a second hello, or what belongs on a lane
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

// alive asks the peer for a sign of life; anything that arrives is one, for the answer may queue behind messages.
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

// linkTo finds the live conn of a peer.
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

// want has a peer dialled that would not be by itself; see Engine.mayShow.
func (e *Engine) want(id PeerID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p := e.peers[id]; p != nil && p.shown && !p.wanted {
		p.wanted, p.retry = true, true
		e.chase(p)
	}
}

// waitLink is linkTo that waits, until ctx ends, for a peer that is found to be reached.
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

// until calls try at once and after each change, until it is true, ctx ends or the engine does.
func (e *Engine) until(ctx context.Context, try func() bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for range e.WatchState(ctx) {
		if try() {
			return
		}
	}
}
