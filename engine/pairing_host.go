package engine

import "multipeer/engine/internal/pairing"

// pairingHost is the engine as package pairing sees it.
type pairingHost struct{ e *Engine }

func (h pairingHost) Current(id PeerID) pairing.Link {
	if l := h.e.links.get(id); l != nil {
		return peerLink{h.e, l}
	}
	return nil
}

func (h pairingHost) MayAsk(id PeerID) bool { return h.e.asks.mayAsk(id) }

func (h pairingHost) Publish(v pairing.View) { h.e.publish(PairingChanged{Pairing(v)}) }

func (h pairingHost) WindowChanged() {
	e := h.e
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.pairings.IsOpen() {
		for _, p := range e.peers { // strangers may see us now
			p.retry = true
			p.wakeDialLoop()
		}
	} else {
		e.table.leaveStrangersLocked()
	}
	e.publish(SelfChanged{e.selfViewLocked()})
}

func (h pairingHost) Verified(id PeerID) {
	h.e.mu.Lock()
	defer h.e.mu.Unlock()
	if p := h.e.peers[id]; p != nil {
		h.e.table.publishLocked(p)
	}
}
