package peers

import (
	"cmp"
	"context"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/peers/internal/asks"
	"multipeer/engine/internal/wire"
)

// Peer exchange (as in BEP 11 of BitTorrent): connected peers tell each other which other peers they are connected to.
// This finds peers where the network does not carry multicast, and where it is too large to be searched.
//
// It discloses nothing that multicast on the same link would not: it only announces peers that want to be found by
// every device of this service, only to peers on the same link, and only while this engine has a connection to them.
// What an engine receives is an address to dial, not a peer, and is not passed on.

const (
	// announceEvery is the minimum interval between updates to a peer; changes in between are batched.
	announceEvery = time.Second
	// announceAgain is the interval at which announcements are repeated, since a peer that could not be reached before
	// may be reachable now. The interval is longer if repeating would use more than half of the rate at which the
	// receiver accepts announcements.
	announceAgain = time.Minute
	// maxAnnouncedPerAddr limits the strangers at one address; peers with a session and known peers do not count.
	maxAnnouncedPerAddr = 8
	// dialAgain is how long to wait before dialling a peer again that did not answer, even if it is announced again;
	// the time grows with each failure.
	dialAgain     = announceAgain / 2
	dialAgainMost = 16 * time.Minute
	// maxTried limits how many failed dials are remembered.
	maxTried = 4096
)

// maxIntroduced is how many strangers may be found through peer exchange, apart from those that connect by themselves.
// One announcing peer may use three quarters of that, and an honest one uses half for strangers. So there is room for
// the peers that it has accepted, however many strangers it announces.
var maxIntroduced = maxStrangers

// exchanged is Peer.How of a peer found through peer exchange.
const exchanged = "peer exchange"

// exchange holds the signals for the two loops of peer exchange, and the announcements received.
type exchange struct {
	m     *Manager
	news  chan struct{}       // there may be something to announce
	heard map[PeerID][]target // addresses to dial, by the peer that announced them; guarded by Manager.mu
	work  chan struct{}       // heard may hold something to dial
	tried map[place]trial
}

// announced records what was announced to a peer about another one: its link and address, and when.
type announced struct {
	over *Link
	at   netip.AddrPort
	when time.Time
}

// place is an address that another peer has announced for a peer. Different addresses are tried separately, and so
// are announcements of one address by different peers: a later one may be right, or come at a better time.
type place struct {
	id PeerID
	at netip.AddrPort
	by PeerID
}

// trial counts the failed dials of a peer at an address.
type trial struct {
	times int
	last  time.Time
}

func newExchange(m *Manager) exchange {
	return exchange{m, make(chan struct{}, 1), map[PeerID][]target{}, make(chan struct{}, maxProbes), map[place]trial{}}
}

// changed wakes the loop that announces changes to connected peers.
func (x *exchange) changed() {
	select {
	case x.news <- struct{}{}:
	default:
	}
}

// announce announces peers to each other until ctx ends.
func (x *exchange) announce(ctx context.Context) {
	m := x.m
	wait := announceAgain
	for {
		select {
		case <-x.news:
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(announceEvery):
		case <-ctx.Done():
			return
		}
		m.mu.Lock()
		wait = announceAgain
		if x.announceLocked() {
			wait = asks.AnnounceEvery
		}
		m.mu.Unlock()
	}
}

// neighbour is a connected peer with the remote address of its connection.
type neighbour struct {
	*peer
	at   netip.AddrPort
	rank int
}

// The ranks, in the order of announcement. Strangers come last, since anyone can create any number of them.
const (
	rankConnected = iota
	rankKnown
	rankStranger
)

// announceLocked announces to each connected peer the others on its network, and reports whether there is more to
// announce.
func (x *exchange) announceLocked() (more bool) {
	m := x.m
	on := map[string][]neighbour{} // by network
	for _, p := range m.peers {
		if p.link == nil || p.service != m.self.Service {
			continue
		}
		at := p.link.conn.RemoteAddr()
		if network := m.finder.Link(at.Addr()); network != "" {
			on[network] = append(on[network], neighbour{p, at, x.rankLocked(p)})
		}
	}
	for _, all := range on {
		open := x.announceable(all)
		for _, to := range all {
			if to.session != nil {
				more = x.announceToLocked(to.peer, open) || more
			}
		}
	}
	return more
}

// rankLocked ranks p for announcements.
func (x *exchange) rankLocked(p *peer) int {
	m := x.m
	switch {
	case p.session != nil:
		return rankConnected
	case m.profile.Peer(p.id).Trust != identity.Unknown:
		return rankKnown
	}
	return rankStranger
}

// announceable returns the peers of a network that may be announced; of the strangers at one address, those that came
// first.
func (x *exchange) announceable(all []neighbour) (open []neighbour) {
	slices.SortFunc(all, func(a, b neighbour) int { return a.link.began.Compare(b.link.began) })
	strangers := map[netip.Addr]int{}
	for _, n := range all {
		if n.rank == rankStranger {
			strangers[n.at.Addr()]++
			if strangers[n.at.Addr()] > maxAnnouncedPerAddr {
				continue
			}
		}
		if n.open {
			open = append(open, n)
		}
	}
	return open
}

// announceToLocked announces to a connected peer the peers that were not announced to it yet, or not recently: accepted
// peers before strangers, then by how long they have waited. It does not exceed the rate that the peer accepts, and
// reports whether something is left.
func (x *exchange) announceToLocked(to *peer, open []neighbour) (left bool) {
	m := x.m
	l, near := to.link, map[PeerID]neighbour{}
	for _, n := range open {
		near[n.id] = n
	}
	for id, t := range l.announced { // a peer that has moved or was gone must be announced again
		if n, ok := near[id]; !ok || n.link != t.over || n.at != t.at {
			delete(l.announced, id)
		}
	}
	again := max(announceAgain, time.Duration(2*len(l.announced))*asks.AnnounceEvery)
	lately := m.asks.LastGossip(to.id)
	since := func(n neighbour) time.Time { // returns when a peer became due
		if t, done := l.announced[n.id]; done {
			return t.when.Add(again)
		}
		if last := lately[n.id]; last.After(n.link.began) { // announced while an earlier connection was up
			return last
		}
		return n.link.began
	}
	behind := func(n neighbour) int { // puts a peer that keeps reconnecting last, so that it does not delay others
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
	for id := range l.announced {
		if near[id].rank == rankStranger {
			strangers++
		}
	}
	var news []wire.PeerAt
	for _, n := range due {
		if _, done := l.announced[n.id]; !done && n.rank == rankStranger {
			if strangers >= maxIntroduced/2 { // guard: gossip-strangers
				continue
			}
			strangers++
		}
		if left = !m.asks.MayGossip(to.id); left { // guard: gossip-send-rate
			break
		}
		l.announced[n.id] = announced{n.link, n.at, now()}
		lately[n.id] = now()
		news = append(news, wire.PeerAt{ID: n.id.String(), Addr: netip.AddrPortFrom(n.at.Addr().WithZone(""), n.at.Port())})
	}
	for part := range slices.Chunk(news, wire.MaxPeersAnnounced) {
		l.Send(wire.Peers{Peers: part})
	}
	return left
}

// takePeers handles what p announces about others.
func (x *exchange) takePeers(p *peer, l *Link, msg wire.Peers) error {
	m := x.m
	ids := make([]PeerID, len(msg.Peers))
	for i, announced := range msg.Peers {
		id, err := identity.ParsePeerID(announced.ID)
		if err != nil {
			return wire.ErrProtocol
		}
		ids[i] = id
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if p.session == nil || p.link != l { // guard: gossip-session
		return nil
	}
	network := m.finder.Link(l.conn.RemoteAddr().Addr())
	if network == "" || p.service != m.self.Service {
		return nil
	}
	for i, announced := range msg.Peers {
		id, at := ids[i], announced.Addr
		if at.Addr().Is6() && at.Addr().IsLinkLocalUnicast() {
			at = netip.AddrPortFrom(at.Addr().WithZone(network), at.Port())
		}
		if m.finder.Link(at.Addr()) != network || at.Port() < 1024 { // guard: gossip-link
			continue
		}
		if q := m.peers[id]; q != nil && q.link != nil {
			if q.link.conn.RemoteAddr() != at {
				q.reports.add(p.id, at)
			}
			continue
		}
		t, there := target{id, []netip.AddrPort{at}, p.id}, place{id, at, p.id}
		if !x.mayDialLocked(t) || !x.mayTryLocked(there) {
			continue
		}
		if len(x.heard[p.id]) >= asks.MaxAnnounced { // p will repeat the announcement
			return nil
		}
		if !m.asks.MayIntroduce(p.id) { // guard: gossip-rate
			return nil
		}
		x.addTrialLocked(there)
		x.addHintLocked(t)
	}
	return nil
}

// addHintLocked queues t for dialling, unless too many hints of its source wait.
func (x *exchange) addHintLocked(t target) {
	if len(x.heard[t.by]) >= 2*asks.MaxAnnounced {
		return
	}
	x.heard[t.by] = append(x.heard[t.by], t)
	select {
	case x.work <- struct{}{}:
	default: // all dialling goroutines are awake
	}
}

// nextHintLocked returns the next target to dial: the first one of a random source, so that no source waits behind
// another.
func (x *exchange) nextHintLocked() (target, bool) {
	for by, list := range x.heard { // map order is random
		t := list[0]
		x.heard[by] = list[1:]
		if len(list) == 1 {
			delete(x.heard, by)
		}
		return t, true
	}
	return target{}, false
}

// mayTryLocked reports whether a peer may be dialled at an address now, given the earlier failures.
func (x *exchange) mayTryLocked(p place) bool {
	t := x.tried[p]
	return t.times == 0 || now().Sub(t.last) >= min(dialAgainMost, dialAgain<<min(t.times-1, 10))
}

// addTrialLocked records that a peer is dialled at an address.
func (x *exchange) addTrialLocked(p place) {
	times := x.tried[p].times + 1
	if len(x.tried) >= maxTried {
		maps.DeleteFunc(x.tried, func(_ place, t trial) bool { return now().Sub(t.last) >= dialAgainMost })
	}
	for anyone := range x.tried { // a dropped entry costs one extra dial
		if len(x.tried) < maxTried {
			break
		}
		delete(x.tried, anyone)
	}
	x.tried[p] = trial{times, now()}
}

// metLocked forgets the trials of a peer that is now connected: if it is announced again later, it has come back.
func (x *exchange) metLocked(id PeerID) {
	maps.DeleteFunc(x.tried, func(p place, _ trial) bool { return p.id == id })
}

// dialHints dials the peers that others have announced until ctx ends.
func (x *exchange) dialHints(ctx context.Context) {
	m := x.m
	var wg sync.WaitGroup
	defer wg.Wait()
	for range maxProbes {
		wg.Go(func() {
			for {
				m.mu.Lock()
				t, there := x.nextHintLocked()
				m.mu.Unlock()
				if there {
					x.dialTarget(ctx, t, exchanged)
					continue
				}
				select {
				case <-x.work:
				case <-ctx.Done():
					return
				}
			}
		})
	}
}
