package engine

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"slices"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/wire"
)

// pairingState is what all pairings share. It is guarded by Engine.mu.
type pairingState struct {
	until    time.Time // when the window closes; zero if it is closed
	failures int
	secret   []byte // of the link; nil once it is spent
	opened   int    // counts the windows
	today    map[PeerID]*tries
}

// tries counts the attempts with one key.
type tries struct {
	since time.Time
	n     int
	pause time.Time // nothing before
}

// pairing is one attempt, hanging on its peer. It is guarded by Engine.mu.
type pairing struct {
	id     string
	p      *peer
	l      *link
	role   identity.Role
	view   Pairing
	sums   identity.Pairing
	commit []byte // the initiator's, at the responder
	nonceI []byte
	nonceR []byte
	code   string
	counts bool       // a code could be known: whatever ends it without both yes is a failure
	theirs bool       // the other side's yes is in
	secret []byte     // of a link that we were given
	again  bool       // it is about to be asked for again
	answer chan error // for who opens it
}

// pairingSpace is how many codes there are; tests cut it.
var pairingSpace uint64 = identity.CodeSpace

// openPairing opens the window anew. Call with Engine.mu held.
func (e *Engine) openPairing() time.Time {
	s := &e.pair
	if e.ctx == nil || e.ctx.Err() != nil { // nothing would close it
		return time.Time{}
	}
	if !e.pairingOpen() || s.secret == nil { // a new window, or the link was used
		s.secret = random(identity.SecretSize)
	}
	s.until, s.failures = now().Add(PairingWindow), 0
	s.opened++
	opened := s.opened
	e.later(PairingWindow, func() {
		if e.pair.opened == opened {
			e.closePairing(ErrTimeout)
		}
	})
	e.self.PairingUntil = s.until
	for _, p := range e.peers { // strangers may see us now
		p.retry = true
		p.poke()
	}
	e.publish(SelfChanged{e.selfView()})
	return s.until
}

// closePairing closes it, and ends what has no code yet. Call with Engine.mu held.
func (e *Engine) closePairing(why error) {
	s := &e.pair
	if s.until.IsZero() {
		return
	}
	s.until, s.secret = time.Time{}, nil
	s.opened++
	for _, p := range e.peers {
		if a := p.pairing; a != nil && !a.counts && a.answer == nil {
			e.failPairing(a, why, wire.Unavailable)
		}
	}
	e.leaveStrangers()
	e.self.PairingUntil = time.Time{}
	e.publish(SelfChanged{e.selfView()})
}

// pairingOpen tells whether the window is open. Call with Engine.mu held.
func (e *Engine) pairingOpen() bool { return now().Before(e.pair.until) }

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// mayPair tells whether an attempt with p may go as far as a code. Call with Engine.mu held.
func (e *Engine) mayPair(p *peer) error {
	for _, other := range e.peers {
		if other != p && other.pairing != nil && other.pairing.counts {
			return fmt.Errorf("%w: codes are being compared with %q", ErrBusy, other.name)
		}
	}
	switch t := e.pair.today[p.id]; {
	case t == nil:
	case now().Before(t.pause): // guard: pairing-mismatch
		return fmt.Errorf("%w: codes did not match; try again in %v", ErrMismatch, t.pause.Sub(now()).Round(time.Minute))
	case t.n >= maxPairingsADay && now().Sub(t.since) < 24*time.Hour: // guard: pairings-a-day
		return fmt.Errorf("%w: %d pairings with this peer today", ErrBusy, maxPairingsADay)
	}
	return nil
}

// triesOf finds the count of a peer. Call with Engine.mu held.
func (e *Engine) triesOf(id PeerID) *tries {
	s := &e.pair
	if s.today == nil {
		s.today = map[PeerID]*tries{}
	}
	t := s.today[id]
	if t == nil || now().Sub(t.since) >= 24*time.Hour && now().After(t.pause) {
		t = &tries{since: now()}
		s.today[id] = t
	}
	return t
}

// pairingOf finds the pairing with a peer. Call with Engine.mu held.
func (e *Engine) pairingOf(id PeerID) *pairing {
	if p := e.peers[id]; p != nil {
		return p.pairing
	}
	return nil
}

// pairings lists those under way. Call with Engine.mu held.
func (e *Engine) pairings() []Pairing {
	var out []Pairing
	for _, p := range e.peers {
		if p.pairing != nil {
			out = append(out, p.pairing.view)
		}
	}
	slices.SortFunc(out, func(a, b Pairing) int { return cmp.Or(cmp.Compare(a.Name, b.Name), a.Peer.Compare(b.Peer)) })
	return out
}

// newPairing begins an attempt over the live conn of p. Call with Engine.mu held.
func (e *Engine) newPairing(p *peer, role identity.Role, id string) (*pairing, error) {
	a := &pairing{id: id, p: p, l: p.link, role: role}
	binding, err := p.link.conn.Binding()
	if err != nil {
		return nil, fmt.Errorf("pairing: %w", err)
	}
	a.sums = identity.Pairing{Initiator: e.self.ID, Responder: p.id, Binding: binding}
	if role == identity.Responder {
		a.sums.Initiator, a.sums.Responder = p.id, e.self.ID
	}
	a.view = Pairing{Peer: p.id, Name: p.name, Until: e.pair.until}
	p.pairing = a
	return a, nil
}

// pairWith is the user's wish to pair with p. Call with Engine.mu held.
func (e *Engine) pairWith(p *peer) error {
	if err := e.mayPair(p); err != nil {
		return err
	}
	if !e.pairingOpen() {
		e.openPairing()
	}
	if a := p.pairing; a != nil {
		if a.view.Stage == PairingAsked {
			e.answerPairing(a)
		}
		return nil
	}
	a, err := e.newPairing(p, identity.Initiator, newID())
	if err != nil {
		return err
	}
	a.nonceI = random(identity.NonceSize)
	e.stagePairing(a, PairingWaiting)
	e.startPairing(a)
	return nil
}

// startPairing sends the commitment.
func (e *Engine) startPairing(a *pairing) {
	a.l.send(wire.PairStart{ID: a.id, Commit: hex.EncodeToString(a.sums.Commit(a.nonceI))})
}

// answerPairing is the responder's half, once its user has picked the initiator. Call with Engine.mu held.
func (e *Engine) answerPairing(a *pairing) {
	a.nonceR = random(identity.NonceSize)
	e.armPairing(a)
	e.stagePairing(a, PairingStarted)
	a.l.send(wire.PairNonce{ID: a.id, Nonce: hex.EncodeToString(a.nonceR)})
}

// armPairing makes the attempt count, and bounds it. Call with Engine.mu held.
func (e *Engine) armPairing(a *pairing) {
	a.counts = true
	e.triesOf(a.p.id).n++
	a.view.Until = now().Add(PairingTimeout)
	e.later(PairingTimeout, func() {
		if a.p.pairing == a {
			e.failPairing(a, ErrTimeout, wire.Timeout)
		}
	})
}

func (e *Engine) stagePairing(a *pairing, s PairingStage) {
	a.view.Stage = s
	e.publish(PairingChanged{a.view})
}

// comparePairing puts the codes on the screens. Call with Engine.mu held.
func (e *Engine) comparePairing(a *pairing) {
	a.code = a.sums.CodeOf(a.nonceI, a.nonceR, pairingSpace)
	if a.role == identity.Initiator {
		a.view.Code = spaced(a.code)
	} else {
		choices := []string{a.code}
		for len(choices) < 3 {
			if c := fmt.Sprintf("%0*d", identity.CodeDigits, mrand.Uint64N(pairingSpace)); !slices.Contains(choices, c) {
				choices = append(choices, c)
			}
		}
		mrand.Shuffle(len(choices), func(i, j int) { choices[i], choices[j] = choices[j], choices[i] })
		for _, c := range choices {
			a.view.Choices = append(a.view.Choices, spaced(c))
		}
	}
	e.stagePairing(a, PairingCompare)
}

func spaced(code string) string { return code[:3] + " " + code[3:] }

// confirmPairing is our user's yes. Call with Engine.mu held.
func (e *Engine) confirmPairing(a *pairing) error {
	a.l.send(wire.PairConfirm{ID: a.id, Proof: hex.EncodeToString(a.sums.Confirm(a.nonceI, a.nonceR, a.role, a.code))})
	e.stagePairing(a, PairingConfirmed)
	if a.theirs {
		e.finishPairing(a)
	}
	return nil
}

// finishPairing keeps the trust that both have now. Call with Engine.mu held.
func (e *Engine) finishPairing(a *pairing) {
	a.p.pairing = nil
	started := e.start(func(context.Context) { // the disk may be slow, and nothing here waits for it
		err := e.verified(a.p)
		e.mu.Lock()
		defer e.mu.Unlock()
		a.view.Code, a.view.Choices = "", nil
		if a.view.Err = err; err != nil {
			e.stagePairing(a, PairingFailed)
		} else {
			e.stagePairing(a, PairingDone)
			e.log.Info("paired", "peer", a.p.id.Short())
		}
		a.tell(err)
	})
	if !started {
		a.tell(ErrClosed)
	}
}

// verified keeps that p is, unless the user has blocked it meanwhile.
func (e *Engine) verified(p *peer) error {
	e.mu.Lock()
	name := p.name
	e.mu.Unlock()
	var refused error
	err := e.profile.Update(p.id, func(r *identity.Record) {
		if refused = nil; r.Trust == identity.Blocked {
			refused = ErrBlocked
			return
		}
		r.Trust, r.Name = identity.Verified, name
	})
	if err != nil || refused != nil {
		return errors.Join(err, refused)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.changed(p)
	return nil
}

func (a *pairing) tell(err error) {
	if a.answer != nil {
		a.answer <- err
		a.answer = nil
	}
}

// failPairing ends an attempt, and tells the other side why unless it has told us. Call with Engine.mu held.
func (e *Engine) failPairing(a *pairing, err error, code wire.Code) {
	if a.p.pairing != a {
		return
	}
	a.p.pairing = nil
	if code != wire.Bye {
		a.l.send(wire.PairCancel{ID: a.id, Code: code})
	}
	a.view.Err, a.view.Code, a.view.Choices = err, "", nil
	e.stagePairing(a, PairingFailed)
	a.tell(err)
	e.log.Info("pairing failed", "peer", a.p.id.Short(), "err", err)
	if errors.Is(err, ErrMismatch) && a.counts {
		e.triesOf(a.p.id).pause = now().Add(mismatchPause)
	}
	if a.counts {
		e.countFailure()
	}
}

// countFailure closes the window after too many. Call with Engine.mu held.
func (e *Engine) countFailure() {
	e.pair.failures++
	if e.pair.failures >= MaxPairingFailures { // guard: pairing-failures
		e.closePairing(fmt.Errorf("%w: %d pairings have failed", ErrCancelled, MaxPairingFailures))
	}
}

// dropPairing ends a pairing whose conn is gone. Call with Engine.mu held.
func (e *Engine) dropPairing(p *peer, err error) {
	if p.pairing != nil {
		e.failPairing(p.pairing, err, wire.Bye)
	}
}
