package window

import (
	"sync"
	"sync/atomic"
)

// Budget limits the total bytes of messages, across all windows, that wait for room. Its methods may be called
// concurrently; its mutex is a leaf lock.
type Budget struct {
	windows atomic.Int32 // how many windows have messages that wait

	mu    sync.Mutex
	left  int
	freed chan struct{} // closed when bytes are given back; nil while no one waits for it
}

// NewBudget returns a budget of the given size.
func NewBudget(bytes int) *Budget { return &Budget{left: bytes} }

// Waiting reports whether messages wait for room in some window.
func (b *Budget) Waiting() bool { return b.windows.Load() > 0 }

// take takes bytes out of the budget if enough are left.
func (b *Budget) take(bytes int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if bytes > b.left {
		return false
	}
	b.left -= bytes
	return true
}

func (b *Budget) giveBack(bytes int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left += bytes
	if b.freed != nil {
		close(b.freed)
		b.freed = nil
	}
}

// Freed returns a channel that is closed when bytes are given back.
func (b *Budget) Freed() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.freed == nil {
		b.freed = make(chan struct{})
	}
	return b.freed
}
