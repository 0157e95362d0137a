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

// watcher is the queue of one reader.
type watcher struct {
	quiet bool        // of WatchState: takes no messages, streams, offers and invitations
	read  atomic.Bool // a loop has begun

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
