package peers

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// ensureLoopLocked makes sure that a goroutine dials p whenever it has no connection.
func (d *dialer) ensureLoopLocked(p *peer) {
	m := d.m
	p.wakeDialLoop()
	if !p.looping {
		p.looping = m.tasks.Start(func(ctx context.Context) { d.loop(ctx, p) })
	}
}

// mayShowLocked reports whether a dial may reveal us to p. A blocked peer is never dialled. A peer that we hide from
// is dialled only if the program wants it, or if a transfer with it is in progress.
func (d *dialer) mayShowLocked(p *peer) bool {
	m := d.m
	return d.mayShowToLocked(p.id) || m.profile.Peer(p.id).Trust == identity.Unknown && (p.wanted || m.transfers.Busy(p.id))
}

// mayShowToLocked is mayShowLocked for a peer that the program has not asked for.
func (d *dialer) mayShowToLocked(id PeerID) bool {
	m := d.m
	switch m.profile.Peer(id).Trust {
	case identity.Blocked:
		return false
	case identity.Unknown:
		return m.self.Visible == VisibleToAll || m.pairings.IsOpen()
	}
	return true
}

// Backoff between failed dials.
const (
	backoffFirst = 500 * time.Millisecond
	backoffMost  = 30 * time.Second
	// The lower ID dials. The higher one waits this long and then also tries, since it may be the only one that can.
	higherWaits = time.Second
)

// loop dials p as long as the peer exists and has no connection.
func (d *dialer) loop(ctx context.Context, p *peer) {
	m := d.m
	var next time.Time // when to dial; zero until that is decided
	for {
		m.mu.Lock()
		if m.peers[p.id] != p {
			p.looping = false
			m.mu.Unlock()
			return
		}
		idle := p.link != nil || len(p.all()) == 0 || !d.mayShowLocked(p)
		switch {
		case idle:
			next = time.Time{}
		case p.retry || next.IsZero():
			next = d.firstDialAtLocked(p)
			p.dialDue = next
		}
		p.retry = false
		returning := p.session != nil
		queue := d.dials
		if p.wanted || m.knows(p.id) { // it does not wait behind peers that may not exist
			queue = d.knownDials
		}
		m.mu.Unlock()

		if wait := time.Until(next); idle || wait > 0 {
			var timer <-chan time.Time // never fires while idle
			if !idle {
				timer = time.After(wait)
			}
			select {
			case <-timer:
			case <-p.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		if returning { // its reconnectTimeout period is short: skip the queue of peers that may not exist
			next = now().Add(d.dialPeer(ctx, p))
			continue
		}
		select {
		case queue <- struct{}{}:
		case <-p.wake: // the program may want it now
			continue
		case <-ctx.Done():
			return
		}
		next = now().Add(d.dialPeer(ctx, p))
		<-queue
	}
}

// firstDialAtLocked returns when to dial p for the first time after a change: usually at once.
func (d *dialer) firstDialAtLocked(p *peer) time.Time {
	m := d.m
	switch {
	case p.failures > 0: // it has refused us for a reason that persists
		return now().Add(backoff(p.failures))
	case !p.suspect && !p.wanted && p.hint && m.self.Advertising && !m.self.ID.Less(p.id):
		// It is the lower ID's turn. There are exceptions: both sides dial a suspect, an engine that does not
		// advertise cannot be found by the other side, and a peer that the program wants does not wait.
		return now().Add(higherWaits)
	}
	return now()
}

func backoff(failures int) time.Duration {
	if failures == 0 {
		return higherWaits
	}
	d := min(backoffMost, backoffFirst<<min(failures-1, 10))
	return d*4/5 + rand.N(d*2/5)
}

// redial limits one attempt to bring a session back. QUIC sends its first packets at growing intervals, so several
// short attempts notice sooner that the path works again than one long attempt.
const redial = time.Second

// dialPeer makes one attempt and returns how long to wait before the next.
func (d *dialer) dialPeer(ctx context.Context, p *peer) time.Duration {
	m := d.m
	m.mu.Lock()
	if p.link != nil || p.accepting > 0 || p.dialling != nil || m.peers[p.id] != p {
		defer m.mu.Unlock()
		return backoff(p.failures)
	}
	knock, greet := transport.DialTimeout, transport.HelloTimeout
	if p.session != nil {
		knock = min(max(redial, 4*p.rtt), transport.DialTimeout)
		greet = 2 * knock // the other side may first have to notice that the old connection is dead
	}
	ctx, cancel := context.WithTimeout(ctx, knock+greet)
	defer cancel()
	p.dialling, p.dialled = cancel, make(chan struct{})
	addrs := p.all()
	m.mu.Unlock()

	conn, err := m.endpoint.DialAny(ctx, addrs, transport.KeyOf(p.id), transport.Session, knock)
	var control *transport.Stream
	var hello, theirs wire.Hello
	if err == nil {
		m.mu.Lock()
		hello = m.sessions.helloLocked(p) // as late as possible, so that it describes the current session
		m.mu.Unlock()
		control, theirs, err = conn.Greet(ctx, hello, greet)
	}

	m.mu.Lock()
	defer m.mu.Unlock()
	p.dialling = nil
	close(p.dialled)
	switch {
	case err == nil && p.session == nil && !d.mayShowLocked(p): // we have hidden from it in the meantime
		conn.Close(wire.Bye)
	case err == nil:
		m.sessions.adoptLocked(p, conn, control, theirs, hello)
	case errors.Is(err, wire.ErrDuplicate) && p.link == nil:
		// Either the peer's connection to us is about to arrive, or the peer is connected to another device with our
		// key and refuses us every time.
		p.failures++
		if p.failures >= maxFailures {
			p.err = fmt.Errorf("%w: the peer may be connected to another device that uses this identity", err)
			m.table.publishLocked(p)
		}
	case errors.Is(err, context.Canceled), errors.Is(err, wire.ErrDuplicate), errors.Is(err, wire.ErrSuperseded), p.link != nil:
		// The peer's connection to us came first.
	case errors.Is(err, wire.ErrBusy):
		p.failures++ // the peer is there but overloaded
	default:
		p.failures++
		p.err = err
		if p.hint && (p.failures == 1 || p.failures == 4) {
			m.finder.Recheck(p.id)
		}
		m.log.Debug("dialling", "peer", p.id.Short(), "addrs", addrs, "err", err)
		if p.suspect && p.link == nil && p.session == nil {
			m.table.removeGoneLocked(p)
		} else if p.failures == 2 { // one failure may be momentary; the second is reported
			m.table.publishLocked(p)
		}
	}
	m.table.removeUnusedLocked(p)
	if p.session != nil && p.link == nil {
		return redial / 10
	}
	return backoff(p.failures)
}
