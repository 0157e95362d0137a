package engine

import (
	"context"
	"fmt"
	"net/netip"

	"multipeer/engine/internal/address"
	"multipeer/engine/internal/events"
	"multipeer/engine/internal/gateways"
	"multipeer/engine/internal/peers"
	"multipeer/engine/internal/transfers"
	"multipeer/engine/internal/wire"
)

// transferHost is the engine as package transfers sees it.
//
// Lock order: the lock of the peers comes before those of transfers and pairings. While these hold theirs, they must
// not call anything that takes the lock of the peers.
type transferHost struct{ e *Engine }

func (h transferHost) Link(id PeerID) (transfers.Link, error) {
	if l := h.e.gateways.Link(id); l != nil {
		return l, nil
	}
	l, err := h.e.peers.Link(id)
	if err != nil {
		return nil, err
	}
	return l, nil
}

func (h transferHost) Current(id PeerID) transfers.Link {
	if l := h.e.gateways.Link(id); l != nil {
		return l
	}
	if l := h.e.peers.Current(id); l != nil {
		return l
	}
	return nil
}

func (h transferHost) Changed() <-chan struct{} { return h.e.events.Changed() }

func (h transferHost) Probe(ctx context.Context, id PeerID, addrs []netip.AddrPort) {
	if _, known := h.e.Peer(id); known {
		return
	}
	if _, err := h.e.Dial(ctx, address.Ticket(id, addrs)); err != nil {
		h.e.log.Debug("probing", "peer", id.Short(), "err", err)
	}
}

func (h transferHost) Accepted(id PeerID, name string) {
	if l := h.e.gateways.Link(id); l != nil {
		h.e.gateways.Accepted(l, name, h.e.profile.Decisions(id))
		return
	}
	h.e.peers.Accepted(id, name)
}

func (h transferHost) AcceptedBy(l transfers.Link, name string, decisions int) {
	switch l := l.(type) {
	case *gateways.Link:
		h.e.gateways.Accepted(l, name, decisions)
	case *peers.Link:
		h.e.peers.AcceptedBy(l, name, decisions)
	}
}

func (h transferHost) Publish(t transfers.Transfer) { h.e.events.Publish(publicTransfer(t)) }

func (h transferHost) MayOffer(l transfers.Link) bool {
	direct, ok := l.(*peers.Link)
	return !ok || direct.HasSession() || h.e.cfg.Offers.Includes(h.e.profile.Peer(direct.Peer()).Trust)
}

func (h transferHost) PublishOffer(o *transfers.Offer) (code wire.Code, taken bool) {
	offer := publicOffer(h.e, o)
	if refused, claimed := h.e.offers.ask(h.e, offer.Transfer.Peer, o.Source(), offer, offer.Decline); claimed {
		offer.claimed = true
		return refused, refused == 0
	}
	if h.e.events.Publish(offer) {
		return 0, true
	}
	return h.e.unreadCode(events.Offers), false
}

// publicOffer returns the Offer that programs see for o, always the same one. The lock of the transfers is held.
func publicOffer(e *Engine, o *transfers.Offer) *Offer {
	if o.Handle == nil {
		o.Handle = &Offer{Transfer: Transfer(o.Transfer), Preview: o.Preview, engine: e, offer: o}
	}
	return o.Handle.(*Offer)
}

// peerTransfers is package transfers as package peers sees it.
type peerTransfers struct{ *transfers.Manager }

func (t peerTransfers) LinkDown(l *peers.Link, err error) { t.Manager.LinkDown(l, err) }

func (t peerTransfers) Take(l *peers.Link, msg wire.Message) {
	from := l.Peer()
	switch msg := msg.(type) {
	case wire.Offer:
		t.TakeOffer(from, l.Name(), l, msg)
	case wire.OfferUpdate:
		t.TakeUpdate(from, msg)
	case wire.OfferAnswer:
		t.TakeAnswer(from, l, msg)
	case wire.OfferCancel:
		t.TakeCancel(from, msg)
	case wire.OfferPause:
		t.TakePause(from, msg.ID, true)
	case wire.OfferResume:
		t.TakePause(from, msg.ID, false)
	case wire.Lanes:
		t.TakeLanes(from, msg)
	default:
		panic(fmt.Sprintf("a message of type %T is not about a transfer", msg))
	}
}
