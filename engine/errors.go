package engine

import (
	"errors"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/mdns"
	"multipeer/engine/internal/peers"
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// Errors to check with errors.Is. Some have another one in brackets, which they wrap: check for them first. The reasons
// why a transfer failed or a file was left out are in package transfer; errors.As finds a transfer.Failure.
var (
	ErrInvalid         = wire.ErrInvalid                      // a value breaks a rule, which the text names
	ErrTooLarge        = wire.ErrTooLarge                     // a message or frame exceeds its limit
	ErrNoPeer          = wire.ErrNoPeer                       // the peer is neither found nor connected
	ErrNobody          = errors.New("no peer is connected")   // Broadcast without a session
	ErrNotConnected    = wire.ErrNotConnected                 // there is no session with the peer
	ErrClosed          = wire.ErrClosed                       // the engine has ended; Dial, Search and links need it started
	ErrTimeout         = wire.ErrTimeout                      // no answer came in time, or the deadline of the context passed
	ErrCancelled       = wire.ErrCancelled                    // a side withdrew or ended it, or the context was cancelled
	ErrDeclined        = wire.ErrDeclined                     // a person or a policy declined
	ErrAnswered        = wire.ErrAnswered                     // the invitation or offer was answered or withdrawn before
	ErrBusy            = wire.ErrBusy                         // a limit is reached, here or there; try again later
	ErrUnavailable     = wire.ErrUnavailable                  // nothing in the peer's program takes it
	ErrInternal        = wire.ErrInternal                     // a function of the peer's program has panicked
	ErrBlocked         = wire.ErrBlocked                      // the user has blocked the key
	ErrRefused         = transport.ErrRefused                 // the peer does not admit our key: it may have blocked it
	ErrIdentity        = wire.ErrIdentity                     // the device has another key than expected
	ErrOwnKey          = transport.ErrOwnKey                  // this engine answers at the address, or a copy of its profile
	ErrVersion         = wire.ErrVersion                      // there is no common version of the protocol
	ErrMismatch        = wire.ErrMismatch                     // the codes of a pairing differ: a third device may intercept it
	ErrLost            = transport.ErrLost                    // the peer has stopped responding
	ErrBye             = wire.ErrBye                          // the peer has left
	ErrKicked          = peers.ErrKicked                      // the peer has called Disconnect (ErrBye)
	ErrState           = wire.ErrState                        // the state of the transfer does not allow it
	ErrIncomplete      = errors.New("something was left out") // a transfer was delivered without some entries
	ErrUnknownTransfer = wire.ErrUnknownOffer                 // no transfer has this ID
	ErrNoNetwork       = mdns.ErrNoNetwork                    // no network interface is up

	// The reasons why New cannot open a profile: another engine uses it, others can read it, or it is damaged or incomplete.
	ErrInUse, ErrPermissions, ErrCorrupt = identity.ErrInUse, identity.ErrPermissions, identity.ErrCorrupt
)
