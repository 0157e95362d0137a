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

// sessions begins, resumes and ends sessions as connections come and go.
type sessions struct {
	e      *Engine
	resume map[PeerID]*session // kept until either side leaves, so that a lost connection needs no new invitation
}

// adoptLocked makes a greeted connection the link to p; ours is the hello that we sent on it.
func (ss *sessions) adoptLocked(p *peer, conn *transport.Conn, control *transport.Stream, theirs, ours wire.Hello) {
	e := ss.e
	if e.profile.Peer(p.id).Trust == identity.Blocked {
		conn.Close(wire.Blocked)
		e.table.removeUnusedLocked(p)
		return
	}
	if now := e.peers[p.id]; now != nil && now != p { // p was lost and found again during the greeting
		p = now
	}
	if conn.Dialled && p.elsewhereLocked(conn, theirs.Boot) { // the other device connected while we dialled
		e.conflicts.foundLocked(p.id, p.name, p.link.conn.RemoteAddr(), conn.RemoteAddr())
		conn.Close(wire.Duplicate)
		return
	}
	if old := p.link; old != nil {
		// Requests sent on the old connection get no answer on the new one. Running transfers have connections of
		// their own.
		ss.dropLinkLocked(p) // first: nothing that still arrives over it begins anything
		if p.session != nil {
			p.session.detach()
		}
		e.invitations.dropLocked(p, ErrLost)
		e.pairings.LinkDown(p.id, ErrLost)
		e.transfers.LinkDown(peerLink{e, old}, fmt.Errorf("the connection was replaced: %w", ErrLost))
		old.conn.Close(wire.Superseded)
	}
	e.peers[p.id] = p
	l := newLink(e, p, conn, control, theirs.Boot)
	defer close(l.adopted)
	l.udp, l.tcp, l.shared = theirs.UDP, theirs.TCP, theirs.Shared
	defer e.transfers.LinkUp(p.id)
	if !e.tasks.Start(l.run) {
		conn.Close(wire.Bye)
		return
	}
	p.link = l
	e.links.set(l)
	p.failures = 0
	p.err = nil
	p.suspect = false
	p.declined = false
	p.shown = true
	e.exchange.metLocked(p.id)
	l.large.Store(ours.Session && theirs.Session)
	l.endsTold = ours.Ends
	p.setName(wire.CleanName(theirs.Name))
	p.info = theirs.Info
	p.service = theirs.Service
	p.open = theirs.Open
	if p.how == "" {
		p.how = "incoming"
	}
	p.reached(conn.RemoteAddr())
	if l.shared {
		e.conflicts.foundLocked(p.id, p.name, conn.RemoteAddr())
	}
	// It was trusted by its ID alone: store its name, so that no one else can take it.
	if e.knows(p.id) && e.profile.Peer(p.id).Name == "" {
		ss.pinPeerLocked(p)
	}
	// Our self changed during the greeting.
	if ours.Name != e.self.Name || !maps.Equal(ours.Info, e.self.Info) || ours.Open != e.self.open() {
		l.send(e.infoLocked())
	}
	p.wakeDialLoop()
	e.exchange.changed()
	e.log.Info("conn up", "peer", p.id.Short(), "name", p.name, "addr", conn.RemoteAddr(), "dialled", conn.Dialled)
	switch {
	case ours.Session && ss.resume[p.id] == nil: // we left after sending our hello
		l.send(wire.Leave{})
	case !ours.Session || !theirs.Session: // one side has no session to resume, so both drop it
		delete(ss.resume, p.id)
		ss.endLocked(p, ErrLost)
	case p.session == nil && e.invitations.fullLocked(p): // its slot was taken meanwhile
		delete(ss.resume, p.id)
		l.send(wire.Leave{Code: wire.Busy})
	case p.session == nil:
		ss.beginLocked(p, nil, false)
		ss.renewLocked(p, theirs.Ends)
		return
	default:
		p.state = Connected
		p.tellEndsLocked()
		ss.renewLocked(p, theirs.Ends)
		p.session.attach(l)
		l.session.Store(p.session)
	}
	e.invitations.askByPolicyLocked(p)
	e.table.publishLocked(p)
}

// dropLinkLocked removes the link of p.
func (ss *sessions) dropLinkLocked(p *peer) {
	e := ss.e
	e.links.remove(p.link)
	p.link.session.Store(nil)
	p.link = nil
}

// linkDownLocked handles the end of l.
func (ss *sessions) linkDownLocked(p *peer, l *link, err error) {
	e := ss.e
	l.fail(err)
	if p.link != l {
		return // a newer link has replaced it
	}
	ss.dropLinkLocked(p)
	e.log.Info("conn down", "peer", p.id.Short(), "err", err)
	e.invitations.dropLocked(p, err)
	e.pairings.LinkDown(p.id, err)
	e.transfers.LinkDown(peerLink{e, l}, fmt.Errorf("the connection ended: %w", err))
	p.retry = true
	defer func() { p.rumours = nil }()
	switch {
	case errors.Is(err, wire.ErrBye):
		delete(ss.resume, p.id)
		ss.endLocked(p, err)
		e.table.removeGoneLocked(p)
		return
	case errors.Is(err, wire.ErrBlocked), errors.Is(err, wire.ErrProtocol), errors.Is(err, wire.ErrVersion), errors.Is(err, wire.ErrIdentity):
		p.err, p.failures, p.retry = err, max(4, p.failures+1), false // retrying within a second would not help
		e.transfers.Drop(p.id, err)
		ss.endLocked(p, err)
	default:
		p.suspect = true
		for by, at := range p.rumours { // the peer may have moved before the loss was noticed
			e.exchange.addHintLocked(target{p.id, []netip.AddrPort{at}, by})
		}
		ss.awaitReturnLocked(p, l, err)
	}
	// The peer was removed meanwhile: it was a stranger, and its failed pairing closed the pairing window.
	if e.peers[p.id] != p {
		return
	}
	e.table.publishLocked(p)
	e.dialer.ensureLoopLocked(p)
	e.table.removeUnusedLocked(p)
}

// grace is how long a session lives without a connection. It equals the time that one dial may take.
const grace = transport.DialTimeout

// awaitReturnLocked keeps the session of p for the grace period after its connection l broke with err. A connection
// that lived only briefly does not restart the period: it counts from the earlier break.
func (ss *sessions) awaitReturnLocked(p *peer, l *link, err error) {
	e := ss.e
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
	waits := e.tasks.Start(func(ctx context.Context) {
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
		ss.endLocked(p, err)
		if p.suspect && p.failures > 0 && e.peers[p.id] == p { // all dials since then have failed
			e.table.removeGoneLocked(p)
		} else {
			e.table.removeUnusedLocked(p)
		}
	})
	if !waits {
		ss.endLocked(p, err)
	}
}

// beginLocked begins a session with p, or resumes one whose connection was down for longer than the grace
// period. theirs is the other program's context; person reports that a person on this side wants the session, not
// just a policy. It needs p.link.
func (ss *sessions) beginLocked(p *peer, theirs json.RawMessage, person bool) {
	e := ss.e
	if p.session != nil {
		return
	}
	s := ss.resume[p.id]
	if s == nil {
		s = newSession()
		s.context = theirs
		ss.keepLocked(p.id, s)
	}
	p.session, p.state = s, Connected
	p.link.large.Store(true)
	p.tellEndsLocked()
	if !person && !e.knows(p.id) { // guard: policy-trust
		e.log.Info("let in by a policy alone", "peer", p.id.Short())
	} else {
		ss.pinPeerLocked(p)
	}
	e.exchange.changed()
	e.publish(PeerAdded{e.table.viewLocked(p)})
	e.table.publishLocked(p)
	s.attach(p.link) // its messages come after PeerAdded
	p.link.session.Store(s)
}

// tellEndsLocked notifies p how often this session has ended for our program.
func (p *peer) tellEndsLocked() {
	if n := p.session.ends; n > p.link.endsTold { // it has ended since our hello
		p.link.endsTold = n
		p.link.send(wire.Renew{N: n})
	}
}

// takeRenew handles what has changed since the other side's hello.
func (ss *sessions) takeRenew(p *peer, l *link, m wire.Renew) error {
	e := ss.e
	e.mu.Lock()
	defer e.mu.Unlock()
	if l.renewed { // guard: renew-once
		return wire.ErrProtocol
	}
	l.renewed = true
	if p.link == l && p.session != nil {
		ss.renewLocked(p, m.N)
	}
	return nil
}

// renewLocked handles the count of session ends that the other program has seen; each of them failed the messages
// that were pending there. This side may not have noticed them, for example if the machine was asleep. Then our
// program also gets a PeerRemoved and a PeerAdded, or it would miss the loss. Messages that it has posted itself stay
// queued. It needs p.session.
func (ss *sessions) renewLocked(p *peer, ends uint64) {
	e := ss.e
	s := p.session
	if ends <= s.ends {
		return
	}
	s.ends, p.state = ends, Found
	s.mu.Lock() // no message comes between the two events
	defer s.mu.Unlock()
	gone := e.table.viewLocked(p)
	p.session = nil
	e.publish(PeerRemoved{gone, ErrLost})
	e.table.publishLocked(p)
	p.session, p.state = s, Connected
	e.publish(PeerAdded{e.table.viewLocked(p)})
	e.table.publishLocked(p)
}

// pinPeerLocked records that a person has accepted p: its key is pinned from now on.
func (ss *sessions) pinPeerLocked(p *peer) {
	e := ss.e
	name, addrs := p.name, p.rememberedLocked()
	taken := !e.profile.Impersonated(p.id, name).IsZero()
	e.tasks.Start(func(context.Context) { // the disk may be slow, and nothing here waits for it
		err := e.profile.Update(p.id, func(r *identity.Record) {
			if r.Trust == identity.Unknown {
				r.Trust = identity.Seen
			}
			if r.Name == "" || !taken { // a name that belongs to another peer is not stored
				r.Name = name
			}
			r.Last, r.Addrs = now().UTC().Truncate(time.Second), addrs
		})
		if err != nil {
			e.log.Error("keeping peer", "err", err)
		}
	})
}

// keepLocked stores s where it outlives the record of its peer.
func (ss *sessions) keepLocked(id PeerID, s *session) {
	e := ss.e
	if len(ss.resume) >= maxPeers { // there are fewer active sessions than that
		for old := range ss.resume {
			if p := e.peers[old]; p == nil || p.session == nil {
				delete(ss.resume, old)
				break
			}
		}
	}
	ss.resume[id] = s
}

// endLocked ends the session but not the connection.
func (ss *sessions) endLocked(p *peer, err error) {
	e := ss.e
	if p.session == nil {
		return
	}
	p.session.end(unanswered(err))
	if p.link != nil {
		p.link.session.Store(nil)
		p.link.resetStreams()
	}
	p.state, p.accepted = Found, ""
	gone := e.table.viewLocked(p)
	p.session.ends++
	p.session = nil
	e.publish(PeerRemoved{gone, err})
	e.table.publishLocked(p)
	e.invitations.inviteOthersLocked() // a slot is free now
}

// unanswered converts err for messages whose outcome is unknown: some errors would otherwise say that the peer did
// not take the message.
func unanswered(err error) error {
	if errors.Is(err, ErrBusy) || errors.Is(err, ErrUnavailable) {
		return fmt.Errorf("%w: %v", ErrLost, err)
	}
	return err
}

// helloLocked returns our greeting for p.
func (ss *sessions) helloLocked(p *peer) wire.Hello {
	e := ss.e
	ends := uint64(0)
	s := ss.resume[p.id]
	if s != nil {
		ends = s.ends
	}
	_, shared := e.conflicts.known[e.self.ID]
	return wire.Hello{
		Version: wire.Version1, ID: e.self.ID.String(), Name: e.self.Name, Boot: e.boot, Session: s != nil, Ends: ends, Info: e.self.Info,
		UDP: e.laneUDP, TCP: e.laneTCP, Service: e.self.Service, Open: e.self.open(), Shared: shared,
	}
}
