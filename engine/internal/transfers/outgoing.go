package transfers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
	"multipeer/transfer"
)

const (
	// countWait is how long an offer waits for the totals of a folder, updateEvery how often the totals are updated.
	countWait   = 300 * time.Millisecond
	updateEvery = 500 * time.Millisecond
	// patience is how long a transfer without Keep lives without its peer. Together with the time until the loss is
	// noticed it is less than 30 s.
	patience = 25 * time.Second
	// stalledAfter is how long no byte is acknowledged before the transfer counts as stalled, lostAfter before its
	// lanes are opened again.
	stalledAfter = 5 * time.Second
	lostAfter    = time.Minute
	// finishWithin is how long a receiver may take to make durable what has arrived. It writes to the disk throughout the
	// transfer, so little is left to write at the end.
	finishWithin = 30 * time.Minute
	// maxStalledAttempts is how many consecutive attempts without progress, each over a live connection, fail the
	// transfer.
	maxStalledAttempts = 5
	// probeFor limits a dial to the last addresses of a peer that discovery does not find.
	probeFor = 2 * time.Second
	// leastAdvance is how many bytes an attempt has to bring, so that the next one begins soon.
	leastAdvance = 64 << 10
	retryFirst   = 200 * time.Millisecond
	retryMost    = 5 * time.Second
)

// mayRetry reports whether another attempt may succeed after err.
func mayRetry(err error) bool {
	return transfer.Passing(err) || errors.Is(err, transport.ErrLost) || errors.Is(err, wire.ErrTimeout)
}

// endedBy returns the reason for the end of a transfer's own context.
func (m *Manager) endedBy(ctx context.Context) error {
	if m.tasks.EndedBy(ctx) {
		return fmt.Errorf("%w: the program ended", wire.ErrCancelled)
	}
	return context.Cause(ctx)
}

// sender sends one offer, and what was offered once it is accepted.
type sender struct {
	m *Manager
	t *item
}

// run offers and sends until the transfer has ended, or until the engine ends.
func (s *sender) run(ctx context.Context) {
	m, t := s.m, s.t
	counter, stopCounting := context.WithCancel(ctx)
	var counting sync.WaitGroup
	result, err := m.guarded(func() (transfer.Result, error) { return s.deliver(ctx, counter, &counting) })
	stopCounting()
	counting.Wait()
	switch {
	case err == nil:
	case ctx.Err() != nil && (mayRetry(err) || errors.Is(err, context.Cause(ctx))):
		if m.tasks.EndedBy(ctx) && t.view.Keep { // the outbox keeps it
			return
		}
		err = m.endedBy(ctx)
	case s.isAccepted(): // the other side waits for it
		m.sayFailed(t, err)
	}
	m.conclude(t, result, err)
}

// deliver offers, and sends once accepted, repeatedly until the transfer is done or has to fail.
func (s *sender) deliver(ctx, counter context.Context, counting *sync.WaitGroup) (transfer.Result, error) {
	m, t := s.m, s.t
	var none transfer.Result
	stalled, pause := 0, retryFirst
	began := now()
	if err := s.list(); err != nil {
		return none, err
	}
	counted := s.countFolders(counter, counting)
	for {
		if err := m.whilePaused(ctx, t); err != nil {
			return none, err
		}
		l, err := s.awaitPeer(ctx)
		if errors.Is(err, errPaused) {
			continue
		}
		if err != nil {
			return none, err
		}
		select {
		case <-counted:
		case <-time.After(countWait):
		case <-ctx.Done():
			return none, context.Cause(ctx)
		}
		done := s.begin()
		result, err := s.attempt(ctx, l)
		if err == nil || isGateway(l) && s.isAccepted() {
			return result, err
		}
		if s.advanced(done) {
			stalled, pause = 0, retryFirst
		}
		switch {
		case ctx.Err() != nil && mayRetry(err):
			return result, context.Cause(ctx)
		case ctx.Err() != nil:
			return result, err
		case errors.Is(err, errPaused):
			continue
		case s.mayComeBack(err): // its program runs but does not accept offers at the moment
			stalled = 0
		case !mayRetry(err):
			return result, err
		}
		offered := began
		if isGateway(l) { // without Keep, a busy one is the business of the program
			offered = time.Time{}
		}
		if !m.continueAfter(t, err, offered) {
			return result, err
		}
		if l.Err() == nil {
			stalled++
			if stalled >= maxStalledAttempts && !transfer.WaitsForDisk(err) {
				return result, err
			}
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return none, context.Cause(ctx)
		}
		pause = min(2*pause, retryMost)
	}
}

// attempt offers once, and sends if that is accepted.
func (s *sender) attempt(ctx context.Context, l Link) (transfer.Result, error) {
	if g, ok := l.(GatewayLink); ok {
		return s.deliverBy(ctx, g)
	}
	n, err := s.propose(ctx, l)
	var before *deliveredBefore
	if errors.As(err, &before) {
		if err := s.checkDelivered(ctx); err != nil {
			return transfer.Result{}, err
		}
		return before.result(), nil
	}
	if err != nil {
		return transfer.Result{}, err
	}
	return s.sendOnce(ctx, l, n)
}

// errEarlierVersion reports that the receiver has what an earlier attempt has sent, and not what a retry offers.
var errEarlierVersion = wire.Reword("the other device has received the files as they were before they changed; send them again", transfer.ErrChanged)

// checkDelivered returns errEarlierVersion if the receiver has everything that an earlier attempt has sent, but that is no
// longer what the paths hold.
func (s *sender) checkDelivered(ctx context.Context) error {
	changed, err := s.hasChanged(ctx)
	switch {
	case err != nil:
		return err
	case changed: // guard: retry-changed
		return errEarlierVersion
	}
	return nil
}

// hasChanged reports whether the paths hold anything other than what an earlier attempt has sent. If
// the files are all gone, it returns false: there is nothing newer to send.
func (s *sender) hasChanged(ctx context.Context) (bool, error) {
	m, t := s.m, s.t
	m.mu.Lock()
	paths, opts := t.paths, t.opts.listing()
	earlier := transfer.Earlier{Resolved: t.resolved, Folders: true}
	sent := t.sentState
	m.mu.Unlock()
	now, err := transfer.Relist(paths, earlier, opts)
	if err != nil {
		return false, err
	}
	found, err := now.Fill(ctx, nil)
	if err != nil {
		return false, err
	}
	state, err := now.State(ctx)
	return state != sent && found.Totals != (transfer.Totals{}), err
}

// begin begins an attempt, and returns how much has arrived before.
func (s *sender) begin() (done int64) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.t.taken = 0
	return s.t.view.Done
}

// advanced reports whether an attempt that began with done has brought the transfer forward. What the receiver reports
// counts only together with data that it has taken, or if it is much: it may already have files.
func (s *sender) advanced(done int64) bool {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	grown := s.t.view.Done - done
	if s.t.taken < leastAdvance && grown < max(leastAdvance, s.t.view.Bytes/1000) { // guard: progress-faked
		return false
	}
	return grown > 0
}

func (s *sender) isAccepted() bool {
	m, t := s.m, s.t
	m.mu.Lock()
	defer m.mu.Unlock()
	return t.accepted
}

// deliveredBefore is the answer to an offer that was already delivered, but whose receipt was lost.
type deliveredBefore struct{ done *wire.OfferDone }

func (d *deliveredBefore) Error() string { return wire.ErrDelivered.Error() }
func (d *deliveredBefore) Unwrap() error { return wire.ErrDelivered }

func (d *deliveredBefore) result() transfer.Result {
	if d.done == nil {
		return transfer.Result{}
	}
	return transfer.Result{
		Totals:  transfer.Totals{Files: d.done.Files, Folders: d.done.Folders, Bytes: d.done.Bytes},
		LeftOut: d.done.LeftOut,
	}
}

// mayComeBack reports whether an offer was refused not by a person or a policy, but by a program that is starting or
// busy.
func (s *sender) mayComeBack(err error) bool {
	m, t := s.m, s.t
	m.mu.Lock()
	defer m.mu.Unlock()
	return errors.Is(err, wire.ErrBusy) || (t.accepted || t.view.Keep) && errors.Is(err, wire.ErrUnavailable)
}

// continueAfter records why an attempt has ended; it returns false if the transfer ends as well, since it was not
// accepted yet. began is when it was offered: a peer that has too many offers gets it again for as long as an offer may
// wait for its answer.
func (m *Manager) continueAfter(t *item, err error, began time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.log.Info("transfer interrupted", "id", t.view.ID, "peer", t.view.Peer.Short(), "incoming", t.view.Incoming, "err", err)
	switch {
	case !t.accepted && !t.view.Keep && !(errors.Is(err, wire.ErrBusy) && now().Sub(began) < OfferTimeout):
		return false
	case !t.accepted:
		m.happenedLocked(t, waits, cause(err))
	default:
		m.happenedLocked(t, stalls, cause(err))
	}
	return true
}

// cause returns the error that is displayed for an interruption.
func cause(err error) error {
	for _, m := range []error{transfer.ErrDiskFull, transfer.ErrUnmounted, transfer.ErrStalled, transfer.ErrDigest} {
		if errors.Is(err, m) {
			return err
		}
	}
	if errors.Is(err, transfer.ErrInterrupted) {
		return transport.ErrLost
	}
	return err
}

// sendOnce makes one attempt to send, in its turn.
func (s *sender) sendOnce(ctx context.Context, l Link, n int64) (transfer.Result, error) {
	m, t := s.m, s.t
	m.mu.Lock()
	m.happenedLocked(t, waits, nil)
	m.mu.Unlock()
	leave, err := m.takeTurn(ctx, t)
	if err != nil {
		return transfer.Result{}, err
	}
	defer leave()
	run := m.newRun(ctx, t, l, n)
	defer run.end()
	m.mu.Lock()
	sent := t.mayHaveArrived
	m.mu.Unlock()
	result, err := transfer.Send(run.ctx, run.lanes, transfer.SendOptions{
		Listing: t.listing, Links: t.opts.Links, Shared: t.shared, Sent: sent, OnEnd: s.keepSent, OnProgress: m.track(t),
	})
	if result.Repeated && err == nil {
		err = s.checkDelivered(ctx)
	}
	return result, run.reason(err)
}

// keepSent records that everything was sent, before the receiver can have all of it. A transfer that outlives the program
// stores that at once: after a crash, it must be known which version of the files the receiver may have.
func (s *sender) keepSent() {
	m, t := s.m, s.t
	state, err := t.listing.State(context.Background()) // it is complete
	if err != nil {
		return // then nothing was sent completely
	}
	m.mu.Lock()
	keep := t.view.Keep
	t.mayHaveArrived, t.sentState = true, state
	if keep {
		m.writer.put(recordKey(m.service, t.view.ID), t.recordLocked())
	}
	m.mu.Unlock()
	if !keep {
		return
	}
	if err := m.Flush(); err != nil {
		m.log.Error("storing a transfer", "id", t.view.ID, "err", err)
	}
}
