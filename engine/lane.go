package engine

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
	"multipeer/transfer"
)

const (
	// laneTimeout is how long the first lane of an attempt may take, once the sender has begun.
	laneTimeout = 10 * time.Second
	// tcpHead is how long QUIC waits for TCP, which is several times faster where it can be had.
	tcpHead = 250 * time.Millisecond
	// tcpBack is after how long the side that does not dial tries TCP too: a firewall may let it through that way only.
	tcpBack = time.Second
	// maxLanesPerKey bounds the lanes of one key that have not said yet what they are for.
	maxLanesPerKey = 24
)

// run is one attempt of a transfer: its lanes, and what watches over them. Whoever dialled the session dials the lanes
// too: that way is known to be open, whichever side sends.
type run struct {
	e     *Engine
	t     *transferState
	l     *link
	n     int64
	ctx   context.Context
	stop  context.CancelCauseFunc
	lanes chan transfer.Pipe
	wg    sync.WaitGroup
	begun chan struct{} // closed when the lanes may be dialled
	begin func()
	asked chan int // how many lanes over QUIC are wanted

	mu   sync.Mutex
	live []*carrying
	past int64 // bytes sent over lanes that have ended
	had  bool  // there was a lane
}

// carrying is a lane as package transfer has it.
type carrying struct {
	*transport.LaneConn
	r *run
}

// Interrupt ends the lane. It is the last that happens to each.
func (c *carrying) Interrupt() {
	c.LaneConn.Interrupt()
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	if i := slices.Index(c.r.live, c); i >= 0 {
		c.r.live = slices.Delete(c.r.live, i, i+1)
		sent, _ := c.Bytes()
		c.r.past += sent
	}
}

// newRun begins an attempt. The caller calls end.
func (e *Engine) newRun(ctx context.Context, t *transferState, l *link, n int64) *run {
	r := &run{e: e, t: t, l: l, n: n, lanes: make(chan transfer.Pipe), begun: make(chan struct{}), asked: make(chan int, 1)}
	r.begin = sync.OnceFunc(func() { close(r.begun) })
	r.ctx, r.stop = context.WithCancelCause(ctx)
	e.mu.Lock()
	t.run = r
	t.view.Attempts++
	if t.paused {
		r.stop(errPaused)
	}
	outgoing := !t.view.Incoming
	e.mu.Unlock()
	r.wg.Go(r.watch)
	if l.conn.Dialled {
		r.wg.Go(r.dial)
	} else {
		if outgoing {
			l.send(wire.Lanes{ID: string(t.view.ID), Attempt: n})
		}
		r.wg.Go(r.dialBack)
	}
	if outgoing {
		r.begin()
		r.wg.Go(r.grow)
	}
	return r
}

// end waits for all that the attempt has started.
func (r *run) end() {
	r.stop(transfer.ErrInterrupted)
	r.wg.Wait()
	r.mu.Lock()
	live := slices.Clone(r.live)
	r.mu.Unlock()
	for _, c := range live {
		c.Interrupt()
	}
	r.e.mu.Lock()
	defer r.e.mu.Unlock()
	if r.t.run == r {
		r.t.run = nil
		_, moved := r.details()
		r.t.moved += moved
	}
}

// reason is err, or why the attempt was stopped.
func (r *run) reason(err error) error {
	if cause := context.Cause(r.ctx); err != nil && cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

// details lists the lanes, and counts what was sent over all.
func (r *run) details() (lanes []Lane, moved int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	moved = r.past
	for _, c := range r.live {
		sent, received := c.Bytes()
		moved += sent
		lanes = append(lanes, Lane{Proto: string(c.Proto), Addr: c.RemoteAddr(), Bytes: sent + received})
	}
	return lanes, moved
}

// give hands a lane to the transfer; it is ended if that has ended.
func (r *run) give(l *transport.LaneConn) {
	c := &carrying{l, r}
	r.mu.Lock()
	r.live = append(r.live, c)
	r.had = true
	r.mu.Unlock()
	r.begin()
	r.e.log.Info("lane", "id", r.t.view.ID, "peer", l.Peer.Short(), "proto", l.Proto, "dialled", l.Dialled)
	select {
	case r.lanes <- c:
	case <-r.ctx.Done():
		c.Interrupt()
	}
}

// of counts the lanes of a protocol, and returns the newest.
func (r *run) of(p transport.Proto) (n int, newest *carrying) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.live {
		if c.Proto == p {
			n, newest = n+1, c
		}
	}
	return n, newest
}

// watch ends an attempt that gets no lane or does not move, and says so when nothing moves.
func (r *run) watch() {
	began, tick := now(), time.NewTicker(500*time.Millisecond)
	defer tick.Stop()
	gone := r.l.conn.Done()
	for {
		select {
		case <-tick.C:
		case <-gone:
			gone = nil
		case <-r.ctx.Done():
			return
		}
		r.mu.Lock()
		lanes, had := len(r.live), r.had
		r.mu.Unlock()
		if lanes == 0 && (r.l.conn.Err() != nil || !had && !r.t.view.Incoming && now().Sub(began) > laneTimeout) {
			r.stop(fmt.Errorf("%w: no lane could be opened", transfer.ErrInterrupted))
			return
		}
		r.e.mu.Lock()
		t := r.t
		still := now().Sub(later(t.lastMove, began))
		if t.view.State == Moving && still >= stalledAfter {
			r.e.setState(t, Stalled, nil)
		} else if t.view.State == Queued && lanes > 0 {
			t.mark, t.markBytes = now(), t.view.Done
			t.lastMove = now()
			r.e.setState(t, Moving, nil)
		}
		silent := now().Sub(later(t.lastHeard, began))
		waits := t.view.State == Stalled && !t.full && had
		r.e.mu.Unlock()
		if waits && silent >= lostAfter {
			r.stop(fmt.Errorf("%w: %w", transfer.ErrInterrupted, ErrStalled))
			return
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// dial opens lanes: TCP if it can be had, QUIC otherwise, and as many more over QUIC as are asked for.
func (r *run) dial() {
	select {
	case <-r.begun:
	case <-r.ctx.Done():
		return
	}
	tcp := make(chan bool, 1)
	r.wg.Go(func() { tcp <- r.dialTCP() })
	want, decided := 0, false
	head := time.NewTimer(tcpHead)
	defer head.Stop()
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for {
		select {
		case ok := <-tcp:
			if !decided && ok {
				decided = true
			} else if !ok {
				want, decided = max(want, 1), true
			}
		case <-head.C:
			if !decided {
				want, decided = max(want, 1), true
			}
		case n := <-r.asked:
			want, decided = min(n, r.e.cfg.MaxLanes), true
			if others, _ := r.of(transport.TCP); others == 0 {
				want = max(want, 1)
			}
		case <-again.C: // a lane that has died, or could not be opened
		case <-r.ctx.Done():
			return
		}
		for n, newest := r.of(transport.QUIC); decided && n != want && r.ctx.Err() == nil; n, newest = r.of(transport.QUIC) {
			if n > want {
				newest.Interrupt()
				continue
			}
			if !r.dialQUIC() {
				break
			}
		}
	}
}

// dialBack tries TCP from the side that does not dial, if nothing comes over it.
func (r *run) dialBack() {
	select {
	case <-r.begun:
	case <-r.ctx.Done():
		return
	}
	select {
	case <-time.After(tcpBack):
		if n, _ := r.of(transport.TCP); n == 0 {
			r.dialTCP()
		}
	case <-r.ctx.Done():
	}
}

func (r *run) dialTCP() bool {
	if r.l.tcp == 0 || r.e.cfg.NoTCP || r.e.cfg.PacketConn != nil {
		return false
	}
	at := netip.AddrPortFrom(r.l.conn.RemoteAddr().Addr(), uint16(r.l.tcp))
	l, err := r.e.endpoint.DialTCP(r.ctx, at, r.t.view.Peer)
	return r.introduce(l, err)
}

// dialQUIC opens one more lane, at the port for lanes or, where a firewall knows only that, at that of the session.
func (r *run) dialQUIC() bool {
	at := r.l.conn.RemoteAddr()
	if r.l.udp != 0 && r.e.cfg.PacketConn == nil {
		ctx, cancel := context.WithTimeout(r.ctx, time.Second)
		l, err := r.e.endpoint.DialQUIC(ctx, netip.AddrPortFrom(at.Addr(), uint16(r.l.udp)), r.t.view.Peer)
		cancel()
		if err == nil {
			return r.introduce(l, nil)
		}
	}
	l, err := r.e.endpoint.DialQUIC(r.ctx, at, r.t.view.Peer)
	return r.introduce(l, err)
}

// introduce says on a lane that we have dialled what it is for.
func (r *run) introduce(l *transport.LaneConn, err error) bool {
	if err == nil {
		defer context.AfterFunc(r.ctx, l.Interrupt)()
		err = func() error {
			token, err := r.l.conn.Token(string(r.t.view.ID))
			if err != nil {
				return err
			}
			l.SetDeadline(time.Now().Add(transport.HelloTimeout))
			if err := l.WriteMessage(wire.Lane{ID: string(r.t.view.ID), Attempt: r.n, Token: token}); err != nil {
				return err
			}
			m, err := l.ReadMessage()
			if err != nil {
				return err
			}
			ack, ok := m.(wire.LaneAck)
			switch {
			case !ok:
				return wire.ErrProtocol
			case ack.Code != wire.Bye:
				return ack.Code.Err()
			}
			l.SetDeadline(time.Time{})
			return nil
		}()
		if err != nil {
			l.Interrupt()
		}
	}
	if err != nil {
		r.e.log.Debug("opening a lane", "peer", r.t.view.Peer.Short(), "err", err)
		return false
	}
	r.give(l)
	return true
}

// acceptLaneConn takes a lane that came over the session's socket.
func (e *Engine) acceptLaneConn(ctx context.Context, conn *transport.Conn) {
	ctx, cancel := context.WithTimeout(ctx, transport.HelloTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { conn.Close(wire.Timeout) })
	l, err := transport.AcceptLane(ctx, conn)
	if !stop() || err != nil {
		conn.Close(wire.CodeOf(err))
		return
	}
	e.welcome(l)
}

// acceptLanes takes lanes over their own sockets until ctx ends.
func (e *Engine) acceptLanes(ctx context.Context, lanes *transport.Lanes) {
	porch := newPorch(maxLanesPerKey)
	lanes.Serve(ctx, func(c *transport.Conn) {
		if leave := porch.enter(c.Peer, c.RemoteAddr().Addr()); leave != nil {
			defer leave()
			e.acceptLaneConn(ctx, c)
			return
		}
		c.Close(wire.Busy)
	}, func(l *transport.LaneConn) {
		if leave := porch.enter(l.Peer, l.RemoteAddr().Addr()); leave != nil {
			defer leave()
			e.welcome(l)
			return
		}
		l.Interrupt()
	})
}

// welcome takes a lane that the other side dialled: its key, its ID, its attempt and its token must be those of a
// transfer that is under way.
func (e *Engine) welcome(l *transport.LaneConn) {
	l.SetDeadline(time.Now().Add(transport.HelloTimeout))
	r, err := func() (*run, error) {
		m, err := l.ReadMessage()
		if err != nil {
			return nil, err
		}
		hello, ok := m.(wire.Lane)
		if !ok {
			return nil, wire.ErrProtocol
		}
		r := e.expected(l, hello)
		if r == nil {
			_ = l.WriteMessage(wire.LaneAck{Code: wire.UnknownOffer})
			return nil, wire.ErrUnknownOffer
		}
		return r, l.WriteMessage(wire.LaneAck{})
	}()
	if err != nil {
		e.log.Debug("lane", "peer", l.Peer.Short(), "err", err)
		l.Interrupt()
		return
	}
	l.SetDeadline(time.Time{})
	r.give(l)
}

// expected finds where a lane goes; nil if no attempt waits for it.
func (e *Engine) expected(l *transport.LaneConn, hello wire.Lane) *run {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.transfers[TransferID(hello.ID)]
	if t == nil || t.view.Peer != l.Peer || t.run == nil || t.run.n != hello.Attempt || t.view.State.Final() { // guard: lane-expected
		return nil
	}
	r := t.run
	token, err := r.l.conn.Token(hello.ID)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil || subtle.ConstantTimeCompare([]byte(token), []byte(hello.Token)) != 1 || len(r.live) >= wire.MaxLanes+2 { // guard: lane-token
		return nil
	}
	return r
}

// takeLanes takes the sender's word that the lanes may be dialled, and how many it wants.
func (e *Engine) takeLanes(p *peer, m wire.Lanes) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if t := e.transferOf(p, m.ID); t != nil && t.run != nil && t.run.n == m.Attempt && t.view.Incoming {
		select {
		case <-t.run.begun:
			t.run.ask(m.QUIC)
		default:
			t.run.begin()
		}
	}
}

// ask changes how many lanes over QUIC are wanted, on the side that dials.
func (r *run) ask(n int) {
	select {
	case <-r.asked:
	default:
	}
	select {
	case r.asked <- n:
	default:
	}
}
