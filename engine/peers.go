package engine

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"multipeer/engine/internal/identity"
)

// Bounds on how many peers are kept; discovery has one of its own, 256.
const (
	maxPeers     = 1024
	maxStrangers = 256
)

// peer is what the engine knows of one key. All fields are guarded by Engine.mu.
type peer struct {
	id   PeerID
	name string
	info map[string]string
	// Its service type, and whether it wants to be found by everybody of that on its network.
	service string
	open    bool
	how     string
	hint    bool             // discovery sees it now
	addrs   []netip.AddrPort // from discovery
	extra   []netip.AddrPort // typed, or where a conn came from

	link      *link
	accepting int                // incoming conns being acknowledged
	dialling  context.CancelFunc // ends our dial under way
	dialled   chan struct{}      // closed when that dial has ended
	chased    bool               // a goroutine looks after dialling
	wake      chan struct{}      // something changed for it
	failures  int
	retry     bool // there is news: dial now, whatever the backoff says
	wanted    bool // the program has asked for it
	shown     bool // the program knows of it: it was found, asked for, or has answered
	rumours   rumours
	ledBy     PeerID // who has told of it
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
	pairing    *pairing      // under way
}

// view is the public value. Call with Engine.mu held.
func (e *Engine) view(p *peer) Peer {
	known := e.profile.Peer(p.id)
	v := Peer{
		ID: p.id, Name: p.name, State: p.state, Trust: known.Trust, How: p.how,
		Addrs: slices.Clone(p.all()), Info: p.info, Err: p.err,
		LooksLike: e.profile.Impersonated(p.id, p.name), AutoAccept: AutoAccept{known.Auto.Bytes, known.Auto.Dir, known.Auto.Until},
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
	if p == nil && len(e.peers) < maxPeers { // at most maxPeers are kept
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
		if !p.hint && p.session == nil && p.how != exchanged && e.profile.Peer(p.id).Trust == identity.Unknown {
			n++
		}
	}
	return n
}

// changed publishes p as it is now, once the program may know of it. Call with Engine.mu held.
func (e *Engine) changed(p *peer) {
	if p.shown {
		e.publish(PeerChanged{e.view(p)})
	}
}

// Peers lists the peers that are found or connected, by name.
func (e *Engine) Peers() []Peer {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.views()
}

func (e *Engine) views() []Peer {
	out := make([]Peer, 0, len(e.peers))
	for _, p := range e.peers {
		if p.shown {
			out = append(out, e.view(p))
		}
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
	if p := e.peers[id]; p != nil && p.shown {
		return e.view(p), true
	}
	return Peer{}, false
}

// FindPeer looks a nearby peer up by what a person types: its name, its ID or the start of it. A name that a better known
// peer has means that one, nearby or not (Peer.LooksLike), and nobody else is found by it. The error is ErrNoPeer, with
// words if only another one of the name is here, or ErrInvalid with the candidates if several fit.
func (e *Engine) FindPeer(who string) (Peer, error) {
	var named, prefixed, others []Peer
	known, byName := e.meant(who)
	for _, p := range e.Peers() {
		switch {
		case p.ID.String() == who:
			return p, nil
		case strings.EqualFold(p.Name, who) && (!p.LooksLike.IsZero() || len(known) > 0 && !slices.Contains(known, p.ID)):
			others = append(others, p)
		case strings.EqualFold(p.Name, who):
			named = append(named, p)
		case p.ID.HasPrefix(who):
			prefixed = append(prefixed, p)
		}
	}
	if len(named) == 0 && !byName { // a key whose ID begins like somebody's name is soon made
		named = prefixed
	}
	switch {
	case len(named) > 1:
		return Peer{}, ambiguous(who, named)
	case len(named) == 1:
		return named[0], nil
	case len(others) > 0:
		o, than := others[0], others[0].LooksLike
		if than.IsZero() {
			than = known[0]
		}
		return Peer{}, fmt.Errorf("%w: %s (%s) is another device than the %s that you know (%s)", ErrNoPeer, o.Name, o.ID.Short(), o.Name, than.Short())
	}
	return Peer{}, ErrNoPeer
}

// meant lists whom the user knows by a name, or by the start of an ID, which somebody may take for a name. Names are those
// that are kept: a peer may call itself otherwise by now.
func (e *Engine) meant(who string) (ids []PeerID, byName bool) {
	const enough = 4 // characters of an ID, before they mean one
	for _, a := range e.Acquaintances() {
		name := strings.EqualFold(a.Name, who)
		if a.Trust != TrustBlocked && (name || len(who) >= enough && a.ID.HasPrefix(who)) {
			ids, byName = append(ids, a.ID), byName || name
		}
	}
	return ids, byName
}

// remove forgets p and tells. Call with Engine.mu held.
func (e *Engine) remove(p *peer) {
	if e.peers[p.id] != p {
		return
	}
	e.disconnect(p, ErrLost)
	delete(e.peers, p.id)
	p.poke()
	if !p.shown {
		return
	}
	e.publish(PeerLost{e.view(p)})
	e.log.Info("lost", "peer", p.id.Short(), "name", p.name)
}

// maxFailures is how often a peer that discovery does not see is dialled in vain.
const maxFailures = 3

// tidy removes p if nothing keeps it: no conn, nothing under way, no hint, and no address that is worth a try. Call
// with Engine.mu held.
func (e *Engine) tidy(p *peer) {
	show := e.mayShow(p) // or it is not dialled
	if p.link != nil || p.session != nil || p.hint || p.suspect && show && len(p.all()) > 0 || p.dialling != nil || p.accepting > 0 {
		return
	}
	if len(p.extra) == 0 || p.failures >= maxFailures || !show || !p.shown {
		e.remove(p)
	}
}

// lose is remove for a peer that was proven gone: what discovery still believes is forgotten too.
func (e *Engine) lose(p *peer) {
	p.hint, p.addrs, p.extra, p.suspect = false, nil, nil, false
	e.finder.Forget(p.id)
	e.remove(p)
}
