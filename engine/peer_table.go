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

// Limits on stored peers; discovery has a separate limit of 256.
const (
	maxPeers     = 1024
	maxStrangers = 256
	// forKnown is how many of these only known peers may use: strangers that are found, are dialled, connect by
	// themselves, or have sessions by a policy cannot crowd them out.
	forKnown = 128
)

// peer is what the engine knows about one key. All fields are guarded by Engine.mu.
type peer struct {
	id   PeerID
	name string
	info map[string]string
	// The service type, and whether the peer wants to be found by every device of that service on its network.
	service string
	open    bool
	how     string
	hint    bool             // discovery sees it now
	heard   bool             // seen by multicast
	addrs   []netip.AddrPort // from discovery
	extra   []netip.AddrPort // typed by a person, or the remote address of a connection

	link      *link
	accepting int                // incoming connections being acknowledged
	dialling  context.CancelFunc // cancels our dial in progress
	dialled   chan struct{}      // closed when that dial has ended
	chased    bool               // a dial loop is running
	wake      chan struct{}      // wakes the dial loop after a change
	failures  int
	retry     bool // dial now, regardless of the backoff
	wanted    bool // the program has asked for it
	shown     bool // the program knows it: it was found, asked for, or has answered
	rumours   rumours
	ledBy     PeerID // the peer that announced it
	err       error
	suspect   bool // its connection died; if the next dial fails, it is lost

	state      State
	session    *session      // set while Connected or Reconnecting
	accepted   string        // the ID of the peer's invitation that began the session, if any
	declined   bool          // has declined our policy's invitation, on this connection
	away       int           // counts breaks of the session's connection
	broken     time.Time     // when its last useful connection broke
	rtt        time.Duration // round-trip time of that connection
	asked      *asking       // our invitation, waiting for the peer's answer
	invitation *Invitation   // the peer's invitation, waiting for our answer
}

// peerTable decides who has a record, and what the program is shown of it. The records are in Engine.peers.
type peerTable struct{ e *Engine }

// viewLocked returns the public value of p.
func (pt *peerTable) viewLocked(p *peer) Peer {
	e := pt.e
	known := e.profile.Peer(p.id)
	v := Peer{
		ID: p.id, Name: p.name, State: p.state, Trust: known.Trust, How: p.how, Heard: p.heard,
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

// all lists the addresses to dial, without duplicates.
func (p *peer) all() []netip.AddrPort {
	out := slices.Clone(p.addrs)
	for _, a := range p.extra {
		if !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

// reached stores the remote address of a connection.
func (p *peer) reached(a netip.AddrPort) {
	if a.IsValid() && !slices.Contains(p.all(), a) {
		p.extra = append([]netip.AddrPort{a}, p.extra[:min(len(p.extra), 3)]...)
	}
}

// setName changes the display name of a connected peer.
func (p *peer) setName(name string) {
	p.name = name
	p.link.name.Store(&name)
}

func (p *peer) wakeDialLoop() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// addLocked returns the record of id and creates it if needed; nil if there are too many.
func (pt *peerTable) addLocked(id PeerID) *peer {
	e := pt.e
	p := e.peers[id]
	room := maxPeers
	if !e.knows(id) { // guard: places-for-known
		room -= forKnown
	}
	if p == nil && len(e.peers) < room {
		p = &peer{id: id, wake: make(chan struct{}, 1), name: e.profile.Peer(id).Name}
		e.peers[id] = p
	}
	return p
}

// addIncomingLocked is addLocked for a peer that dials us. Keys cost nothing, so strangers that no one has found or
// accepted may only use a part of the table.
func (pt *peerTable) addIncomingLocked(id PeerID) *peer {
	e := pt.e
	if e.peers[id] == nil && e.profile.Peer(id).Trust == identity.Unknown && pt.strangersLocked() >= maxStrangers {
		return nil
	}
	return pt.addLocked(id)
}

// strangersLocked counts the peers that connected by themselves and were never accepted.
func (pt *peerTable) strangersLocked() int {
	e := pt.e
	n := 0
	for _, p := range e.peers {
		if !p.hint && p.session == nil && p.how != exchanged && e.profile.Peer(p.id).Trust == identity.Unknown {
			n++
		}
	}
	return n
}

// publishLocked publishes the current state of p if the program knows the peer.
func (pt *peerTable) publishLocked(p *peer) {
	e := pt.e
	if p.shown {
		e.publish(PeerChanged{pt.viewLocked(p)})
	}
}

// Peers lists the peers that are found or connected, by name.
func (e *Engine) Peers() []Peer {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.table.viewsLocked()
}

func (pt *peerTable) viewsLocked() []Peer {
	e := pt.e
	out := make([]Peer, 0, len(e.peers))
	for _, p := range e.peers {
		if p.shown {
			out = append(out, pt.viewLocked(p))
		}
	}
	slices.SortFunc(out, func(a, b Peer) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(string(a.ID[:]), string(b.ID[:])))
	})
	return out
}

// Peer looks up one peer.
func (e *Engine) Peer(id PeerID) (Peer, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p := e.peers[id]; p != nil && p.shown {
		return e.table.viewLocked(p), true
	}
	return Peer{}, false
}

// FindPeer looks up a nearby peer by what a person types: its name, its ID or the start of the ID. A text that fits
// several peers means the one that the user knows best, nearby or not: a name that a stranger has given itself finds
// neither a known peer's name (Peer.LooksLike) nor the start of a known peer's ID. The error is ErrNoPeer, with an
// explanation if only another device of that name is nearby, or ErrInvalid with the candidates if the text fits several
// peers that the user knows equally well, by their names or by one's name and another's ID.
func (e *Engine) FindPeer(who string) (Peer, error) {
	meant := e.table.acquaintedAs(who)
	near := map[PeerID]Peer{}
	var others []Peer
	whole, noID := ParsePeerID(who)
	for _, p := range e.Peers() {
		named, begins := strings.EqualFold(p.Name, who), p.ID.HasPrefix(who)
		known := slices.ContainsFunc(meant, func(m meaning) bool { return m.id == p.ID })
		switch {
		case noID == nil && p.ID == whole:
			return p, nil
		case named && !p.LooksLike.IsZero():
			others = append(others, p)
		case known:
			near[p.ID] = p
		case named || begins:
			near[p.ID] = p
			meant = append(meant, meaning{p.ID, p.Name, named, 0})
		}
	}
	best := 0
	for _, m := range meant {
		best = max(best, m.worth)
	}
	var first []Peer // those that are meant and nearby
	var names, starts int
	var all []string
	for _, m := range meant {
		p, here := near[m.id]
		if m.worth < best { // guard: name-of-better-known
			if here && m.byName {
				others = append(others, p)
			}
			continue
		}
		if here {
			first = append(first, p)
		}
		if m.byName {
			names++
		} else {
			starts++
		}
		all = append(all, fmt.Sprintf("%s (%s)", m.name, m.id))
	}
	switch {
	case names > 0 && starts > 0: // guard: name-or-id
		return Peer{}, fmt.Errorf("%q: %w: it is the name of one device and the start of another one's ID; use the whole ID: %s", who, ErrInvalid, strings.Join(all, ", "))
	case len(first) > 1:
		return Peer{}, ambiguous(who, first)
	case len(first) == 1:
		return first[0], nil
	case len(others) > 0:
		o, name, than := others[0], others[0].Name, others[0].LooksLike
		if than.IsZero() {
			best := slices.MaxFunc(meant, func(a, b meaning) int { return cmp.Compare(a.worth, b.worth) })
			name, than = best.name, best.id
		}
		return Peer{}, fmt.Errorf("%w: %s (%s) is not the %s that you know (%s)", ErrNoPeer, o.Name, o.ID.Short(), name, than.Short())
	}
	return Peer{}, ErrNoPeer
}

// meaning is a peer that a text can mean: by its name, or by the start of its ID.
type meaning struct {
	id     PeerID
	name   string
	byName bool
	worth  int // 2 for a peer that is verified, 1 for one that was accepted, 0 for others
}

// acquaintedAs lists the peers that the user knows by a name, or by the start of an ID, which could be mistaken for a
// name. It compares stored names, since a peer may have changed its name.
func (pt *peerTable) acquaintedAs(who string) (meant []meaning) {
	e := pt.e
	const enough = 4 // the minimum length of an ID prefix
	for _, a := range e.Acquaintances() {
		worth := 1
		switch a.Trust {
		case TrustVerified:
			worth = 2
		case TrustBlocked:
			continue
		}
		if strings.EqualFold(a.Name, who) {
			meant = append(meant, meaning{a.ID, a.Name, true, worth})
		} else if len(who) >= enough && a.ID.HasPrefix(who) {
			meant = append(meant, meaning{a.ID, a.Name, false, worth})
		}
	}
	return meant
}

// removeLocked forgets p and publishes that it is lost.
func (pt *peerTable) removeLocked(p *peer) {
	e := pt.e
	if e.peers[p.id] != p {
		return
	}
	e.sessions.endLocked(p, ErrLost)
	delete(e.peers, p.id)
	p.wakeDialLoop()
	if !p.shown {
		return
	}
	e.publish(PeerLost{pt.viewLocked(p)})
	e.log.Info("lost", "peer", p.id.Short(), "name", p.name)
}

// maxFailures is how many failed dials end the attempts to reach a peer that discovery does not see.
const maxFailures = 3

// removeUnusedLocked removes p if nothing requires it: no connection, nothing in progress, no hint, and no address
// worth trying.
func (pt *peerTable) removeUnusedLocked(p *peer) {
	e := pt.e
	show := e.dialer.mayShowLocked(p) // otherwise it is not dialled
	if p.link != nil || p.session != nil || p.hint || p.suspect && show && len(p.all()) > 0 || p.dialling != nil || p.accepting > 0 {
		return
	}
	if len(p.extra) == 0 || p.failures >= maxFailures || !show || !p.shown {
		pt.removeLocked(p)
	}
}

// removeGoneLocked removes a peer that has proven to be gone, including what discovery still reports.
func (pt *peerTable) removeGoneLocked(p *peer) {
	e := pt.e
	p.hint = false
	p.heard = false
	p.addrs = nil
	p.extra = nil
	p.suspect = false
	e.finder.Forget(p.id)
	pt.removeLocked(p)
}

func ambiguous(who string, found []Peer) error {
	var all []string
	for _, p := range found {
		all = append(all, fmt.Sprintf("%s (%s)", p.Name, p.ID))
	}
	return fmt.Errorf("%q: %w: several peers are called so; use the ID: %s", who, ErrInvalid, strings.Join(all, ", "))
}
