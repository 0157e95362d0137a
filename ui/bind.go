package ui

import (
	"context"
	"iter"
	"sync"
	"time"

	"multipeer/engine"
)

// This file is the one crossing between the engine's goroutines and the main
// thread: events come in through pump, calls that may block go out through
// background. Nothing else in this package starts a goroutine or calls
// fyne.Do, and a fence test sees to that.

// tick is the shortest time between two batches of events: ten repaints a second are enough.
const tick = 100 * time.Millisecond

// maxBatch bounds how many events one function on the main thread takes.
const maxBatch = 1024

// binding carries work between the window and the engine until close.
type binding struct {
	ctx    context.Context
	cancel context.CancelFunc
	do     func(func()) // fyne.Do; in tests a queue that the test drains
	after  func()       // on the main thread, after what came back has been taken
	wg     sync.WaitGroup
	late   []engine.Event // that came while the program ended
}

func newBinding(ctx context.Context, do func(func()), after func()) *binding {
	b := &binding{do: do, after: after}
	b.ctx, b.cancel = context.WithCancel(ctx)
	return b
}

// close ends everything, waits for it, and returns the events that apply has not got.
func (b *binding) close() []engine.Event {
	b.cancel()
	b.wg.Wait()
	return b.late
}

// pump hands events to apply on the main thread: the first at once, then at most one batch per tick and one batch
// in flight. While the window is busy nothing is read, and the engine coalesces.
func (b *binding) pump(events iter.Seq[engine.Event], apply func([]engine.Event)) {
	in := make(chan engine.Event)
	b.wg.Go(func() {
		defer close(in)
		for ev := range events {
			in <- ev
		}
	})
	b.wg.Go(func() {
		taken := make(chan struct{}, 1)
		for {
			batch := gather(in)
			if len(batch) == 0 {
				return
			}
			if b.ctx.Err() != nil { // a function that is queued now may never run
				b.late = append(b.late, batch...)
				continue
			}
			var once sync.Once
			b.do(func() {
				once.Do(func() {
					if b.ctx.Err() != nil {
						b.late = append(b.late, batch...)
						return
					}
					apply(batch)
				})
				taken <- struct{}{}
			})
			select {
			case <-taken:
			case <-b.ctx.Done():
				once.Do(func() { b.late = append(b.late, batch...) })
				continue
			}
			select {
			case <-time.After(tick):
			case <-b.ctx.Done():
			}
		}
	})
}

// gather waits for one event and takes what else is there. An empty batch is the end.
func gather(in <-chan engine.Event) []engine.Event {
	ev, ok := <-in
	if !ok {
		return nil
	}
	batch := []engine.Event{ev}
	// The reader in front needs a moment for each event that waits in the engine.
	pause := time.NewTimer(5 * time.Millisecond)
	defer pause.Stop()
	for len(batch) < maxBatch {
		select {
		case ev, ok := <-in:
			if !ok {
				return batch
			}
			batch = append(batch, ev)
		case <-pause.C:
			return batch
		}
	}
	return batch
}

// background runs work, which may block, on a goroutine of its own, and then done on the main thread.
func background[T any](b *binding, work func(context.Context) (T, error), done func(T, error)) {
	b.wg.Go(func() {
		v, err := work(b.ctx)
		if b.ctx.Err() == nil {
			b.do(func() { done(v, err); b.after() })
		}
	})
}

// run runs work, of which nothing comes back.
func (b *binding) run(work func(context.Context)) { b.wg.Go(func() { work(b.ctx) }) }

// every calls f on the main thread at an interval, for what changes with time alone.
func (b *binding) every(interval time.Duration, f func()) {
	b.wg.Go(func() {
		t := time.NewTicker(interval)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				b.do(f)
			case <-b.ctx.Done():
				return
			}
		}
	})
}
