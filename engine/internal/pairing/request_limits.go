package pairing

import (
	"net/netip"
	"slices"

	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"

	"golang.org/x/time/rate"
)

// Slots for peers that ask to be picked for pairing. A person only looks at a few of them, and no single source may
// take all slots.

const (
	// maxAsked limits how many strangers wait to be picked; known peers are limited separately.
	maxAsked = 5
	// maxAskedPerSource limits how many of these strangers come from one source.
	maxAskedPerSource = 2
	// asksASecond and asksAtOnce limit how often one source may prompt the user, since keys cost nothing.
	asksASecond = 0.5
	asksAtOnce  = 5
	// maxSources limits how many sources are tracked while the pairing window is open.
	maxSources = 1024
)

// source returns the source under which p is counted.
func (p Peer) source() netip.Addr { return transport.SourceOf(p.Link.RemoteAddr().Addr()) }

// mayAskLocked reports whether p may wait to be picked. A new stranger replaces the oldest one of the source that has
// the most slots: if newcomers were refused instead, the first strangers could keep them out for good.
func (m *Manager) mayAskLocked(p Peer) bool {
	if !m.host.MayAsk(p.ID) { // guard: pairing-asked-often
		return false
	}
	known := m.profile.Knows(p.ID)
	var waiting []*attempt // oldest first
	for id, a := range m.attempts {
		if a.view.Stage == Asked && m.profile.Knows(id) == known {
			waiting = append(waiting, a)
		}
	}
	slices.SortFunc(waiting, func(a, b *attempt) int { return a.began.Compare(b.began) })
	if !known {
		source := p.source()
		if !m.paceLocked(source).Allow() { // guard: pairing-asked-by-source
			return false
		}
		same := slices.DeleteFunc(slices.Clone(waiting), func(a *attempt) bool { return a.peer.source() != source })
		if len(same) >= maxAskedPerSource { // guard: pairing-per-source
			m.failLocked(same[0], wire.ErrBusy, wire.Busy)
			return true
		}
	}
	if len(waiting) >= maxAsked { // guard: pairing-asked
		m.failLocked(oldestOfLargest(waiting), wire.ErrBusy, wire.Busy)
	}
	return true
}

// oldestOfLargest returns the first attempt of the source that has the most attempts.
func oldestOfLargest(waiting []*attempt) *attempt {
	counts := map[netip.Addr]int{}
	most := 0
	for _, a := range waiting {
		source := a.peer.source()
		counts[source]++
		most = max(most, counts[source])
	}
	return waiting[slices.IndexFunc(waiting, func(a *attempt) bool { return counts[a.peer.source()] == most })]
}

// paceLocked returns the limiter for how often a source may ask.
func (m *Manager) paceLocked(source netip.Addr) *rate.Limiter {
	l := m.sources[source]
	if l == nil {
		if m.sources == nil || len(m.sources) >= maxSources { // rare: each source has completed a handshake
			m.sources = map[netip.Addr]*rate.Limiter{}
		}
		l = rate.NewLimiter(asksASecond, asksAtOnce)
		m.sources[source] = l
	}
	return l
}
