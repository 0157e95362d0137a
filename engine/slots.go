package engine

import (
	"net/netip"

	"multipeer/engine/internal/transport"
)

// slots limits how much of a scarce resource peers hold at once. Known peers and strangers have separate slots, and one
// source gets at most a quarter of the strangers' slots, because anyone can create new keys. The zero value is empty.
// The caller locks it.
type slots struct {
	known, strangers int
	bySource         map[netip.Addr]int
}

// holder identifies the holder of a slot.
type holder struct {
	stranger bool
	source   netip.Addr // see transport.SourceOf
}

// holderOf returns the holder for a peer at an address.
func holderOf(e *Engine, id PeerID, at netip.Addr) holder {
	return holder{e.Trust(id) == TrustUnknown, transport.SourceOf(at)}
}

// take takes one of limit slots, and reports whether there was one. The caller must give it back.
func (ps *slots) take(h holder, limit int) bool {
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

// giveBack frees the slot of h.
func (ps *slots) giveBack(h holder) {
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
