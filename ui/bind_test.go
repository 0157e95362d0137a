package ui

import (
	"context"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
)

func TestPump_KeepsTheLastEventAndEnds(t *testing.T) {
	l := newLoop()
	b := newBinding(t.Context(), l.do, func() {})
	var events iter.Seq[engine.Event] = func(yield func(engine.Event) bool) {
		for i := range 5000 {
			if !yield(engine.Self{Port: i}) {
				return
			}
		}
	}
	last, batches := -1, 0
	b.pump(events, func(batch []engine.Event) {
		batches++
		last = batch[len(batch)-1].(engine.Self).Port
	})
	l.until(t, "the last event", func() bool { return last == 4999 })
	if batches > 20 {
		t.Errorf("%d batches", batches)
	}
	b.close() // hangs if something does not end
}

func TestBackground_AnswersOnTheMainThread(t *testing.T) {
	l := newLoop()
	b := newBinding(t.Context(), l.do, func() {})
	got := ""
	background(b, func(context.Context) (string, error) { return "done", nil }, func(s string, _ error) { got = s })
	l.until(t, "the answer", func() bool { return got == "done" })
	background(b, func(ctx context.Context) (string, error) { <-ctx.Done(); return "late", nil }, func(s string, _ error) { got = s })
	b.close()
	if got != "done" {
		t.Error("an answer came after the end")
	}
}

// TestBinding_CloseReturnsUntakenEvents checks that no event is lost, whether it waits for the main thread or for the
// end of a tick.
func TestBinding_CloseReturnsUntakenEvents(t *testing.T) {
	l := newLoop()
	b := newBinding(t.Context(), l.do, func() {})
	const sent = 3000
	var events iter.Seq[engine.Event] = func(yield func(engine.Event) bool) {
		for i := range sent {
			if !yield(engine.Self{Port: i}) {
				return
			}
		}
		<-b.ctx.Done()
	}
	var got []int
	take := func(batch []engine.Event) {
		for _, ev := range batch {
			got = append(got, ev.(engine.Self).Port)
		}
	}
	b.pump(events, take)
	l.until(t, "the first batch", func() bool { return len(got) > 0 })
	take(b.close())
	for i, n := range got {
		if i != n {
			t.Fatalf("event %d came as number %d", n, i)
		}
	}
	if len(got) != sent {
		t.Errorf("%d of %d events", len(got), sent)
	}
}

func TestBinding_BusyWindowLeavesTicksOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue, calls := make(chan func(), 10), 0
		b := newBinding(t.Context(), func(f func()) { queue <- f }, func() {})
		b.every(time.Second, func() { calls++ })
		time.Sleep(time.Hour)
		if n := len(queue); n != 1 {
			t.Errorf("%d calls wait for a window that was busy for an hour", n)
		}
		(<-queue)()
		time.Sleep(1500 * time.Millisecond)
		(<-queue)()
		if calls != 2 {
			t.Errorf("%d calls", calls)
		}
		b.close()
	})
}
