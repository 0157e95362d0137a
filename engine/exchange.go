package engine

import (
	"cmp"
	"context"
	"maps"
	"net/netip"
	"slices"
	"sync"
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
	// minute, and longer where that would take more than half of what they take.
	tellAgain = time.Minute
	// maxTold is how many peers one may be told of at once, beside one in toldEvery, and maxToldPerAddr how many of one
	// address, those with a session and known ones apart.
	maxTold        = 2 * wire.MaxPeersTold
	maxToldPerAddr = 8
	// dialAgain is after how long a peer that did not answer is dialled again when it is told of again; longer each time.
	dialAgain     = tellAgain / 2
	dialAgainMost = 16 * time.Minute
	// maxTried bounds those that are remembered.
	maxTried = 4096
)

// maxLed is how many strangers may be met because others have told of them, beside those that come by themselves. One
// teller may take three quarters of that, and an honest one takes half for strangers: those that it has accepted find room,
// however many strangers it has.
var maxLed = maxStrangers

// exchanged is Peer.How of who was told of.
const exchanged = "peer exchange"

// exchange is what waits for its two loops, and what was heard.
type exchange struct {
	news  chan struct{}       // there may be something to tell
	heard map[PeerID][]target // what each teller has told, to be dialled; guarded by Engine.mu
	work  chan struct{}       // there may be something of that
	tried map[place]trial
}

// telling is what a peer was told of another: the conn and where it went, and when.
type telling struct {
	over *link
	at   netip.AddrPort
	when time.Time
}

// place is where a peer is said to be. One that is said to be elsewhere too is tried there as well, and so is what
// another one says of the same place: it may know better, or say it at a better time.
type place struct {
	id PeerID
	at netip.AddrPort
	by PeerID
}

// trial is how often a peer was dialled at a place in vain.
type trial struct {
	times int
	last  time.Time
}

func newExchange() exchange {
	return exchange{make(chan struct{}, 1), map[PeerID][]target{}, make(chan struct{}, knocks), map[place]trial{}}
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
	wait := tellAgain
	for {
		select {
		case <-e.exchange.news:
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(tellEvery):
		case <-ctx.Done():
			return
		}
		e.mu.Lock()
		wait = tellAgain
		if e.tellNews() {
			wait = toldEvery
		}
		e.mu.Unlock()
	}
}

// neighbour is a peer with a conn, and where that goes.
type neighbour struct {
	*peer
	at   netip.AddrPort
	rank int
}

// The ranks, in the order of telling. The number of strangers costs nothing.
const (
	rankConnected = iota
	rankKnown
	rankStranger
)

// tellNews tells each connected peer of those on its network, and whether there is more to tell. Call with Engine.mu held.
func (e *Engine) tellNews() (more bool) {
	on := map[string][]neighbour{} // by network
	for _, p := range e.peers {
		if p.link == nil || p.service != e.self.Service {
			continue
		}
		at := p.link.conn.RemoteAddr()
		if network := e.finder.Link(at.Addr()); network != "" {
			on[network] = append(on[network], neighbour{p, at, e.rank(p)})
		}
	}
	for _, all := range on {
		open := e.tellable(all)
		for _, to := range all {
			if to.session != nil {
				more = e.tellOf(to.peer, open) || more
			}
		}
	}
	return more
}

// rank tells whom somebody here has accepted. Call with Engine.mu held.
func (e *Engine) rank(p *peer) int {
	switch {
	case p.session != nil:
		return rankConnected
	case e.profile.Peer(p.id).Trust != identity.Unknown:
		return rankKnown
	}
	return rankStranger
}

// tellable picks those of a network that others may be told of; of the strangers at one address those that came first.
func (e *Engine) tellable(all []neighbour) (open []neighbour) {
	slices.SortFunc(all, func(a, b neighbour) int { return a.link.began.Compare(b.link.began) })
	strangers := map[netip.Addr]int{}
	for _, n := range all {
		if n.rank == rankStranger {
			if strangers[n.at.Addr()]++; strangers[n.at.Addr()] > maxToldPerAddr {
				continue
			}
		}
		if n.open {
			open = append(open, n)
		}
	}
	return open
}

// tellOf tells a connected peer of those that it was not told of yet or not for long: friends before strangers, and then who
// has waited longest. It tells no faster than the peer takes it, and whether something is left. Call with Engine.mu held.
func (e *Engine) tellOf(to *peer, open []neighbour) (left bool) {
	l, near := to.link, map[PeerID]neighbour{}
	for _, n := range open {
		near[n.id] = n
	}
	for id, t := range l.told { // who has moved or was gone is news
		if n, ok := near[id]; !ok || n.link != t.over || n.at != t.at {
			delete(l.told, id)
		}
	}
	again := max(tellAgain, time.Duration(2*len(l.told))*toldEvery)
	lately := e.toldLately(to.id)
	since := func(n neighbour) time.Time { // when its turn came
		if t, told := l.told[n.id]; told {
			return t.when.Add(again)
		}
		if last := lately[n.id]; last.After(n.link.began) { // over an earlier conn
			return last
		}
		return n.link.began
	}
	behind := func(n neighbour) int { // who comes and goes all the time takes nobody's turn
		if n.rank == rankStranger || now().Sub(lately[n.id]) < again {
			return 1
		}
		return 0
	}
	due := slices.DeleteFunc(slices.Clone(open), func(n neighbour) bool { return n.id == to.id || since(n).After(now()) })
	slices.SortStableFunc(due, func(a, b neighbour) int {
		return cmp.Or(cmp.Compare(behind(a), behind(b)), since(a).Compare(since(b)))
	})
	strangers := 0
	for id := range l.told {
		if near[id].rank == rankStranger {
			strangers++
		}
	}
	var news []wire.PeerAt
	for _, n := range due {
		if _, told := l.told[n.id]; !told && n.rank == rankStranger {
			if strangers >= maxLed/2 { // guard: tell-strangers
				continue
			}
			strangers++
		}
		if left = !e.takes(to.id); left { // guard: tell-rate
			break
		}
		l.told[n.id] = telling{n.link, n.at, now()}
		lately[n.id] = now()
		news = append(news, wire.PeerAt{ID: n.id.String(), Addr: netip.AddrPortFrom(n.at.Addr().WithZone(""), n.at.Port())})
	}
	for part := range slices.Chunk(news, wire.MaxPeersTold) {
		l.send(wire.Peers{Peers: part})
	}
	return left
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
		if q := e.peers[id]; q != nil && q.link != nil {
			if q.link.conn.RemoteAddr() != at {
				q.rumours.hear(p.id, at)
			}
			continue
		}
		t, there := target{id, []netip.AddrPort{at}, p.id}, place{id, at, p.id}
		if !e.mayFollow(t) || !e.exchange.mayTry(there) {
			continue
		}
		if len(e.exchange.heard[p.id]) >= maxTold { // it is told again
			return nil
		}
		if !e.mayTell(p.id) { // guard: told-rate
			return nil
		}
		e.exchange.try(there)
		e.exchange.hear(t)
	}
	return nil
}

// hear has t dialled, if not too much waits of its teller. Call with Engine.mu held.
func (x *exchange) hear(t target) {
	if len(x.heard[t.by]) >= 2*maxTold {
		return
	}
	x.heard[t.by] = append(x.heard[t.by], t)
	select {
	case x.work <- struct{}{}:
	default: // all that dial are awake
	}
}

// next is what to dial next: the first that any teller has told, so that none waits behind what another one has said.
// Call with Engine.mu held.
func (x *exchange) next() (target, bool) {
	for by, list := range x.heard { // a map's order is random
		t := list[0]
		if x.heard[by] = list[1:]; len(list) == 1 {
			delete(x.heard, by)
		}
		return t, true
	}
	return target{}, false
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

// met forgets the trials of one that there is a conn to: when it is told of again, it has come back. Call with Engine.mu
// held.
func (x *exchange) met(id PeerID) {
	maps.DeleteFunc(x.tried, func(p place, _ trial) bool { return p.id == id })
}

// meetTold dials those that others have told of until ctx ends.
func (e *Engine) meetTold(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for range knocks {
		wg.Go(func() {
			for {
				e.mu.Lock()
				t, there := e.exchange.next()
				e.mu.Unlock()
				if there {
					e.follow(ctx, t, exchanged)
					continue
				}
				select {
				case <-e.exchange.work:
				case <-ctx.Done():
					return
				}
			}
		})
	}
}
