package engine

import (
	"errors"
	"fmt"

	"multipeer/engine/internal/discovery"
	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
	"multipeer/transfer"
)

// Errors to branch on with errors.Is.
var (
	// ErrInvalid is a value that breaks a rule; the text names it (MCErrorInvalidParameter).
	ErrInvalid = wire.ErrInvalid
	// ErrNotConnected is a peer without a session (MCErrorNotConnected).
	ErrNotConnected = wire.ErrNotConnected
	// ErrNoPeer is a peer that is neither found nor connected.
	ErrNoPeer = errors.New("no such peer nearby")
	// ErrNobody is a message to all while nobody is connected.
	ErrNobody = errors.New("nobody is connected")
	// ErrDeclined is a person's or a policy's no.
	ErrDeclined = wire.ErrDeclined
	// ErrCancelled is an offer or invitation withdrawn, or a transfer ended by either side (MCErrorCancelled).
	ErrCancelled = wire.ErrCancelled
	// ErrTimeout is no answer in time (MCErrorTimedOut).
	ErrTimeout = wire.ErrTimeout
	// ErrTooLarge is a message over its limit; the text names it.
	ErrTooLarge = wire.ErrTooLarge
	// ErrBusy is a peer that has too much at once; try again later.
	ErrBusy = wire.ErrBusy
	// ErrUnavailable is a message that no program takes there (MCErrorUnavailable).
	ErrUnavailable = wire.ErrUnavailable
	// ErrBlocked is a key that the user has blocked.
	ErrBlocked = wire.ErrBlocked
	// ErrIdentity is a device with another key than the one expected.
	ErrIdentity = wire.ErrIdentity
	// ErrVersion is a peer without a protocol version in common (MCErrorUnsupported).
	ErrVersion = wire.ErrVersion
	// ErrMismatch is a pairing whose codes did not match: a third device may be between the two.
	ErrMismatch = wire.ErrMismatch
	// ErrRefused is a peer that does not let our key in: it has blocked us, or its program has said no.
	ErrRefused = transport.ErrRefused
	// ErrBye is a peer that has left on its own.
	ErrBye = wire.ErrBye
	// ErrLost is a peer that fell silent.
	ErrLost = transport.ErrLost
	// ErrAnswered is an invitation or offer that was answered or withdrawn before.
	ErrAnswered = errors.New("already answered or withdrawn")
	// ErrKicked is an ErrBye, of a session that the other side has ended by Disconnect: its policies do not bring it back.
	ErrKicked = fmt.Errorf("it has disconnected this device: %w", wire.ErrBye)
	// ErrClosed is a call that waits for the network, in an engine that does not run (any more).
	ErrClosed = errors.New("the engine does not run")

	// ErrInUse, ErrPermissions, ErrCorrupt and ErrMissing keep New from opening a profile.
	ErrInUse       = identity.ErrInUse
	ErrPermissions = identity.ErrPermissions
	ErrCorrupt     = identity.ErrCorrupt
	ErrMissing     = identity.ErrMissing

	// ErrNoNetwork is a Problem: no interface is up.
	ErrNoNetwork = discovery.ErrNoNetwork

	// The reasons of a transfer that failed or of a file that was left out.
	ErrDiskFull   = transfer.ErrDiskFull
	ErrDenied     = transfer.ErrDenied
	ErrBadName    = transfer.ErrBadName
	ErrDigest     = transfer.ErrDigest
	ErrChanged    = transfer.ErrChanged
	ErrUnreadable = transfer.ErrUnreadable
	ErrSpecial    = transfer.ErrSpecial
	ErrTooMuch    = transfer.ErrTooMuch
	ErrStalled    = transfer.ErrStalled
	ErrGone       = transfer.ErrGone
	ErrNoRoom     = transfer.ErrNoRoom // an ErrDiskFull before the first byte
)
