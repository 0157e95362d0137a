package discovery

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	pollInterval = 3 * time.Second
	// A wall clock that is this much ahead of the poll was asleep.
	wakeAfter = 4 * pollInterval
)

// watchNetwork sends on changed when interfaces or addresses have changed, or the machine has slept. The system
// tells at once where it can; a poll serves the rest.
func watchNetwork(ctx context.Context, changed chan<- struct{}) {
	told := make(chan struct{}, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { systemEvents(ctx, told) })

	snapshot := func() []iface {
		ifs, _ := usable(nil)
		return ifs
	}
	last, wall := snapshot(), time.Now().Round(0) // Round strips the monotonic reading, which stops during sleep
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-told:
		case <-tick.C:
		}
		now, ifs := time.Now().Round(0), snapshot()
		woke := now.Sub(wall) > wakeAfter
		wall = now
		if woke || !slices.EqualFunc(ifs, last, iface.equal) {
			last = ifs
			select {
			case changed <- struct{}{}:
			default:
			}
		}
	}
}
