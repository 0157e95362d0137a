package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
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
		if !p.hint && p.state != Connected && e.profile.Peer(p.id).Trust == identity.Unknown {
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
	if p.link != nil || p.hint || p.suspect || p.dialling != nil || p.accepting > 0 {
		return
	}
	blocked := e.profile.Peer(p.id).Trust == identity.Blocked
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
	case ours.Session && !e.resume[p.id]: // left since our hello
		l.send(wire.Leave{})
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
	p.retry = true
	switch {
	case errors.Is(err, wire.ErrBye):
		delete(e.resume, p.id)
		e.lose(p)
		return
	case errors.Is(err, wire.ErrBlocked), errors.Is(err, wire.ErrProtocol), errors.Is(err, wire.ErrVersion), errors.Is(err, wire.ErrIdentity):
		p.err, p.failures, p.retry = err, max(4, p.failures+1), false // it will not be better in a second
	default:
		p.suspect = true
	}
	e.changed(p)
	e.chase(p)
	e.tidy(p)
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
