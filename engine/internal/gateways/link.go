package gateways

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"multipeer/engine/gateway"
	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
	"multipeer/transfer"
)

// maxTexts limits how many pieces of text wait to be sent to one device: it takes one at a time.
const maxTexts = 16

// Link carries offers to and from a device, as package transfers sees it.
type Link struct {
	m       *Manager
	gateway gateway.Gateway
	id      identity.PeerID
	done    chan struct{} // closed when the device is gone
	texts   chan struct{} // holds one value while text is being sent

	mu      sync.Mutex // guards what follows; a leaf
	device  gateway.Device
	offers  map[string]*incoming // those whose answer the device waits for
	waiting int                  // texts that are being sent or are queued
}

// incoming is an offer from a device.
type incoming struct {
	take    func(ctx context.Context, in *transfer.Intake) error
	refused wire.Code // why the user was not asked
}

// ID is the ID of the device.
func (l *Link) ID() identity.PeerID { return l.id }

// Name is the name of the device, safe to display.
func (l *Link) Name() string { return l.m.view(l).Device.Name }

// Via is the name of the gateway.
func (l *Link) Via() string { return l.gateway.Name() }

// Proven reports whether the device has proven its key.
func (l *Link) Proven() bool { return l.current().Proven }

func (l *Link) current() gateway.Device {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.device
}

// update replaces the description of the device, and reports whether it has changed.
func (l *Link) update(d gateway.Device) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	changed := l.device != d
	l.device = d
	return changed
}

// Send handles the answer to an offer from the device. Only a refusal matters: Receive returns all other results.
func (l *Link) Send(msg wire.Message) {
	answer, ok := msg.(wire.OfferAnswer)
	if !ok || answer.Accept {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if in := l.offers[answer.ID]; in != nil {
		in.refused = answer.Code
	}
}

// Addrs returns nothing: a gateway's device is not dialled.
func (l *Link) Addrs() []netip.AddrPort { return nil }

// LanePorts returns no ports.
func (l *Link) LanePorts() (udp, tcp int) { return 0, 0 }

// Token returns an error: there are no lanes.
func (l *Link) Token(string) (string, error) { return "", l.unsupported() }

// Dialled is always true.
func (l *Link) Dialled() bool { return true }

// RemoteAddr is where the device was last seen.
func (l *Link) RemoteAddr() netip.AddrPort { return l.current().Addr }

// Done is closed when the device is gone.
func (l *Link) Done() <-chan struct{} { return l.done }

// Err is nil while the device is present.
func (l *Link) Err() error {
	select {
	case <-l.done:
		return transport.ErrLost
	default:
		return nil
	}
}

// unsupported returns the error for an operation that the device does not support.
func (l *Link) unsupported() error { return Unsupported(l.gateway.Name()) }

// Unsupported returns the error for an operation that a gateway's devices do not support.
func Unsupported(gateway string) error {
	return wire.Reword(fmt.Sprintf("a device with %s accepts only files and text", gateway), wire.ErrUnavailable)
}

// Receive has the gateway feed the content of an accepted offer to in.
func (l *Link) Receive(ctx context.Context, id string, in *transfer.Intake) error {
	l.mu.Lock()
	offer := l.offers[id]
	l.mu.Unlock()
	if offer == nil {
		return transport.ErrLost
	}
	return offer.take(ctx, in)
}

// Deliver has the gateway offer and send the listed entries.
func (l *Link) Deliver(ctx context.Context, listing *transfer.Listing, accepted func(), onProgress func(transfer.Progress)) (transfer.Result, error) {
	return l.gateway.Send(ctx, l.current(), gateway.Outgoing{Listing: listing, Accepted: accepted, OnProgress: onProgress})
}

// SendText sends the text of a message. The device gets one at a time. A message without text is refused.
func (l *Link) SendText(ctx context.Context, msg wire.Text) error {
	var words struct {
		Text *string `json:"text"`
	}
	if msg.Topic != "" || json.Unmarshal(msg.Body, &words) != nil || words.Text == nil {
		return l.unsupported()
	}
	if !l.startText() {
		return fmt.Errorf("%w: %d messages to this device are waiting", wire.ErrBusy, maxTexts)
	}
	defer l.endText()
	select {
	case l.texts <- struct{}{}:
	case <-l.done:
		return transport.ErrLost
	case <-ctx.Done():
		return wire.EndOf(ctx)
	}
	defer func() { <-l.texts }()
	return l.gateway.SendText(ctx, l.current(), *words.Text)
}

func (l *Link) startText() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting >= maxTexts { // guard: gateway-texts
		return false
	}
	l.waiting++
	return true
}

func (l *Link) endText() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting--
}

// now returns the current time with the precision of the profile.
func now() time.Time { return time.Now().UTC().Truncate(time.Second) }
