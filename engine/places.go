package engine

import (
	"net/netip"

	"multipeer/engine/internal/transport"
)

// places limits what peers hold at once of something that is scarce. Known peers and strangers have separate places, and
// one source of strangers gets a quarter of theirs at most: new keys are free. The zero value is empty. The caller locks
// it.
type places struct {
	known, strangers int
	bySource         map[netip.Addr]int
}

// holder is who holds a place.
type holder struct {
	stranger bool
	source   netip.Addr // see transport.SourceOf
}

// holderOf returns a peer at an address as a holder of places.
func holderOf(e *Engine, id PeerID, at netip.Addr) holder {
	return holder{e.Trust(id) == TrustUnknown, transport.SourceOf(at)}
}

// take takes one of limit places, and reports whether there was one. Whoever takes one gives it back.
func (ps *places) take(h holder, limit int) bool {
	if !h.stranger {
		if ps.known >= limit {
			return false
		}
		ps.known++
		return true
	}
	if ps.strangers >= limit || ps.bySource[h.source] >= limit/4 && !h.source.IsLoopback() { // guard: places-of-a-source
		return false
	}
	if ps.bySource == nil {
		ps.bySource = map[netip.Addr]int{}
	}
	ps.strangers++
	ps.bySource[h.source]++
	return true
}

// giveBack frees the place of h.
func (ps *places) giveBack(h holder) {
	if !h.stranger {
		ps.known--
		return
	}
	ps.strangers--
	ps.bySource[h.source]--
	if ps.bySource[h.source] == 0 {
		delete(ps.bySource, h.source)
	}
}
