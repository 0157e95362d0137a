package engine

import (
	"multipeer/engine/internal/pairing"
	"multipeer/engine/internal/peers"
	"multipeer/engine/internal/wire"
)

// pairingHost is the engine as package pairing sees it.
type pairingHost struct{ e *Engine }

func (h pairingHost) Current(id PeerID) pairing.Link {
	if l := h.e.peers.Current(id); l != nil {
		return l
	}
	return nil
}

func (h pairingHost) MayAsk(id PeerID) bool { return h.e.peers.Asks().MayAsk(id) }

func (h pairingHost) Publish(v pairing.View) { h.e.events.Publish(Pairing(v)) }

func (h pairingHost) WindowChanged() { h.e.peers.PairingChanged() }

func (h pairingHost) Verified(PeerID) {
	h.e.shared.each(func(e *Engine) {
		e.peers.Republish()
		e.gateways.Republish()
	})
}

// peerPairings is package pairing as package peers sees it.
type peerPairings struct{ *pairing.Manager }

func (p peerPairings) Take(l *peers.Link, msg wire.Message) error {
	return p.Manager.Take(pairing.Peer{ID: l.Peer(), Name: l.Name(), Link: l}, msg)
}
