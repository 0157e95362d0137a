package engine

import (
	"cmp"
	"context"
	"maps"
	"net/netip"
	"slices"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/wire"
)

// Connected peers tell each other whom else they reach: peer exchange (as BEP 11 of BitTorrent has it). It finds peers
// where the network does not carry multicast, and where it is too large to be searched.
//
// It tells nobody what the network would not tell him if it carried multicast: only who wants to be found by everybody of
// this service, only to peers on the same link, and only where this engine has a conn to it now. What was heard is a
// place to dial, not a peer, and is not passed on.

const (
	// tellEvery is how often peers are told at the most: what comes together goes together.
	tellEvery = time.Second
	// tellAgain is after how long peers are told what they were told, for who was not to be reached then may be now: a
	// minute for one to eight, and longer for more.
	tellAgain = time.Minute
	// maxTold is how many peers one is told of in that time, and maxToldPerAddr how many of one address, those with a session
	// and known ones apart.
	maxTold        = 2 * wire.MaxPeersTold
	maxToldPerAddr = 8
	// dialAgain is after how long a peer that did not answer is dialled again when it is told of again; longer each time.
	dialAgain     = tellAgain / 2
	dialAgainMost = 16 * time.Minute
	// maxTried bounds those that are remembered.
	maxTried = 1024
)

// maxLed is how many strangers may be met because others have told of them: half of the room is for those that come by
// themselves.
var maxLed = maxStrangers / 2

// exchanged is Peer.How of who was told of.
const exchanged = "peer exchange"

// exchange is what waits for its two loops, and what was heard.
type exchange struct {
	news  chan struct{} // there may be something to tell
	heard chan target   // told by others, to be dialled
	tried map[place]trial
}

// telling is what a peer was told of another: the conn and where it went, and when.
type telling struct {
	over *link
	at   netip.AddrPort
	when time.Time
}

// place is where a peer is said to be. One that is said to be elsewhere too is tried there as well.
type place struct {
	id PeerID
	at netip.AddrPort
}

// trial is how often a peer was dialled at a place in vain.
type trial struct {
	times int
	last  time.Time
}

func newExchange() exchange {
	return exchange{make(chan struct{}, 1), make(chan target, maxTold), map[place]trial{}}
}

// passOn has connected peers told what is new.
func (e *Engine) passOn() {
	select {
	case e.exchange.news <- struct{}{}:
	default:
	}
}

// tellPeers tells connected peers of others until ctx ends.
func (e *Engine) tellPeers(ctx context.Context) {
	again := time.NewTicker(tellAgain)
	defer again.Stop()
	for {
		select {
		case <-e.exchange.news:
		case <-again.C:
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(tellEvery):
		case <-ctx.Done():
			return
		}
		e.mu.Lock()
		e.tellNews()
		e.mu.Unlock()
	}
}

// neighbour is a peer with a conn, and where that goes.
type neighbour struct {
	*peer
	at netip.AddrPort
}

// tellNews tells each connected peer of those on its network. Call with Engine.mu held.
func (e *Engine) tellNews() {
	on := map[string][]neighbour{} // by network
	for _, p := range e.peers {
		if p.link == nil || p.service != e.self.Service {
			continue
		}
		at := p.link.conn.RemoteAddr()
		if network := e.finder.Link(at.Addr()); network != "" {
			on[network] = append(on[network], neighbour{p, at})
		}
	}
	for _, all := range on {
		open := e.tellable(all)
		for _, to := range all {
			if to.session != nil {
				to.link.tell(to.id, open)
			}
		}
	}
}

// tellable picks those of a network that others may be told of: first those that somebody here has accepted, then what
// strangers there are, whose number costs nothing; of these who came first. Call with Engine.mu held.
func (e *Engine) tellable(all []neighbour) (open []neighbour) {
	const connected, known, stranger = 0, 1, 2
	rank := map[PeerID]int{}
	for _, n := range all {
		switch {
		case n.session != nil:
			rank[n.id] = connected
		case e.profile.Peer(n.id).Trust != identity.Unknown:
			rank[n.id] = known
		default:
			rank[n.id] = stranger
		}
	}
	slices.SortFunc(all, func(a, b neighbour) int {
		return cmp.Or(cmp.Compare(rank[a.id], rank[b.id]), a.link.began.Compare(b.link.began))
	})
	strangers := map[netip.Addr]int{}
	for _, n := range all {
		if rank[n.id] == stranger {
			strangers[n.at.Addr()]++
		}
		if n.open && strangers[n.at.Addr()] <= maxToldPerAddr {
			open = append(open, n)
		}
	}
	return open
}

// tell tells the peer of l, whose ID is to, of those that it was not told of, and then of those that it was told of longest
// ago. Call with Engine.mu held.
func (l *link) tell(to PeerID, open []neighbour) {
	near := map[PeerID]neighbour{}
	for _, n := range open {
		near[n.id] = n
	}
	for id, t := range l.told { // who has moved or was gone is news
		if n, ok := near[id]; !ok || n.link != t.over || n.at != t.at {
			delete(l.told, id)
		}
	}
	again, room := max(tellAgain, time.Duration(len(l.told))*tellAgain/8), maxTold
	var due []neighbour
	for _, n := range open {
		switch t, told := l.told[n.id]; {
		case told && now().Sub(t.when) < again:
			room--
		case n.id != to:
			due = append(due, n)
		}
	}
	slices.SortStableFunc(due, func(a, b neighbour) int { return l.told[a.id].when.Compare(l.told[b.id].when) })
	var news []wire.PeerAt
	for _, n := range due[:min(max(room, 0), len(due))] {
		l.told[n.id] = telling{n.link, n.at, now()}
		news = append(news, wire.PeerAt{ID: n.id.String(), Addr: netip.AddrPortFrom(n.at.Addr().WithZone(""), n.at.Port())})
	}
	for part := range slices.Chunk(news, wire.MaxPeersTold) {
		l.send(wire.Peers{Peers: part})
	}
}

// takePeers takes what p tells of others.
func (e *Engine) takePeers(p *peer, l *link, m wire.Peers) error {
	ids := make([]PeerID, len(m.Peers))
	for i, told := range m.Peers {
		id, err := identity.ParsePeerID(told.ID)
		if err != nil {
			return wire.ErrProtocol
		}
		ids[i] = id
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if p.session == nil || p.link != l { // guard: told-by-connected
		return nil
	}
	network := e.finder.Link(l.conn.RemoteAddr().Addr())
	if network == "" || p.service != e.self.Service {
		return nil
	}
	for i, told := range m.Peers {
		id, at := ids[i], told.Addr
		if at.Addr().Is6() && at.Addr().IsLinkLocalUnicast() {
			at = netip.AddrPortFrom(at.Addr().WithZone(network), at.Port())
		}
		if e.finder.Link(at.Addr()) != network || at.Port() < 1024 { // guard: told-on-link
			continue
		}
		if p := (place{id, at}); !e.mayFollow(id) || !e.exchange.mayTry(p) {
			continue
		}
		if !e.mayTell(p.id) { // guard: told-rate
			return nil
		}
		select {
		case e.exchange.heard <- target{id, []netip.AddrPort{at}}:
			e.exchange.try(place{id, at})
		default: // many are under way; it is told again
			return nil
		}
	}
	return nil
}

// mayTry tells whether a peer may be dialled at a place now, after what became of it the last times. Call with Engine.mu
// held.
func (x *exchange) mayTry(p place) bool {
	t := x.tried[p]
	return t.times == 0 || now().Sub(t.last) >= min(dialAgainMost, dialAgain<<min(t.times-1, 10))
}

// try keeps that a peer is dialled at a place. Call with Engine.mu held.
func (x *exchange) try(p place) {
	times := x.tried[p].times + 1
	if len(x.tried) >= maxTried {
		maps.DeleteFunc(x.tried, func(_ place, t trial) bool { return now().Sub(t.last) >= dialAgainMost })
	}
	for anyone := range x.tried { // it is dialled once too often
		if len(x.tried) < maxTried {
			break
		}
		delete(x.tried, anyone)
	}
	x.tried[p] = trial{times, now()}
}

// met forgets the trials of those that have answered: when they are told of again, they have come back. Call with
// Engine.mu held.
func (x *exchange) met(ids []PeerID) {
	maps.DeleteFunc(x.tried, func(p place, _ trial) bool { return slices.Contains(ids, p.id) })
}

// meetTold dials those that others have told of until ctx ends. A peer is seen by the program when it answers with its
// key, not before.
func (e *Engine) meetTold(ctx context.Context) {
	for {
		var targets []target
		select {
		case t := <-e.exchange.heard:
			targets = append(targets, t)
		case <-ctx.Done():
			return
		}
		for len(e.exchange.heard) > 0 { // nobody else reads them
			targets = append(targets, <-e.exchange.heard)
		}
		found := e.visit(ctx, targets, exchanged, false)
		e.mu.Lock()
		e.exchange.met(found)
		e.mu.Unlock()
	}
}
