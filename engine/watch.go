package engine

import (
	"context"
	"iter"

	"multipeer/engine/internal/wire"
)

// Event is one piece of news. The set is closed; switch over the types.
type Event interface{ event() }

type (
	// Snapshot is the whole state: the first event of each Watch, and again if a reader fell too far behind.
	Snapshot struct {
		Self        Self
		Peers       []Peer
		Invitations []*Invitation
		Offers      []*Offer
		Transfers   []Transfer
		Pairings    []Pairing
		Problem     error
	}
	// SelfChanged tells a new name, port or mode.
	SelfChanged struct{ Self Self }
	// PeerChanged tells a peer that was found or is different now (foundPeer).
	PeerChanged struct{ Peer Peer }
	// PeerLost tells a peer that is gone (lostPeer).
	PeerLost struct{ Peer Peer }
	// PeerAdded tells that a session is up: once on both sides, whoever dialled or invited, when the other program's
	// context is known (peer_added). A conn that breaks and is back 3 s after that was noticed (see Reconnecting) is the
	// same session. It comes before any message or stream of the session, PeerRemoved after the last.
	PeerAdded struct{ Peer Peer }
	// PeerRemoved tells that the session has ended: once for each PeerAdded (peer_removed). Err says why.
	PeerRemoved struct {
		Peer Peer
		Err  error
	}
	// MessageReceived brings a message.
	MessageReceived struct {
		Message Message
		held    *held
	}
	// StreamReceived brings a stream that the other program has opened. Who takes it closes it; of several readers, one.
	StreamReceived struct{ Stream *Stream }
	// InvitationReceived asks for a session; nothing comes of it before Accept.
	InvitationReceived struct{ Invitation *Invitation }
	// InvitationClosed tells an invitation that was answered, withdrawn or has expired.
	InvitationClosed struct{ Invitation *Invitation }
	// OfferReceived asks to take files; nothing is stored before Accept.
	OfferReceived struct{ Offer *Offer }
	// TransferChanged tells the newest state of an offer or a transfer, at most ten times a second each.
	TransferChanged struct{ Transfer Transfer }
	// PairingChanged tells a pairing that a peer asks for, or that is further now.
	PairingChanged struct{ Pairing Pairing }
	// Problem tells what keeps peers from being found; nil when it is over.
	Problem struct{ Err error }
)

func (Snapshot) event()           {}
func (SelfChanged) event()        {}
func (PeerChanged) event()        {}
func (PeerLost) event()           {}
func (PeerAdded) event()          {}
func (PeerRemoved) event()        {}
func (MessageReceived) event()    {}
func (StreamReceived) event()     {}
func (InvitationReceived) event() {}
func (InvitationClosed) event()   {}
func (OfferReceived) event()      {}
func (TransferChanged) event()    {}
func (PairingChanged) event()     {}
func (Problem) event()            {}

// Watch returns the news as a sequence: a Snapshot first, then each change from the moment of the call. It is read
// by one range loop, which ends when the engine does, or ctx. Of what its queue holds when ctx ends the messages still
// come, for their senders were told that they are delivered. Those that a loop leaves behind with break go to another
// reader that has not had them, or come in the next Watch. Watch may be called before Run and any number of times.
func (e *Engine) Watch(ctx context.Context) iter.Seq[Event] {
	return e.watch(ctx, false)
}

// WatchState is Watch for a program that waits for something: it takes no message, stream, offer or invitation. While
// nobody else does, their senders are told so (ErrUnavailable).
func (e *Engine) WatchState(ctx context.Context) iter.Seq[Event] { return e.watch(ctx, true) }

func (e *Engine) watch(ctx context.Context, quiet bool) iter.Seq[Event] {
	w := &watcher{quiet: quiet, state: map[any]int{}, shares: map[PeerID]share{}, wake: make(chan struct{}, 1)}
	e.mu.Lock()
	w.put(e.snapshot())
	if !quiet {
		for _, m := range e.unread {
			m.held.queues++
			w.inherit(m)
		}
		e.unread = nil
	}
	if e.closed {
		w.closed = true
	} else {
		e.watchers[w] = struct{}{}
	}
	e.mu.Unlock()
	stop := context.AfterFunc(ctx, func() {
		if w.read.Load() {
			e.retire(w) // the loop empties it
		} else {
			e.leaveUnread(w, nil)
		}
	})
	return func(yield func(Event) bool) {
		w.read.Store(true)
		defer stop()
		var skipped []Event
		defer func() { e.leaveUnread(w, skipped) }()
		for {
			ev, behind, ended := w.next()
			switch {
			case behind:
				e.mu.Lock()
				ev = e.snapshot()
				e.mu.Unlock()
			case ev != nil:
			case ended:
				return
			default:
				select {
				case <-w.wake:
				case <-ctx.Done():
					e.retire(w)
				}
				continue
			}
			if _, owed := ev.(MessageReceived); !owed && ctx.Err() != nil {
				skipped = append(skipped, ev)
				continue
			}
			if h := heldOf(ev); h != nil {
				h.taken.Store(true)
			}
			if !yield(ev) {
				return
			}
		}
	}
}

// retire lets w get nothing more.
func (e *Engine) retire(w *watcher) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.watchers, w)
	w.close()
}

// leaveUnread takes what a reader that ends has not read. What nobody else has got or still holds goes to another reader,
// or waits for the next one; streams end, which nobody would close.
func (e *Engine) leaveUnread(w *watcher, skipped []Event) {
	var streams []*Stream
	defer func() {
		for _, s := range streams {
			s.abandon()
		}
	}()
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.watchers, w)
	w.close()
	for {
		ev, behind, _ := w.next()
		if ev == nil && !behind {
			break
		}
		skipped = append(skipped, ev)
	}
	for _, ev := range skipped {
		h := heldOf(ev)
		if h == nil {
			continue
		}
		if h.queues--; h.taken.Load() || h.queues > 0 {
			continue
		}
		switch ev := ev.(type) {
		case MessageReceived:
			if heir := e.heir(); heir != nil {
				h.queues++
				heir.inherit(ev)
			} else {
				e.unread = append(e.unread, ev)
			}
		case StreamReceived:
			streams = append(streams, ev.Stream)
		}
	}
}

// heir is some reader that takes messages; nil if there is none. Call with e.mu held.
func (e *Engine) heir() *watcher {
	for w := range e.watchers {
		if !w.quiet {
			return w
		}
	}
	return nil
}

// publish queues ev for every reader. Call with e.mu held: events then come in the order of what happened. It
// tells whether anybody takes it.
func (e *Engine) publish(ev Event) bool {
	taken, h := false, heldOf(ev)
	for w := range e.watchers {
		if w.put(ev) {
			taken = true
			if h != nil {
				h.queues++
			}
		}
	}
	return taken
}

// watched tells whether a program reads. Call with e.mu held.
func (e *Engine) watched() bool { return e.heir() != nil }

// untaken is why publish has failed, for the other side. Call with e.mu held.
func (e *Engine) untaken() wire.Code {
	if e.watched() {
		return wire.Busy
	}
	return wire.Unavailable
}

// snapshot collects the whole state. Call with e.mu held.
func (e *Engine) snapshot() Snapshot {
	s := Snapshot{Self: e.selfView(), Problem: e.problem, Peers: e.views(), Pairings: e.pairings()}
	for _, p := range e.peers {
		if p.invitation != nil {
			s.Invitations = append(s.Invitations, p.invitation)
		}
	}
	for _, t := range e.ordered() {
		s.Transfers = append(s.Transfers, t.view)
		if t.offer != nil && t.view.State == Offered {
			s.Offers = append(s.Offers, t.offer)
		}
	}
	return s
}
