package pairing

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"slices"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/wire"
)

// attempt is one pairing with a peer.
type attempt struct {
	id     string
	peer   Peer
	began  time.Time
	role   identity.Role
	view   View
	sums   identity.Pairing
	commit []byte // the initiator's commitment, on the responder's side
	nonceI []byte
	nonceR []byte
	code   string
	counts bool       // a code may be known: unless both confirm, the attempt counts as a failure
	theirs bool       // the other side has confirmed
	secret []byte     // the secret of a link that we were given
	again  bool       // another request is scheduled
	answer chan error // receives the result for OpenLink
}

// codeSpace is the number of possible codes; tests reduce it.
var codeSpace uint64 = identity.CodeSpace

// newAttemptLocked begins an attempt.
func (m *Manager) newAttemptLocked(p Peer, role identity.Role, id string) (*attempt, error) {
	binding, err := p.Link.Binding()
	if err != nil {
		return nil, fmt.Errorf("pairing: %w", err)
	}
	a := &attempt{id: id, peer: p, began: now(), role: role}
	a.sums = identity.Pairing{Initiator: m.self, Responder: p.ID, Binding: binding}
	if role == identity.Responder {
		a.sums.Initiator, a.sums.Responder = p.ID, m.self
	}
	a.view = View{Peer: p.ID, Name: p.Name, Until: m.until}
	m.attempts[p.ID] = a
	return a, nil
}

// pairLocked handles our user's choice to pair with p.
func (m *Manager) pairLocked(p Peer) error {
	if err := m.mayPairLocked(p); err != nil {
		return err
	}
	if !m.isOpenLocked() {
		m.openLocked()
	}
	if a := m.attempts[p.ID]; a != nil {
		if a.view.Stage == Asked {
			m.answerLocked(a)
		}
		return nil
	}
	a, err := m.newAttemptLocked(p, identity.Initiator, hex.EncodeToString(random(16)))
	if err != nil {
		return err
	}
	a.nonceI = random(identity.NonceSize)
	m.stageLocked(a, Waiting)
	m.sendStartLocked(a)
	return nil
}

// sendStartLocked sends the commitment.
func (m *Manager) sendStartLocked(a *attempt) {
	a.peer.Link.Send(wire.PairStart{ID: a.id, Commit: hex.EncodeToString(a.sums.Commit(a.nonceI))})
}

// answerLocked answers for the responder, once its user has picked the initiator.
func (m *Manager) answerLocked(a *attempt) {
	a.nonceR = random(identity.NonceSize)
	m.armLocked(a)
	m.stageLocked(a, Started)
	a.peer.Link.Send(wire.PairNonce{ID: a.id, Nonce: hex.EncodeToString(a.nonceR)})
}

// armLocked makes the attempt count as a failure unless it succeeds, and starts its timeout.
func (m *Manager) armLocked(a *attempt) {
	a.counts = true
	m.triesOfLocked(a.peer.ID).n++
	a.view.Until = now().Add(Timeout)
	m.afterFuncLocked(Timeout, func() {
		if m.attempts[a.peer.ID] == a {
			m.failLocked(a, wire.ErrTimeout, wire.Timeout)
		}
	})
}

// stageLocked changes and publishes the stage of a.
func (m *Manager) stageLocked(a *attempt, s Stage) {
	a.view.Stage = s
	m.host.Publish(a.view)
}

// compareLocked computes the codes and publishes them for display.
func (m *Manager) compareLocked(a *attempt) {
	a.code = a.sums.CodeOf(a.nonceI, a.nonceR, codeSpace)
	if a.role == identity.Initiator {
		a.view.Code = spaced(a.code)
	} else {
		choices := []string{a.code}
		for len(choices) < 3 {
			if c := fmt.Sprintf("%0*d", identity.CodeDigits, mrand.Uint64N(codeSpace)); !slices.Contains(choices, c) {
				choices = append(choices, c)
			}
		}
		mrand.Shuffle(len(choices), func(i, j int) { choices[i], choices[j] = choices[j], choices[i] })
		for _, c := range choices {
			a.view.Choices = append(a.view.Choices, spaced(c))
		}
	}
	m.stageLocked(a, Compare)
}

func spaced(code string) string { return code[:3] + " " + code[3:] }

// confirmLocked handles our user's confirmation.
func (m *Manager) confirmLocked(a *attempt) {
	a.peer.Link.Send(wire.PairConfirm{ID: a.id, Proof: hex.EncodeToString(a.sums.Confirm(a.nonceI, a.nonceR, a.role, a.code))})
	m.stageLocked(a, Confirmed)
	if a.theirs {
		m.finishLocked(a)
	}
}

// finishLocked stores the peer as verified once both sides have confirmed.
func (m *Manager) finishLocked(a *attempt) {
	delete(m.attempts, a.peer.ID)
	started := m.tasks.Start(func(context.Context) { // the disk may be slow, and no caller waits for it
		err := m.verify(a.peer.ID, a.view.Name)
		if err == nil {
			m.host.Verified(a.peer.ID)
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		a.view.Code, a.view.Choices = "", nil
		a.view.Err = err
		if err != nil {
			m.stageLocked(a, Failed)
		} else {
			m.stageLocked(a, Done)
			m.log.Info("paired", "peer", a.peer.ID.Short())
		}
		a.settle(err)
	})
	if !started {
		a.settle(wire.ErrClosed)
	}
}

// verify records that a peer is verified, unless the user has since blocked it. shown is the name under which the user
// saw the peer, which may have changed since.
func (m *Manager) verify(id identity.PeerID, shown string) error {
	taken := !m.profile.Impersonated(id, shown).IsZero()
	var refused error
	err := m.profile.Update(id, func(r *identity.Record) {
		refused = nil
		if r.Trust == identity.Blocked {
			refused = wire.ErrBlocked
			return
		}
		r.Trust = identity.Verified
		if r.Name == "" || !taken { // another peer's name does not overwrite this peer's own
			r.Name = shown
		}
	})
	return errors.Join(err, refused)
}

// settle passes the result to the caller that waits for it.
func (a *attempt) settle(err error) {
	if a.answer != nil {
		a.answer <- err
		a.answer = nil
	}
}

// failLocked ends an attempt, and sends the reason to the other side unless code is Bye.
func (m *Manager) failLocked(a *attempt, err error, code wire.Code) {
	if m.attempts[a.peer.ID] != a {
		return
	}
	delete(m.attempts, a.peer.ID)
	if code != wire.Bye {
		a.peer.Link.Send(wire.PairCancel{ID: a.id, Code: code})
	}
	a.view.Err, a.view.Code, a.view.Choices = err, "", nil
	m.stageLocked(a, Failed)
	a.settle(err)
	m.log.Info("pairing failed", "peer", a.peer.ID.Short(), "err", err)
	if errors.Is(err, wire.ErrMismatch) && a.counts {
		m.triesOfLocked(a.peer.ID).pause = now().Add(mismatchPause)
	}
	if a.counts {
		m.countFailureLocked()
	}
}
