// Package gateway connects an engine to devices that do not speak Multipeer's protocol, such as phones with another
// program. A Gateway in Config.Gateways of package engine finds such devices and moves files and text. Package
// bridge/localsend implements one.
package gateway

import (
	"context"
	"crypto/sha256"
	"net/netip"

	"multipeer/engine/internal/identity"
	"multipeer/transfer"
)

// Gateway reaches devices of another protocol. They are peers of the engine, with Peer.Via: consent, limits, policy and
// automatic acceptance apply to their offers as to all others, and an offer to them is a transfer like any other. They
// have no session: they take files, folders and text; everything else fails with ErrUnavailable. Implementations must
// accept calls from any goroutine. The errors named here are those of package engine.
type Gateway interface {
	// Name is the name of the other protocol, such as "LocalSend". It is Peer.Via of its devices.
	Name() string
	// Run announces self, finds devices and serves them until ctx ends. It waits for everything that it has started.
	Run(ctx context.Context, self Self, to Sink) error
	// Update replaces what is announced. If it is called before Run, it is newer than the one passed to Run. It is
	// called with the engine locked: it must return at once and must not call the sink.
	Update(self Self)
	// Send offers files to a device, waits for its answer, and sends what was accepted. It returns when the device has
	// everything. ErrDeclined, ErrBusy and ErrLost say why it has not. When ctx ends, Send cancels the transfer on the
	// device as well.
	Send(ctx context.Context, to Device, files Outgoing) (transfer.Result, error)
	// SendText sends text, and returns when the device has it.
	SendText(ctx context.Context, to Device, text string) error
}

// Self is what a gateway may announce about this device.
type Self struct {
	Name string
	// Visible means that strangers may see this device, and that it advertises or browses. Otherwise the gateway must
	// not make this device visible.
	Visible bool
}

// Device is a device that a gateway has found.
type Device struct {
	// Key identifies the device in its own protocol. If the device proves nothing, Key must be its location, such as
	// its address.
	Key  string
	Name string // what it calls itself; need not be safe to display
	Addr netip.AddrPort
	// Proven means that the device has proven Key with a cryptographic key. Other devices stay strangers, whatever is
	// accepted.
	Proven    bool
	Encrypted bool
}

// Offer is what a device wants to send.
type Offer struct {
	From           Device
	Names          []string // top-level names, at least one; those after the first 20 are not shown
	Items          int64    // the number of top-level names
	Files, Folders int64
	Bytes          int64
	Note           string // shown with the offer; at most 1,000 bytes
}

// Outgoing is what is offered to a device.
type Outgoing struct {
	Listing    *transfer.Listing       // may still be filling: Entries waits for it
	Accepted   func()                  // to be called when the device has accepted
	OnProgress func(transfer.Progress) // to be called with the progress
}

// Sink receives what a Gateway finds. Its methods may be called from any goroutine.
type Sink interface {
	// Found reports a device that appeared or whose description changed. Only devices that were found can make and
	// receive offers; the gateway reports each change of a device in order, with Lost at the end.
	Found(Device)
	// Lost reports a device that is gone. Its unanswered offers end.
	Lost(key string)
	// Knows reports whether a person has accepted the device with this key before: known devices have slots of their
	// own.
	Knows(key string) bool
	// Receive asks a person about an offer, and waits for the answer. If the offer is accepted, it calls take, which
	// feeds the files to in and returns when all have arrived; take must return when its ctx ends. Receive returns nil
	// if everything was received, or else the reason: ErrDeclined, ErrBlocked, ErrTimeout, ErrBusy if there are too
	// many requests or the device was not found, ErrUnavailable if there is no one to ask, ErrCancelled, or the error
	// of take or of the disk. When ctx ends, the offer is withdrawn.
	Receive(ctx context.Context, o Offer, take func(ctx context.Context, in *transfer.Intake) error) error
	// ReceiveText delivers text of at most 32 KiB as a message: a JSON object with the member text. ErrDeclined means
	// that the device is a stranger, whose text can be offered as a file. ErrBusy and ErrUnavailable mean that no one
	// reads messages.
	ReceiveText(from Device, text string) error
}

// PeerID returns the ID of a device: name is that of its gateway, key is Device.Key. It never equals the ID of a peer,
// which is the digest of a public key.
func PeerID(name, key string) identity.PeerID {
	return identity.PeerID(sha256.Sum256([]byte("multipeer gateway\x00" + name + "\x00" + key)))
}
