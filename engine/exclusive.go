package engine

import (
	"context"
	"net/netip"
	"sync"

	"multipeer/engine/internal/wire"
)

// HandleInvitations makes f decide on all invitations that no policy answers, until stop is called; readers of events
// are not asked. f gets each on its own goroutine and may wait for a person until Invitation.Closed. If f returns without
// an answer, or panics, the invitation is declined. Run waits for f, Close does not. HandleInvitations panics if another
// function is set.
func (e *Engine) HandleInvitations(f func(*Invitation)) (stop func()) {
	return e.invitations.set("invitations", f)
}

// HandleOffers is HandleInvitations for offers. An offer whose Accept has failed is still open, so it is declined when f
// returns. A stranger has at most 2 open offers, other peers have 10; more wait for a place.
func (e *Engine) HandleOffers(f func(*Offer)) (stop func()) { return e.offers.set("offers", f) }

// maxAsked limits how many questions from one peer may wait for the handler at a time; maxAskedOfAll limits the total
// for all peers.
const (
	maxAsked      = 64
	maxAskedOfAll = 1024
)

// exclusive holds the function that decides on all questions of one kind. The zero value has none. Its lock is a leaf.
type exclusive[T any] struct {
	mu    sync.Mutex
	f     func(T)
	asked map[PeerID]int // questions that wait for f

	slots slots
}

func (c *exclusive[T]) set(what string, f func(T)) (stop func()) {
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

// ask passes a question of a peer to the function, on its own goroutine. claimed reports whether there is a function; the
// code is the reason why it is not asked. decline answers the question if the function does not.
func (c *exclusive[T]) ask(e *Engine, from PeerID, source netip.Addr, question T, decline func() error) (refused wire.Code, claimed bool) {
	h := holderOf(e, from, source)
	f, refused := c.begin(from, h)
	if f == nil {
		return refused, refused != 0
	}
	started := e.calls.Start(func(context.Context) {
		defer c.end(from, h)
		defer func() { _ = decline() }() // ErrAnswered: the function has answered
		recoverPanic(e, "a function that decides", func() { f(question) }, func() {})
	})
	if !started {
		c.end(from, h)
		return wire.Unavailable, true
	}
	return 0, true
}

// begin returns the function, or the reason why it is not asked; 0 if there is none.
func (c *exclusive[T]) begin(from PeerID, h holder) (func(T), wire.Code) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.f == nil:
		return nil, 0
	case c.asked[from] >= maxAsked || !c.slots.take(h, maxAskedOfAll): // guard: questions-claimed
		return nil, wire.Busy
	}
	if c.asked == nil {
		c.asked = map[PeerID]int{}
	}
	c.asked[from]++
	return c.f, 0
}

func (c *exclusive[T]) end(from PeerID, h holder) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.slots.giveBack(h)
	c.asked[from]--
	if c.asked[from] == 0 {
		delete(c.asked, from)
	}
}
