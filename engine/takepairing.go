package engine

import (
	"encoding/hex"
	"fmt"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/wire"
)

// What peers say of a pairing: each message against the stage that it may come in.

// takePairing serves the messages of pairing. Call with Engine.mu held.
func (e *Engine) takePairing(p *peer, l *link, m wire.Message) error {
	if p.link != l {
		return nil
	}
	switch m := m.(type) {
	case wire.PairStart:
		return e.takePairStart(p, l, m)
	case wire.PairLink:
		return e.takePairLink(p, l, m)
	case wire.PairCancel:
		e.takePairCancel(p, m)
		return nil
	}
	a := p.pairing
	if a == nil {
		return nil // it has ended here, and the other side will hear of it
	}
	switch m := m.(type) {
	case wire.PairNonce:
		if a.id != m.ID {
			return nil
		}
		if a.role != identity.Initiator || a.view.Stage != PairingWaiting || a.secret != nil {
			return e.foulPairing(a)
		}
		if err := e.mayPair(p); err != nil {
			e.failPairing(a, err, wire.Busy)
			return nil
		}
		a.nonceR, _ = hex.DecodeString(m.Nonce) // checked by package wire
		e.armPairing(a)
		l.send(wire.PairReveal{ID: a.id, Nonce: hex.EncodeToString(a.nonceI)})
		e.comparePairing(a)
	case wire.PairReveal:
		if a.id != m.ID {
			return nil
		}
		nonce, _ := hex.DecodeString(m.Nonce)
		if a.role != identity.Responder || a.view.Stage != PairingStarted || !a.sums.Opens(a.commit, nonce) { // guard: pairing-commitment
			return e.foulPairing(a)
		}
		a.nonceI = nonce
		e.comparePairing(a)
	case wire.PairConfirm:
		if a.id != m.ID {
			return nil
		}
		return e.takePairConfirm(a, m)
	}
	return nil
}

// foulPairing ends an attempt and the conn of a peer that does not keep to the rules.
func (e *Engine) foulPairing(a *pairing) error {
	e.failPairing(a, wire.ErrProtocol, wire.Protocol)
	return wire.ErrProtocol
}

func (e *Engine) takePairStart(p *peer, l *link, m wire.PairStart) error {
	refuse := func(c wire.Code) { l.send(wire.PairCancel{ID: m.ID, Code: c}) }
	commit, _ := hex.DecodeString(m.Commit)
	a := p.pairing
	if !e.pairingOpen() { // guard: pairing-window
		refuse(wire.Unavailable)
		return nil
	}
	picked := false
	switch {
	case a == nil:
	case a.answer != nil, a.counts:
		if a.id == m.ID {
			return nil // sent again while our answer was on its way
		}
		e.failPairing(a, ErrCancelled, wire.Bye) // it has begun anew
	case a.view.Stage == PairingAsked:
		a.id, a.commit = m.ID, commit
		return nil
	case e.self.ID.Less(p.id): // both ask, and the lower ID is the initiator; ours may have been refused before
		e.startPairing(a)
		return nil
	default:
		picked = true
	}
	if err := e.mayPair(p); err != nil || !picked && !e.mayAsk(p.id) { // guard: pairing-asked-often
		refuse(wire.Busy) // a wish of our own stays, and is repeated
		return nil
	}
	asking := 0
	for _, other := range e.peers {
		if other.pairing != nil && other.pairing.view.Stage == PairingAsked {
			asking++
		}
	}
	if asking >= maxPairingAsked && !picked { // guard: pairing-asked
		refuse(wire.Busy)
		return nil
	}
	a, err := e.newPairing(p, identity.Responder, m.ID)
	if err != nil {
		refuse(wire.Internal)
		return nil
	}
	a.commit = commit
	if picked {
		e.answerPairing(a)
		return nil
	}
	e.stagePairing(a, PairingAsked)
	return nil
}

func (e *Engine) takePairConfirm(a *pairing, m wire.PairConfirm) error {
	proof, _ := hex.DecodeString(m.Proof)
	if a.secret != nil { // the answer to our link
		if !a.sums.LinkProves(proof, a.secret, identity.Responder) {
			return e.foulPairing(a)
		}
		e.finishPairing(a)
		return nil
	}
	other := identity.Initiator
	if a.role == identity.Initiator {
		other = identity.Responder
	}
	if a.view.Stage != PairingCompare && a.view.Stage != PairingConfirmed || !a.sums.Confirms(proof, a.nonceI, a.nonceR, other, a.code) { // guard: pairing-confirm
		return e.foulPairing(a)
	}
	a.theirs = true
	if a.view.Stage == PairingConfirmed {
		e.finishPairing(a)
	}
	return nil
}

// pairingAgain is how often a peer is asked whose user has not opened the window yet.
const pairingAgain = 2 * time.Second

func (e *Engine) takePairCancel(p *peer, m wire.PairCancel) {
	a := p.pairing
	if a == nil || a.id != m.ID {
		return
	}
	if a.view.Stage == PairingWaiting && a.secret == nil && m.Code == wire.Unavailable {
		if a.again {
			return
		}
		a.again = true
		e.later(pairingAgain, func() {
			a.again = false
			if p.pairing == a && a.view.Stage == PairingWaiting {
				e.startPairing(a)
			}
		})
		return
	}
	err := m.Code.Err()
	if m.Code == wire.Bye {
		err = ErrCancelled
	}
	if a.secret != nil && (m.Code == wire.Unavailable || m.Code == wire.Declined) {
		err = fmt.Errorf("%w: the link was used or has expired; show a new one", ErrDeclined)
	}
	e.failPairing(a, err, wire.Bye)
}
