package wire

import (
	"errors"
	"fmt"
)

// Code is the reason why a connection was closed or a request was not granted. The number travels in QUIC's
// application error code (RFC 9000 section 20.2), the name in JSON. Numbers and names are never reused.
type Code uint64

// The codes. PROTOCOL.md lists the same ones.
const (
	Bye          Code = 0
	Internal     Code = 1
	Protocol     Code = 2
	Version      Code = 3
	Identity     Code = 4
	Duplicate    Code = 5
	Superseded   Code = 6
	Blocked      Code = 7
	Busy         Code = 8
	Declined     Code = 9
	Cancelled    Code = 10
	Timeout      Code = 11
	TooLarge     Code = 12
	NotConnected Code = 13
	Unavailable  Code = 14
	UnknownOffer Code = 15
	Failed       Code = 16
	Delivered    Code = 17
	Mismatch     Code = 18
)

// There is one error for each code that a caller may check for. The side that refuses and the side that is refused,
// which receives only the code, get the same error value.
var (
	ErrInternal     = errors.New("the other side had an internal error")
	ErrProtocol     = errors.New("protocol violation")
	ErrVersion      = errors.New("no common protocol version")
	ErrIdentity     = errors.New("the device has a different key from the one expected")
	ErrDuplicate    = errors.New("already connected")
	ErrSuperseded   = errors.New("a newer connection has replaced this one")
	ErrBlocked      = errors.New("blocked")
	ErrBusy         = errors.New("busy")
	ErrDeclined     = errors.New("declined")
	ErrCancelled    = errors.New("cancelled")
	ErrTimeout      = errors.New("no answer in time")
	ErrNotConnected = errors.New("not connected")
	ErrUnavailable  = errors.New("no program on the other side accepts it")
	ErrUnknownOffer = errors.New("no such transfer")
	ErrFailed       = errors.New("failed on the other side")
	// ErrDelivered reports that an offer was already delivered, and its receipt lost.
	ErrDelivered = errors.New("already delivered")
	// ErrMismatch reports a pairing whose codes differ, according to the user.
	ErrMismatch = errors.New("the codes do not match")
	// ErrBye is a clean goodbye. It is not a failure, but it ends what was in progress.
	ErrBye = errors.New("the other side has left")

	// The errors of calls that never reach a peer have no code.
	ErrNoPeer   = errors.New("no such peer nearby")
	ErrAnswered = errors.New("already answered or withdrawn")
	ErrClosed   = errors.New("the engine is not running")
	ErrState    = errors.New("not possible in this state")
)

var codes = [...]struct {
	code Code
	name string
	err  error
}{
	{Bye, "bye", ErrBye},
	{Internal, "internal", ErrInternal},
	{Protocol, "protocol", ErrProtocol},
	{Version, "version", ErrVersion},
	{Identity, "identity", ErrIdentity},
	{Duplicate, "duplicate", ErrDuplicate},
	{Superseded, "superseded", ErrSuperseded},
	{Blocked, "blocked", ErrBlocked},
	{Busy, "busy", ErrBusy},
	{Declined, "declined", ErrDeclined},
	{Cancelled, "cancelled", ErrCancelled},
	{Timeout, "timeout", ErrTimeout},
	{TooLarge, "too-large", ErrTooLarge},
	{NotConnected, "not-connected", ErrNotConnected},
	{Unavailable, "unavailable", ErrUnavailable},
	{UnknownOffer, "unknown-offer", ErrUnknownOffer},
	{Failed, "failed", ErrFailed},
	{Delivered, "delivered", ErrDelivered},
	{Mismatch, "mismatch", ErrMismatch},
}

// Codes returns every code in order of its number.
func Codes() []Code {
	out := make([]Code, len(codes))
	for i, c := range codes {
		out[i] = c.code
	}
	return out
}

// Err returns the error of c; for a code that this version does not know, it is ErrFailed with its number.
func (c Code) Err() error {
	if c < Code(len(codes)) {
		return codes[c].err
	}
	return fmt.Errorf("%w (code %d)", ErrFailed, uint64(c))
}

func (c Code) String() string {
	if c < Code(len(codes)) {
		return codes[c].name
	}
	return fmt.Sprintf("code-%d", uint64(c))
}

// MarshalText returns the name.
func (c Code) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText parses a name; one that this version does not know becomes Failed.
func (c *Code) UnmarshalText(b []byte) error {
	*c = Failed
	for _, k := range codes {
		if k.name == string(b) {
			*c = k.code
		}
	}
	return nil
}

// CodeOf returns the code for err: the one whose error err wraps, Protocol for ErrMalformed, or Failed.
func CodeOf(err error) Code {
	for _, k := range codes {
		if errors.Is(err, k.err) {
			return k.code
		}
	}
	if errors.Is(err, ErrMalformed) {
		return Protocol
	}
	return Failed
}
