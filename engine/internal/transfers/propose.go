package transfers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
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
	known, opts := t.listing != nil, t.opts.listing()
	earlier, entries := transfer.Earlier{Resolved: t.resolved, Folders: true}, "" // a retry sends what is there now
	if t.restored {
		earlier.Folders = t.view.Folders > 0 || t.entries != ""
		entries = t.entries
	}
	t.restored = false
	m.mu.Unlock()
	if known {
		return nil
	}
	if entries != "" {
		var err error
		earlier.Entries, err = os.ReadFile(entries)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // it is removed before the record of an ended transfer
			return fmt.Errorf("reading what was offered before the restart: %w; offer it again", err)
		}
	}
	l, err := transfer.Relist(t.paths, earlier, opts)
	if err != nil {
		return err
	}
	top := l.Top()
	m.mu.Lock()
	defer m.mu.Unlock()
	t.listing = l
	v := &t.view
	if v.Counting = top.Folders > 0; !v.Counting {
		t.onDisk = top.OnDisk
	}
	v.Files, v.Folders, v.Bytes = top.Files, top.Folders, top.Bytes
	return nil
}

// keepEntries stores what the listing holds, so that what is missing after a restart can be named.
func (s *sender) keepEntries(ctx context.Context, listing *transfer.Listing) {
	m, t := s.m, s.t
	m.mu.Lock()
	needed := t.view.Keep && t.view.Folders > 0 && !t.view.State.Final() && m.spool.folder != ""
	m.mu.Unlock()
	if !needed || ctx.Err() != nil {
		return
	}
	path, err := m.spool.store(ctx, bytes.NewReader(listing.Encoded()))
	if err != nil {
		if ctx.Err() == nil {
			m.log.Error("storing what is offered", "id", t.view.ID, "err", err)
		}
		return
	}
	m.mu.Lock()
	ended, old := t.view.State.Final(), t.entries
	if ended {
		m.spool.releaseSoon(path)
	} else {
		t.entries = path
		m.saveSoonLocked(t)
	}
	m.mu.Unlock()
	if ended || old == "" {
		return
	}
	if err := m.Flush(); err != nil { // the stored record may still refer to the old file
		m.log.Error("storing a transfer", "id", t.view.ID, "err", err)
		return
	}
	m.spool.releaseSoon(old)
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
		s.count(ctx, listing)
		close(counted)
		s.keepEntries(ctx, listing)
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
		m.mu.Unlock()
		s.keepOffered(ctx, listing)
	}
	report(sum.Totals, false)
}

// keepOffered records the state of what is offered, unless that of an earlier listing is known: a receiver may have that.
func (s *sender) keepOffered(ctx context.Context, listing *transfer.Listing) {
	m, t := s.m, s.t
	state, err := listing.State(ctx)
	if err != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if t.sentState == 0 {
		t.sentState = state
		m.saveSoonLocked(t)
	}
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
	return t.view.PeerName, t.decisions, accepted && !t.accepted && t.opts.Person
}
