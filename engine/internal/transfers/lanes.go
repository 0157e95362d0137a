package transfers

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
	"multipeer/transfer"
)

const (
	// laneTimeout is how long the first lane of an attempt may take to arrive, once the sender has begun.
	laneTimeout = 10 * time.Second
	// tcpHead is how long QUIC waits for TCP, which is several times faster where available.
	tcpHead = 250 * time.Millisecond
	// tcpBack is the delay before the side that does not dial also tries TCP: a firewall may only let it through in
	// that direction.
	tcpBack = time.Second
)

// run is one attempt of a transfer, with its lanes and their supervision. The side that dialled the session also
// dials the lanes, whichever side sends, because connections in that direction are known to work.
type run struct {
	m     *Manager
	t     *item
	l     Link
	n     int64
	ctx   context.Context
	stop  context.CancelCauseFunc
	lanes chan transfer.Pipe
	wg    sync.WaitGroup
	begun chan struct{} // closed when the lanes may be dialled
	begin func()
	asked chan int // the requested number of QUIC lanes

	mu   sync.Mutex
	live []*carrying
	past int64 // bytes sent over lanes that have ended
	had  bool  // there was a lane
}

// carrying adapts a lane for package transfer.
type carrying struct {
	*transport.LaneConn
	r *run
}

// Interrupt ends the lane. It is the last call on each lane.
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

// newRun begins an attempt. The caller must call end.
func (m *Manager) newRun(ctx context.Context, t *item, l Link, n int64) *run {
	r := &run{m: m, t: t, l: l, n: n, lanes: make(chan transfer.Pipe), begun: make(chan struct{}), asked: make(chan int, 1)}
	r.begin = sync.OnceFunc(func() { close(r.begun) })
	r.ctx, r.stop = context.WithCancelCause(ctx)
	m.mu.Lock()
	t.run = r
	t.view.Attempts++
	t.finishing = time.Time{}
	if t.paused {
		r.stop(errPaused)
	}
	outgoing := !t.view.Incoming
	m.mu.Unlock()
	r.wg.Go(r.watch)
	if l.Dialled() {
		r.wg.Go(r.dial)
	} else {
		if outgoing {
			l.Send(wire.Lanes{ID: string(t.view.ID), Attempt: n})
		}
		r.wg.Go(r.dialBack)
	}
	if outgoing {
		r.begin()
		r.wg.Go(r.grow)
	}
	return r
}

// end waits for everything that the attempt has started.
func (r *run) end() {
	r.stop(transfer.ErrInterrupted)
	r.wg.Wait()
	r.mu.Lock()
	live := slices.Clone(r.live)
	r.mu.Unlock()
	for _, c := range live {
		c.Interrupt()
	}
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	if r.t.run == r {
		r.t.run = nil
		_, moved := r.details()
		r.t.moved += moved
	}
}

// reason returns err, or the reason why the attempt was stopped if that is more specific.
func (r *run) reason(err error) error {
	cause := context.Cause(r.ctx)
	if err == nil || cause == nil || errors.Is(cause, context.Canceled) || !transfer.Passing(err) {
		return err
	}
	return cause
}

// details lists the lanes and sums the bytes sent over all lanes.
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

// give passes a lane to the transfer; it ends the lane if the attempt has ended.
func (r *run) give(l *transport.LaneConn) {
	c := &carrying{l, r}
	r.mu.Lock()
	r.live = append(r.live, c)
	r.had = true
	r.mu.Unlock()
	r.begin()
	r.m.log.Info("lane", "id", r.t.view.ID, "peer", l.Peer.Short(), "proto", l.Proto, "dialled", l.Dialled)
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

// watch ends an attempt that gets no lane or makes no progress, and publishes when it stalls.
func (r *run) watch() {
	began, tick := now(), time.NewTicker(500*time.Millisecond)
	defer tick.Stop()
	gone := r.l.Done()
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
		if lanes == 0 && (r.l.Err() != nil || !had && !r.t.view.Incoming && now().Sub(began) > laneTimeout) {
			r.stop(fmt.Errorf("%w: no data connection could be opened", transfer.ErrInterrupted))
			return
		}
		r.m.mu.Lock()
		t := r.t
		still := now().Sub(laterOf(t.lastMove, began))
		if t.view.State == Moving && still >= stalledAfter {
			r.m.happenedLocked(t, stalls, nil)
			r.m.yieldTurnLocked(t)
		} else if t.view.State == Queued && lanes > 0 {
			t.markLocked()
			t.lastMove = now()
			r.m.happenedLocked(t, moves, nil)
		}
		silent := now().Sub(laterOf(t.lastHeard, began))
		waits := t.view.State == Stalled && !t.full && had
		finishes := t.view.State == Finishing && !t.view.Incoming && !t.finishing.IsZero() && now().Sub(t.finishing) >= finishWithin
		r.m.mu.Unlock()
		if waits && silent >= lostAfter || finishes { // guard: finishing-forever
			r.stop(fmt.Errorf("%w: %w", transfer.ErrInterrupted, transfer.ErrStalled))
			return
		}
	}
}

func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// dial opens lanes: TCP if possible, otherwise QUIC, plus as many QUIC lanes as are requested.
func (r *run) dial() {
	select {
	case <-r.begun:
	case <-r.ctx.Done():
		return
	}
	tcp := make(chan bool, 1)
	r.wg.Go(func() { tcp <- r.dialTCP() })
	want, decided := 0, false
	dialled := 0 // lanes since the last tick: the other side may close each at once, and ask for more
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
			want, decided = min(n, r.m.maxLanes), true
			if others, _ := r.of(transport.TCP); others == 0 {
				want = max(want, 1)
			}
		case <-again.C: // replace lanes that have died or could not be opened
			dialled = 0
		case <-r.ctx.Done():
			return
		}
		for n, newest := r.of(transport.QUIC); decided && n != want && r.ctx.Err() == nil; n, newest = r.of(transport.QUIC) {
			if n > want {
				newest.Interrupt()
				continue
			}
			if dialled >= r.m.maxLanes || !r.dialQUIC() {
				break
			}
			dialled++
		}
	}
}

// dialBack tries TCP from the side that does not dial, if no TCP lane arrives.
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
	_, port := r.l.LanePorts()
	if port == 0 || !r.m.tcp {
		return false
	}
	at := netip.AddrPortFrom(r.l.RemoteAddr().Addr(), uint16(port))
	l, err := r.m.dialer.DialTCP(r.ctx, at, r.t.view.Peer)
	return r.introduce(l, err)
}

// dialQUIC opens one more lane, at the port for lanes or else at the session's port, which may be the only one that a
// firewall allows.
func (r *run) dialQUIC() bool {
	at := r.l.RemoteAddr()
	if port, _ := r.l.LanePorts(); port != 0 && r.m.lanePorts {
		ctx, cancel := context.WithTimeout(r.ctx, time.Second)
		l, err := r.m.dialer.DialQUIC(ctx, netip.AddrPortFrom(at.Addr(), uint16(port)), r.t.view.Peer)
		cancel()
		if err == nil {
			return r.introduce(l, nil)
		}
	}
	l, err := r.m.dialer.DialQUIC(r.ctx, at, r.t.view.Peer)
	return r.introduce(l, err)
}

// introduce sends the purpose of a lane that we have dialled.
func (r *run) introduce(l *transport.LaneConn, err error) bool {
	if err == nil {
		defer context.AfterFunc(r.ctx, l.Interrupt)()
		err = func() error {
			token, err := r.l.Token(string(r.t.view.ID))
			if err != nil {
				return err
			}
			l.SetDeadline(time.Now().Add(transport.HelloTimeout))
			if err := l.WriteMessage(wire.Lane{ID: string(r.t.view.ID), Attempt: r.n, Token: token}); err != nil {
				return err
			}
			msg, err := l.ReadMessage()
			if err != nil {
				return err
			}
			ack, ok := msg.(wire.LaneAck)
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
		r.m.log.Debug("opening a lane", "peer", r.t.view.Peer.Short(), "err", err)
		return false
	}
	r.give(l)
	return true
}

// AcceptLane accepts a lane that the other side dialled: its key, transfer ID, attempt and token must match a running
// transfer.
func (m *Manager) AcceptLane(l *transport.LaneConn, place *transport.Waiting) {
	l.SetDeadline(time.Now().Add(place.Within(transport.HelloTimeout)))
	r, err := func() (*run, error) {
		msg, err := l.ReadMessage()
		if err != nil {
			return nil, err
		}
		hello, ok := msg.(wire.Lane)
		if !ok {
			return nil, wire.ErrProtocol
		}
		r := m.expected(l, hello)
		if r == nil {
			_ = l.WriteMessage(wire.LaneAck{Code: wire.UnknownOffer})
			return nil, wire.ErrUnknownOffer
		}
		return r, l.WriteMessage(wire.LaneAck{})
	}()
	if err != nil {
		m.log.Debug("lane", "peer", l.Peer.Short(), "err", err)
		l.Interrupt()
		return
	}
	place.Leave() // it now belongs to its transfer, which limits its own lanes
	l.SetDeadline(time.Time{})
	r.give(l)
}

// expected returns the attempt to which a lane belongs; nil if none waits for it.
func (m *Manager) expected(l *transport.LaneConn, hello wire.Lane) *run {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.transfers[ID(hello.ID)]
	if t == nil || t.view.Peer != l.Peer || t.run == nil || t.run.n != hello.Attempt || t.view.State.Final() { // guard: lane-expected
		return nil
	}
	r := t.run
	if m.runsCarriedLocked(r) >= maxRunsPerPeer { // guard: lanes-of-a-peer
		return nil
	}
	token, err := r.l.Token(hello.ID)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil || subtle.ConstantTimeCompare([]byte(token), []byte(hello.Token)) != 1 || len(r.live) >= wire.MaxLanes+2 { // guard: lane-token
		return nil
	}
	return r
}

// maxRunsPerPeer limits the incoming transfers of one peer that have lanes at a time: each may hold some megabytes that
// arrived out of order. Our own sender runs turnsPerPeer at a time.
const maxRunsPerPeer = 2 * turnsPerPeer

// runsCarriedLocked counts the other incoming transfers of the same peer that have lanes.
func (m *Manager) runsCarriedLocked(r *run) int {
	n := 0
	if !r.t.view.Incoming {
		return 0
	}
	for _, t := range m.transfers {
		other := t.run
		if other == nil || other == r || t.view.Peer != r.t.view.Peer || !t.view.Incoming {
			continue
		}
		other.mu.Lock()
		carries := len(other.live) > 0
		other.mu.Unlock()
		select {
		case <-other.begun: // its lanes are dialled
			carries = true
		default:
		}
		if carries {
			n++
		}
	}
	return n
}

// TakeLanes handles the sender's message that the lanes may be dialled, and how many it wants.
func (m *Manager) TakeLanes(from identity.PeerID, msg wire.Lanes) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t := m.ofLocked(from, msg.ID); t != nil && t.run != nil && t.run.n == msg.Attempt && t.view.Incoming {
		if m.runsCarriedLocked(t.run) >= maxRunsPerPeer {
			return
		}
		select {
		case <-t.run.begun:
			t.run.ask(msg.QUIC)
		default:
			t.run.begin()
		}
	}
}

// ask changes how many QUIC lanes are wanted, on the side that dials.
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
