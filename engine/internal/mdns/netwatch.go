package mdns

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	pollInterval = 3 * time.Second
	// If the wall clock has advanced this much since the last poll, the machine was asleep.
	wakeAfter = 4 * pollInterval
	// lookPause is the minimum time between two scans of the interfaces: the system reports many changes at once.
	lookPause = 100 * time.Millisecond
)

// watchNetwork sends on changed when the named interfaces (none means all) or their addresses have changed, or when the
// machine was asleep. If the system reports changes, the interfaces are scanned only after a report; otherwise they are
// polled.
func watchNetwork(ctx context.Context, names []string, changed chan<- struct{}) {
	notified := make(chan struct{}, 1)
	var notifying atomic.Bool // the system reports changes
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		systemEvents(ctx, notified, &notifying)
		notifying.Store(false)
	})

	snapshot := func() []iface {
		ifs, _ := usable(names)
		return ifs
	}
	last, looked := snapshot(), time.Now()
	wall := looked.Round(0) // Round strips the monotonic reading, which stops during sleep
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		look := false
		select {
		case <-ctx.Done():
			return
		case <-notified:
			look = true
			select {
			case <-time.After(lookPause - time.Since(looked)):
			case <-ctx.Done():
				return
			}
		case <-tick.C:
			look = !notifying.Load()
		}
		now := time.Now().Round(0)
		woke := now.Sub(wall) > wakeAfter
		wall = now
		news := woke
		if look || woke {
			ifs := snapshot()
			looked = time.Now()
			news = news || !slices.EqualFunc(ifs, last, iface.equal)
			last = ifs
		}
		if news {
			select {
			case changed <- struct{}{}:
			default:
			}
		}
	}
}
