package engine

import (
	"context"
	"iter"
	"sync"

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
	MessageReceived struct{ Message Message }
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

// stateKey is what an event replaces: of two with the same key in a queue only the newer one is of use.
func stateKey(ev Event) any {
	switch ev := ev.(type) {
	case SelfChanged:
		return "self"
	case Problem:
		return "problem"
	case PeerChanged:
		return ev.Peer.ID
	case TransferChanged:
		return ev.Transfer.ID
	}
	return nil
}

// maxQueue is how many events wait for a slow reader. Beyond it, messages are refused so that their senders know,
// and everything else is replaced by a new Snapshot. One peer may take up a part only, so that none keeps the others'
// messages out, and fewer of what is lost without harm or costs a person's attention.
const (
	maxQueue            = 4096
	maxQueuedOfOne      = 1024
	maxQueuedUnreliable = 256
	maxQueuedQuestions  = 16 // invitations
	// maxQueued is how many bytes of messages and contexts wait.
	maxQueued      = 32 << 20
	maxQueuedBytes = 8 << 20 // of one peer
)

// share is what the events of one peer take up in a queue.
type share struct{ events, unreliable, questions, bytes int }

// watcher is the queue of one reader.
type watcher struct {
	quiet bool // of the engine itself: takes no messages, offers and invitations

	mu     sync.Mutex
	bytes  int // of messages in queue
	shares map[PeerID]share
	queue  []Event
	state  map[any]int // stateKey -> place in queue
	wake   chan struct{}
	behind bool
	closed bool
}

// put queues ev; false if there is no room for it.
func (w *watcher) put(ev Event) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	if from, more, ok := part(ev); ok {
		s := w.shares[from]
		s = share{s.events + 1, s.unreliable + more.unreliable, s.questions + more.questions, s.bytes + more.bytes}
		if w.quiet || w.bytes+more.bytes > maxQueued || s.events > maxQueuedOfOne || s.bytes > maxQueuedBytes ||
			more.unreliable > 0 && s.unreliable > maxQueuedUnreliable || more.questions > 0 && s.questions > maxQueuedQuestions { // guard: events-queued
			if _, ok := ev.(MessageReceived); !ok && !w.quiet { // another reader may take it
				w.behind = true
				w.poke()
			}
			return false
		}
		if len(w.queue) < maxQueue {
			w.shares[from] = s
			w.bytes += more.bytes
		}
	}
	if lost, ok := ev.(PeerLost); ok {
		delete(w.state, lost.Peer.ID) // what follows is another appearance, not a newer state of this one
	}
	key := stateKey(ev)
	if at, ok := w.state[key]; ok && key != nil {
		w.queue[at] = ev
		return true
	}
	if len(w.queue) >= maxQueue {
		if _, ok := ev.(MessageReceived); !ok {
			w.behind = true
		}
		return false
	}
	if key != nil {
		w.state[key] = len(w.queue)
	}
	w.queue = append(w.queue, ev)
	w.poke()
	return true
}

// part tells whose event ev is, and what it takes up, if a peer can cause any number of its kind.
func part(ev Event) (PeerID, share, bool) {
	switch ev := ev.(type) {
	case MessageReceived:
		s := share{bytes: len(ev.Message.Body)}
		if ev.Message.Unreliable {
			s.unreliable = 1
		}
		return ev.Message.From, s, true
	case InvitationReceived:
		return ev.Invitation.Peer.ID, share{questions: 1, bytes: len(ev.Invitation.Context)}, true
	case OfferReceived:
		return ev.Offer.Transfer.Peer, share{}, true
	case StreamReceived:
		return ev.Stream.Peer, share{}, true
	}
	return PeerID{}, share{}, false
}

func (w *watcher) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *watcher) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.poke()
}

// take empties the queue. behind tells that state was left out, ended that nothing will follow.
func (w *watcher) take() (events []Event, behind, ended bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	events, w.queue, w.bytes = w.queue, nil, 0
	clear(w.shares)
	behind, w.behind = w.behind, false
	clear(w.state)
	return events, behind, w.closed
}

// Watch returns the news as a sequence: a Snapshot first, then each change from the moment of the call. It is read
// by one range loop, which ends when ctx or the engine does. It may be called before Run and any number of times.
func (e *Engine) Watch(ctx context.Context) iter.Seq[Event] {
	return e.watch(ctx, false)
}

// follow is Watch for the engine's own waiting: nobody reads messages, offers and invitations there.
func (e *Engine) follow(ctx context.Context) iter.Seq[Event] { return e.watch(ctx, true) }

func (e *Engine) watch(ctx context.Context, quiet bool) iter.Seq[Event] {
	w := &watcher{quiet: quiet, state: map[any]int{}, shares: map[PeerID]share{}, wake: make(chan struct{}, 1)}
	e.mu.Lock()
	w.put(e.snapshot())
	if e.closed {
		w.closed = true
	} else {
		e.watchers[w] = struct{}{}
	}
	e.mu.Unlock()
	forget := func() {
		w.close()
		e.mu.Lock()
		delete(e.watchers, w)
		orphans := !e.watched()
		e.mu.Unlock()
		if left, _, _ := w.take(); orphans {
			abandon(left)
		}
	}
	stop := context.AfterFunc(ctx, forget)
	return func(yield func(Event) bool) {
		defer forget()
		defer stop()
		for {
			events, behind, ended := w.take()
			if behind {
				e.mu.Lock()
				events = append(events, e.snapshot())
				e.mu.Unlock()
			}
			for i, ev := range events {
				if ctx.Err() != nil {
					e.leaveUnread(events[i:])
					return
				}
				if s, ok := ev.(StreamReceived); ok {
					s.Stream.taken.Store(true)
				}
				if !yield(ev) {
					e.leaveUnread(events[i+1:])
					return
				}
			}
			if len(events) > 0 {
				continue
			}
			if ended {
				return
			}
			select {
			case <-w.wake:
			case <-ctx.Done():
				return
			}
		}
	}
}

// abandon ends the streams among events that no reader has got: nobody will close them.
func abandon(events []Event) {
	for _, ev := range events {
		if s, ok := ev.(StreamReceived); ok && !s.Stream.taken.Load() {
			s.Stream.abandon()
		}
	}
}

// leaveUnread takes what a reader that ends has taken out of its queue and not read.
func (e *Engine) leaveUnread(events []Event) {
	e.mu.Lock()
	readers := 0
	for w := range e.watchers {
		if !w.quiet {
			readers++
		}
	}
	e.mu.Unlock()
	if readers <= 1 { // that reader itself
		abandon(events)
	}
}

// publish queues ev for every reader. Call with e.mu held: events then come in the order of what happened. It
// tells whether anybody takes it.
func (e *Engine) publish(ev Event) bool {
	taken := false
	for w := range e.watchers {
		taken = w.put(ev) || taken
	}
	return taken
}

// watched tells whether a program reads. Call with e.mu held.
func (e *Engine) watched() bool {
	for w := range e.watchers {
		if !w.quiet {
			return true
		}
	}
	return false
}

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
