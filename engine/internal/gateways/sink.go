package gateways

import (
	"context"
	"fmt"
	"unicode/utf8"

	"multipeer/engine/gateway"
	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/wire"
	"multipeer/transfer"
)

// maxText limits text from a device, in bytes. The program gets it as JSON, which may be several times as long.
const maxText = 32 << 10

// sink is what a gateway reports to.
type sink struct {
	m *Manager
	g gateway.Gateway
}

func (s sink) Found(d gateway.Device) { s.m.found(s.g, d) }

func (s sink) Lost(key string) { s.m.lost(s.g, key) }

func (s sink) Knows(key string) bool { return s.m.profile.Knows(gateway.PeerID(s.g.Name(), key)) }

// admit returns the link to a device that makes a request, unless the user has blocked the device. Only Found adds a
// device: the gateway never reports the loss of one that it has not found.
func (s sink) admit(d gateway.Device) (*Link, error) {
	id := gateway.PeerID(s.g.Name(), d.Key)
	if s.m.profile.Peer(id).Trust == identity.Blocked { // guard: gateway-blocked
		return nil, wire.ErrBlocked
	}
	l := s.m.Link(id)
	if l == nil { // guard: gateway-found-first
		return nil, wire.ErrBusy
	}
	return l, nil
}

func (s sink) Receive(ctx context.Context, o gateway.Offer, take func(ctx context.Context, in *transfer.Intake) error) error {
	l, err := s.admit(o.From)
	if err != nil {
		return err
	}
	if len(o.Names) == 0 || o.Files <= 0 || o.Bytes < 0 || o.Items < int64(len(o.Names)) {
		return fmt.Errorf("offer: %w: it has no files", wire.ErrInvalid)
	}
	if err := wire.ValidateNote(o.Note); err != nil {
		return err
	}
	id := wire.NewID()
	in := &incoming{take: take}
	l.mu.Lock()
	l.offers[id] = in
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.offers, id)
	}()
	s.m.host.TakeOffer(l, wire.Offer{
		ID: id, Names: o.Names[:min(len(o.Names), wire.MaxOfferNames)], Items: o.Items, Files: o.Files, Folders: o.Folders,
		Bytes: o.Bytes, Attempt: 1, Note: o.Note,
	})
	l.mu.Lock()
	refused := in.refused
	l.mu.Unlock()
	if refused != 0 {
		return refused.Err()
	}
	withdrawn := context.AfterFunc(ctx, func() { s.m.host.Withdraw(l, id) })
	defer withdrawn()
	return s.m.host.Wait(context.WithoutCancel(ctx), id)
}

func (s sink) ReceiveText(from gateway.Device, text string) error {
	switch {
	case !utf8.ValidString(text) || text == "":
		return fmt.Errorf("text: %w: it is not UTF-8, or empty", wire.ErrInvalid)
	case len(text) > maxText: // guard: gateway-text
		return fmt.Errorf("text of %d bytes: %w: at most %d", len(text), wire.ErrTooLarge, maxText)
	}
	l, err := s.admit(from)
	if err != nil {
		return err
	}
	if !s.m.profile.Knows(l.id) { // guard: gateway-stranger-text
		return wire.ErrDeclined
	}
	return s.m.host.TakeText(s.m.view(l), text)
}
