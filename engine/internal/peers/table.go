package peers

import (
	"cmp"
	"slices"
	"strings"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/transport"
)

// Limits on stored peers; discovery has a separate limit of 256.
const (
	maxPeers     = 1024
	maxStrangers = 256
	// forKnown is how many of these slots only known peers may use: strangers that are found, are dialled, connect by
	// themselves, or have sessions by a policy cannot crowd them out.
	forKnown = 128
)

// peerTable decides which peers have a record, and what the program sees of it. The records are in Manager.peers.
type peerTable struct{ m *Manager }

// viewLocked returns the public value of p.
func (pt *peerTable) viewLocked(p *peer) Peer {
	m := pt.m
	known := m.profile.Peer(p.id)
	v := Peer{
		ID: p.id, Name: p.name, State: p.state, Trust: known.Trust, How: p.how, Heard: p.heard,
		Addrs: slices.Clone(p.all()), Info: p.info, Err: p.err,
		LooksLike: m.profile.Impersonated(p.id, p.name), Auto: known.Auto,
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

// addLocked returns the record of id and creates it if needed; nil if there are too many.
func (pt *peerTable) addLocked(id PeerID) *peer {
	m := pt.m
	p := m.peers[id]
	limit := maxPeers
	if !m.knows(id) { // guard: places-for-known
		limit -= forKnown
	}
	if p == nil && len(m.peers) < limit {
		p = &peer{id: id, wake: make(chan struct{}, 1), name: m.profile.Peer(id).Name}
		m.peers[id] = p
	}
	return p
}

// addIncomingLocked is addLocked for a peer that dials us. Keys cost nothing, so strangers that no one has found or
// accepted may only use a part of the table.
func (pt *peerTable) addIncomingLocked(id PeerID) *peer {
	m := pt.m
	if m.peers[id] == nil && m.profile.Peer(id).Trust == identity.Unknown && pt.strangersLocked() >= maxStrangers {
		return nil
	}
	return pt.addLocked(id)
}

// strangersLocked counts the peers that connected by themselves and were never accepted.
func (pt *peerTable) strangersLocked() int {
	m := pt.m
	n := 0
	for _, p := range m.peers {
		if !p.hint && p.session == nil && p.how != exchanged && m.profile.Peer(p.id).Trust == identity.Unknown {
			n++
		}
	}
	return n
}

// publishLocked publishes the current state of p if the program knows the peer.
func (pt *peerTable) publishLocked(p *peer) {
	m := pt.m
	if p.shown {
		m.publish(PeerChanged{pt.viewLocked(p)})
	}
}

// Peers lists the peers that are found or connected, by name.
func (m *Manager) Peers() []Peer {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.table.viewsLocked()
}

func (pt *peerTable) viewsLocked() []Peer {
	m := pt.m
	out := make([]Peer, 0, len(m.peers))
	for _, p := range m.peers {
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
func (m *Manager) Peer(id PeerID) (Peer, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.peers[id]; p != nil && p.shown {
		return m.table.viewLocked(p), true
	}
	return Peer{}, false
}

// NameOf returns the current name of a peer, or its last known name.
func (m *Manager) NameOf(id PeerID) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.peers[id]; p != nil {
		return p.name
	}
	return m.profile.Peer(id).Name
}

// Republish publishes the current state of all peers after the profile's record of one has changed: names that look
// like its name are flagged from now on, or no longer.
func (m *Manager) Republish() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.table.publishAllLocked()
}

func (pt *peerTable) publishAllLocked() {
	for _, p := range pt.m.peers {
		pt.publishLocked(p)
	}
}

// removeLocked forgets p and publishes that it is lost.
func (pt *peerTable) removeLocked(p *peer) {
	m := pt.m
	if m.peers[p.id] != p {
		return
	}
	m.sessions.endLocked(p, transport.ErrLost)
	delete(m.peers, p.id)
	p.wakeDialLoop()
	if !p.shown {
		return
	}
	m.publish(PeerLost{pt.viewLocked(p)})
	m.log.Info("lost", "peer", p.id.Short(), "name", p.name)
}

// maxFailures is how many failed dials end the attempts to reach a peer that discovery does not see.
const maxFailures = 3

// removeUnusedLocked removes p if nothing requires it: no connection, nothing in progress, no hint, and no address
// worth trying.
func (pt *peerTable) removeUnusedLocked(p *peer) {
	m := pt.m
	show := m.dialer.mayShowLocked(p) // otherwise it is not dialled
	if p.link != nil || p.session != nil || p.hint || p.suspect && show && len(p.all()) > 0 || p.dialling != nil || p.accepting > 0 {
		return
	}
	if len(p.extra) == 0 || p.failures >= maxFailures || !show || !p.shown {
		pt.removeLocked(p)
	}
}

// removeGoneLocked removes a peer that has proven to be gone, including what discovery still reports.
func (pt *peerTable) removeGoneLocked(p *peer) {
	m := pt.m
	p.hint = false
	p.heard = false
	p.addrs = nil
	p.extra = nil
	p.suspect = false
	m.finder.Forget(p.id)
	pt.removeLocked(p)
}
