package engine_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

// TestMessages_ArriveAtEachReader checks that a reader with a full queue misses no message that another reader gets: the
// sender waits for both.
func TestMessages_ArriveAtEachReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Accept: engine.Everyone, Invite: engine.Everyone}), net.Start(engine.Config{Accept: engine.Everyone})
		const count = 3000
		counts := make(chan int, 2)
		ctx, cancel := context.WithCancel(t.Context())
		for _, pause := range []time.Duration{0, 20 * time.Second} {
			seq := b.Topic("news").Messages(ctx)
			go func() {
				n := 0
				for range seq {
					if n == 0 {
						time.Sleep(pause)
					}
					if n++; n == count {
						break
					}
				}
				counts <- n
			}()
		}
		if _, err := a.WaitPeer(t.Context(), b.Self().ID, engine.Connected); err != nil {
			t.Fatal(err)
		}
		for i := range count {
			if _, err := a.Topic("news").Post(t.Context(), i, b.Self().ID); err != nil {
				t.Fatal(i, err)
			}
		}
		for range 2 {
			select {
			case n := <-counts:
				if n != count {
					t.Errorf("a reader got %d of %d messages", n, count)
				}
			case <-time.After(time.Minute):
				cancel()
				t.Error("a reader got ", <-counts)
			}
		}
		cancel()
	})
}
