package mdns

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"

	"multipeer/engine/discovery"
	"multipeer/engine/internal/identity"
)

// Caps on what forged announcements can make us store, and the timing of goodbyes.
const (
	maxEntries   = 256
	maxPerSource = 64 // a network may have one device that relays announcements from another network
	maxAddrs     = 8
	// A goodbye takes effect after grace, so that a peer that re-registers does not flicker. Answers that arrive within
	// stale of the goodbye were sent before it, and are ignored.
	grace = 1500 * time.Millisecond
	stale = 100 * time.Millisecond
	// tombstone is how long packets from a forgotten peer are ignored.
	tombstone = time.Second
	// doubtful is the minimum time between rounds of queries for peers in doubt. A peer in doubt has twice as long to
	// be heard from, so that a full round of three queries fits into that time.
	doubtful = 3 * time.Second
)

type entry struct {
	name    string
	info    map[string]string
	known   bool // from Hint.Known
	friend  bool // the user knows it
	heard   bool // from Hint.Multicast
	addrs   map[netip.AddrPort]announced
	source  netip.Addr // the first sender that announced it
	expires time.Time
	bye     time.Time // when a goodbye arrived
}

// announced is how an address was last announced.
type announced struct {
	at   time.Time
	from netip.Addr // its first sender; the address itself once that has announced it
}

// table is the cache of sightings.
type table struct {
	entries    map[identity.PeerID]*entry
	tombstones map[identity.PeerID]time.Time // ignored until then
}

func newTable() *table {
	return &table{entries: map[identity.PeerID]*entry{}, tombstones: map[identity.PeerID]time.Time{}}
}

// see records a sighting of a peer; known reports that the user knows it. It returns true with the hint to report if
// the peer is new or has changed.
func (t *table) see(s sighting, from netip.Addr, now time.Time, known bool) (discovery.Hint, bool) {
	if now.Before(t.tombstones[s.id]) {
		return discovery.Hint{}, false
	}
	e := t.entries[s.id]
	if s.ttl == 0 {
		if e != nil && e.bye.IsZero() {
			e.bye = now
		}
		return discovery.Hint{}, false
	}
	if e == nil {
		if all, its := t.unknown(from); !known && (all >= maxEntries || its >= maxPerSource) { // guard: announced-peers
			return discovery.Hint{}, false
		}
		e = &entry{source: from, friend: known, addrs: map[netip.AddrPort]announced{}}
		t.entries[s.id] = e
	}
	if !e.bye.IsZero() && now.Sub(e.bye) < stale {
		return discovery.Hint{}, false
	}
	changed := len(e.addrs) == 0 || !e.bye.IsZero()
	e.bye = time.Time{}
	e.expires = now.Add(s.ttl)
	if s.name != "" && s.name != e.name {
		e.name, changed = s.name, true
	}
	if !maps.Equal(s.info, e.info) {
		e.info, changed = s.info, true
	}
	if s.known != e.known {
		e.known, changed = s.known, true
	}
	if s.multicast && !e.heard {
		e.heard, changed = true, true
	}
	addrs := s.addrs
	if len(addrs) > maxAddrs { // guard: addresses-of-one
		addrs = slices.SortedFunc(slices.Values(addrs), func(a, b netip.AddrPort) int { return a.Compare(b) })[:maxAddrs]
	}
	for _, a := range addrs {
		if e.announce(a, from, now) {
			changed = true
		}
	}
	e.trim()
	return discovery.Hint{ID: s.id, Name: e.name, Info: e.info, Addrs: e.sorted(), How: "mDNS", Known: e.known, Multicast: e.heard}, changed
}

// announce records that a sender announces an address. It reports whether the addresses change. A different port
// means that the device has restarted and its old socket is gone. That is only believed from the sender that announced
// the old addresses, or from one of those addresses.
func (e *entry) announce(a netip.AddrPort, from netip.Addr, now time.Time) (changed bool) {
	by, known := e.addrs[a]
	if !known || a.Addr() == from {
		by.from = from
	}
	by.at = now
	e.addrs[a] = by
	for old, by := range e.addrs {
		if old.Port() != a.Port() && (by.from == from || old.Addr() == from) { // guard: announced-elsewhere
			delete(e.addrs, old)
			changed = true
		}
	}
	return changed || !known
}

// unknown counts the peers that the user does not know: all of them, and those that one sender announced first.
func (t *table) unknown(from netip.Addr) (all, its int) {
	for _, e := range t.entries {
		if e.friend {
			continue
		}
		all++
		if e.source == from {
			its++
		}
	}
	return all, its
}

// trim drops addresses until few enough are left: first those that only others have announced, then those that were
// seen longest ago.
func (e *entry) trim() {
	if len(e.addrs) <= maxAddrs {
		return
	}
	byAge := slices.SortedFunc(maps.Keys(e.addrs), func(a, b netip.AddrPort) int {
		if own := e.addrs[a].from == a.Addr(); own != (e.addrs[b].from == b.Addr()) { // guard: announced-by-itself
			if own {
				return -1
			}
			return 1
		}
		return cmp.Or(e.addrs[b].at.Compare(e.addrs[a].at), a.Compare(b))
	})
	for _, a := range byAge[maxAddrs:] {
		delete(e.addrs, a)
	}
}

// sorted lists the addresses in dialling order: the most recent first, and IPv4 first among equals.
func (e *entry) sorted() []netip.AddrPort {
	return slices.SortedFunc(maps.Keys(e.addrs), func(a, b netip.AddrPort) int {
		return cmp.Or(
			e.addrs[b].at.Truncate(time.Second).Compare(e.addrs[a].at.Truncate(time.Second)),
			a.Addr().BitLen()-b.Addr().BitLen(),
			a.Compare(b))
	})
}

// sweep removes and returns the peers that have expired or said goodbye.
func (t *table) sweep(now time.Time) []identity.PeerID {
	var lost []identity.PeerID
	for id, e := range t.entries {
		if now.After(e.expires) || !e.bye.IsZero() && now.Sub(e.bye) >= grace {
			delete(t.entries, id)
			lost = append(lost, id)
		}
	}
	maps.DeleteFunc(t.tombstones, func(_ identity.PeerID, until time.Time) bool { return now.After(until) })
	return lost
}

func (t *table) forget(id identity.PeerID, now time.Time) {
	delete(t.entries, id)
	if len(t.tombstones) < maxEntries { // without a tombstone, a peer costs one more dial
		t.tombstones[id] = now.Add(tombstone)
	}
}

// doubt gives an entry a short time to be heard from again.
func (t *table) doubt(id identity.PeerID, now time.Time) {
	if e := t.entries[id]; e != nil && e.expires.After(now.Add(2*doubtful)) {
		e.expires = now.Add(2 * doubtful)
	}
}

// fresh lists entries with more than half of their lifetime left, for known answers (RFC 6762 section 7.1). It leaves
// out entries that came only in answers to this device alone: the next query asks for them again, so that one lost
// packet does not make multicast look filtered.
func (t *table) fresh(now time.Time) map[identity.PeerID]time.Duration {
	out := map[identity.PeerID]time.Duration{}
	for id, e := range t.entries {
		if left := e.expires.Sub(now); left > recordTTL/2 && e.bye.IsZero() && e.heard {
			out[id] = left
		}
	}
	return out
}
