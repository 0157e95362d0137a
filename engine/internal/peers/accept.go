package peers

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// Limits on connections that have proven their key but have not sent their request yet. Keys that the profile knows
// have separate slots, as have lanes of keys with a running transfer, so that strangers cannot take those slots.
var (
	sessionsWaiting = transport.AcceptLimits{All: 64, PerKey: 3, PerSource: 16}
	lanesWaiting    = transport.AcceptLimits{All: 64, PerKey: 24, PerSource: 16}
	// There is no limit per source: many devices may be behind one router or on this machine.
	knownSessionsWaiting = transport.AcceptLimits{All: 64, PerKey: 3}
	expectedLanesWaiting = transport.AcceptLimits{All: 64, PerKey: 24}
)

// answerTimeout is how long the dialler may take to answer on a connection that is to replace another one. It is long,
// since the dialler may be busy, and already relies on the connection once it has the acknowledgement; the old
// connection stays in use until then.
const answerTimeout = 10 * time.Second

// acceptor answers the connections that peers dial.
type acceptor struct{ m *Manager }

// acceptQueues are the queues of one listener.
type acceptQueues struct{ known, strangers, expectedLanes, otherLanes *transport.AcceptQueue }

func newAcceptQueues() acceptQueues {
	return acceptQueues{
		transport.NewAcceptQueue(knownSessionsWaiting), transport.NewAcceptQueue(sessionsWaiting),
		transport.NewAcceptQueue(expectedLanesWaiting), transport.NewAcceptQueue(lanesWaiting),
	}
}

// queueOf picks the queue for a connection of a key.
func (a *acceptor) queueOf(q acceptQueues, kind transport.Kind, key PeerID) *transport.AcceptQueue {
	m := a.m
	switch {
	case kind == transport.Lane && m.transfers.Moves(key): // guard: expected-lanes
		return q.expectedLanes
	case kind == transport.Lane:
		return q.otherLanes
	case m.knows(key): // guard: known-first
		return q.known
	}
	return q.strangers
}

// acceptConns accepts connections until ctx ends.
func (a *acceptor) acceptConns(ctx context.Context) {
	m := a.m
	queues := newAcceptQueues()
	for {
		conn, err := m.endpoint.Accept(ctx)
		if ctx.Err() != nil {
			if err == nil {
				conn.Close(wire.Bye)
			}
			return
		}
		if err != nil {
			m.log.Warn("accepting", "err", err)
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		place := a.queueOf(queues, conn.Kind, conn.Peer).Enter(conn.Peer, conn.RemoteAddr().Addr(), func() { conn.Close(wire.Busy) })
		started := m.tasks.Start(func(ctx context.Context) {
			defer place.Leave()
			a.greet(ctx, conn, place)
		})
		if !started {
			place.Leave()
			conn.Close(wire.Bye)
		}
	}
}

// greet handles the greeting on a connection that a peer dialled.
func (a *acceptor) greet(ctx context.Context, conn *transport.Conn, place *transport.Waiting) {
	m := a.m
	if conn.Kind == transport.Lane {
		a.acceptLaneConn(ctx, conn, place)
		return
	}
	came := now()
	control, hello, err := conn.AwaitHello(ctx, place.Within(transport.HelloTimeout))
	if err != nil {
		m.log.Debug("greeting", "peer", conn.Peer.Short(), "err", err)
		return
	}
	place.Spoke()
	running := ctx
	ctx, cancel := context.WithTimeout(ctx, transport.HelloTimeout)
	defer cancel()
	for probed := false; ; {
		settled, wait := a.settle(running, conn, control, hello, came, probed)
		if settled {
			return
		}
		if wait == nil { // there is a connection already; check whether it is alive
			m.mu.Lock()
			p := m.peers[conn.Peer]
			var l *Link
			if p != nil {
				l = p.link
			}
			m.mu.Unlock()
			if l != nil && l.alive(ctx, time.Second) {
				m.mu.Lock()
				if p.link == l && p.elsewhereLocked(conn, hello.Boot) {
					m.conflicts.foundLocked(p.id, p.name, l.conn.RemoteAddr(), conn.RemoteAddr())
				}
				m.mu.Unlock()
				conn.Close(wire.Duplicate)
				return
			}
			probed = true
			continue
		}
		m.log.Debug("dials crossed, waiting for ours", "peer", conn.Peer.Short())
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

// settle decides what to do with a connection whose dialler has sent its hello. If two dials cross, exactly one
// connection must remain, the same on both sides: the one that the lower ID dialled.
//
// Only the lower ID has to decide. While its own dial is in progress, it lets the other side's hello wait (wait is
// closed when that dial ends): if its dial succeeds, the other connection is a duplicate; if it fails, the other
// connection is the only way. It never dials while it has a connection or answers one. The higher ID always accepts
// what the lower ID dials.
//
// A hello while another connection is up comes from a peer that has lost that connection or was restarted. A restart
// shows in the boot nonce. Otherwise the existing connection is probed first, since the hello may have crossed with
// our own dial: then settle returns no wait. It is also probed before a connection from another host replaces it:
// either the device has moved, or another device has a copy of the key, which must not displace one that is still
// connected. A connection that arrived before ours was up needs no probe: the session state in its hello is outdated,
// however long the peer is busy.
//
// Before a connection replaces another one, its dialler must answer on it: the dialler may have abandoned it, and then
// the other connection is the only one.
func (a *acceptor) settle(ctx context.Context, conn *transport.Conn, control *transport.Stream, hello wire.Hello, came time.Time, probed bool) (settled bool, wait <-chan struct{}) {
	m := a.m
	if !wire.SameService(hello.Service, m.self.Service) { // guard: accepted-service
		conn.Close(wire.Unavailable)
		return true, nil
	}
	m.mu.Lock()
	p := m.table.addIncomingLocked(conn.Peer)
	if p == nil {
		m.mu.Unlock()
		conn.Close(wire.Busy)
		return true, nil
	}
	if !a.welcomeLocked(p.id) { // it must not learn our name either; adoptLocked checks again
		m.table.removeUnusedLocked(p)
		m.mu.Unlock()
		conn.Close(wire.Bye)
		return true, nil
	}
	if a.crowdedLocked(p, conn.RemoteAddr().Addr()) { // guard: strangers-connected
		m.table.removeUnusedLocked(p)
		m.mu.Unlock()
		conn.Close(wire.Busy)
		return true, nil
	}
	if lower := m.self.ID.Less(p.id); lower {
		if p.dialling != nil {
			wait = p.dialled
			m.mu.Unlock()
			return false, wait
		}
		again := p.link != nil && p.link.boot == hello.Boot
		if again && came.Before(p.link.began) {
			m.mu.Unlock()
			conn.Close(wire.Duplicate)
			return true, nil
		}
		if again && !probed {
			m.mu.Unlock()
			return false, nil
		}
	}
	if !probed && p.elsewhereLocked(conn, hello.Boot) { // guard: two-places-alive
		m.mu.Unlock()
		return false, nil
	}
	if p.dialling != nil {
		p.dialling()
	}
	p.accepting++
	replaces := p.link != nil
	ours := m.sessions.helloLocked(p)
	m.mu.Unlock()

	err := conn.Acknowledge(control, ours)
	if err == nil && replaces {
		err = conn.AwaitAnswer(ctx, control, answerTimeout)
	}

	m.mu.Lock()
	defer m.mu.Unlock()
	p.accepting--
	if err == nil {
		m.sessions.adoptLocked(p, conn, control, hello, ours)
	} else {
		m.table.removeUnusedLocked(p)
	}
	return true, nil
}

// check checks a peer's key in a handshake; dialled reports whether we dialled.
func (a *acceptor) check(id PeerID, certificate []byte, dialled bool) error {
	m := a.m
	trust := m.profile.Peer(id).Trust
	if trust == identity.Blocked { // guard: blocked-key
		return wire.ErrBlocked
	}
	if trust == identity.Unknown && !dialled && !a.answers(id) { // guard: hidden-from-strangers
		return transport.ErrRefused
	}
	if m.cfg.Verify != nil {
		if err := m.cfg.Verify(id, certificate); err != nil {
			m.log.Info("refused by Config.Verify", "peer", id.Short(), "err", err)
			return fmt.Errorf("%w: %w", wire.ErrIdentity, err)
		}
	}
	return nil
}

// Check checks a peer's key in a handshake; dialled reports whether we dialled.
func (m *Manager) Check(id PeerID, certificate []byte, dialled bool) error {
	return m.acceptor.check(id, certificate, dialled)
}

// MetOwnKey is called when a device at an address has proven our own key.
func (m *Manager) MetOwnKey(at netip.AddrPort) { m.conflicts.metOwnKey(at) }

// crowdedLocked reports whether strangers have used up their connections, in total or from the source of newcomer.
func (a *acceptor) crowdedLocked(newcomer *peer, from netip.Addr) bool {
	m := a.m
	if m.profile.Peer(newcomer.id).Trust != identity.Unknown || newcomer.session != nil {
		return false
	}
	source := transport.SourceOf(from)
	all, sessions, here := 0, 0, 0
	for _, p := range m.peers {
		if p == newcomer || p.link == nil || p.link.conn.Dialled || m.profile.Peer(p.id).Trust != identity.Unknown {
			continue
		}
		if p.session == nil {
			all++
		} else {
			sessions++
		}
		if transport.SourceOf(p.link.conn.RemoteAddr().Addr()) == source {
			here++
		}
	}
	return all >= maxStrangerConns || sessions >= maxStrangerSessions || here >= maxStrangersPerSource
}
