package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// Bounds on how many peers are kept; discovery has one of its own, 256.
const (
	maxPeers     = 1024
	maxStrangers = 256
)

// peer is what the engine knows of one key. All fields are guarded by Engine.mu.
type peer struct {
	id    PeerID
	name  string
	info  map[string]string
	how   string
	hint  bool             // discovery sees it now
	addrs []netip.AddrPort // from discovery
	extra []netip.AddrPort // typed, or where a conn came from

	link      *link
	accepting int                // incoming conns being acknowledged
	dialling  context.CancelFunc // ends our dial under way
	dialled   chan struct{}      // closed when that dial has ended
	chased    bool               // a goroutine looks after dialling
	wake      chan struct{}      // something changed for it
	failures  int
	retry     bool // there is news: dial now, whatever the backoff says
	err       error
	suspect   bool // its conn died; the next failed dial means that it is lost

	state      State
	session    *session      // while Connected or Reconnecting
	accepted   string        // the ID of their invitation that the session rests on, if any
	declined   bool          // it has said no to our policy, on this conn
	away       int           // counts the breaks of the session's conn
	broken     time.Time     // when the last of its conns that was of use broke
	rtt        time.Duration // of that conn
	asked      *asking       // our invitation, waiting for an answer
	invitation *Invitation   // theirs, waiting for ours
}

// view is the public value. Call with Engine.mu held.
func (e *Engine) view(p *peer) Peer {
	v := Peer{
		ID: p.id, Name: p.name, State: p.state, Trust: e.profile.Peer(p.id).Trust, How: p.how,
		Addrs: slices.Clone(p.all()), Info: p.info, Err: p.err,
	}
	if p.session != nil {
		v.Context = p.session.context
	}
	if v.Name == "" {
		v.Name = "unnamed"
	}
	if p.link != nil {
		v.Confirmed, v.Addr, v.RTT = true, p.link.conn.RemoteAddr(), p.link.conn.RTT()
	}
	return v
}

// all lists the addresses to dial, without doubles.
func (p *peer) all() []netip.AddrPort {
	out := slices.Clone(p.addrs)
	for _, a := range p.extra {
		if !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

// reached keeps where a conn goes.
func (p *peer) reached(a netip.AddrPort) {
	if a.IsValid() && !slices.Contains(p.all(), a) {
		p.extra = append([]netip.AddrPort{a}, p.extra[:min(len(p.extra), 3)]...)
	}
}

func (p *peer) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// peer finds the record of id or makes one; nil if there are too many. Call with Engine.mu held.
func (e *Engine) peer(id PeerID) *peer {
	p := e.peers[id]
	if p == nil && len(e.peers) < maxPeers {
		p = &peer{id: id, wake: make(chan struct{}, 1), name: e.profile.Peer(id).Name}
		e.peers[id] = p
	}
	return p
}

// caller is peer for who dials us. Keys are free, so strangers whom nobody has found or accepted may fill only a part
// of the table. Call with Engine.mu held.
func (e *Engine) caller(id PeerID) *peer {
	if e.peers[id] == nil && e.profile.Peer(id).Trust == identity.Unknown && e.strangers() >= maxStrangers {
		return nil
	}
	return e.peer(id)
}

// strangers counts the peers that came by themselves and were never accepted. Call with Engine.mu held.
func (e *Engine) strangers() int {
	n := 0
	for _, p := range e.peers {
		if !p.hint && p.session == nil && e.profile.Peer(p.id).Trust == identity.Unknown {
			n++
		}
	}
	return n
}

// changed publishes p as it is now. Call with Engine.mu held.
func (e *Engine) changed(p *peer) { e.publish(PeerChanged{e.view(p)}) }

// Peers lists the peers that are found or connected, by name.
func (e *Engine) Peers() []Peer {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.views()
}

func (e *Engine) views() []Peer {
	out := make([]Peer, 0, len(e.peers))
	for _, p := range e.peers {
		out = append(out, e.view(p))
	}
	slices.SortFunc(out, func(a, b Peer) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(string(a.ID[:]), string(b.ID[:])))
	})
	return out
}

// Peer looks one peer up.
func (e *Engine) Peer(id PeerID) (Peer, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p := e.peers[id]; p != nil {
		return e.view(p), true
	}
	return Peer{}, false
}

// FindPeer looks a nearby peer up by what a person types: its name, its ID or the start of it. The error is
// ErrNoPeer, or ErrInvalid with the candidates if several fit.
func (e *Engine) FindPeer(who string) (Peer, error) {
	var named, prefixed []Peer
	for _, p := range e.Peers() {
		switch {
		case p.ID.String() == who || strings.EqualFold(p.Name, who):
			named = append(named, p)
		case p.ID.HasPrefix(who):
			prefixed = append(prefixed, p)
		}
	}
	if len(named) == 0 {
		named = prefixed
	}
	switch len(named) {
	case 0:
		return Peer{}, ErrNoPeer
	case 1:
		return named[0], nil
	}
	return Peer{}, ambiguous(who, named)
}

// remove forgets p and tells. Call with Engine.mu held.
func (e *Engine) remove(p *peer) {
	if e.peers[p.id] != p {
		return
	}
	e.disconnect(p, ErrLost)
	delete(e.peers, p.id)
	p.poke()
	v := e.view(p)
	e.publish(PeerLost{v})
	e.log.Info("lost", "peer", p.id.Short(), "name", p.name)
}

// maxFailures is how often a peer that discovery does not see is dialled in vain.
const maxFailures = 3

// tidy removes p if nothing keeps it: no conn, nothing under way, no hint, and no address that is worth a try. Call
// with Engine.mu held.
func (e *Engine) tidy(p *peer) {
	blocked := e.profile.Peer(p.id).Trust == identity.Blocked
	if p.link != nil || p.session != nil || p.hint || p.suspect && !blocked && len(p.all()) > 0 || p.dialling != nil || p.accepting > 0 {
		return
	}
	if len(p.extra) == 0 || p.failures >= maxFailures || blocked {
		e.remove(p)
	}
}

// lose is remove for a peer that was proven gone: what discovery still believes is forgotten too.
func (e *Engine) lose(p *peer) {
	p.hint, p.addrs, p.extra, p.suspect = false, nil, nil, false
	e.finder.Forget(p.id)
	e.remove(p)
}

// adopt takes a greeted conn as the one to p; ours is what our hello said. Call with Engine.mu held.
func (e *Engine) adopt(p *peer, conn *transport.Conn, control *transport.Stream, theirs, ours wire.Hello) {
	if e.profile.Peer(p.id).Trust == identity.Blocked { // decided since the handshake
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
		e.dropOffers(old)
		p.link = nil
		old.conn.Close(wire.Superseded)
	}
	e.peers[p.id] = p
	l := newLink(p, conn, control, theirs.Boot)
	if !e.start(func(ctx context.Context) { e.runLink(ctx, p, l) }) {
		conn.Close(wire.Bye)
		return
	}
	p.link, p.failures, p.err, p.suspect, p.declined = l, 0, nil, false, false
	l.joined = ours.Session && theirs.Session
	p.name, p.info = wire.CleanName(theirs.Name), theirs.Info
	if p.how == "" {
		p.how = "incoming"
	}
	p.reached(conn.RemoteAddr())
	if ours.Name != e.self.Name || !maps.Equal(ours.Info, e.self.Info) { // changed while the greeting was under way
		l.send(e.info())
	}
	p.poke()
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
		return
	default:
		p.state = Connected
		p.session.attach(l)
	}
	e.askByPolicy(p)
	e.changed(p)
}

// askByPolicy invites p if Config.Invite says so. Where places are few an invitation does not hold one for ever. Call
// with Engine.mu held.
func (e *Engine) askByPolicy(p *peer) {
	if p.link == nil || p.state != Found || p.declined || !e.admits(e.cfg.Invite, p.id) || e.full(p) {
		return
	}
	e.ask(p, e.context, nil)
	p.asked.policy = true
	if e.cfg.MaxPeers == 0 {
		return
	}
	asked := p.asked
	e.later(InviteTimeout, func() {
		if p.asked == asked {
			p.declined = true
			e.withdraw(p)
		}
	})
}

// askOthers applies Config.Invite again when a place has become free, a moment later: engines that all want each other
// would go round in circles otherwise. Call with Engine.mu held.
func (e *Engine) askOthers() {
	if e.cfg.MaxPeers == 0 || e.cfg.Invite == Nobody {
		return
	}
	e.later(time.Second+rand.N(time.Second), func() {
		for _, p := range e.peers {
			e.askByPolicy(p)
		}
	})
}

// later runs f with Engine.mu held, unless the engine ends before. Call with Engine.mu held.
func (e *Engine) later(d time.Duration, f func()) {
	e.start(func(ctx context.Context) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			e.mu.Lock()
			defer e.mu.Unlock()
			f()
		case <-ctx.Done():
		}
	})
}

// full tells that there are as many other sessions and invitations of ours as Config.MaxPeers allows. Call with
// Engine.mu held.
func (e *Engine) full(but *peer) bool {
	n := 0
	for _, p := range e.peers {
		if p != but && (p.session != nil || p.asked != nil) {
			n++
		}
	}
	return e.cfg.MaxPeers > 0 && n >= e.cfg.MaxPeers
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
	e.dropTransfers(p.id, err)
	p.retry = true
	switch {
	case errors.Is(err, wire.ErrBye):
		delete(e.resume, p.id)
		e.disconnect(p, err)
		e.lose(p)
		return
	case errors.Is(err, wire.ErrBlocked), errors.Is(err, wire.ErrProtocol), errors.Is(err, wire.ErrVersion), errors.Is(err, wire.ErrIdentity):
		p.err, p.failures, p.retry = err, max(4, p.failures+1), false // it will not be better in a second
		e.disconnect(p, err)
	default:
		p.suspect = true
		e.awaitReturn(p, l, err)
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
	s.attach(p.link)
	name := p.name
	e.start(func(context.Context) { // the disk may be slow, and nothing here waits for it
		err := e.profile.Update(p.id, func(r *identity.Record) {
			if r.Trust == identity.Unknown {
				r.Trust = identity.Seen
			}
			r.Name, r.Last = name, now().UTC().Truncate(time.Second)
		})
		if err != nil {
			e.log.Error("keeping peer", "err", err)
		}
	})
	e.publish(PeerAdded{e.view(p)})
	e.changed(p)
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

// admits tells whether a policy includes id. Call with Engine.mu held.
func (e *Engine) admits(a Audience, id PeerID) bool {
	if e.kicked[id] {
		return false
	}
	switch e.profile.Peer(id).Trust {
	case identity.Blocked:
		return false
	case identity.Verified:
		return a >= Verified
	case identity.Seen:
		return a >= Known
	}
	return a >= Everyone
}
