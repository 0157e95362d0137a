package engine

import (
	"encoding/json"
	"fmt"

	"multipeer/engine/internal/peers"
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

// encodeContext returns what the other program gets.
func (o InviteOptions) encodeContext(m *peers.Manager) (json.RawMessage, error) {
	if o.Context == nil {
		return m.Context(), nil
	}
	return encodeContext(o.Context)
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

// Accept starts the session; see InviteOptions.Person. Errors are ErrAnswered, and ErrBusy if MaxPeers are connected.
func (i *Invitation) Accept() error { return i.AcceptWith(InviteOptions{}) }

// AcceptWith is Accept with options, for example for the decision of a person.
func (i *Invitation) AcceptWith(opts InviteOptions) error {
	encoded, err := opts.encodeContext(i.peers)
	if err != nil {
		return err
	}
	return i.invitation.Answer(true, encoded, opts.Person)
}

// Closed returns a channel that is closed when the invitation is answered, is withdrawn or expires.
func (i *Invitation) Closed() <-chan struct{} { return i.invitation.Closed() }

// Decline rejects the invitation, by a rule of the program. It returns ErrAnswered if it is too late.
func (i *Invitation) Decline() error { return i.invitation.Answer(false, nil, false) }

// DeclineByPerson is Decline for the decision of a person. After three of them in a row about invitations and offers of a
// peer that is not verified, the engine declines what it asks in the next 10 minutes, unless a policy accepts it.
func (i *Invitation) DeclineByPerson() error { return i.invitation.Answer(false, nil, true) }
