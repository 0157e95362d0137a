package engine_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

// TestLatencyWhileAFileMoves measures round trips over a simulated line of 1 Gbit/s with a round-trip time of 1 ms and
// a queue of 512 KB, idle and while a file fills it. Time is simulated: the figures are those of the protocol,
// independent of the machine.
func TestLatencyWhileAFileMoves(t *testing.T) {
	size := 60 << 20
	if testing.Short() {
		size = 20 << 20
	}
	source := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(source, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, 500*time.Microsecond)
		net.Limit(1_000_000_000, 512<<10)
		a, b, _, nextB := pair(t, net)
		modes := []engine.PingMode{engine.PingReliable, engine.PingUnreliable, engine.PingStream}
		// trips pings with each mode in turn until stop is closed, or n times.
		trips := func(n int, stop <-chan struct{}) map[engine.PingMode][]time.Duration {
			out := map[engine.PingMode][]time.Duration{}
			for i := 0; i < n; i++ {
				select {
				case <-stop:
					return out
				default:
				}
				for _, mode := range modes {
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					if d, err := a.Ping(ctx, b.Self().ID, mode); err == nil {
						out[mode] = append(out[mode], d)
					} else if mode != engine.PingUnreliable {
						t.Errorf("%s: %v", mode, err)
					}
					cancel()
				}
			}
			return out
		}
		idle := trips(100, nil)

		began := time.Now()
		o, err := a.Offer(t.Context(), b.Self().ID, source)
		if err != nil {
			t.Fatal(err)
		}
		if err := nextB(is[*engine.Offer]).(*engine.Offer).Accept(engine.AcceptOptions{Dir: t.TempDir()}); err != nil {
			t.Fatal(err)
		}
		moved := make(chan struct{})
		go func() {
			defer close(moved)
			if tr, err := a.Wait(t.Context(), o.ID); err != nil || tr.Err != nil {
				t.Error(tr.Err, err)
			}
		}()
		busy := trips(1<<20, moved)
		took := time.Since(began)
		t.Logf("%.0f MB in %v: %.0f MB/s of 118 that the line can carry", float64(size)/1e6, took, float64(size)/1e6/took.Seconds())
		for _, mode := range modes {
			for _, d := range [][]time.Duration{idle[mode], busy[mode]} {
				slices.Sort(d)
			}
			n := len(busy[mode])
			p99 := busy[mode][n*99/100]
			t.Logf("%-10s idle p50 %v; while the file moves p50 %v, p99 %v of %d", mode, idle[mode][50], busy[mode][n/2], p99, n)
			if p99 > 5*time.Millisecond {
				t.Errorf("%s: p99 %v while a file moves", mode, p99)
			}
		}
	})
}
