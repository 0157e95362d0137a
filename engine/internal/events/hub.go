// Package events passes an engine's events to its readers. Each reader has its own queue, so that a slow one does not
// delay the others. The package knows events only by their Traits.
package events

import (
	"context"
	"iter"
	"slices"
	"sync"
)

// Hub passes events to readers. Its lock is a leaf: callers may hold any other lock, so that events arrive in the order
// in which things happened. All methods may be called concurrently.
type Hub[E any] struct {
	traits  func(E) Traits
	abandon func(E)
	drained func()

	mu      sync.Mutex
	closed  bool
	readers map[*Reader[E]]struct{}
	unread  []E           // messages that the last reader left behind
	changed chan struct{} // closed at the next change; nil while no one waits for it
}

// NewHub returns a hub for events with these traits. abandon ends an event, such as a stream, that no reader will take.
// drained is called without a lock held when a reader has made room for messages, and when a reader has come or gone.
func NewHub[E any](traits func(E) Traits, abandon func(E), drained func()) *Hub[E] {
	return &Hub[E]{traits: traits, abandon: abandon, drained: drained, readers: map[*Reader[E]]struct{}{}}
}

// Publish queues ev for every reader. It reports whether any reader takes the event. A message that must not be lost is
// queued for all readers that want it, or for none if one of them has no room: then its sender waits.
func (h *Hub[E]) Publish(ev E) (taken bool) {
	it := item[E]{ev, h.traits(ev)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if it.Message && !it.Unreliable && !h.haveRoomLocked(it.Traits) { // guard: message-for-all-readers
		return false
	}
	for r := range h.readers {
		if r.put(it) {
			taken = true
			if it.Held != nil {
				it.Held.queues++
			}
		}
	}
	if it.Change && h.changed != nil {
		close(h.changed)
		h.changed = nil
	}
	return taken
}

// haveRoomLocked reports whether each reader that takes events with these traits has room for another.
func (h *Hub[E]) haveRoomLocked(t Traits) bool {
	for r := range h.readers {
		if !r.hasRoom(t) {
			return false
		}
	}
	return true
}

// Changed returns a channel that is closed when the next event with Traits.Change is published.
func (h *Hub[E]) Changed() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.changed == nil {
		h.changed = make(chan struct{})
	}
	return h.changed
}

// HasReader reports whether a reader takes events of this kind and, if topic is not empty, of this topic.
func (h *Hub[E]) HasReader(kind Kind, topic string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.readerLocked(Traits{Kind: kind, Topic: topic}) != nil
}

// readerLocked returns a reader that takes events with these traits, or nil.
func (h *Hub[E]) readerLocked(t Traits) *Reader[E] {
	for r := range h.readers {
		if r.takes(t) {
			return r
		}
	}
	return nil
}

// Subscribe adds a reader, which takes events until ctx ends. Its first event is snapshot, the current state; the caller
// holds the locks that keep the state from changing.
func (h *Hub[E]) Subscribe(ctx context.Context, wants Kind, snapshot E) *Reader[E] {
	r := newReader[E](ctx, Wants{Kinds: wants})
	r.put(item[E]{snapshot, h.traits(snapshot)})
	h.addReader(r)
	h.drained()
	return r
}

// SubscribeTopic adds a reader of the messages of one topic, which takes them until ctx ends.
func (h *Hub[E]) SubscribeTopic(ctx context.Context, topic string) *Reader[E] {
	r := newReader[E](ctx, Wants{Messages, topic})
	h.addReader(r)
	h.drained()
	return r
}

// addReader adds r, which gets the messages that the last reader left behind.
func (h *Hub[E]) addReader(r *Reader[E]) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unread = slices.DeleteFunc(h.unread, func(ev E) bool {
		it := item[E]{ev, h.traits(ev)}
		if !r.takes(it.Traits) {
			return false
		}
		it.Held.queues++
		r.addUnread(it)
		return true
	})
	if h.closed {
		r.close()
	} else {
		h.readers[r] = struct{}{}
	}
}

// Close ends every reader once it has read its queue.
func (h *Hub[E]) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for r := range h.readers {
		r.close()
	}
}

// Read returns the events of r as a sequence for one range loop, which ends when the hub is closed or the reader's
// context ends. When that ends, queued messages are still yielded. snapshot returns the current state for a reader that
// fell behind.
func (h *Hub[E]) Read(r *Reader[E], snapshot func() E) iter.Seq[E] {
	stop := context.AfterFunc(r.ctx, func() {
		if r.reading.Load() {
			h.retire(r) // the loop drains it
		} else {
			h.leave(r, nil)
		}
	})
	return func(yield func(E) bool) {
		r.reading.Store(true)
		defer stop()
		var skipped []item[E]
		defer func() { h.leave(r, skipped) }()
		for {
			it, status := r.next()
			switch status {
			case behind:
				ev := snapshot()
				it = item[E]{ev, h.traits(ev)}
			case drained:
				return
			case waiting:
				select {
				case <-r.wake:
				case <-r.ctx.Done():
					h.retire(r)
				}
				continue
			}
			h.drained()
			if !it.Message && r.ctx.Err() != nil {
				skipped = append(skipped, it)
				continue
			}
			if it.Held != nil {
				it.Held.taken.Store(true)
			}
			if !yield(it.ev) {
				return
			}
		}
	}
}

// retire stops further events to r.
func (h *Hub[E]) retire(r *Reader[E]) {
	defer h.drained()
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.readers, r)
	r.close()
}

// leave handles the events that a reader has not read when it ends. A message that no other reader has received or
// still queues goes to another reader, or waits for the next one. Other events that some reader has to get are
// abandoned.
func (h *Hub[E]) leave(r *Reader[E], skipped []item[E]) {
	var abandoned []E
	defer func() {
		h.drained()
		for _, ev := range abandoned {
			h.abandon(ev)
		}
	}()
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.readers, r)
	r.close()
	for {
		it, status := r.next()
		if status == drained {
			break
		}
		if status == queued {
			skipped = append(skipped, it)
		}
	}
	for _, it := range skipped {
		if it.Held == nil {
			continue
		}
		it.Held.queues--
		if it.Held.taken.Load() || it.Held.queues > 0 {
			continue
		}
		if !it.Message {
			abandoned = append(abandoned, it.ev)
			continue
		}
		if other := h.readerLocked(it.Traits); other != nil {
			it.Held.queues++
			other.addUnread(it)
		} else {
			h.unread = append(h.unread, it.ev)
			h.limitUnreadLocked()
		}
	}
}

// limitUnreadLocked drops the oldest unread messages beyond the limits of a queue.
func (h *Hub[E]) limitUnreadLocked() {
	bytes := 0
	for i := len(h.unread) - 1; i >= 0; i-- {
		bytes += h.traits(h.unread[i]).Bytes
		if bytes > MaxQueuedBytes || len(h.unread)-i > MaxQueue { // guard: unread-left
			h.unread = slices.Delete(h.unread, 0, i+1)
			return
		}
	}
}
