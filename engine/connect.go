package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// adopt takes a greeted conn as the one to p; ours is what our hello said. Call with Engine.mu held.
func (e *Engine) adopt(p *peer, conn *transport.Conn, control *transport.Stream, theirs, ours wire.Hello) {
	if e.profile.Peer(p.id).Trust == identity.Blocked {
		conn.Close(wire.Blocked)
		e.tidy(p)
		return
	}
	if now := e.peers[p.id]; now != nil && now != p { // lost and found again while this conn was greeted
		p = now
	}
	if old := p.link; old != nil {
		// What was asked over the old conn has no answer on the new one. Running transfers have their own.
		e.dropInvitations(p, ErrLost)
		e.dropPairing(p, ErrLost)
		e.dropOffers(old, fmt.Errorf("the connection was made anew: %w", ErrLost))
		p.link = nil
		old.conn.Close(wire.Superseded)
	}
	e.peers[p.id] = p
	l := newLink(p, conn, control, theirs.Boot)
	l.udp, l.tcp = theirs.UDP, theirs.TCP
	defer e.tellUntold(p.id)
	if !e.start(func(ctx context.Context) { e.runLink(ctx, p, l) }) {
		conn.Close(wire.Bye)
		return
	}
	p.link, p.failures, p.err, p.suspect, p.declined, p.shown = l, 0, nil, false, false, true
	e.exchange.met(p.id)
	l.joined, l.endsTold = ours.Session && theirs.Session, ours.Ends
	p.name, p.info, p.service, p.open = wire.CleanName(theirs.Name), theirs.Info, theirs.Service, theirs.Open
	if p.how == "" {
		p.how = "incoming"
	}
	p.reached(conn.RemoteAddr())
	if e.knows(p.id) && e.profile.Peer(p.id).Name == "" { // it was trusted by its ID alone: others may not take its name
		e.acquaint(p)
	}
	if ours.Name != e.self.Name || !maps.Equal(ours.Info, e.self.Info) || ours.Open != e.self.open() { // changed while the greeting was under way
		l.send(e.info())
	}
	p.poke()
	e.passOn()
	e.log.Info("conn up", "peer", p.id.Short(), "name", p.name, "addr", conn.RemoteAddr(), "dialled", conn.Dialled)
	switch {
	case ours.Session && e.resume[p.id] == nil: // left since our hello
		l.send(wire.Leave{})
	case !ours.Session || !theirs.Session: // one side has forgotten, so both do
		delete(e.resume, p.id)
		e.disconnect(p, ErrLost)
	case p.session == nil && e.full(p): // others have taken its place
		delete(e.resume, p.id)
		l.send(wire.Leave{Code: wire.Busy})
	case p.session == nil:
		e.connect(p, nil)
		e.renew(p, theirs.Ends)
		return
	default:
		p.state = Connected
		p.tellEnds()
		e.renew(p, theirs.Ends)
		p.session.attach(l)
	}
	e.askByPolicy(p)
	e.changed(p)
}

// linkDown takes the end of l. Call with Engine.mu held.
func (e *Engine) linkDown(p *peer, l *link, err error) {
	l.fail(err)
	if p.link != l {
		return // a newer one took over
	}
	p.link = nil
	e.log.Info("conn down", "peer", p.id.Short(), "err", err)
	e.dropInvitations(p, err)
	e.dropPairing(p, err)
	e.dropOffers(l, fmt.Errorf("the connection ended: %w", err))
	p.retry = true
	defer func() { p.rumours = nil }()
	switch {
	case errors.Is(err, wire.ErrBye):
		delete(e.resume, p.id)
		e.disconnect(p, err)
		e.lose(p)
		return
	case errors.Is(err, wire.ErrBlocked), errors.Is(err, wire.ErrProtocol), errors.Is(err, wire.ErrVersion), errors.Is(err, wire.ErrIdentity):
		p.err, p.failures, p.retry = err, max(4, p.failures+1), false // it will not be better in a second
		e.dropTransfers(p.id, err)
		e.disconnect(p, err)
	default:
		p.suspect = true
		for by, at := range p.rumours { // it may have moved before this was noticed
			e.exchange.hear(target{p.id, []netip.AddrPort{at}, by})
		}
		e.awaitReturn(p, l, err)
	}
	if e.peers[p.id] != p { // it was a stranger's, and what ended with it has closed the window for pairing
		return
	}
	e.changed(p)
	e.chase(p)
	e.tidy(p)
}

// grace is how long a session lives without a conn. It is what one dial may take.
const grace = transport.DialTimeout

// awaitReturn keeps the session of p, whose conn l has broken for err, for the grace. A conn that lived for a moment
// only has brought nothing back: the time since the one before counts. Call with Engine.mu held.
func (e *Engine) awaitReturn(p *peer, l *link, err error) {
	if p.session == nil {
		return
	}
	if p.broken.IsZero() || now().Sub(l.began) > grace || l.began.Sub(p.broken) > grace {
		p.broken = now()
	}
	p.state, p.rtt = Reconnecting, l.conn.RTT()
	p.session.detach()
	left := p.broken.Add(grace).Sub(now())
	p.away++
	away := p.away
	waits := e.start(func(ctx context.Context) {
		timer := time.NewTimer(left)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		if p.away != away || p.state != Reconnecting {
			return
		}
		e.disconnect(p, err)
		if p.suspect && p.failures > 0 && e.peers[p.id] == p { // dialled in vain meanwhile
			e.lose(p)
		} else {
			e.tidy(p)
		}
	})
	if !waits {
		e.disconnect(p, err)
	}
}

// connect begins the session, or goes on with one whose conn was gone for longer than the grace. theirs is the other
// program's context. Call with Engine.mu held and p.link set.
func (e *Engine) connect(p *peer, theirs json.RawMessage) {
	if p.session != nil {
		return
	}
	s := e.resume[p.id]
	if s == nil {
		s = newSession()
		s.context = theirs
		e.keep(p.id, s)
	}
	p.session, p.state, p.link.joined = s, Connected, true
	p.tellEnds()
	s.attach(p.link)
	e.acquaint(p)
	e.passOn()
	e.publish(PeerAdded{e.view(p)})
	e.changed(p)
}

// tellEnds tells p over its conn how often our program was told that the session has ended. Call with Engine.mu held.
func (p *peer) tellEnds() {
	if n := p.session.ends; n > p.link.endsTold { // since our hello
		p.link.endsTold = n
		p.link.send(wire.Renew{N: n})
	}
}

// takeRenew takes what has changed since the other side's hello.
func (e *Engine) takeRenew(p *peer, l *link, m wire.Renew) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if l.renewed { // guard: renew-once
		return wire.ErrProtocol
	}
	if l.renewed = true; p.link == l && p.session != nil {
		e.renew(p, m.N)
	}
	return nil
}

// renew takes how often the other program was told that the session has ended, and with it of each message that was lost.
// Here it may have seemed to go on, as on a machine that was asleep for the while: then our program is told, too, that it has
// ended and begun, or it would miss what was lost. What it has posted itself goes on. Call with Engine.mu held and p.session
// set.
func (e *Engine) renew(p *peer, ends uint64) {
	s := p.session
	if ends <= s.ends {
		return
	}
	s.ends, p.state = ends, Found
	gone := e.view(p)
	p.session = nil
	e.publish(PeerRemoved{gone, ErrLost})
	e.changed(p)
	p.session, p.state = s, Connected
	e.publish(PeerAdded{e.view(p)})
	e.changed(p)
}

// acquaint keeps that p was accepted: its key is pinned from now on. Call with Engine.mu held.
func (e *Engine) acquaint(p *peer) {
	name, addrs := p.name, p.remembered()
	e.start(func(context.Context) { // the disk may be slow, and nothing here waits for it
		err := e.profile.Update(p.id, func(r *identity.Record) {
			if r.Trust == identity.Unknown {
				r.Trust = identity.Seen
			}
			r.Name, r.Last, r.Addrs = name, now().UTC().Truncate(time.Second), addrs
		})
		if err != nil {
			e.log.Error("keeping peer", "err", err)
		}
	})
}

// keep puts s where it outlives the record of its peer. Call with Engine.mu held.
func (e *Engine) keep(id PeerID, s *session) {
	if len(e.resume) >= maxPeers { // the sessions that are up are fewer
		for old := range e.resume {
			if p := e.peers[old]; p == nil || p.session == nil {
				delete(e.resume, old)
				break
			}
		}
	}
	e.resume[id] = s
}

// disconnect ends the session, not the conn. Call with Engine.mu held.
func (e *Engine) disconnect(p *peer, err error) {
	if p.session == nil {
		return
	}
	p.session.end(unanswered(err))
	if p.link != nil {
		p.link.resetStreams()
	}
	p.state, p.accepted = Found, ""
	gone := e.view(p)
	p.session.ends++
	p.session = nil
	e.publish(PeerRemoved{gone, err})
	e.changed(p)
	e.askOthers() // there is room for another one
}

// unanswered is err for messages whose fate it leaves open: as an answer to a message some errors say that it was not
// taken.
func unanswered(err error) error {
	if errors.Is(err, ErrBusy) || errors.Is(err, ErrUnavailable) {
		return fmt.Errorf("%w: %v", ErrLost, err)
	}
	return err
}
