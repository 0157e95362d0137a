package engine

import (
	"fmt"

	"multipeer/engine/internal/identity"
)

// Trust returns the stored trust in a key, whether the peer is found or not.
func (e *Engine) Trust(id PeerID) Trust { return e.profile.Peer(id).Trust }

// SetTrust stores the user's decision about a key, whether the peer is found or not; it is durable when the call
// returns, unless there is no profile. Blocking ends the connection at once; TrustUnknown forgets the peer. Both cancel
// its unfinished transfers, and any trust below TrustVerified cancels those that were accepted without asking. Only call
// it in response to a user's action: TrustVerified means that someone has compared the full ID.
func (e *Engine) SetTrust(id PeerID, t Trust) (err error) {
	defer withPeer(&err, "set trust in", id)
	if hasEnded(e) {
		return ErrClosed
	}
	switch t {
	case TrustUnknown, TrustSeen, TrustVerified, TrustBlocked:
	default:
		return fmt.Errorf("trust %q: %w", t, ErrInvalid)
	}
	if id == e.profile.ID || id.Reserved() {
		return fmt.Errorf("%w: this is this device's own ID", ErrInvalid)
	}
	if l := e.gateways.Link(id); l != nil && !l.Proven() && (t == TrustSeen || t == TrustVerified) { // guard: gateway-trust
		return fmt.Errorf("%w: that device cannot prove its identity, so another device could impersonate it", ErrInvalid)
	}
	// Not inside Decide: no other lock is taken while the profile is locked.
	seen, _ := e.Peer(id)
	err = e.profile.Decide(id, func(r *identity.Record) {
		r.Trust = t
		if t == TrustUnknown {
			*r = identity.Record{}
		}
		if t != TrustVerified {
			r.Auto = identity.Auto{}
		}
		if (t == TrustVerified || t == TrustSeen) && r.Name == "" {
			r.Name = seen.Name // another device that uses this name is flagged
		}
	})
	if err != nil {
		return err
	}
	e.shared.each(func(e *Engine) { e.applyTrust(id, t) })
	return nil
}

// applyTrust acts on a decision that has been stored.
func (e *Engine) applyTrust(id PeerID, t Trust) {
	switch t {
	case TrustBlocked:
		e.transfers.Block(id)
	case TrustUnknown:
		e.transfers.Forget(id)
	case TrustSeen:
		e.transfers.RevokePolicy(id)
	}
	e.peers.TrustChanged(id, t)
	e.gateways.Republish()
}
