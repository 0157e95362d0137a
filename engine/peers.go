package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// maxPeers bounds how many peers are kept; discovery has a lower bound of its own.
const maxPeers = 1024

// peer is what the engine knows of one key. All fields are guarded by Engine.mu.
type peer struct {
	id    PeerID
	name  string
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
	err       error
	suspect   bool // its conn died; the next failed dial means that it is lost

	state      State
	context    json.RawMessage
	asked      *asking     // our invitation, waiting for an answer
	invitation *Invitation // theirs, waiting for ours
}

// view is the public value. Call with Engine.mu held.
func (e *Engine) view(p *peer) Peer {
	v := Peer{
		ID: p.id, Name: p.name, State: p.state, Trust: e.profile.Peer(p.id).Trust, How: p.how,
		Addrs: slices.Clone(p.all()), Context: p.context, Err: p.err,
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

// sink is the engine as discovery sees it.
type sink Engine

// Found takes a hint: the peer is shown at once, and a conn confirms or revokes it.
func (s *sink) Found(h Hint) {
	e := (*Engine)(s)
	e.mu.Lock()
	defer e.mu.Unlock()
	if h.ID == e.self.ID || e.closed {
		return
	}
	p := e.peer(h.ID)
	if p == nil {
		return
	}
	if !p.hint || !slices.Equal(p.addrs, h.Addrs) {
		p.failures = 0 // new addresses are worth a try at once
	}
	p.hint, p.addrs = true, h.Addrs
	if p.link == nil && h.Name != "" {
		p.name = wire.CleanName(h.Name)
	}
	if p.how == "" {
		p.how = h.How
	}
	e.changed(p)
	e.chase(p)
}

// Lost takes the end of a hint. A live conn knows better.
func (s *sink) Lost(id PeerID) {
	e := (*Engine)(s)
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.peers[id]
	if p == nil {
		return
	}
	p.hint, p.addrs = false, nil
	if p.link == nil && !p.suspect && len(p.extra) == 0 {
		e.remove(p)
	}
}

// probeTimeout is how long a conn may take to answer after the network has changed.
const probeTimeout = 700 * time.Millisecond

// NetworkChanged tries every path anew: conns that do not answer are closed and dialled again.
func (s *sink) NetworkChanged() {
	e := (*Engine)(s)
	e.log.Info("the network changed")
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range e.peers {
		p.failures = 0
		p.poke()
		if l := p.link; l != nil {
			e.start(func(ctx context.Context) {
				if !l.alive(ctx, probeTimeout) {
					l.conn.Close(wire.Timeout)
				}
			})
		}
	}
}

// Problem keeps what discovery complains of.
func (s *sink) Problem(err error) {
	e := (*Engine)(s)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.problem = err
	e.publish(Problem{err})
	if err != nil {
		e.log.Warn("finding peers", "err", err)
	}
}

// remove forgets p and tells. Call with Engine.mu held.
func (e *Engine) remove(p *peer) {
	if e.peers[p.id] != p {
		return
	}
	delete(e.peers, p.id)
	p.poke()
	v := e.view(p)
	e.publish(PeerLost{v})
	e.log.Info("lost", "peer", p.id.Short(), "name", p.name)
}

// lose is remove for a peer that was proven gone: what discovery still believes is forgotten too.
func (e *Engine) lose(p *peer) {
	p.hint, p.addrs, p.extra, p.suspect = false, nil, nil, false
	e.finder.Forget(p.id)
	e.remove(p)
}

// chase makes sure that a goroutine dials p whenever it has no conn. Call with Engine.mu held.
func (e *Engine) chase(p *peer) {
	p.poke()
	if !p.chased {
		p.chased = e.start(func(ctx context.Context) { e.dialLoop(ctx, p) })
	}
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
	var next time.Time // when to dial
	for {
		e.mu.Lock()
		addrs := p.all()
		if e.peers[p.id] != p {
			p.chased = false
			e.mu.Unlock()
			return
		}
		idle := p.link != nil || len(addrs) == 0 || e.profile.Peer(p.id).Trust == identity.Blocked
		switch {
		case idle:
			next = time.Time{}
		case p.failures == 0 && (p.suspect || !p.hint || !e.self.Advertising || e.self.ID.Less(p.id)):
			next = now() // a suspect is dialled by both, and nobody else may know of us
		case p.failures == 0 && next.IsZero():
			next = now().Add(higherWaits)
		}
		wait := time.Until(next)
		e.mu.Unlock()
		if idle {
			select {
			case <-p.wake:
			case <-ctx.Done():
				return
			}
			continue
		}
		if wait > 0 {
			timer := time.NewTimer(wait)
			select {
			case <-timer.C:
			case <-p.wake:
				timer.Stop()
				continue
			case <-ctx.Done():
				timer.Stop()
				return
			}
		}
		select {
		case e.dials <- struct{}{}:
		case <-ctx.Done():
			return
		}
		failures := e.dialPeer(ctx, p)
		<-e.dials
		next = now().Add(backoff(failures))
	}
}

func backoff(failures int) time.Duration {
	if failures == 0 {
		return higherWaits
	}
	d := min(backoffMost, backoffFirst<<min(failures-1, 10))
	return d*4/5 + rand.N(d*2/5)
}

// dialPeer makes one attempt and returns how many have failed in a row.
func (e *Engine) dialPeer(ctx context.Context, p *peer) int {
	ctx, cancel := context.WithTimeout(ctx, transport.DialTimeout+transport.HelloTimeout)
	defer cancel()
	e.mu.Lock()
	if p.link != nil || p.accepting > 0 || p.dialling != nil || e.peers[p.id] != p {
		defer e.mu.Unlock()
		return p.failures
	}
	p.dialling, p.dialled = cancel, make(chan struct{})
	addrs, hello := p.all(), e.hello(p)
	e.mu.Unlock()

	conn, err := e.endpoint.DialAny(ctx, addrs, p.id, transport.Session)
	var control *transport.Stream
	var theirs wire.Hello
	if err == nil {
		control, theirs, err = conn.Greet(ctx, hello, transport.HelloTimeout)
	}

	e.mu.Lock()
	defer e.mu.Unlock()
	p.dialling = nil
	close(p.dialled)
	switch {
	case err == nil:
		e.adopt(p, conn, control, theirs, hello)
	case errors.Is(err, context.Canceled), errors.Is(err, wire.ErrDuplicate), errors.Is(err, wire.ErrSuperseded), p.link != nil:
		// Their conn to us came first.
	default:
		p.failures++
		p.err = err
		e.log.Debug("dialling", "peer", p.id.Short(), "addrs", addrs, "err", err)
		if p.suspect && p.link == nil {
			e.lose(p)
		} else if p.failures == 2 { // one failure may be a moment's; the second is told
			e.changed(p)
		}
	}
	return p.failures
}

// hello is our greeting for p. Call with Engine.mu held.
func (e *Engine) hello(p *peer) wire.Hello {
	return wire.Hello{Version: wire.Version1, ID: e.self.ID.String(), Name: e.self.Name, Boot: e.boot, Session: e.resume[p.id]}
}

// adopt takes a greeted conn as the one to p; ours is what our hello said. Call with Engine.mu held.
func (e *Engine) adopt(p *peer, conn *transport.Conn, control *transport.Stream, theirs, ours wire.Hello) {
	if old := p.link; old != nil {
		p.link = nil
		old.conn.Close(wire.Superseded)
	}
	e.peers[p.id] = p
	l := newLink(p, conn, control, theirs.Boot)
	if !e.start(func(ctx context.Context) { e.runLink(ctx, p, l) }) {
		conn.Close(wire.Bye)
		return
	}
	p.link, p.failures, p.err, p.suspect = l, 0, nil, false
	p.name = wire.CleanName(theirs.Name)
	if p.how == "" {
		p.how = "incoming"
	}
	if a := conn.RemoteAddr(); a.IsValid() && !slices.Contains(p.all(), a) {
		p.extra = append([]netip.AddrPort{a}, p.extra[:min(len(p.extra), 3)]...)
	}
	if ours.Name != e.self.Name { // renamed while the greeting was under way
		l.send(wire.Info{Name: e.self.Name})
	}
	p.poke()
	e.log.Info("conn up", "peer", p.id.Short(), "name", p.name, "addr", conn.RemoteAddr(), "dialled", conn.Dialled)
	switch {
	case ours.Session && theirs.Session:
		if p.state != Connected {
			e.connect(p)
			return
		}
	case p.state == Connected: // the other side has forgotten
		e.disconnect(p, ErrLost)
	}
	if p.state == Found && e.admits(e.cfg.Invite, p.id) {
		e.ask(p, nil)
	}
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
	e.disconnect(p, err)
	e.dropInvitations(p, err)
	e.dropTransfers(p.id, err)
	switch {
	case errors.Is(err, wire.ErrBye):
		delete(e.resume, p.id)
		e.lose(p)
		return
	case errors.Is(err, wire.ErrBlocked), errors.Is(err, wire.ErrProtocol), errors.Is(err, wire.ErrVersion), errors.Is(err, wire.ErrIdentity):
		p.err, p.failures = err, max(4, p.failures+1) // it will not be better in a second
	default:
		p.suspect = true
	}
	e.changed(p)
	e.chase(p)
}

// connect begins the session. Call with Engine.mu held.
func (e *Engine) connect(p *peer) {
	if p.state == Connected {
		return
	}
	p.state = Connected
	if len(e.resume) < maxPeers {
		e.resume[p.id] = true
	}
	e.start(func(context.Context) { // the disk may be slow, and nothing here waits for it
		err := e.profile.Update(p.id, func(r *identity.Record) {
			if r.Trust == identity.Unknown {
				r.Trust = identity.Seen
			}
			r.Name, r.Last = p.name, now().UTC().Truncate(time.Second)
		})
		if err != nil {
			e.log.Error("keeping peer", "err", err)
		}
	})
	e.publish(PeerAdded{e.view(p)})
	e.changed(p)
}

// disconnect ends the session, not the conn. Call with Engine.mu held.
func (e *Engine) disconnect(p *peer, err error) {
	if p.state != Connected {
		return
	}
	p.state, p.context = Found, nil
	e.publish(PeerRemoved{e.view(p), err})
	e.changed(p)
}

// admits tells whether a policy includes id. Call with Engine.mu held or not.
func (e *Engine) admits(a Audience, id PeerID) bool {
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
