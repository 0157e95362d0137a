package engine

import (
	"context"
	"encoding/json"
)

// Invite asks a peer for a session, with the context of Config or SetContext, and waits for the answer. It returns nil
// when connected, ErrDeclined, ErrTimeout after InviteTimeout, ErrNoPeer, ErrCancelled, or ErrBusy if MaxPeers are
// connected, on either side. It waits for a peer that is found but not connected yet. When ctx ends, the invitation is
// withdrawn. If the peer has invited us in the meantime, that counts as its acceptance (MCNearbyServiceBrowser
// invitePeer).
func (e *Engine) Invite(ctx context.Context, id PeerID) error {
	return e.InviteWith(ctx, id, InviteOptions{})
}

type noContext struct{}

// NoContext is an InviteOptions.Context that sends none.
var NoContext any = noContext{}

// InviteOptions configure InviteWith.
type InviteOptions struct {
	// Context is what the other program gets with the invitation: any JSON value of at most MaxContext bytes. nil means
	// the context of Config or SetContext, NoContext means none. If an invitation is already in progress, the call
	// joins it, and its context is not sent.
	Context any
	// Policy means that a rule of the program invites the peer, and not a person: the peer does not become known
	// (TrustSeen), and has to be invited or accepted again the next time. After Disconnect, Config.Invite and
	// Config.Accept still do not bring the peer back.
	Policy bool
}

// InviteWith is Invite with options.
func (e *Engine) InviteWith(ctx context.Context, id PeerID, opts InviteOptions) (err error) {
	defer withPeer(&err, "invite", id)
	if err := unlessDevice(e, id); err != nil {
		return err
	}
	var encoded json.RawMessage
	switch opts.Context {
	case nil:
		encoded = e.peers.Context()
	case NoContext:
	default:
		encoded, err = encodeContext(opts.Context)
	}
	if err != nil {
		return err
	}
	return e.peers.Invite(ctx, id, encoded, !opts.Policy)
}

// Disconnect ends the session with a peer, or withdraws the invitation to it (cancelConnectPeer); both still see each
// other. It is a kick: from then on no policy of this engine (Config.Invite, Config.Accept) brings the peer back, but
// Invite and Invitation.Accept do. PeerRemoved follows, with ErrCancelled on this side and ErrKicked on the other. To
// refuse the peer's connections as well, call SetTrust with TrustBlocked. It is idempotent.
func (e *Engine) Disconnect(id PeerID) { e.peers.Disconnect(id) }

// Leave ends all sessions. Found peers stay found, and policies may bring sessions back (disconnect in the Pythonista
// module, MCSession disconnect). It is idempotent.
func (e *Engine) Leave() { e.peers.Leave() }
