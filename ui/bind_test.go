package ui

import (
	"context"
	"iter"
	"testing"

	"multipeer/engine"
)

func TestPumpKeepsTheLastEventAndEnds(t *testing.T) {
	l := newLoop()
	b := newBinding(t.Context(), l.do, func() {})
	var events iter.Seq[engine.Event] = func(yield func(engine.Event) bool) {
		for i := range 5000 {
			if !yield(engine.SelfChanged{Self: engine.Self{Port: i}}) {
				return
			}
		}
	}
	last, batches := -1, 0
	b.pump(events, func(batch []engine.Event) {
		batches++
		last = batch[len(batch)-1].(engine.SelfChanged).Self.Port
	})
	l.until(t, "the last event", func() bool { return last == 4999 })
	if batches > 20 {
		t.Errorf("%d batches", batches)
	}
	b.close() // hangs if something does not end
}

func TestBackgroundAnswersOnTheMainThread(t *testing.T) {
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
