package engine

import (
	"context"
	"encoding/json"
	"net/netip"
	"time"

	"multipeer/engine/gateway"
	"multipeer/engine/internal/events"
	"multipeer/engine/internal/gateways"
	"multipeer/engine/internal/peers"
	"multipeer/engine/internal/transfers"
	"multipeer/engine/internal/wire"
)

// gatewayHost is the engine as package gateways sees it.
type gatewayHost struct{ e *Engine }

func (h gatewayHost) Changed(p gateways.Peer) { h.e.events.Publish(PeerChanged{devicePeer(p)}) }

func (h gatewayHost) Gone(p gateways.Peer) { h.e.events.Publish(PeerLost{devicePeer(p)}) }

func (h gatewayHost) TakeText(from gateways.Peer, text string) error {
	body, err := json.Marshal(map[string]string{"text": text})
	if err != nil {
		return err
	}
	m := Message{From: from.ID, Name: from.Device.Name, Body: body, At: time.Now()}
	if h.e.events.Publish(messageReceived{m, new(events.Held)}) {
		return nil
	}
	return h.e.unreadCode(events.Messages).Err()
}

func (h gatewayHost) TakeOffer(l *gateways.Link, o wire.Offer) {
	h.e.transfers.TakeOffer(l.ID(), l.Name(), l, o)
}

func (h gatewayHost) Withdraw(l *gateways.Link, id string) {
	h.e.transfers.TakeCancel(l.ID(), wire.OfferCancel{ID: id})
}

func (h gatewayHost) Wait(ctx context.Context, id string) error {
	t, err := h.e.transfers.Wait(ctx, transfers.ID(id))
	if err != nil {
		return err
	}
	return t.Err
}

func (h gatewayHost) LinkDown(l *gateways.Link) { h.e.transfers.LinkDown(l, ErrLost) }

// unlessDevice returns ErrUnavailable if a gateway reaches the peer: it has no session and no connection of ours.
func unlessDevice(e *Engine, id PeerID) error {
	if p, ok := e.gateways.Peer(id); ok {
		return gateways.Unsupported(p.Via)
	}
	return nil
}

// newGateways returns the gateways of the configuration.
func newGateways(e *Engine, self peers.Self) *gateways.Manager {
	return gateways.New(gateways.Config{
		Host: gatewayHost{e}, Gateways: e.cfg.Gateways, Profile: e.profile, Tasks: &e.tasks, Log: e.log,
	}, gatewaySelf(self))
}

// gatewaySelf is what gateways may announce.
func gatewaySelf(s peers.Self) gateway.Self {
	return gateway.Self{Name: s.Name, Visible: (s.Advertising || s.Browsing) && s.Visible == VisibleToAll}
}

// devicePeer returns the peer that programs see in place of a device.
func devicePeer(p gateways.Peer) Peer {
	d := p.Device
	out := Peer{
		ID: p.ID, Name: d.Name, State: Found, Trust: p.Trust, Confirmed: d.Proven, How: p.Via, Heard: true,
		LooksLike: p.LooksLike, AutoAccept: publicAutoAccept(p.Auto), Via: p.Via, Plain: !d.Encrypted,
	}
	if d.Proven {
		out.Key = d.Key
	}
	if d.Addr.IsValid() {
		out.Addrs = []netip.AddrPort{d.Addr}
	}
	return out
}

func devicePeers(list []gateways.Peer) []Peer {
	out := make([]Peer, 0, len(list))
	for _, p := range list {
		out = append(out, devicePeer(p))
	}
	return out
}
