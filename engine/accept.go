package engine

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// Bounds on the conns that have a proven key and have not said yet what they want, in all, for one key and for one
// address: a device that opens many and says nothing keeps nobody else out.
const (
	maxGreeting        = 64
	maxGreetingPerKey  = 3
	maxGreetingPerAddr = 16
)

// porch counts those conns.
type porch struct {
	mu     sync.Mutex
	all    int
	perKey int
	keys   map[PeerID]int
	addrs  map[netip.Addr]int
}

// enter takes a place for conn; leave gives it back. It is nil if there is none.
func (p *porch) enter(key PeerID, addr netip.Addr) (leave func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all >= maxGreeting || p.keys[key] >= p.perKey || p.addrs[addr] >= maxGreetingPerAddr { // guard: greeting
		return nil
	}
	p.all++
	p.keys[key]++
	p.addrs[addr]++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.all--
		if p.keys[key]--; p.keys[key] == 0 {
			delete(p.keys, key)
		}
		if p.addrs[addr]--; p.addrs[addr] == 0 {
			delete(p.addrs, addr)
		}
	}
}

func newPorch(perKey int) *porch {
	return &porch{perKey: perKey, keys: map[PeerID]int{}, addrs: map[netip.Addr]int{}}
}

// acceptConns takes conns until ctx ends. Lanes have a porch of their own.
func (e *Engine) acceptConns(ctx context.Context) {
	porches := map[transport.Kind]*porch{transport.Session: newPorch(maxGreetingPerKey), transport.Lane: newPorch(maxLanesPerKey)}
	for {
		conn, err := e.endpoint.Accept(ctx)
		if ctx.Err() != nil {
			if err == nil {
				conn.Close(wire.Bye)
			}
			return
		}
		if err != nil {
			e.log.Warn("accepting", "err", err)
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		leave := porches[conn.Kind].enter(conn.Peer, conn.RemoteAddr().Addr())
		if leave == nil {
			conn.Close(wire.Busy)
			continue
		}
		e.wg.Go(func() {
			defer leave()
			e.greet(ctx, conn)
		})
	}
}

// greet is the first talk with a conn that somebody dialled.
func (e *Engine) greet(ctx context.Context, conn *transport.Conn) {
	if conn.Kind == transport.Lane {
		e.acceptLaneConn(ctx, conn)
		return
	}
	came := now()
	control, hello, err := conn.AwaitHello(ctx)
	if err != nil {
		e.log.Debug("greeting", "peer", conn.Peer.Short(), "err", err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, transport.HelloTimeout)
	defer cancel()
	for probed := false; ; {
		settled, wait := e.settle(conn, control, hello, came, probed)
		if settled {
			return
		}
		if wait == nil { // there is a conn; is it alive?
			e.mu.Lock()
			p := e.peers[conn.Peer]
			var l *link
			if p != nil {
				l = p.link
			}
			e.mu.Unlock()
			if l != nil && l.alive(ctx, time.Second) {
				conn.Close(wire.Duplicate)
				return
			}
			probed = true
			continue
		}
		e.log.Debug("dials crossed, waiting for ours", "peer", conn.Peer.Short())
		select {
		case <-wait:
		case <-conn.Done():
			return
		case <-ctx.Done():
			conn.Close(wire.Timeout)
			return
		}
	}
}

// settle decides what becomes of a conn whose dialler has said hello, so that of two that cross exactly one
// remains, on both sides the same: the one that the lower ID dialled.
//
// Only the lower ID has to decide. While its own dial is under way it lets the other's hello wait (wait is
// closed when that dial ends): if its dial succeeds the other is a duplicate, if it fails the other is the only
// way. It never dials while it has a conn or answers one. The higher ID takes what the lower one dials, always.
//
// A hello over a conn that is up already comes from a peer that has lost it or was restarted. A restart shows in
// the boot nonce; otherwise the conn is probed first, since the hello may have crossed with our own dial: then
// settle returns no wait. One that came before our conn was up needs no probe: what its hello says of the session is
// old, however long the peer is busy.
func (e *Engine) settle(conn *transport.Conn, control *transport.Stream, hello wire.Hello, came time.Time, probed bool) (settled bool, wait <-chan struct{}) {
	e.mu.Lock()
	p := e.caller(conn.Peer)
	if p == nil {
		e.mu.Unlock()
		conn.Close(wire.Busy)
		return true, nil
	}
	if e.crowded(p, conn.RemoteAddr().Addr().String()) { // guard: strangers-connected
		e.tidy(p)
		e.mu.Unlock()
		conn.Close(wire.Busy)
		return true, nil
	}
	if lower := e.self.ID.Less(p.id); lower {
		if p.dialling != nil {
			wait = p.dialled
			e.mu.Unlock()
			return false, wait
		}
		again := p.link != nil && p.link.boot == hello.Boot
		if again && came.Before(p.link.began) {
			e.mu.Unlock()
			conn.Close(wire.Duplicate)
			return true, nil
		}
		if again && !probed {
			e.mu.Unlock()
			return false, nil
		}
	}
	if p.dialling != nil {
		p.dialling()
	}
	p.accepting++
	ours := e.hello(p)
	e.mu.Unlock()

	err := conn.Acknowledge(control, ours)

	e.mu.Lock()
	defer e.mu.Unlock()
	p.accepting--
	if err == nil {
		e.adopt(p, conn, control, hello, ours)
	} else {
		e.tidy(p)
	}
	return true, nil
}

func ambiguous(who string, found []Peer) error {
	text := ""
	for _, p := range found {
		text += fmt.Sprintf("\n  %s  %s", p.Name, p.ID)
	}
	return fmt.Errorf("%q: %w: several peers are called so; use the ID:%s", who, ErrInvalid, text)
}
