package engine

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/wire"
)

// Connected peers tell each other whom else they reach: peer exchange (as BEP 11 of BitTorrent has it). It finds peers
// where the network does not carry multicast, and where it is too large to be searched.
//
// It tells nobody what the network would not tell him if it carried multicast: only who wants to be found by everybody,
// only to peers on the same link, and only where this engine has a conn to it now. What was heard is a place to dial,
// not a peer, and is not passed on.

const (
	// exchangeEvery is how often peers are told at the most: what comes together goes together.
	exchangeEvery = time.Second
	// maxTold is how many peers one is told of, over one conn.
	maxTold = 2 * wire.MaxPeersTold
)

// exchange is what waits for its two loops.
type exchange struct {
	news  chan struct{} // there may be something to tell
	heard chan target   // told by others, to be dialled
}

func newExchange() exchange {
	return exchange{make(chan struct{}, 1), make(chan target, maxTold)}
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
	for {
		select {
		case <-e.exchange.news:
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(exchangeEvery):
		case <-ctx.Done():
			return
		}
		e.mu.Lock()
		e.tellNews()
		e.mu.Unlock()
	}
}

// tellNews tells each connected peer of those on its network that it was not told of. Call with Engine.mu held.
func (e *Engine) tellNews() {
	on := map[string][]*peer{} // by network
	for _, p := range e.peers {
		if p.link == nil {
			continue
		}
		if network := e.finder.Link(p.link.conn.RemoteAddr().Addr()); network != "" {
			on[network] = append(on[network], p)
		}
	}
	for _, near := range on {
		for _, to := range near {
			if to.session == nil {
				continue
			}
			for id := range to.link.told { // who is gone and comes back is news
				if p := e.peers[id]; p == nil || p.link == nil {
					delete(to.link.told, id)
				}
			}
			var news []wire.PeerAt
			for _, p := range near {
				at := p.link.conn.RemoteAddr()
				if p == to || !p.open || to.link.told[p.id] == at || len(to.link.told) >= maxTold {
					continue
				}
				to.link.told[p.id] = at
				news = append(news, wire.PeerAt{ID: p.id.String(), Addr: netip.AddrPortFrom(at.Addr().WithZone(""), at.Port())})
			}
			for part := range slices.Chunk(news, wire.MaxPeersTold) {
				to.link.send(wire.Peers{Peers: part})
			}
		}
	}
}

// takePeers takes what p tells of others. Call with Engine.mu held.
func (e *Engine) takePeers(p *peer, l *link, m wire.Peers) error {
	if p.session == nil || p.link != l { // guard: told-by-connected
		return nil
	}
	if !e.self.Browsing || e.self.Visible == VisibleToNobody {
		return nil
	}
	network := e.finder.Link(l.conn.RemoteAddr().Addr())
	for _, told := range m.Peers {
		id, err := identity.ParsePeerID(told.ID)
		if err != nil {
			return wire.ErrProtocol
		}
		at := told.Addr
		if at.Addr().Is6() && at.Addr().IsLinkLocalUnicast() {
			at = netip.AddrPortFrom(at.Addr().WithZone(network), at.Port())
		}
		if network == "" || e.finder.Link(at.Addr()) != network || at.Port() < 1024 { // guard: told-on-link
			continue
		}
		if q := e.peers[id]; id == e.self.ID || q != nil && q.link != nil || !e.mayShowTo(id) {
			continue
		}
		if !e.mayTell(p.id) { // guard: told-rate
			return nil
		}
		select {
		case e.exchange.heard <- target{id, []netip.AddrPort{at}}:
		default: // many are under way
		}
	}
	return nil
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
		e.visit(ctx, e.unreached(targets), "peer exchange", false)
	}
}

// unreached leaves out those that a conn goes to by now.
func (e *Engine) unreached(targets []target) []target {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.DeleteFunc(targets, func(t target) bool { p := e.peers[t.id]; return p != nil && p.link != nil })
}
