package peers

import (
	"context"
	"slices"
	"time"

	"multipeer/engine/discovery"
	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/wire"
)

// sink is the engine's side of the discovery interface.
type sink Manager

// Found handles a hint: the peer is shown at once, and a connection later confirms or refutes it.
func (s *sink) Found(h discovery.Hint) {
	m := (*Manager)(s)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || h.ID.Reserved() { // guard: found-reserved
		return
	}
	if h.ID == m.self.ID {
		m.conflicts.dialOwnIDLocked(h.Addrs)
		return
	}
	if h.Known && m.profile.Peer(h.ID).Trust == identity.Unknown { // it does not want strangers to see it
		m.table.dropDiscoveredLocked(h.ID)
		return
	}
	p := m.table.addLocked(h.ID)
	if p == nil {
		return
	}
	if !p.hint && p.link == nil && m.self.Visible != VisibleToNobody { // guard: found-known
		for _, a := range m.profile.Peer(h.ID).Addrs { // anyone can announce a known peer elsewhere
			p.reached(a)
		}
	}
	if !p.hint || !slices.Equal(p.addrs, h.Addrs) {
		p.failures, p.retry = 0, true // new addresses are worth trying at once
	}
	p.hint = true
	p.heard = h.Multicast
	p.addrs = h.Addrs
	p.shown = true
	if p.link == nil {
		if h.Name != "" && (!m.knows(h.ID) || m.profile.Peer(h.ID).Name == "") { // a known peer keeps its stored name
			p.renameFound(wire.CleanName(h.Name))
		}
		if wire.ValidateInfo(h.Info) == nil {
			p.info = h.Info
		}
	}
	if p.how == "" {
		p.how = h.How
	}
	m.table.publishLocked(p)
	m.dialer.ensureLoopLocked(p)
}

// renameFound sets the name that discovery reports, which anyone can claim: it changes once a second at most.
func (p *peer) renameFound(name string) {
	if p.name == name || p.name != "" && now().Sub(p.renamed) < time.Second { // guard: found-names
		return
	}
	p.name, p.renamed = name, now()
}

// Lost handles the end of a hint. A live connection is better evidence.
func (s *sink) Lost(id PeerID) {
	m := (*Manager)(s)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.table.dropDiscoveredLocked(id)
}

// dropDiscoveredLocked drops what discovery has reported about a peer.
func (pt *peerTable) dropDiscoveredLocked(id PeerID) {
	m := pt.m
	p := m.peers[id]
	if p == nil {
		return
	}
	addrs := p.addrs
	p.hint, p.heard, p.addrs = false, false, nil
	if p.link != nil { // keep the address, or a broken connection could not be redialled
		p.reached(p.link.conn.RemoteAddr())
	} else if p.session != nil {
		p.extra = append(addrs, p.extra...)
		p.extra = p.extra[:min(len(p.extra), 8)]
	}
	pt.removeUnusedLocked(p)
}

// probeTimeout is how long a connection may take to answer after the network has changed. Paths with long round trips
// get three round trips.
const probeTimeout = 700 * time.Millisecond

// NetworkChanged probes every path: connections that do not answer are closed and dialled again.
func (s *sink) NetworkChanged() {
	m := (*Manager)(s)
	m.log.Info("the network changed")
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.peers {
		p.failures, p.retry = 0, true
		p.wakeDialLoop()
		m.exchange.changed()
		if l := p.link; l != nil {
			m.tasks.Start(func(ctx context.Context) {
				if !l.alive(ctx, max(probeTimeout, 3*l.conn.RTT())) {
					l.conn.Close(wire.Timeout)
				}
			})
		}
	}
}

// Problem records and publishes a problem that discovery reports.
func (s *sink) Problem(err error) {
	m := (*Manager)(s)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.problem = err
	m.publish(Problem{err})
	if err != nil {
		m.log.Warn("finding peers", "err", err)
	}
}
