package pairing

import (
	"encoding/hex"
	"fmt"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/wire"
)

// The messages of a pairing. Each is checked against the stages in which it may arrive.

// Take handles a message of pairing. An error closes the connection with its code.
func (m *Manager) Take(p Peer, msg wire.Message) error {
	m.mu.Lock()
	defer m.unlock()
	if m.host.Current(p.ID) != p.Link {
		return nil
	}
	return m.takeLocked(p, msg)
}

func (m *Manager) takeLocked(p Peer, msg wire.Message) error {
	switch msg := msg.(type) {
	case wire.PairStart:
		return m.takeStartLocked(p, msg)
	case wire.PairLink:
		return m.takeLinkLocked(p, msg)
	case wire.PairCancel:
		m.takeCancelLocked(p, msg)
		return nil
	}
	a := m.attempts[p.ID]
	if a == nil {
		return nil // it has ended here, and the other side will be notified
	}
	switch msg := msg.(type) {
	case wire.PairNonce:
		if a.id != msg.ID {
			return nil
		}
		if a.role != identity.Initiator || a.view.Stage != Waiting || a.secret != nil {
			return m.foulLocked(a)
		}
		if err := m.mayPairLocked(p); err != nil {
			m.failLocked(a, err, wire.Busy)
			return nil
		}
		a.nonceR, _ = hex.DecodeString(msg.Nonce) // checked by package wire
		m.armLocked(a)
		p.Link.Send(wire.PairReveal{ID: a.id, Nonce: hex.EncodeToString(a.nonceI)})
		m.compareLocked(a)
	case wire.PairReveal:
		if a.id != msg.ID {
			return nil
		}
		nonce, _ := hex.DecodeString(msg.Nonce)
		if a.role != identity.Responder || a.view.Stage != Started || !a.sums.Opens(a.commit, nonce) { // guard: pairing-commitment
			return m.foulLocked(a)
		}
		a.nonceI = nonce
		m.compareLocked(a)
	case wire.PairConfirm:
		if a.id != msg.ID {
			return nil
		}
		return m.takeConfirmLocked(a, msg)
	}
	return nil
}

// foulLocked ends an attempt and the connection of a peer that violates the protocol.
func (m *Manager) foulLocked(a *attempt) error {
	m.failLocked(a, wire.ErrProtocol, wire.Protocol)
	return wire.ErrProtocol
}

func (m *Manager) takeStartLocked(p Peer, msg wire.PairStart) error {
	refuse := func(c wire.Code) { p.Link.Send(wire.PairCancel{ID: msg.ID, Code: c}) }
	commit, _ := hex.DecodeString(msg.Commit)
	a := m.attempts[p.ID]
	if !m.isOpenLocked() { // guard: pairing-window
		refuse(wire.Unavailable)
		return nil
	}
	picked := false
	switch {
	case a == nil:
	case a.answer != nil, a.counts:
		if a.id == msg.ID {
			return nil // repeated while our answer was in transit
		}
		m.failLocked(a, wire.ErrCancelled, wire.Bye) // the peer has started over
	case a.view.Stage == Asked:
		a.id, a.commit = msg.ID, commit
		return nil
	// Both sides have asked, and the lower ID is the initiator; our request may have been refused before.
	case m.self.Less(p.ID):
		m.sendStartLocked(a)
		return nil
	default:
		picked = true
	}
	if err := m.mayPairLocked(p); err != nil || !picked && !m.mayAskLocked(p) {
		refuse(wire.Busy) // our own request stays, and is repeated
		return nil
	}
	a, err := m.newAttemptLocked(p, identity.Responder, msg.ID)
	if err != nil {
		refuse(wire.Internal)
		return nil
	}
	a.commit = commit
	if picked {
		m.answerLocked(a)
		return nil
	}
	m.stageLocked(a, Asked)
	return nil
}

func (m *Manager) takeConfirmLocked(a *attempt, msg wire.PairConfirm) error {
	proof, _ := hex.DecodeString(msg.Proof)
	if a.secret != nil { // this answers our link
		if !a.sums.LinkProves(proof, a.secret, identity.Responder) {
			return m.foulLocked(a)
		}
		m.finishLocked(a)
		return nil
	}
	other := identity.Initiator
	if a.role == identity.Initiator {
		other = identity.Responder
	}
	if a.view.Stage != Compare && a.view.Stage != Confirmed || !a.sums.Confirms(proof, a.nonceI, a.nonceR, other, a.code) { // guard: pairing-confirm
		return m.foulLocked(a)
	}
	a.theirs = true
	if a.view.Stage == Confirmed {
		m.finishLocked(a)
	}
	return nil
}

// requestAgain is the interval between requests to a peer whose user has not opened the pairing window yet.
const requestAgain = 2 * time.Second

func (m *Manager) takeCancelLocked(p Peer, msg wire.PairCancel) {
	a := m.attempts[p.ID]
	if a == nil || a.id != msg.ID {
		return
	}
	if a.view.Stage == Waiting && a.secret == nil && msg.Code == wire.Unavailable {
		if a.again {
			return
		}
		a.again = true
		m.afterFuncLocked(requestAgain, func() {
			a.again = false
			if m.attempts[p.ID] == a && a.view.Stage == Waiting {
				m.sendStartLocked(a)
			}
		})
		return
	}
	err := msg.Code.Err()
	if msg.Code == wire.Bye {
		err = wire.ErrCancelled
	}
	if a.secret != nil && (msg.Code == wire.Unavailable || msg.Code == wire.Declined) {
		err = fmt.Errorf("%w: the link has already been used or has expired; get a new one from the other device", wire.ErrDeclined)
	}
	m.failLocked(a, err, wire.Bye)
}
