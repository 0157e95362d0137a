package engine

import (
	"fmt"
	"path/filepath"

	"multipeer/engine/internal/identity"
	"multipeer/internal/rawpath"
	"multipeer/transfer"
)

// SetAutoAccept sets which offers of a peer are accepted without asking; it is durable when the call returns. Only call
// it in response to a user's action. The peer must be verified; a later SetTrust that changes this revokes it. The zero
// AutoAccept asks again, and cancels unfinished transfers that were accepted without asking. The error is ErrInvalid
// with the reason.
func (e *Engine) SetAutoAccept(id PeerID, a AutoAccept) (err error) {
	defer withPeer(&err, "auto-accept from", id)
	bad := func(why string) error { return fmt.Errorf("%w: %s", ErrInvalid, why) }
	switch {
	case hasEnded(e):
		return ErrClosed
	case a != (AutoAccept{}) && e.profile.Peer(id).Trust != identity.Verified: // guard: auto-verified
		return bad("the peer is not verified; compare codes first")
	case a.Bytes < 0:
		return bad("the size is negative")
	case a.Bytes > 0 && !filepath.IsAbs(a.Dir):
		return bad("the receiving folder must be an absolute path")
	}
	place, placeErr := transfer.PlaceOf(a.Dir)
	err = e.profile.Update(id, func(r *identity.Record) {
		if placeErr != nil && string(r.Auto.Dir) == a.Dir { // the disk of an earlier rule may not be connected now
			place = transfer.Place(r.Auto.Place)
		}
		r.Auto = identity.Auto{Bytes: a.Bytes, Dir: rawpath.Path(a.Dir), Place: string(place), Until: a.Until, Day: r.Auto.Day, Used: r.Auto.Used}
		if a.Bytes == 0 {
			r.Auto = identity.Auto{}
		}
	})
	if err != nil {
		return err
	}
	e.shared.each(func(e *Engine) {
		if a.Bytes == 0 {
			e.transfers.RevokePolicy(id)
		}
		e.peers.Republish()
		e.gateways.Republish()
	})
	return nil
}
