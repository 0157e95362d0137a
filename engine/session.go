package engine

import "context"

// Invite asks a peer that is found for a session and waits for the answer, at most SendTimeout (MCNearbyServiceBrowser
// invitePeer): do not call it from a function of Handler, but on a goroutine of its own, or set Config.Invite. It
// returns nil when connected, also if the peer has invited us meanwhile. When ctx ends, the invitation is withdrawn.
// Errors are ErrDeclined, ErrTimeout, ErrCancelled, ErrNoPeer, and ErrBusy if either side has MaxPeers.
func (e *Engine) Invite(ctx context.Context, id PeerID) error {
	return e.InviteWith(ctx, id, InviteOptions{})
}

// InviteOptions configure InviteWith and Invitation.AcceptWith. The zero value is for a decision of the program.
type InviteOptions struct {
	// Context is what the other program gets: a JSON value of at most MaxContext bytes; nil means the context of Config
	// or SetContext. An invitation that is in progress already keeps its own.
	Context any
	Person  bool // a person decides, not a rule of the program: the peer becomes known (TrustSeen)
}

// InviteWith is Invite with options.
func (e *Engine) InviteWith(ctx context.Context, id PeerID, opts InviteOptions) (err error) {
	defer withPeer(&err, "invite", id)
	if err := unlessDevice(e, id); err != nil {
		return err
	}
	encoded, err := opts.encodeContext(e.peers)
	if err != nil {
		return err
	}
	return e.peers.Invite(ctx, id, encoded, opts.Person)
}

// Disconnect ends the session with a peer, or withdraws the invitation to it (cancelConnectPeer); both still see each
// other. It is a kick: from then on no policy of this engine (Config.Invite, Config.Accept) brings the peer back, but
// Invite and Invitation.Accept do. PeerRemoved follows, with ErrCancelled on this side and ErrKicked on the other. To
// refuse the peer's connections as well, call SetTrust with TrustBlocked.
func (e *Engine) Disconnect(id PeerID) { e.peers.Disconnect(id) }

// Leave ends all sessions. Found peers stay found, and policies may bring sessions back (disconnect in the Pythonista
// module, MCSession disconnect).
func (e *Engine) Leave() { e.peers.Leave() }
