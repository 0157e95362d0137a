package main

import (
	"context"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

// text is an output that may be written and read concurrently.
type text struct {
	mu sync.Mutex
	b  strings.Builder
}

func (t *text) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(b)
}

func (t *text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}

// TestMeasures measures three peers at once over a path that loses packets: each gets its own figures.
func TestMeasures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, 2*time.Millisecond)
		net.Lose(0.05)
		open := func(name string) engine.Config {
			return engine.Config{Name: name, Invite: engine.Everyone, Accept: engine.Everyone}
		}
		ctx, cancel := context.WithCancel(t.Context())
		var out text
		var done sync.WaitGroup
		a := net.Start(open("a"))
		asks := newTester(a.Engine, &out)
		done.Go(func() { <-a.Handle(ctx, asks.handler(ctx)) })
		for _, name := range []string{"b", "c", "d"} {
			n := net.Start(open(name))
			done.Go(func() { <-n.Handle(ctx, newTester(n.Engine, &text{}).handler(ctx)) })
		}
		for range 3 {
			if err := asks.measure(ctx, <-asks.added, 200); err != nil {
				t.Error(err)
			}
		}
		cancel()
		done.Wait()
		for _, line := range []string{`unreliable \d+ round trips: min 4\S*ms, .* [1-9]\d* lost`, `reliable   200 round trips: .* 0 lost`, `stream     200 round trips: .* 0 lost`} {
			if got := regexp.MustCompile(line).FindAllString(out.String(), -1); len(got) < 3 {
				t.Errorf("%q %d times in\n%s", line, len(got), out.String())
			}
		}
	})
}
