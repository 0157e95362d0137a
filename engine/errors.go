package engine

import (
	"errors"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/mdns"
	"multipeer/engine/internal/peers"
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// Errors to check with errors.Is. The reasons why a transfer failed, or why a file was left out, are in package
// transfer; errors.As finds a transfer.Failure with the entry and the side.
var (
	// ErrInvalid reports a value that breaks a rule; the text names the rule (MCErrorInvalidParameter).
	ErrInvalid = wire.ErrInvalid
	// ErrNotConnected reports a peer without a session (MCErrorNotConnected).
	ErrNotConnected = wire.ErrNotConnected
	// ErrNoPeer reports a peer that is neither found nor connected.
	ErrNoPeer = wire.ErrNoPeer
	// ErrNobody reports a message to all peers while none is connected.
	ErrNobody = errors.New("no peer is connected")
	// ErrDeclined reports that a person or a policy declined.
	ErrDeclined = wire.ErrDeclined
	// ErrCancelled reports an offer or invitation that was withdrawn, or a transfer that either side ended
	// (MCErrorCancelled).
	ErrCancelled = wire.ErrCancelled
	// ErrTimeout reports that no answer came in time (MCErrorTimedOut).
	ErrTimeout = wire.ErrTimeout
	// ErrTooLarge reports a message over its limit; the text names the limit.
	ErrTooLarge = wire.ErrTooLarge
	// ErrBusy reports that a peer has too much to handle at once; try again later.
	ErrBusy = wire.ErrBusy
	// ErrUnavailable reports that nothing in the peer's program takes the message (MCErrorUnavailable).
	ErrUnavailable = wire.ErrUnavailable
	// ErrBlocked reports a key that the user has blocked.
	ErrBlocked = wire.ErrBlocked
	// ErrIdentity reports a device with a different key from the one expected.
	ErrIdentity = wire.ErrIdentity
	// ErrVersion reports a peer without a protocol version in common (MCErrorUnsupported).
	ErrVersion = wire.ErrVersion
	// ErrMismatch reports a pairing whose codes did not match: a third device may be intercepting it.
	ErrMismatch = wire.ErrMismatch
	// ErrRefused reports a peer that does not admit our key: it has blocked us, or its program refused us.
	ErrRefused = transport.ErrRefused
	// ErrOwnKey reports an address where this device's own identity answers: this engine itself, or a device with a
	// copy of its profile. In the latter case ConflictFound follows within seconds.
	ErrOwnKey = transport.ErrOwnKey
	// ErrBye reports a peer that left on its own.
	ErrBye = wire.ErrBye
	// ErrLost reports a peer that stopped responding.
	ErrLost = transport.ErrLost
	// ErrAnswered reports an invitation or offer that was already answered or withdrawn.
	ErrAnswered = wire.ErrAnswered
	// ErrKicked is an ErrBye for a session that the other side ended with Disconnect: its policies do not bring the
	// session back.
	ErrKicked = peers.ErrKicked
	// ErrClosed reports a call that waits for the network while the engine is not running.
	ErrClosed = wire.ErrClosed
	// ErrState reports a call that the state of a transfer does not allow; the text names the state.
	ErrState = wire.ErrState

	// ErrIncomplete reports a transfer that was delivered without some of the entries that were offered.
	ErrIncomplete = errors.New("something was left out")

	// ErrUnknownTransfer reports an ID that no transfer has.
	ErrUnknownTransfer = wire.ErrUnknownOffer
	// ErrPeerID reports text that is not a peer ID.
	ErrPeerID = identity.ErrPeerID

	// ErrInUse, ErrPermissions, ErrCorrupt and ErrMissing are the reasons why New cannot open a profile.
	ErrInUse       = identity.ErrInUse
	ErrPermissions = identity.ErrPermissions
	ErrCorrupt     = identity.ErrCorrupt
	ErrMissing     = identity.ErrMissing

	// ErrNoNetwork is a Problem: no network interface is up.
	ErrNoNetwork = mdns.ErrNoNetwork
)
