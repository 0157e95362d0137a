package engine

import (
	"sync"
	"sync/atomic"
)

// outstanding counts the messages whose outcome is not known yet, until it is closed. It has no lock, because every
// message to any peer goes through it.
type outstanding struct {
	n      atomic.Int64
	closed atomic.Bool
	once   sync.Once
	none   chan struct{} // closed once it is closed and the count is 0
}

func newOutstanding() *outstanding { return &outstanding{none: make(chan struct{})} }

// begin counts a message, or returns ErrClosed. The caller must call end once its outcome is known.
func (o *outstanding) begin() error {
	o.n.Add(1)
	if o.closed.Load() {
		o.end()
		return ErrClosed
	}
	return nil
}

// add counts a message that belongs to one that is counted, such as the answer to a request.
func (o *outstanding) add() { o.n.Add(1) }

func (o *outstanding) end() {
	if o.n.Add(-1) == 0 && o.closed.Load() {
		o.once.Do(func() { close(o.none) })
	}
}

// close refuses further messages.
func (o *outstanding) close() {
	o.closed.Store(true)
	if o.n.Load() == 0 {
		o.once.Do(func() { close(o.none) })
	}
}
