package transfers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
	"multipeer/transfer"
)

// Sending an offer and waiting for its answer.

// list lists what to send, unless the offer has already done so: after a restart or on a retry it has not.
func (s *sender) list() error {
	m, t := s.m, s.t
	m.mu.Lock()
	defer m.mu.Unlock()
	if t.listing != nil {
		return nil
	}
	l, err := transfer.Relist(t.paths, t.resolved, t.opts.listing())
	if err != nil {
		return err
	}
	t.listing, t.relisted = l, t.listed
	top := l.Top()
	v := &t.view
	if v.Counting = top.Folders > 0; !v.Counting {
		t.onDisk = top.OnDisk
	}
	v.Files, v.Folders, v.Bytes = top.Files, top.Folders, top.Bytes
	return nil
}

// countFolders counts what to send in the background; the channel is closed when that is done, or at once if there
// are no folders.
func (s *sender) countFolders(ctx context.Context, counting *sync.WaitGroup) <-chan struct{} {
	m, t := s.m, s.t
	counted := make(chan struct{})
	m.mu.Lock()
	folders, listing := t.view.Counting, t.listing
	m.mu.Unlock()
	if !folders {
		close(counted)
		counting.Go(func() { s.counted(ctx, listing, func(transfer.Totals, bool) {}) })
		return counted
	}
	counting.Go(func() {
		defer close(counted)
		s.count(ctx, listing)
	})
	return counted
}

// count walks the source and keeps both sides up to date about the totals.
func (s *sender) count(ctx context.Context, listing *transfer.Listing) {
	m, t := s.m, s.t
	var last time.Time
	top := listing.Top()
	s.counted(ctx, listing, func(totals transfer.Totals, counting bool) {
		m.mu.Lock()
		defer m.mu.Unlock()
		v := &t.view
		if v.State.Final() || ctx.Err() != nil {
			return
		}
		v.Files = totals.Files + totals.Links
		v.Folders = totals.Folders
		v.Bytes = totals.Bytes
		v.Counting = counting
		if counting {
			v.Folders = max(v.Folders, top.Folders)
		}
		if t.proposed && (!counting || now().Sub(last) >= updateEvery) {
			last = now()
			m.sendToLocked(v.Peer, wire.OfferUpdate{ID: string(v.ID), Files: v.Files, Folders: v.Folders, Bytes: v.Bytes, Counting: counting})
		}
		m.publishLocked(t)
	})
}

// counted fills the listing, and reports its totals from time to time and at the end.
func (s *sender) counted(ctx context.Context, listing *transfer.Listing, report func(totals transfer.Totals, counting bool)) {
	m, t := s.m, s.t
	sum, err := listing.Fill(ctx, func(totals transfer.Totals) { report(totals, true) })
	if err != nil {
		m.log.Debug("counting", "err", err) // it only ends early with its context
	} else {
		m.mu.Lock()
		t.onDisk = sum.OnDisk
		t.listed = sum.Files + sum.Folders + sum.Links + sum.LeftOut
		m.mu.Unlock()
	}
	report(sum.Totals, false)
}

// withMissing adds to a result the entries that were offered before a restart and not found afterwards.
func (s *sender) withMissing(r transfer.Result) transfer.Result {
	m, t := s.m, s.t
	m.mu.Lock()
	defer m.mu.Unlock()
	if missing := t.relisted - t.listed; missing > 0 {
		r.LeftOut += missing
		r.Notes = append(r.Notes, transfer.Note{Path: t.names[0], Err: fmt.Errorf("%w (%d entries in total)", transfer.ErrVanished, missing)})
	}
	return r
}

// propose sends the offer over l and waits for its answer. It returns the number of the attempt.
func (s *sender) propose(ctx context.Context, l Link) (int64, error) {
	m, t := s.m, s.t
	at := listensAt(l)
	m.mu.Lock()
	if ctx.Err() != nil { // cancelled in the meantime: the peer has not been offered this attempt
		m.mu.Unlock()
		return t.attempt, context.Cause(ctx)
	}
	select {
	case <-t.answer: // the answer to an earlier attempt
	default:
	}
	t.attempt++
	t.link, t.proposed = l, true
	t.sawPeerAtLocked(at)
	v := t.view
	if !t.accepted {
		m.happenedLocked(t, proposed, nil)
	}
	preview := t.opts.Preview
	if t.accepted { // it is for the person who decides
		preview = nil
	}
	l.Send(wire.Offer{
		ID: string(v.ID), Names: slices.Clone(t.names), Items: v.Items, Files: v.Files, Folders: v.Folders, Bytes: v.Bytes,
		Counting: v.Counting, OnDisk: t.onDisk, Attempt: t.attempt, Keep: v.Keep,
		Note: t.opts.Note, Preview: preview,
	})
	n, accepted := t.attempt, t.accepted
	m.saveSoonLocked(t)
	m.mu.Unlock()

	timer := time.NewTimer(OfferTimeout)
	defer timer.Stop()
	for {
		select {
		case a := <-t.answer:
			if a.attempt != n {
				continue
			}
			m.mu.Lock()
			mayHaveArrived := t.mayHaveArrived
			m.mu.Unlock()
			switch {
			case errors.Is(a.err, wire.ErrDelivered) && !mayHaveArrived: // guard: delivered-unsent
				return n, fmt.Errorf("%w: the other side reports the delivery of files that were not sent", wire.ErrProtocol)
			case a.err != nil:
				return n, a.err
			}
			m.mu.Lock()
			t.mayHaveArrived = true
			if !t.accepted {
				t.accepted = true
				t.view.Started, t.lastMove = now(), now()
				t.mark = now()
			}
			m.mu.Unlock()
			return n, nil
		case <-l.Done():
			return n, fmt.Errorf("the connection ended: %w", lostBy(l.Err()))
		case <-timer.C:
			if accepted { // the other side has forgotten the transfer, and no program there answers
				return n, fmt.Errorf("continuing the transfer: %w", wire.ErrTimeout)
			}
			m.mu.Lock()
			m.sendToLocked(v.Peer, wire.OfferCancel{ID: string(v.ID), Code: wire.Timeout})
			m.mu.Unlock()
			return n, errUnanswered
		case <-t.wake:
			m.mu.Lock()
			paused := t.paused && t.accepted
			m.mu.Unlock()
			if paused {
				return n, errPaused
			}
		case <-ctx.Done():
			return n, context.Cause(ctx)
		}
	}
}

// errUnanswered reports an offer that was not answered in time: retrying would not help.
var errUnanswered = wire.Reword("the offer was neither accepted nor declined in time", context.DeadlineExceeded)

// lostBy converts the error that ended a connection: a transfer resumes over the next connection whatever the reason.
func lostBy(err error) error {
	if err == nil || mayRetry(err) {
		return err
	}
	return fmt.Errorf("%w: %w", transport.ErrLost, err)
}

// TakeAnswer handles the answer to an offer that this side made.
func (m *Manager) TakeAnswer(from identity.PeerID, l Link, msg wire.OfferAnswer) {
	if name, decisions, first := m.takeAnswer(from, l, msg); first {
		m.host.AcceptedBy(l, name, decisions)
	}
}

// takeAnswer reports whether this is the first time that the peer accepts, and returns what Host.AcceptedBy needs then.
func (m *Manager) takeAnswer(from identity.PeerID, l Link, msg wire.OfferAnswer) (name string, decisions int, first bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.ofLocked(from, msg.ID)
	if t == nil || t.view.Incoming || msg.Attempt != t.attempt || t.link != l {
		return "", 0, false
	}
	a := offerAnswer{attempt: msg.Attempt}
	accepted := msg.Accept && !t.view.State.Final()
	if !accepted {
		switch msg.Code {
		case wire.Bye:
			a.err = wire.ErrDeclined
		case wire.Delivered:
			a.err = &deliveredBefore{msg.Done}
		default:
			a.err = msg.Code.Err()
		}
	}
	select {
	case t.answer <- a:
	default: // answered before
		return "", 0, false
	}
	return t.view.PeerName, t.decisions, accepted && !t.accepted
}
