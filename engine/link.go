package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

const (
	// maxOut is how many frames wait to be written. Only a peer that does not read lets them pile up.
	maxOut = 1024
	// window is how many messages may be under way to one peer without their answer.
	window = 32
	// maxEchoes bounds the echo streams of one peer, echoChunk what each holds.
	maxEchoes = 4
	echoChunk = 4 << 10
)

// link is a greeted conn with its control stream, and what waits for answers on it.
type link struct {
	peer    *peer
	conn    *transport.Conn
	control *transport.Stream
	boot    string // of the peer's engine

	out  chan []byte
	sent chan struct{} // one for each message under way

	mu      sync.Mutex
	ended   error
	counter uint64
	acks    map[uint64]chan error     // messages
	pongs   map[uint64]chan time.Time // pings
}

func newLink(p *peer, conn *transport.Conn, control *transport.Stream, boot string) *link {
	return &link{
		peer: p, conn: conn, control: control, boot: boot,
		out: make(chan []byte, maxOut), sent: make(chan struct{}, window),
		acks: map[uint64]chan error{}, pongs: map[uint64]chan time.Time{},
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
	for _, c := range l.acks {
		c <- err
	}
	for _, c := range l.pongs {
		close(c)
	}
	clear(l.acks)
	clear(l.pongs)
}

// runLink serves l until its conn ends.
func (e *Engine) runLink(ctx context.Context, p *peer, l *link) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { l.write(ctx) })
	wg.Go(func() { l.datagrams(ctx) })
	wg.Go(func() { e.streams(ctx, l) })
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
	for {
		m, err := l.control.ReadMessageWithin(func() int { return e.frameLimit(p) })
		if err != nil {
			return err
		}
		if err := e.handle(p, l, m); err != nil {
			return err
		}
	}
}

// frameLimit is how large a frame p may send: messages are for connected peers.
func (e *Engine) frameLimit(p *peer) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p.state == Connected {
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
		l.ack(m)
	case wire.Offer:
		e.takeOffer(p, l, m)
	case wire.OfferUpdate:
		e.takeOfferUpdate(p, m)
	case wire.OfferAnswer:
		e.takeOfferAnswer(p, m)
	case wire.OfferCancel:
		e.takeOfferCancel(p, m)
	case wire.Invite:
		e.takeInvite(p, l, m)
	case wire.InviteAnswer:
		e.takeInviteAnswer(p, l, m)
	case wire.InviteCancel:
		e.takeInviteCancel(p, m)
	case wire.Leave:
		e.takeLeave(p, l, m)
	case wire.Info:
		e.mu.Lock()
		defer e.mu.Unlock()
		p.name = wire.CleanName(m.Name)
		e.changed(p)
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

// The first byte of a datagram says what it is.
const (
	datagramPing = 1
	datagramPong = 2
)

func (l *link) datagrams(ctx context.Context) {
	for {
		b, err := l.conn.ReceiveDatagram(ctx)
		if err != nil {
			return
		}
		if len(b) != 9 {
			continue // a newer version's
		}
		switch b[0] {
		case datagramPing:
			b[0] = datagramPong
			_ = l.conn.SendDatagram(b) // unreliable
		case datagramPong:
			l.pong(binary.BigEndian.Uint64(b[1:]))
		}
	}
}

// streams serves the streams that the peer opens: echoes.
func (e *Engine) streams(ctx context.Context, l *link) {
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, maxEchoes)
	for {
		s, err := l.conn.AcceptStream(ctx)
		if err != nil {
			return
		}
		select {
		case slots <- struct{}{}:
			wg.Go(func() {
				defer func() { <-slots }()
				echo(s)
			})
		default:
			s.Reset(wire.Busy)
		}
	}
}

func echo(s *transport.Stream) {
	s.SetReadDeadline(now().Add(transport.HelloTimeout))
	m, err := s.ReadMessage(wire.MaxHello)
	if _, ok := m.(wire.Echo); err != nil || !ok {
		s.Reset(wire.Protocol)
		return
	}
	b := make([]byte, echoChunk)
	for {
		s.SetDeadline(now().Add(time.Minute))
		n, err := s.Read(b)
		if n > 0 {
			if _, err := s.Write(b[:n]); err != nil {
				s.Reset(wire.Cancelled)
				return
			}
		}
		if err != nil {
			_ = s.CloseWrite()
			s.Reset(wire.CodeOf(err))
			return
		}
	}
}

// linkTo finds the live conn of a peer.
func (e *Engine) linkTo(id PeerID) (*peer, *link, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.peers[id]
	switch {
	case p == nil:
		return nil, nil, ErrNoPeer
	case p.link == nil && p.err != nil:
		return p, nil, fmt.Errorf("%w: %w", ErrNotConnected, p.err)
	case p.link == nil:
		return p, nil, ErrNotConnected
	}
	return p, p.link, nil
}

// waitLink is linkTo that waits, until ctx ends, for a peer that is found to be reached.
func (e *Engine) waitLink(ctx context.Context, id PeerID) (*peer, *link, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var last error
	for range e.follow(ctx) {
		p, l, err := e.linkTo(id)
		if err == nil || errors.Is(err, ErrNoPeer) {
			return p, l, err
		}
		last = err
	}
	if last == nil {
		last = ErrClosed
	}
	return nil, nil, last
}
