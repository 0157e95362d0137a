package engine

import (
	"encoding/json"
	"fmt"

	"multipeer/engine/internal/peers"
)

const (
	// InviteTimeout is how long an invitation waits for its answer if its context has no deadline (as with Apple's
	// framework).
	InviteTimeout = peers.InviteTimeout
	// MaxContext is the maximum size of the context of an invitation or its answer, in bytes of JSON.
	MaxContext = peers.MaxContext
)

// encodeContext checks a context when it is set, so that no invitation fails because of it later.
func encodeContext(v any) (json.RawMessage, error) {
	if v == nil {
		return nil, nil
	}
	b, err := encode(v, MaxContext)
	if err != nil {
		return nil, fmt.Errorf("context: %w", err)
	}
	return b, nil
}

// Invitation is a peer's request for a session. Call Accept or Decline once; the first answer counts. It closes when
// the peer withdraws it or is lost.
type Invitation struct {
	ID      string
	Peer    Peer            // as it was when it asked
	Context json.RawMessage // from its program; untrusted

	peers      *peers.Manager
	invitation *peers.Invitation
	claimed    bool // a function decides about it, see HandleInvitations; guarded by the lock of the peers
}

// Accept starts the session; the other program gets the context of Config or SetContext. It returns ErrAnswered if it
// is too late, ErrBusy if MaxPeers are connected.
func (i *Invitation) Accept() error { return i.invitation.Answer(true, i.peers.Context(), true) }

// AcceptByPolicy is Accept for a rule of the program that no person has confirmed: the peer does not become known
// (TrustSeen).
func (i *Invitation) AcceptByPolicy() error {
	return i.invitation.Answer(true, i.peers.Context(), false)
}

// AcceptWith is Accept with a context for this call: any JSON value of at most MaxContext bytes, or nil for none.
func (i *Invitation) AcceptWith(context any) error {
	encoded, err := encodeContext(context)
	if err != nil {
		return err
	}
	return i.invitation.Answer(true, encoded, true)
}

// Closed returns a channel that is closed when the invitation was answered or withdrawn, or has expired.
func (i *Invitation) Closed() <-chan struct{} { return i.invitation.Closed() }

// Decline rejects the invitation. It returns ErrAnswered if it is too late.
func (i *Invitation) Decline() error { return i.invitation.Answer(false, nil, true) }
