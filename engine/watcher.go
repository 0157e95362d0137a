package engine

import (
	"sync"
	"sync/atomic"
)

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

// held is of an event that some reader has to get: how many queues hold it, guarded by Engine.mu, and whether one of
// their readers has got it.
type held struct {
	queues int
	taken  atomic.Bool
}

// heldOf is what is kept of an event that must not get lost in a queue; nil for the others.
func heldOf(ev Event) *held {
	switch ev := ev.(type) {
	case MessageReceived:
		return ev.held
	case StreamReceived:
		return &ev.Stream.held
	}
	return nil
}

// watcher is the queue of one reader.
type watcher struct {
	quiet bool        // of WatchState: takes no messages, streams, offers and invitations
	read  atomic.Bool // a loop has begun

	mu     sync.Mutex
	bytes  int // of messages in queue
	shares map[PeerID]share
	queue  []Event
	gone   int         // how many events were in the queue before its first one
	state  map[any]int // stateKey -> number of its event, the gone ones counted
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
		s := w.shares[from].plus(more)
		if w.quiet || w.bytes+more.bytes > maxQueued || s.events > maxQueuedOfOne || s.bytes > maxQueuedBytes ||
			more.unreliable > 0 && s.unreliable > maxQueuedUnreliable || more.questions > 0 && s.questions > maxQueuedQuestions { // guard: events-queued
			if _, ok := ev.(MessageReceived); !ok && !w.quiet { // another reader may take it
				w.behind = true
				w.poke()
			}
			return false
		}
	}
	if lost, ok := ev.(PeerLost); ok {
		delete(w.state, lost.Peer.ID) // what follows is another appearance, not a newer state of this one
	}
	key := stateKey(ev)
	if at, ok := w.state[key]; ok && key != nil {
		w.queue[at-w.gone] = ev
		return true
	}
	if len(w.queue) >= maxQueue {
		if _, ok := ev.(MessageReceived); !ok {
			w.behind = true
		}
		return false
	}
	if key != nil {
		w.state[key] = w.gone + len(w.queue)
	}
	w.add(ev)
	return true
}

// inherit queues what another reader has left, whether there is room or not: it was acknowledged.
func (w *watcher) inherit(ev Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.add(ev)
}

// add appends ev. Call with mu held.
func (w *watcher) add(ev Event) {
	if from, more, ok := part(ev); ok {
		w.shares[from] = w.shares[from].plus(more)
		w.bytes += more.bytes
	}
	w.queue = append(w.queue, ev)
	w.poke()
}

func (s share) plus(o share) share {
	return share{s.events + 1, s.unreliable + o.unreliable, s.questions + o.questions, s.bytes + o.bytes}
}

func (s share) minus(o share) share {
	return share{s.events - 1, s.unreliable - o.unreliable, s.questions - o.questions, s.bytes - o.bytes}
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

// next takes the first event out of the queue; nil if there is none. behind tells, when the queue is empty, that state was
// left out of it, ended that nothing will follow.
func (w *watcher) next() (ev Event, behind, ended bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 {
		w.queue = nil // its array, which may be large
		behind, w.behind = w.behind, false
		return nil, behind, w.closed
	}
	ev, w.queue[0] = w.queue[0], nil
	w.queue = w.queue[1:]
	if key := stateKey(ev); key != nil && w.state[key] == w.gone {
		delete(w.state, key)
	}
	w.gone++
	if from, more, ok := part(ev); ok {
		if s := w.shares[from].minus(more); s.events > 0 {
			w.shares[from] = s
		} else {
			delete(w.shares, from)
		}
		w.bytes -= more.bytes
	}
	return ev, false, false
}
