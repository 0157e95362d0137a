package ui

import (
	"context"
	"iter"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"multipeer/engine"
)

// This file is the only crossing between the engine's goroutines and the main thread: events come in through pump, and
// calls that may block go out through background. Nothing else in this package starts a goroutine or calls fyne.Do; a
// test enforces this.

// tick is the shortest time between two batches of events. Ten repaints a second are enough.
const tick = 100 * time.Millisecond

// maxBatch limits how many events one function on the main thread handles.
const maxBatch = 1024

// binding carries work between the window and the engine until close.
type binding struct {
	ctx    context.Context
	cancel context.CancelFunc
	do     func(func()) // fyne.Do; in tests, a queue that the test drains
	after  func()       // runs on the main thread after a result has been handled
	wg     sync.WaitGroup
	late   []engine.Event // events that arrived while the program was shutting down
}

func newBinding(ctx context.Context, do func(func()), after func()) *binding {
	b := &binding{do: do, after: after}
	b.ctx, b.cancel = context.WithCancel(ctx)
	return b
}

// close stops everything, waits for it, and returns the events that apply did not get.
func (b *binding) close() []engine.Event {
	b.cancel()
	b.wg.Wait()
	return b.late
}

// pump passes events to apply on the main thread: the first one at once, then at most one batch per tick, with one
// batch in flight. While the window is busy, pump reads nothing and the engine coalesces.
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
			if b.ctx.Err() != nil { // the main thread may never run a function that is posted now
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

// gather waits for one event and adds all others that are available. An empty batch marks the end.
func gather(in <-chan engine.Event) []engine.Event {
	ev, ok := <-in
	if !ok {
		return nil
	}
	batch := []engine.Event{ev}
	// The goroutine that reads from the engine needs a moment to pass on each waiting event.
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

// background runs work, which may block, on its own goroutine, and then runs done on the main thread.
func background[T any](b *binding, work func(context.Context) (T, error), done func(T, error)) {
	b.wg.Go(func() {
		v, err := work(b.ctx)
		if b.ctx.Err() == nil {
			b.do(func() { done(v, err); b.after() })
		}
	})
}

// run runs work that returns no result.
func (b *binding) run(work func(context.Context)) { b.wg.Go(func() { work(b.ctx) }) }

// every calls f on the main thread at an interval, for what changes only with time. While the window is busy, at most
// one call waits; further ones are skipped.
func (b *binding) every(interval time.Duration, f func()) {
	b.wg.Go(func() {
		t := time.NewTicker(interval)
		defer t.Stop()
		done := make(chan struct{}, 1)
		for {
			select {
			case <-t.C:
				b.do(func() { f(); done <- struct{}{} })
			case <-b.ctx.Done():
				return
			}
			select {
			case <-done:
			case <-b.ctx.Done():
				return
			}
		}
	})
}

// loopIsDead is how long the main thread may take to run a function before its loop is considered ended.
const loopIsDead = 10 * time.Second

// onSignal calls leave on SIGINT and SIGTERM, in place of Fyne's handler, which ends the loop. If the process still
// runs after loopIsDead, for example because Fyne's handler got the signal too, onSignal calls end, which exits the
// process. A second signal ends the process at once. The goroutine does not belong to a binding, because leave may
// close the binding.
func onSignal(leave, end func()) {
	signals := make(chan os.Signal, 1)
	signal.Reset(os.Interrupt, syscall.SIGTERM)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		signal.Reset(os.Interrupt, syscall.SIGTERM)
		time.AfterFunc(loopIsDead, end)
		leave()
	}()
}
