package load

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestFactor_GrowsWithBusyThreads: four times as many busy threads as cores leave each a fraction of a core.
func TestFactor_GrowsWithBusyThreads(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("it is not measured there")
	}
	var stop atomic.Bool
	var wg sync.WaitGroup
	old := runtime.GOMAXPROCS(4*runtime.NumCPU() + 1)
	defer runtime.GOMAXPROCS(old)
	for range 4 * runtime.NumCPU() {
		wg.Go(func() {
			var sum [32]byte
			for !stop.Load() {
				sum = burn(sum)
			}
		})
	}
	time.Sleep(50 * time.Millisecond)
	most := 0.0
	for range 20 {
		most = max(most, Factor())
	}
	stop.Store(true)
	wg.Wait()
	if most < 1.5 {
		t.Errorf("with four busy threads per core it is %.2f", most)
	}
}

// TestWithin_Ends: Within returns when the condition holds, or the limit has passed.
func TestWithin_Ends(t *testing.T) {
	n := 0
	if !Within(time.Minute, time.Millisecond, func() bool { n++; return n == 3 }) {
		t.Error("it was true")
	}
	if Within(20*time.Millisecond, time.Millisecond, func() bool { return false }) {
		t.Error("it was never true")
	}
}
