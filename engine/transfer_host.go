package engine

import (
	"context"
	"net/netip"

	"multipeer/engine/internal/transfers"
	"multipeer/engine/internal/wire"
)

// transferHost is the engine as package transfers sees it.
//
// Engine.mu comes before the locks of transfers and pairings: while they hold theirs, they use only what does not take
// Engine.mu.
type transferHost struct{ e *Engine }

func (h transferHost) Link(id PeerID) (transfers.Link, error) {
	_, l, err := h.e.linkTo(id)
	if err != nil {
		return nil, err
	}
	return peerLink{h.e, l}, nil
}

func (h transferHost) Current(id PeerID) transfers.Link {
	if l := h.e.links.get(id); l != nil {
		return peerLink{h.e, l}
	}
	return nil
}

func (h transferHost) Changed() <-chan struct{} { return h.e.events.Changed() }

func (h transferHost) Probe(ctx context.Context, id PeerID, addrs []netip.AddrPort) {
	if _, known := h.e.Peer(id); known {
		return
	}
	if _, err := h.e.Dial(ctx, ticketOf(id, addrs)); err != nil {
		h.e.log.Debug("probing", "peer", id.Short(), "err", err)
	}
}

func (h transferHost) Accepted(id PeerID) {
	h.e.mu.Lock()
	defer h.e.mu.Unlock()
	if p := h.e.peers[id]; p != nil {
		h.e.sessions.pinPeerLocked(p)
	}
}

func (h transferHost) AcceptedBy(l transfers.Link) {
	link := l.(peerLink).l
	p := link.peer
	h.e.mu.Lock()
	defer h.e.mu.Unlock()
	h.e.sessions.pinPeerLocked(p) // a user here has chosen to send to this peer
	if link.shared {
		h.e.conflicts.reportLocked(p.id, p.name, link.conn.RemoteAddr())
	}
}

func (h transferHost) Publish(t transfers.Transfer) { h.e.publish(TransferChanged{Transfer(t)}) }

func (h transferHost) PublishOffer(o *transfers.Offer) (code wire.Code, taken bool) {
	if h.e.publish(OfferReceived{publicOffer(o)}) {
		return 0, true
	}
	return h.e.unreadCode(), false
}

// publicOffer returns the value of an offer that programs see, always the same one. The lock of the transfers is held.
func publicOffer(o *transfers.Offer) *Offer {
	if o.Handle == nil {
		o.Handle = &Offer{Transfer: Transfer(o.Transfer), offer: o}
	}
	return o.Handle.(*Offer)
}
