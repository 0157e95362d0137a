package rpc

import (
	"context"
	"errors"
	"sync"

	"multipeer/engine"
)

// serial runs functions one after the other for each key, such as a peer. Its lock is a leaf.
type serial struct {
	mu     sync.Mutex
	queues map[string][]func() // the functions that wait for the running one
}

// maxQueued is how many functions may wait for one key.
const maxQueued = 512

// run runs f after the functions that were passed before with the same key. wg counts the goroutine. It returns false
// if too many wait.
func (q *serial) run(wg *sync.WaitGroup, key string, f func()) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if waiting, runs := q.queues[key]; runs {
		if len(waiting) >= maxQueued {
			return false
		}
		q.queues[key] = append(waiting, f)
		return true
	}
	q.queues[key] = nil
	wg.Go(func() {
		for next := f; next != nil; next = q.next(key) {
			next()
		}
	})
	return true
}

func (q *serial) next(key string) func() {
	q.mu.Lock()
	defer q.mu.Unlock()
	waiting := q.queues[key]
	if len(waiting) == 0 {
		delete(q.queues, key)
		return nil
	}
	q.queues[key] = waiting[1:]
	return waiting[0]
}

// credit limits how many messages are passed on before the program reports that it has handled some. The zero value has
// no limit.
type credit struct {
	mu      sync.Mutex
	limited bool
	left    int
	more    chan struct{} // closed when more is available; nil while nothing waits
}

// limit enables the limit.
func (c *credit) limit(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limited, c.left = true, n
}

func (c *credit) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left += n
	if c.more != nil {
		close(c.more)
		c.more = nil
	}
}

// take uses one unit of credit, and waits until there is one or ctx ends.
func (c *credit) take(ctx context.Context) {
	for {
		c.mu.Lock()
		if !c.limited || c.left > 0 {
			c.left--
			c.mu.Unlock()
			return
		}
		if c.more == nil {
			c.more = make(chan struct{})
		}
		more := c.more
		c.mu.Unlock()
		select {
		case <-more:
		case <-ctx.Done():
			return
		}
	}
}

// handles assigns numbers to values that the program refers to later.
type handles[T any] struct {
	last int64
	all  map[int64]T
}

func (h *handles[T]) add(v T) int64 {
	if h.all == nil {
		h.all = map[int64]T{}
	}
	h.last++
	h.all[h.last] = v
	return h.last
}

// add assigns a number to a value.
func add[T any](s *session, h *handles[T], v T) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return h.add(v)
}

// take removes and returns a value.
func take[T any](s *session, h *handles[T], n int64) (v T, there bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, there = h.all[n]
	delete(h.all, n)
	return v, there
}

// answerOnce answers the question with the number n. The number is released once the question is answered; after any
// other error, the program can answer again.
func answerOnce[T any](s *session, h *handles[T], n int64, answer func(T) error) error {
	s.mu.Lock()
	question, there := h.all[n]
	s.mu.Unlock()
	if !there {
		return errNoHandle
	}
	err := answer(question)
	if err == nil || errors.Is(err, engine.ErrAnswered) {
		take(s, h, n)
	}
	return err
}

// awaitClosed waits until an offer or an invitation is closed. It returns false if the session ends first.
func (s *session) awaitClosed(closed <-chan struct{}) bool {
	select {
	case <-closed:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// clear removes and returns all values.
func (h *handles[T]) clear() map[int64]T {
	all := h.all
	h.all = nil
	return all
}
