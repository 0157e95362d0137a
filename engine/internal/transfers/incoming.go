package transfers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
	"multipeer/transfer"
)

// The lifecycle of an accepted offer.

// continueOfferLocked handles a repeated offer of an accepted transfer; it returns false if the transfer cannot
// continue.
func (m *Manager) continueOfferLocked(t *item, l Link, msg wire.Offer) bool {
	switch t.view.State {
	case Delivered:
		l.Send(t.deliveredAnswerLocked(msg.Attempt))
		return true
	case Cancelled, Declined:
		return false
	case Failed:
		if !m.mayOpenLocked(t.view.Peer, l) { // guard: transfers-revived
			l.Send(wire.OfferAnswer{ID: msg.ID, Code: wire.Busy, Attempt: msg.Attempt})
			return true
		}
		if !m.launchLocked(t, (&receiver{m, t}).run) {
			return false
		}
		m.reviveLocked(t)
	}
	t.link = l
	t.attempt = msg.Attempt
	t.view.Keep = msg.Keep
	t.newest = msg
	if now().Sub(t.offered) > time.Hour { // not at each attempt: it costs a write to the disk
		defer m.saveSoonLocked(t)
	}
	t.offered = now()
	if t.paused { // it was paused while the sender was offline, or the two messages crossed
		l.Send(wire.OfferPause{ID: msg.ID})
		return true
	}
	if t.run != nil {
		t.run.stop(fmt.Errorf("%w: the sender started over", transfer.ErrInterrupted))
	}
	select {
	case <-t.start:
	default:
	}
	t.start <- attempt{l, msg.Attempt}
	return true
}

// receiver receives one accepted offer.
type receiver struct {
	m *Manager
	t *item
}

// run receives until the transfer has ended, or until the engine ends.
func (r *receiver) run(ctx context.Context) {
	m, t := r.m, r.t
	result, err := m.guarded(func() (transfer.Result, error) {
		if l, ok := r.link().(GatewayLink); ok {
			return r.takeFrom(ctx, l)
		}
		return r.take(ctx)
	})
	switch {
	case err == nil:
	case errors.Is(err, errMore) && ctx.Err() == nil:
		time.Sleep(attemptsEndSlowly)
		r.askForMore()
		return
	case ctx.Err() != nil && (mayRetry(err) || errors.Is(err, context.Cause(ctx))):
		if m.tasks.EndedBy(ctx) && !isGateway(r.link()) { // the next run of the program resumes it
			return
		}
		err = m.endedBy(ctx)
	default:
		m.sayFailed(t, err)
	}
	if errors.Is(err, wire.ErrCancelled) || errors.Is(err, transfer.ErrCancelled) {
		if discardErr := transfer.Discard(t.accept.Dir, string(t.view.ID)); discardErr != nil {
			m.log.Warn("removing what had arrived", "err", discardErr)
		}
	}
	if transfer.Violation(err) { // guard: asked-again
		m.mu.Lock()
		t.accepted = false
		m.mu.Unlock()
	}
	m.conclude(t, result, err)
	if err != nil {
		return
	}
	select {
	case a := <-t.start: // the sender has repeated the offer in the meantime
		m.mu.Lock()
		a.link.Send(t.deliveredAnswerLocked(a.n))
		m.mu.Unlock()
	default:
	}
	r.discardDelivered()
}

// link returns the link that carried the offer.
func (r *receiver) link() Link {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	return r.t.link
}

// deliveredAnswerLocked returns the answer to a repeated offer of a delivered transfer.
func (t *item) deliveredAnswerLocked(attempt int64) wire.OfferAnswer {
	v := t.view
	return wire.OfferAnswer{
		ID: string(v.ID), Code: wire.Delivered, Attempt: attempt,
		Done: &wire.OfferDone{Files: v.Files, Folders: v.Folders, Bytes: v.Bytes, LeftOut: v.LeftOut},
	}
}

// sayFailed sends the other side the reason why a transfer failed, unless it found the reason itself.
func (m *Manager) sayFailed(t *item, err error) {
	msg := wire.OfferCancel{ID: string(t.view.ID), Code: wire.CodeOf(err)}
	var f *transfer.Failure
	if errors.As(err, &f) {
		if f.Remote {
			return
		}
		msg.Path = f.Path
	}
	if msg.Reason = transfer.Reason(err); msg.Reason != 0 {
		msg.Code = wire.Failed
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sendToLocked(t.view.Peer, msg)
}

// askForMore asks the person again about an offer that delivers more than it announced; data that has arrived is kept
// until the answer. The sender repeats the offer by itself.
func (r *receiver) askForMore() {
	m, t := r.m, r.t
	m.mu.Lock()
	defer m.mu.Unlock()
	if t.view.State.Final() {
		return
	}
	t.accepted, t.cancel, t.asksAgain = false, nil, true
	m.happenedLocked(t, askedAgain, nil)
	m.saveSoonLocked(t)
	select {
	case <-t.start: // the sender repeated the offer while the attempt was ending
		if code, taken := m.askWithLocked(t, t.newest); !taken {
			r.refuseUnaskedLocked(code)
		}
	default:
		m.expireOfferLaterLocked(t)
	}
}

// refuseUnaskedLocked ends an offer about which no one can be asked.
func (r *receiver) refuseUnaskedLocked(code wire.Code) {
	m, t := r.m, r.t
	t.link.Send(wire.OfferAnswer{ID: string(t.view.ID), Code: code, Attempt: t.attempt})
	m.finishLocked(t, wire.ErrUnavailable)
	m.discardLocked(t)
}

// discardDelivered removes the remaining state of a delivered transfer, once its delivery is recorded on disk.
func (r *receiver) discardDelivered() {
	m, t := r.m, r.t
	if err := m.Flush(); err != nil {
		m.log.Error("keeping transfer", "err", err)
		return
	}
	if err := transfer.Discard(t.accept.Dir, string(t.view.ID)); err != nil {
		m.log.Warn("removing what is left of a transfer", "err", err)
	}
}

// take receives until the transfer is done or has to fail, with a new attempt each time the sender starts again.
func (r *receiver) take(ctx context.Context) (transfer.Result, error) {
	m, t := r.m, r.t
	if err := m.discarded(ctx, t.view.ID); err != nil {
		return transfer.Result{}, err
	}
	if err := r.awaitPace(ctx); err != nil {
		return transfer.Result{}, err
	}
	if result, ok := r.completeArrived(); ok {
		return result, nil
	}
	// Record the acceptance on disk before it is sent.
	if err := m.Flush(); err != nil {
		m.log.Error("keeping transfer", "err", err)
	}
	var last error
	for {
		if err := m.whilePaused(ctx, t); err != nil {
			return transfer.Result{}, err
		}
		if err := r.awaitPace(ctx); err != nil {
			return transfer.Result{}, err
		}
		a, err := r.awaitAttempt(ctx, last)
		if errors.Is(err, errPaused) {
			continue
		}
		if err != nil {
			return transfer.Result{}, err
		}
		ended := r.attemptBegins()
		result, err := r.receiveOnce(ctx, a)
		ended()
		switch {
		case err == nil:
			return result, nil
		case !mayRetry(err), errors.Is(err, errMore):
			return result, err
		case ctx.Err() != nil:
			return result, context.Cause(ctx)
		case errors.Is(err, errPaused):
			continue
		}
		last = err
		m.continueAfter(t, err, time.Time{})
	}
}

// shortestPause and longestPause bound the pause after an attempt that brought no data: a sender can start over, or let
// the transfer fail and offer it again, as often as it likes, and each attempt reads the journal. No pause follows an
// attempt that lasted longer than longAttempt: a bad link may break before it has brought anything new.
const (
	shortestPause = 200 * time.Millisecond
	longestPause  = 5 * time.Second
	longAttempt   = time.Second
)

// attemptBegins notes the start of an attempt; the caller must call ended after it.
func (r *receiver) attemptBegins() (ended func()) {
	m, t := r.m, r.t
	m.mu.Lock()
	defer m.mu.Unlock()
	before, began := t.view.Done, now()
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		t.lastAttempt = now()
		if t.view.Done > before || now().Sub(began) > longAttempt {
			t.pause = 0
		} else {
			t.pause = min(max(2*t.pause, shortestPause), longestPause)
		}
	}
}

// awaitPace waits until the next attempt may begin.
func (r *receiver) awaitPace(ctx context.Context) error {
	r.m.mu.Lock()
	wait := r.t.pause - now().Sub(r.t.lastAttempt)
	r.m.mu.Unlock()
	if wait > 0 { // guard: attempts-without-data
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// awaitAttempt waits for the sender to start or resume.
func (r *receiver) awaitAttempt(ctx context.Context, last error) (attempt, error) {
	m, t := r.m, r.t
	for wait := time.Second; ; wait = min(2*wait, 30*time.Second) {
		m.mu.Lock()
		if !t.view.Keep {
			wait = min(wait, max(patience-now().Sub(t.lastMove), 10*time.Millisecond))
		}
		m.mu.Unlock()
		timer := time.NewTimer(wait)
		select {
		case a := <-t.start:
			timer.Stop()
			return a, nil
		case <-t.wake:
			m.mu.Lock()
			paused := t.paused
			m.mu.Unlock()
			timer.Stop()
			if paused {
				return attempt{}, errPaused
			}
			continue
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return attempt{}, context.Cause(ctx)
		}
		m.mu.Lock()
		gone, keep, addrs := now().Sub(t.lastMove), t.view.Keep, t.addrs
		here := m.host.Current(t.view.Peer) != nil
		if gone >= stalledAfter {
			if last == nil {
				last = transport.ErrLost
			}
			m.happenedLocked(t, stalls, cause(last))
		}
		m.mu.Unlock()
		if !keep && gone >= patience || m.isIdle(t) { // guard: transfers-idle
			return attempt{}, fmt.Errorf("the sender is gone: %w", lostBy(last))
		}
		if !here {
			m.probe(ctx, t.view.Peer, addrs)
		}
	}
}

// How long an accepted transfer waits for a sender that does not come back, whatever the sender has asked for.
const (
	idleLimit          = 30 * 24 * time.Hour
	idleLimitStrangers = 24 * time.Hour
)

// isIdle reports whether the sender of an accepted transfer has been offline for so long that its slot is needed for
// other transfers. The acceptance stays on record for a while: a sender that comes back later can still continue.
func (m *Manager) isIdle(t *item) bool {
	limit := idleLimit
	if !m.profile.Knows(t.view.Peer) {
		limit = idleLimitStrangers
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return now().Sub(t.offered) >= limit
}

func (r *receiver) receiveOptions() transfer.ReceiveOptions {
	m, t := r.m, r.t
	m.mu.Lock()
	defer m.mu.Unlock()
	o := transfer.ReceiveOptions{
		Dir: t.accept.Dir, Place: t.accept.Place, ID: string(t.view.ID), Key: t.key(), Expect: t.view.Bytes, Entries: t.view.Files + t.view.Folders,
		Names: t.names, Items: t.view.Items, Reserve: t.accept.Reserve, Existing: t.accept.Existing,
		Copies: m.copies, Sender: t.view.Peer.String(), Reread: t.accept.Reread,
		KeepExec: t.accept.KeepExec, Links: t.accept.Links, Known: m.isOpen, Began: t.began, OnBegin: r.began,
	}
	if t.onDisk > 0 && t.onDisk < o.Expect {
		o.Expect = t.onDisk
	}
	if t.accept.Asks {
		o.Choose = r.choose
	}
	return o
}

// began stores in which folder the transfer has begun.
func (r *receiver) began(folder string) {
	m, t := r.m, r.t
	m.mu.Lock()
	defer m.mu.Unlock()
	t.began = folder
	m.saveSoonLocked(t)
}

// isOpen reports whether a transfer is known and has not ended.
func (m *Manager) isOpen(id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.transfers[ID(id)]
	return t != nil && !t.view.State.Final()
}

// choose asks the program, once per name, what to do about a name that is taken. Without an answer by the end of ctx, and
// for names that the program was not asked about before a restart, both entries are kept.
func (r *receiver) choose(ctx context.Context, name string) transfer.Existing {
	m, t := r.m, r.t
	m.mu.Lock()
	policy, known := t.chosen[name]
	if known || t.accept.Choose == nil {
		m.mu.Unlock()
		return policy
	}
	q, err := r.askLocked(name)
	m.mu.Unlock()
	if err != nil {
		return transfer.KeepBoth
	}
	select {
	case <-q.answered:
	case <-ctx.Done():
		return transfer.KeepBoth
	}
	if q.panicked != nil {
		panic(q.panicked) // both entries are kept
	}
	return q.policy
}

// question asks what to do about a name that is taken. A person may take longer to answer than an attempt lasts, and is
// asked only once.
type question struct {
	answered chan struct{} // closed when the fields below are set
	policy   transfer.Existing
	panicked any
}

// askLocked returns the question about a name. It calls the program's function unless that is running already.
func (r *receiver) askLocked(name string) (*question, error) {
	m, t := r.m, r.t
	if q := t.questions[name]; q != nil { // guard: asked-once
		return q, nil
	}
	q := &question{answered: make(chan struct{})}
	ask, answers := t.accept.Choose, t.answers
	started := m.calls.Start(func(context.Context) {
		defer func() {
			q.panicked = recover()
			m.mu.Lock()
			defer m.mu.Unlock()
			if t.answers == answers { // otherwise, the offer was accepted again in the meantime
				delete(t.questions, name)
				if q.panicked == nil {
					r.choseLocked(name, q.policy)
				}
			}
			close(q.answered)
		}()
		q.policy = ask(name)
	})
	if !started {
		return nil, wire.ErrClosed
	}
	if t.questions == nil {
		t.questions = map[string]*question{}
	}
	t.questions[name] = q
	return q, nil
}

const (
	// saveChosenAfter is how long answers wait to be stored together.
	saveChosenAfter = time.Second
	// maxChosenStored limits how many are stored: a peer can cause many changes of a transfer, and each stores all of them.
	maxChosenStored = 1000
)

// choseLocked records an answer, and stores it soon.
func (r *receiver) choseLocked(name string, policy transfer.Existing) {
	m, t := r.m, r.t
	if t.chosen == nil {
		t.chosen = map[string]transfer.Existing{}
	}
	t.chosen[name] = policy
	if len(t.chosenStored) >= maxChosenStored { // guard: chosen-stored
		return
	}
	if t.chosenStored == nil {
		t.chosenStored = map[string]transfer.Existing{}
	}
	t.chosenStored[name] = policy
	if t.savesChosen {
		return
	}
	t.savesChosen = m.tasks.Start(func(ctx context.Context) {
		timer := time.NewTimer(saveChosenAfter)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		t.savesChosen = false
		if !t.view.State.Final() {
			m.saveSoonLocked(t)
		}
	})
}

// receiveOnce makes one attempt to receive.
func (r *receiver) receiveOnce(ctx context.Context, a attempt) (transfer.Result, error) {
	m, t := r.m, r.t
	o := r.receiveOptions()
	o.OnProgress, o.Limit = m.track(t), m.within(t)
	run := m.newRun(ctx, t, a.link, a.n)
	defer run.end()
	at := listensAt(a.link)
	m.mu.Lock()
	t.sawPeerAtLocked(at)
	a.link.Send(wire.OfferAnswer{ID: string(t.view.ID), Accept: true, Attempt: a.n})
	m.mu.Unlock()
	result, err := transfer.Receive(run.ctx, run.lanes, o)
	m.mu.Lock()
	t.offered = now() // an attempt may take days, and the sender was present
	m.mu.Unlock()
	return result, run.reason(err)
}
