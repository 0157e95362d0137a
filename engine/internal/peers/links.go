package peers

import (
	"maps"
	"slices"
	"sync"
)

// links holds the current link of each peer, for code that holds a lock that comes after Manager.mu. Its lock is a
// leaf: any other lock may be taken before it. It changes together with peer.link, under Manager.mu.
type links struct {
	mu sync.RWMutex
	of map[PeerID]*Link
}

// set stores the link of a peer.
func (ls *links) set(l *Link) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.of[l.peer.id] = l
}

// remove removes the link of a peer, unless it was replaced.
func (ls *links) remove(l *Link) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.of[l.peer.id] == l {
		delete(ls.of, l.peer.id)
	}
}

// get returns the link of a peer, or nil.
func (ls *links) get(id PeerID) *Link {
	ls.mu.RLock()
	defer ls.mu.RUnlock()
	return ls.of[id]
}

// all returns the links of all peers.
func (ls *links) all() []*Link {
	ls.mu.RLock()
	defer ls.mu.RUnlock()
	return slices.Collect(maps.Values(ls.of))
}
