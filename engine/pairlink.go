package engine

import (
	"encoding/hex"
	"fmt"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/wire"
)

// A link, or the QR code of one, verifies in one step: who knows its secret was shown it.

// proveLink sends what proves that we were given a link. Call with Engine.mu held and p.link set.
func (e *Engine) proveLink(p *peer, secret []byte, answer chan error) error {
	if p.pairing != nil {
		return fmt.Errorf("%w: a pairing with it is under way", ErrBusy)
	}
	a, err := e.newPairing(p, identity.Initiator, newID())
	if err != nil {
		return err
	}
	a.secret, a.answer = secret, answer
	a.view.Until = now().Add(InviteTimeout)
	e.stagePairing(a, PairingWaiting)
	p.link.send(wire.PairLink{ID: a.id, Proof: hex.EncodeToString(a.sums.LinkProof(secret, identity.Initiator))})
	return nil
}

// takePairLink verifies a peer that has the secret of the link that we show. The secret is good for one.
func (e *Engine) takePairLink(p *peer, l *link, m wire.PairLink) error {
	refuse := func(c wire.Code) error {
		l.send(wire.PairCancel{ID: m.ID, Code: c})
		return nil
	}
	switch {
	case !e.pairingOpen() || e.pair.secret == nil:
		return refuse(wire.Unavailable)
	case p.pairing != nil && p.pairing.counts:
		return refuse(wire.Busy)
	}
	if p.pairing != nil {
		e.failPairing(p.pairing, ErrCancelled, wire.Cancelled)
	}
	a, err := e.newPairing(p, identity.Responder, m.ID)
	if err != nil {
		return refuse(wire.Internal)
	}
	proof, _ := hex.DecodeString(m.Proof)
	if !a.sums.LinkProves(proof, e.pair.secret, identity.Initiator) { // guard: link-proof
		// Not a failure that counts: nobody has asked for it, and 16 bytes are not guessed.
		p.pairing = nil
		return refuse(wire.Declined)
	}
	l.send(wire.PairConfirm{ID: m.ID, Proof: hex.EncodeToString(a.sums.LinkProof(e.pair.secret, identity.Responder))})
	e.pair.secret = nil
	e.finishPairing(a)
	return nil
}
