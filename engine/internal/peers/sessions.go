package peers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/peers/internal/window"
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// session is the state that two connected peers share, across all connections between them. Both sides keep it until
// one of them leaves; a hello reports whether its sender still has it (wire.Hello.Session).
type session struct {
	window  *window.Window
	context json.RawMessage // what the other program sent with the invitation or its answer; guarded by Manager.mu
	ends    uint64          // how many times the program has seen it end; guarded by Manager.mu
	person  bool            // wanted by a person, not just by a policy; guarded by Manager.mu
}

// sessions begins, resumes and ends sessions as connections come and go.
type sessions struct {
	m      *Manager
	resume map[PeerID]*session // kept until either side leaves, so that a lost connection needs no new invitation
}

// adoptLocked makes a greeted connection the link to p, over which its session begins again if it has one; ours is the
// hello that we sent on it.
func (ss *sessions) adoptLocked(p *peer, conn *transport.Conn, control *transport.Stream, theirs, ours wire.Hello) {
	m := ss.m
	if m.profile.Peer(p.id).Trust == identity.Blocked {
		conn.Close(wire.Blocked)
		m.table.removeUnusedLocked(p)
		return
	}
	if !conn.Dialled && !m.acceptor.welcomeLocked(p.id) { // guard: hidden-after-handshake
		conn.Close(wire.Bye)
		m.table.removeUnusedLocked(p)
		return
	}
	if now := m.peers[p.id]; now != nil && now != p { // p was lost and found again during the greeting
		p = now
	}
	if conn.Dialled && p.elsewhereLocked(conn, theirs.Boot) { // the other device connected while we dialled
		m.conflicts.foundLocked(p.id, p.name, p.link.conn.RemoteAddr(), conn.RemoteAddr())
		conn.Close(wire.Duplicate)
		return
	}
	if old := p.link; old != nil {
		// Requests sent on the old connection get no answer on the new one. Running transfers have connections of
		// their own.
		ss.dropLinkLocked(p) // first, so that nothing that still arrives over it takes effect
		if p.session != nil {
			p.session.window.Detach()
		}
		m.invitations.dropLocked(p, transport.ErrLost)
		m.pairings.LinkDown(p.id, transport.ErrLost)
		m.transfers.LinkDown(old, fmt.Errorf("the connection was replaced: %w", transport.ErrLost))
		old.conn.Close(wire.Superseded)
	}
	m.peers[p.id] = p
	l := newLink(m, p, conn, control, theirs.Boot)
	defer close(l.adopted)
	l.udp, l.tcp, l.shared = theirs.UDP, theirs.TCP, theirs.Shared
	defer m.transfers.LinkUp(p.id)
	if !m.tasks.Start(l.run) {
		conn.Close(wire.Bye)
		return
	}
	p.link = l
	m.links.set(l)
	p.failures = 0
	p.err = nil
	p.suspect = false
	p.declined = false
	p.shown = true
	m.exchange.metLocked(p.id)
	l.large.Store(ours.Session && theirs.Session)
	l.endsSent = ours.Ends
	p.setName(wire.CleanName(theirs.Name))
	p.info = theirs.Info
	p.service = theirs.Service
	p.open = theirs.Open
	if p.how == "" {
		p.how = "incoming"
	}
	p.reached(conn.RemoteAddr())
	if l.shared {
		m.conflicts.foundLocked(p.id, p.name, conn.RemoteAddr())
	}
	// It was trusted by its ID alone: store its name, so that no other device can claim it.
	if m.knows(p.id) && m.profile.Peer(p.id).Name == "" {
		ss.pinPeerLocked(p, p.name, m.profile.Decisions(p.id))
	}
	// Our own state changed during the greeting.
	if ours.Name != m.self.Name || !maps.Equal(ours.Info, m.self.Info) || ours.Open != m.self.open() {
		l.Send(m.self.wireInfo())
	}
	p.wakeDialLoop()
	m.exchange.changed()
	m.log.Info("conn up", "peer", p.id.Short(), "name", p.name, "addr", conn.RemoteAddr(), "dialled", conn.Dialled)
	switch {
	case ours.Session && ss.resume[p.id] == nil: // we left after sending our hello
		l.Send(wire.Leave{})
	case !ours.Session || !theirs.Session: // one side has no session to resume, so both drop it
		delete(ss.resume, p.id)
		ss.endLocked(p, transport.ErrLost)
	case p.session == nil && m.invitations.fullLocked(p): // its slot was taken in the meantime
		delete(ss.resume, p.id)
		l.Send(wire.Leave{Code: wire.Busy})
	case p.session == nil:
		ss.beginLocked(p, nil, consent{})
		ss.renewLocked(p, theirs.Ends)
		return
	default:
		p.happened(returned)
		p.sendEndsLocked()
		ss.renewLocked(p, theirs.Ends)
		p.session.window.Attach(l)
		l.session.Store(p.session)
	}
	m.invitations.askByPolicyLocked(p)
	m.table.publishLocked(p)
}

// dropLinkLocked removes the link of p.
func (ss *sessions) dropLinkLocked(p *peer) {
	m := ss.m
	m.links.remove(p.link)
	p.link.forgetStreams()
	p.link.session.Store(nil)
	p.link = nil
}

// linkDownLocked handles the end of l.
func (ss *sessions) linkDownLocked(p *peer, l *Link, err error) {
	m := ss.m
	if !m.tasks.Running() { // this side has closed the connection
		err = wire.ErrClosed
	}
	l.fail(err)
	if p.link != l {
		return // a newer link has replaced it
	}
	ss.dropLinkLocked(p)
	m.log.Info("conn down", "peer", p.id.Short(), "err", err)
	m.invitations.dropLocked(p, err)
	m.pairings.LinkDown(p.id, err)
	m.transfers.LinkDown(l, fmt.Errorf("the connection ended: %w", err))
	p.retry = true
	defer func() { p.reports = nil }()
	switch {
	case errors.Is(err, wire.ErrBye):
		delete(ss.resume, p.id)
		ss.endLocked(p, err)
		m.table.removeGoneLocked(p)
		return
	case errors.Is(err, wire.ErrBlocked), errors.Is(err, wire.ErrProtocol), errors.Is(err, wire.ErrVersion), errors.Is(err, wire.ErrIdentity):
		p.err, p.failures, p.retry = err, max(4, p.failures+1), false // retrying within a second would not help
		m.transfers.Drop(p.id, err)
		ss.endLocked(p, err)
	default:
		p.suspect = true
		for by, at := range p.reports { // the peer may have moved before the loss was noticed
			m.exchange.addHintLocked(target{p.id, []netip.AddrPort{at}, by})
		}
		ss.startReconnectTimerLocked(p, l, err)
	}
	// The peer was removed in the meantime: it was a stranger, and its failed pairing closed the pairing window.
	if m.peers[p.id] != p {
		return
	}
	m.table.publishLocked(p)
	m.dialer.ensureLoopLocked(p)
	m.table.removeUnusedLocked(p)
}

// beginLocked begins a session with p, or resumes one whose connection was down for longer than reconnectTimeout.
// theirs is the other program's context. by records whether a person or a policy wants the session. It needs p.link.
func (ss *sessions) beginLocked(p *peer, theirs json.RawMessage, by consent) {
	m := ss.m
	if p.session != nil {
		return
	}
	s := ss.resume[p.id]
	if s == nil {
		s = &session{}
		s.window = window.New(m.parking, func() { ss.endMute(p.id, s) })
		s.context = theirs
		ss.keepLocked(p.id, s)
	}
	s.person = s.person || by.person
	p.session = s
	p.happened(began)
	p.link.large.Store(true)
	p.sendEndsLocked()
	if !by.person && !m.knows(p.id) { // guard: policy-trust
		m.log.Info("let in by a policy alone", "peer", p.id.Short())
	} else {
		decisions := by.decisions
		if !by.person {
			decisions = m.profile.Decisions(p.id)
		}
		ss.pinPeerLocked(p, by.name, decisions)
	}
	m.exchange.changed()
	m.publish(PeerAdded{m.table.viewLocked(p)})
	m.table.publishLocked(p)
	s.window.Attach(p.link) // its messages come after PeerAdded
	p.link.session.Store(s)
}

// sendEndsLocked notifies p how often this session has ended for our program.
func (p *peer) sendEndsLocked() {
	if n := p.session.ends; n > p.link.endsSent { // it has ended since our hello
		p.link.endsSent = n
		p.link.Send(wire.Renew{N: n})
	}
}

// takeRenew handles what has changed since the other side's hello.
func (ss *sessions) takeRenew(p *peer, l *Link, msg wire.Renew) error {
	m := ss.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if l.renewed { // guard: renew-once
		return wire.ErrProtocol
	}
	l.renewed = true
	if p.link == l && p.session != nil {
		ss.renewLocked(p, msg.N)
	}
	return nil
}

// renewLocked handles the count of session ends that the other program has seen; each end failed the messages that were
// pending on that side. This side may not have noticed the ends, for example if the machine was asleep. Then our
// program also gets a PeerRemoved and a PeerAdded, or it would miss the loss. Messages that our program has posted stay
// queued. It needs p.session.
func (ss *sessions) renewLocked(p *peer, ends uint64) {
	m := ss.m
	s := p.session
	if ends <= s.ends {
		return
	}
	s.ends = ends
	p.happened(ended)
	s.window.Hold(func() { // no message comes between the two events
		gone := m.table.viewLocked(p)
		p.session = nil
		m.publish(PeerRemoved{gone, transport.ErrLost})
		m.table.publishLocked(p)
		p.session = s
		p.happened(began)
		m.publish(PeerAdded{m.table.viewLocked(p)})
		m.table.publishLocked(p)
	})
}

// consent says who wants a session: a policy, or a person who was shown a name of the peer.
type consent struct {
	person    bool
	name      string
	decisions int // identity.Profile.Decisions when the person acted
}

// pinPeerLocked records that p is accepted: its key is pinned from now on. name is the name that a person was shown;
// empty keeps the stored one. So a peer cannot have itself stored under a name that no one has seen.
//
// decisions is identity.Profile.Decisions at the time of the user's action that this follows from.
func (ss *sessions) pinPeerLocked(p *peer, name string, decisions int) {
	m := ss.m
	addrs := p.rememberedLocked()
	taken := !m.profile.Impersonated(p.id, name).IsZero()
	m.tasks.Start(func(context.Context) { // the disk may be slow, and nothing waits for it
		err := m.profile.Accept(p.id, decisions, func(r *identity.Record) {
			if name != "" && (r.Name == "" || !taken) { // a name that belongs to another peer is not stored
				r.Name = name
			}
			r.Last, r.Addrs = now().UTC().Truncate(time.Second), addrs
		})
		if err != nil {
			m.log.Error("keeping peer", "err", err)
		}
	})
}

// keepLocked stores s where it outlives the record of its peer.
func (ss *sessions) keepLocked(id PeerID, s *session) {
	m := ss.m
	if len(ss.resume) >= maxPeers { // there are fewer active sessions than that
		for old := range ss.resume {
			if p := m.peers[old]; p == nil || p.session == nil {
				delete(ss.resume, old)
				break
			}
		}
	}
	ss.resume[id] = s
}

// endLocked ends the session but not the connection.
func (ss *sessions) endLocked(p *peer, err error) {
	m := ss.m
	if p.session == nil {
		return
	}
	p.session.window.End(unanswered(err))
	if p.link != nil {
		p.link.session.Store(nil)
		p.link.resetStreams()
	}
	p.happened(ended)
	p.accepted = ""
	delete(m.exchange.heard, p.id) // only a peer with a session may announce others
	for _, other := range m.peers {
		delete(other.reports, p.id)
	}
	gone := m.table.viewLocked(p)
	p.session.ends++
	p.session = nil
	m.publish(PeerRemoved{gone, err})
	m.table.publishLocked(p)
	m.invitations.inviteOthersLocked() // a slot has become free
}

// unanswered converts err for messages whose outcome is unknown: some errors would otherwise claim that the peer did
// not take the message.
func unanswered(err error) error {
	if errors.Is(err, wire.ErrBusy) || errors.Is(err, wire.ErrUnavailable) {
		return fmt.Errorf("%w: %v", transport.ErrLost, err)
	}
	return err
}

// helloLocked returns our greeting for p.
func (ss *sessions) helloLocked(p *peer) wire.Hello {
	m := ss.m
	ends := uint64(0)
	s := ss.resume[p.id]
	if s != nil {
		ends = s.ends
	}
	_, shared := m.conflicts.known[m.self.ID]
	return wire.Hello{
		Version: wire.Version1, ID: m.self.ID.String(), Name: m.self.Name, Boot: m.boot, Session: s != nil, Ends: ends, Info: m.self.Info,
		UDP: m.laneUDP, TCP: m.laneTCP, Service: m.self.Service, Open: m.self.open(), Shared: shared,
	}
}
