package pairing

import (
	"encoding/hex"
	"fmt"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/wire"
)

// A link, which may be shown as a QR code, verifies in one step: a peer that knows its secret must have been shown the
// link.

// Secret opens the pairing window and returns the secret for a link; nil if the engine is not running.
func (m *Manager) Secret() []byte {
	m.mu.Lock()
	defer m.unlock()
	m.openLocked()
	return m.secret
}

// ProveLink sends a peer, over its current connection, the proof that we were given its link. answer, which must have a
// buffer of one, receives the result.
func (m *Manager) ProveLink(p Peer, secret []byte, answer chan error) error {
	m.mu.Lock()
	defer m.unlock()
	if p.Link = m.host.Current(p.ID); p.Link == nil {
		return wire.ErrNotConnected
	}
	if m.attempts[p.ID] != nil {
		return fmt.Errorf("%w: a pairing with this device is in progress", wire.ErrBusy)
	}
	a, err := m.newAttemptLocked(p, identity.Initiator, hex.EncodeToString(random(16)))
	if err != nil {
		return err
	}
	a.secret, a.answer = secret, answer
	a.view.Until = now().Add(LinkTimeout)
	m.stageLocked(a, Waiting)
	p.Link.Send(wire.PairLink{ID: a.id, Proof: hex.EncodeToString(a.sums.LinkProof(secret, identity.Initiator))})
	return nil
}

// takeLinkLocked verifies a peer that has the secret of the link that we show. A secret is valid once.
func (m *Manager) takeLinkLocked(p Peer, msg wire.PairLink) error {
	refuse := func(c wire.Code) error {
		p.Link.Send(wire.PairCancel{ID: msg.ID, Code: c})
		return nil
	}
	a := m.attempts[p.ID]
	switch {
	case !m.isOpenLocked() || m.secret == nil:
		return refuse(wire.Unavailable)
	case a != nil && a.counts:
		return refuse(wire.Busy)
	}
	if a != nil {
		m.failLocked(a, wire.ErrCancelled, wire.Cancelled)
	}
	a, err := m.newAttemptLocked(p, identity.Responder, msg.ID)
	if err != nil {
		return refuse(wire.Internal)
	}
	proof, _ := hex.DecodeString(msg.Proof)
	if !a.sums.LinkProves(proof, m.secret, identity.Initiator) { // guard: link-proof
		// This does not count as a failure: no user has asked for it, and a secret of 16 bytes cannot be guessed.
		delete(m.attempts, p.ID)
		return refuse(wire.Declined)
	}
	p.Link.Send(wire.PairConfirm{ID: msg.ID, Proof: hex.EncodeToString(a.sums.LinkProof(m.secret, identity.Responder))})
	m.secret = nil
	m.finishLocked(a)
	return nil
}
