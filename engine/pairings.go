package engine

import (
	"context"
	"fmt"
	"strings"
	"time"

	"multipeer/engine/internal/pairing"
	"multipeer/engine/internal/peers"
)

// OpenPairing opens the pairing window: for some minutes other devices can ask for pairing, and strangers may connect
// regardless of Visible. Only call it in response to a user's action. It returns when the window closes, like
// Self.PairingUntil; the zero time if the engine does not run.
func (e *Engine) OpenPairing() time.Time { return e.pairings.Open() }

// ClosePairing closes the pairing window and ends the pairings that have no code yet, except one by OpenLink. Pairings
// whose codes are on the screens continue. It is idempotent.
func (e *Engine) ClosePairing() { e.pairings.Close() }

// Pair asks a peer to compare codes, or picks one that asks. Only call it in response to a user's action. It opens the
// pairing window, waits at most SendTimeout for the peer to be connected, and returns; events report the Pairing, and
// the other user has to pick this device too. Errors are ErrNoPeer, ErrTimeout, ErrCancelled, ErrBusy during another
// comparison or after too many attempts, and ErrMismatch within ten minutes after a mismatch.
func (e *Engine) Pair(ctx context.Context, id PeerID) (err error) {
	defer withPeer(&err, "pair with", id)
	if id == e.profile.ID || id.Reserved() {
		return fmt.Errorf("%w: a device cannot pair with itself", ErrInvalid)
	}
	if err := unlessDevice(e, id); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, peers.InviteTimeout, ErrTimeout)
	defer cancel()
	if _, err := e.peers.AwaitLink(ctx, id); err != nil {
		return err
	}
	return e.pairings.Pair(pairing.Peer{ID: id, Name: e.peers.NameOf(id)})
}

// ConfirmPairing confirms that this device's user has compared the codes. On the side that chooses, code is the choice;
// a wrong choice ends the pairing with ErrMismatch. On the other side, code is the one that was shown, so that a late
// answer does not confirm another attempt; an empty code confirms the current attempt. Spaces are ignored. The peer is
// verified when both have confirmed.
func (e *Engine) ConfirmPairing(id PeerID, code string) (err error) {
	defer withPeer(&err, "confirm pairing with", id)
	return e.pairings.Confirm(id, strings.ReplaceAll(code, " ", ""))
}

// RejectPairing reports that the codes do not match: it ends the pairing, and this peer cannot pair for ten minutes.
func (e *Engine) RejectPairing(id PeerID) (err error) {
	defer withPeer(&err, "reject pairing with", id)
	return e.pairings.Reject(id)
}

// CancelPairing ends a pairing with a peer, or declines one. It is idempotent.
func (e *Engine) CancelPairing(id PeerID) { e.pairings.Cancel(id) }

// Pairings lists the pairings in progress.
func (e *Engine) Pairings() (list []Pairing) {
	e.pairings.Freeze(func(views []pairing.View) { list = publicPairings(views) })
	return list
}
