package events

import (
	"context"
	"sync"
	"sync/atomic"

	"multipeer/engine/internal/identity"
)

// The limits of a queue. Beyond them, messages are refused, so that their senders know, and all other events are
// replaced by a new snapshot. Each peer may use only part of the queue, so that it cannot crowd out the messages of
// others. Events that may be lost without harm, and questions, which take up a person's attention, have lower limits.
const (
	MaxQueue            = 4096
	maxQueuedOfOne      = 1024
	maxQueuedUnreliable = 256
	maxQueuedQuestions  = 16
	// MaxQueuedBytes limits the bytes of all events, maxQueuedBytesOfOne those of one peer.
	MaxQueuedBytes      = 32 << 20
	maxQueuedBytesOfOne = 8 << 20
)

// Traits describes an event to the queues.
type Traits struct {
	State  any  // comparable; of two queued events with the same State only the newer one matters; nil if every event matters
	Ends   any  // the State that ends with this event: a later event with this State is not a newer version of an earlier one
	Change bool // it may be what the program is waiting for

	Kind       Kind            // only readers that want this kind take it; 0 means that all do
	Topic      string          // only readers of this topic take it
	Limited    bool            // a peer can cause any number of such events
	From       identity.PeerID // the peer that caused a Limited event
	Unreliable bool            // it may be lost without harm
	Question   bool            // it is a question to the user
	Bytes      int             // its size in addition to a fixed amount

	Message bool  // it is refused if there is no room, and kept for the next reader if its reader leaves
	Held    *Held // set if the event must not be lost in a queue
}

// Wants selects which events a reader takes.
type Wants struct {
	Kinds Kind
	// Topic limits a reader to the messages of one topic. Readers without one take no message that has a topic.
	Topic string
}

// take reports whether a reader takes an event.
func (w Wants) take(t Traits) bool {
	if w.Topic != t.Topic {
		return false
	}
	return t.Kind == 0 || t.Kind&w.Kinds != 0
}

// Kind is a kind of event that a reader may leave to other readers.
type Kind uint8

// The kinds.
const (
	Messages Kind = 1 << iota
	Streams
	Offers
	Invitations
)

// Held tracks an event that at least one reader has to get. queues is the number of queues that hold it, guarded by the
// hub's lock; taken means that one of their readers has got it. The zero value is ready to use.
type Held struct {
	queues int
	taken  atomic.Bool
}

type item[E any] struct {
	ev E
	Traits
}

// use counts how much of a queue the events of one peer use.
type use struct{ events, unreliable, questions, bytes int }

func useOf(t Traits) use {
	u := use{events: 1, bytes: t.Bytes}
	if t.Unreliable {
		u.unreliable = 1
	}
	if t.Question {
		u.questions = 1
	}
	return u
}

func (u use) plus(o use) use {
	return use{u.events + o.events, u.unreliable + o.unreliable, u.questions + o.questions, u.bytes + o.bytes}
}

func (u use) minus(o use) use {
	return use{u.events - o.events, u.unreliable - o.unreliable, u.questions - o.questions, u.bytes - o.bytes}
}

// Reader queues the events for one consumer.
type Reader[E any] struct {
	ctx     context.Context // the reader takes nothing that is published after its end
	wants   Wants
	reading atomic.Bool // a loop has started to read

	mu     sync.Mutex
	bytes  int
	uses   map[identity.PeerID]use
	queue  []item[E]
	gone   int         // how many events have left the queue
	states map[any]int // State -> number of its event, counting those that have left
	wake   chan struct{}
	behind bool
	closed bool
}

func newReader[E any](ctx context.Context, wants Wants) *Reader[E] {
	return &Reader[E]{
		ctx: ctx, wants: wants, states: map[any]int{}, uses: map[identity.PeerID]use{}, wake: make(chan struct{}, 1),
	}
}

// takes reports whether the reader takes events with these traits.
func (r *Reader[E]) takes(t Traits) bool { return r.ctx.Err() == nil && r.wants.take(t) }

// put queues an event; it returns false if there is no room, or if the reader does not want it.
func (r *Reader[E]) put(it item[E]) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || !r.takes(it.Traits) {
		return false
	}
	if it.Limited && !r.admitsLocked(it.Traits) { // guard: events-queued
		if !it.Message { // another reader may take a message
			r.behind = true
			r.notify()
		}
		return false
	}
	if it.Ends != nil {
		delete(r.states, it.Ends)
	}
	if at, ok := r.states[it.State]; ok && it.State != nil {
		r.queue[at-r.gone] = it
		return true
	}
	if len(r.queue) >= MaxQueue {
		if !it.Message {
			r.behind = true
		}
		return false
	}
	if it.State != nil {
		r.states[it.State] = r.gone + len(r.queue)
	}
	r.addLocked(it)
	return true
}

// hasRoom reports whether put would take an event with these traits, or the reader does not want it.
func (r *Reader[E]) hasRoom(t Traits) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || !r.takes(t) {
		return true
	}
	return len(r.queue) < MaxQueue && (!t.Limited || r.admitsLocked(t))
}

// admitsLocked reports whether there is room for another event that a peer has caused.
func (r *Reader[E]) admitsLocked(t Traits) bool {
	u := r.uses[t.From].plus(useOf(t))
	switch {
	case r.bytes+t.Bytes > MaxQueuedBytes, u.events > maxQueuedOfOne, u.bytes > maxQueuedBytesOfOne:
		return false
	case t.Unreliable && u.unreliable > maxQueuedUnreliable, t.Question && u.questions > maxQueuedQuestions:
		return false
	}
	return true
}

// addUnread queues an event that another reader left behind, even if there is no room, since it was acknowledged.
func (r *Reader[E]) addUnread(it item[E]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.addLocked(it)
}

func (r *Reader[E]) addLocked(it item[E]) {
	if it.Limited {
		r.uses[it.From] = r.uses[it.From].plus(useOf(it.Traits))
		r.bytes += it.Bytes
	}
	r.queue = append(r.queue, it)
	r.notify()
}

func (r *Reader[E]) notify() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *Reader[E]) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.notify()
}

// status is the result of next.
type status int

const (
	queued  status = iota // an event
	behind                // an empty queue that has dropped state
	waiting               // an empty queue
	drained               // an empty queue to which nothing will be added
)

// next takes the first event out of the queue.
func (r *Reader[E]) next() (item[E], status) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queue) == 0 {
		r.queue = nil // release the array, which may be large
		switch {
		case r.behind:
			r.behind = false
			return item[E]{}, behind
		case r.closed:
			return item[E]{}, drained
		}
		return item[E]{}, waiting
	}
	it := r.queue[0]
	r.queue[0] = item[E]{}
	r.queue = r.queue[1:]
	if it.State != nil && r.states[it.State] == r.gone {
		delete(r.states, it.State)
	}
	r.gone++
	if it.Limited {
		if u := r.uses[it.From].minus(useOf(it.Traits)); u.events > 0 {
			r.uses[it.From] = u
		} else {
			delete(r.uses, it.From)
		}
		r.bytes -= it.Bytes
	}
	return it, queued
}
