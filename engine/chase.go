package engine

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// chase makes sure that a goroutine dials p whenever it has no conn. Call with Engine.mu held.
func (e *Engine) chase(p *peer) {
	p.poke()
	if !p.chased {
		p.chased = e.start(func(ctx context.Context) { e.dialLoop(ctx, p) })
	}
}

// knows tells whether somebody here has accepted a peer, now or before.
func (e *Engine) knows(id PeerID) bool {
	t := e.profile.Peer(id).Trust
	return t == identity.Seen || t == identity.Verified
}

// mayShow tells whether p may learn of us by a dial: it is not blocked, and who is not to see us is dialled only if the
// program wants that, or a transfer with it is under way. Call with Engine.mu held.
func (e *Engine) mayShow(p *peer) bool {
	return e.mayShowTo(p.id) || e.profile.Peer(p.id).Trust == identity.Unknown && (p.wanted || e.busyWith(p.id))
}

// mayShowTo is mayShow for who was not asked for. Call with Engine.mu held.
func (e *Engine) mayShowTo(id PeerID) bool {
	switch e.profile.Peer(id).Trust {
	case identity.Blocked:
		return false
	case identity.Unknown:
		return e.self.Visible == VisibleToAll || e.pairingOpen()
	}
	return true
}

// Backoff between dials that fail.
const (
	backoffFirst = 500 * time.Millisecond
	backoffMost  = 30 * time.Second
	// The lower ID dials; the higher one waits this long and then tries too, for it may be the only one that can.
	higherWaits = time.Second
)

// dialLoop dials p as long as it is around and has no conn.
func (e *Engine) dialLoop(ctx context.Context, p *peer) {
	var next time.Time // when to dial; zero while that is open
	for {
		e.mu.Lock()
		if e.peers[p.id] != p {
			p.chased = false
			e.mu.Unlock()
			return
		}
		idle := p.link != nil || len(p.all()) == 0 || !e.mayShow(p)
		switch {
		case idle:
			next = time.Time{}
		case p.retry || next.IsZero():
			next = e.due(p)
		}
		p.retry = false
		returning := p.session != nil
		queue := e.dials
		if p.wanted || e.knows(p.id) { // it does not wait for those that may be nobody
			queue = e.friends
		}
		e.mu.Unlock()

		if wait := time.Until(next); idle || wait > 0 {
			var timer <-chan time.Time // never, while idle
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
		if returning { // its time is short: it does not queue behind those whom nobody has seen
			next = now().Add(e.dialPeer(ctx, p))
			continue
		}
		select {
		case queue <- struct{}{}:
		case <-p.wake: // it may have become wanted
			continue
		case <-ctx.Done():
			return
		}
		next = now().Add(e.dialPeer(ctx, p))
		<-queue
	}
}

// due is when to dial p for the first time after something has changed: at once as a rule. Call with Engine.mu held.
func (e *Engine) due(p *peer) time.Time {
	switch {
	case p.failures > 0: // it has refused us for a reason that will last a while
		return now().Add(backoff(p.failures))
	case !p.suspect && !p.wanted && p.hint && e.self.Advertising && !e.self.ID.Less(p.id):
		// The lower ID's turn. But a suspect is dialled by both, who does not advertise is found by nobody else, and what the
		// program wants does not wait.
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

// redial is how long one attempt to bring a session back may take, for QUIC sends its first packets ever more seldom:
// several short attempts find the moment when the path is back, where a long one would sleep through it.
const redial = time.Second

// dialPeer makes one attempt and returns how long to wait before the next one.
func (e *Engine) dialPeer(ctx context.Context, p *peer) time.Duration {
	e.mu.Lock()
	if p.link != nil || p.accepting > 0 || p.dialling != nil || e.peers[p.id] != p {
		defer e.mu.Unlock()
		return backoff(p.failures)
	}
	knock, greet := transport.DialTimeout, transport.HelloTimeout
	if p.session != nil {
		knock = min(max(redial, 4*p.rtt), transport.DialTimeout)
		greet = 2 * knock // the other side may have to find out first that the old conn is dead
	}
	ctx, cancel := context.WithTimeout(ctx, knock+greet)
	defer cancel()
	p.dialling, p.dialled = cancel, make(chan struct{})
	addrs := p.all()
	e.mu.Unlock()

	conn, err := e.endpoint.DialAny(ctx, addrs, p.id, transport.Session, knock)
	var control *transport.Stream
	var hello, theirs wire.Hello
	if err == nil {
		e.mu.Lock()
		hello = e.hello(p) // as late as can be: it tells what the session is now
		e.mu.Unlock()
		control, theirs, err = conn.Greet(ctx, hello, greet)
	}

	e.mu.Lock()
	defer e.mu.Unlock()
	p.dialling = nil
	close(p.dialled)
	switch {
	case err == nil && p.session == nil && !e.mayShow(p): // it was hidden from meanwhile
		conn.Close(wire.Bye)
	case err == nil:
		e.adopt(p, conn, control, theirs, hello)
	case errors.Is(err, context.Canceled), errors.Is(err, wire.ErrDuplicate), errors.Is(err, wire.ErrSuperseded), p.link != nil:
		// Their conn to us came first.
	case errors.Is(err, wire.ErrBusy):
		p.failures++ // it is there, and has too much to do
	default:
		p.failures++
		p.err = err
		if p.hint && (p.failures == 1 || p.failures == 4) {
			e.finder.Recheck(p.id)
		}
		e.log.Debug("dialling", "peer", p.id.Short(), "addrs", addrs, "err", err)
		if p.suspect && p.link == nil && p.session == nil {
			e.lose(p)
		} else if p.failures == 2 { // one failure may be a moment's; the second is told
			e.changed(p)
		}
	}
	e.tidy(p)
	if p.session != nil && p.link == nil {
		return redial / 10
	}
	return backoff(p.failures)
}

// hello is our greeting for p. Call with Engine.mu held.
func (e *Engine) hello(p *peer) wire.Hello {
	ends := uint64(0)
	s := e.resume[p.id]
	if s != nil {
		ends = s.ends
	}
	return wire.Hello{Version: wire.Version1, ID: e.self.ID.String(), Name: e.self.Name, Boot: e.boot, Session: s != nil, Ends: ends, Info: e.self.Info, UDP: e.laneUDP, TCP: e.laneTCP, Service: e.self.Service, Open: e.self.open()}
}
