package engine

import (
	"context"
	"sync"
)

// HandleInvitations has f decide about all invitations that no policy answers, until stop is called: no reader of events
// is asked about them. f gets each on a goroutine of its own, answers with Accept or Decline, and may wait for a person;
// the end of the engine waits for f, and closes the invitation. It panics if another function decides already.
func (e *Engine) HandleInvitations(f func(*Invitation)) (stop func()) {
	return e.invitations.set("invitations", f)
}

// HandleOffers has f decide about all offers that no policy answers, until stop is called: no reader of events is asked
// about them. f gets each on a goroutine of its own, answers with Accept or Decline, and may wait for a person; the end of
// the engine waits for f. It panics if another function decides already.
func (e *Engine) HandleOffers(f func(*Offer)) (stop func()) { return e.offers.set("offers", f) }

// claim is the function that decides about all questions of one kind. The zero value is none. Its lock is a leaf.
type claim[T any] struct {
	mu sync.Mutex
	f  func(T)
}

func (c *claim[T]) set(what string, f func(T)) (stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case f == nil:
		panic("engine: no function for " + what)
	case c.f != nil:
		panic("engine: two functions for " + what)
	}
	c.f = f
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.f = nil
	})
}

// ask passes a question to the function on a goroutine of the engine. It returns false if there is no function.
func (c *claim[T]) ask(e *Engine, question T) bool {
	c.mu.Lock()
	f := c.f
	c.mu.Unlock()
	return f != nil && e.tasks.Start(func(context.Context) { guard(e, "a function that decides", func() { f(question) }, func() {}) })
}
