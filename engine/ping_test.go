package engine_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

// TestPing_FrequentPingsMeasureTheLine checks that frequent pings do not measure the rate limit for peers without a
// session, and that none is falsely counted as lost.
func TestPing_FrequentPingsMeasureTheLine(t *testing.T) {
	for _, mode := range []engine.PingMode{engine.PingReliable, engine.PingUnreliable, engine.PingStream} {
		for _, session := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				net := enginetest.New(t, latency)
				a, b := net.Start(engine.Config{}), net.Start(engine.Config{Accept: engine.Everyone})
				meet(t, a, b)
				if session {
					if err := a.Invite(t.Context(), b.Self().ID); err != nil {
						t.Fatal(err)
					}
				}
				paced := !session && mode != engine.PingStream
				began := time.Now()
				for i := range 600 {
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					d, err := a.Ping(ctx, b.Self().ID, mode)
					cancel()
					if err != nil || d > 2*latency+5*time.Millisecond {
						t.Fatalf("%s, session %v: ping %d: %v, %v", mode, session, i, d, err)
					}
				}
				took, atLeast := time.Since(began), time.Duration(0)
				if paced {
					atLeast = 599 * time.Second / engine.PingRate(mode)
				}
				if session && took > 600*(2*latency+5*time.Millisecond) || took < atLeast {
					t.Errorf("%s, session %v: all took %v", mode, session, took)
				}
				if !paced {
					return
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
				defer cancel()
				if _, err := a.Ping(ctx, b.Self().ID, mode); !errors.Is(err, engine.ErrBusy) {
					t.Errorf("%s: a deadline before its turn: %v", mode, err)
				}
			})
		}
	}
}

func TestPing_MeasuresInEachMode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, 5*time.Millisecond)
		a, b := net.Start(engine.Config{}), net.Start(engine.Config{})
		for _, mode := range []engine.PingMode{engine.PingReliable, engine.PingUnreliable, engine.PingStream} {
			meet(t, a, b)
			for range 3 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				rtt, err := a.Ping(ctx, b.Self().ID, mode)
				cancel()
				if err != nil || rtt < 10*time.Millisecond || rtt > 100*time.Millisecond {
					t.Errorf("%s: %v, %v", mode, rtt, err)
				}
			}
		}
	})
}

// TestPing_EndsWithItsContext: a lost ping is a timeout, a cancelled one is cancelled, and neither disturbs the next.
func TestPing_EndsWithItsContext(t *testing.T) {
	for _, mode := range []engine.PingMode{engine.PingReliable, engine.PingUnreliable, engine.PingStream} {
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, latency)
			a, b := net.Start(engine.Config{}), net.Start(engine.Config{})
			meet(t, a, b)
			net.Drop(func(netip.AddrPort, netip.AddrPort) bool { return true })
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, err := a.Ping(ctx, b.Self().ID, mode); !errors.Is(err, engine.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: a lost ping: %v", mode, err)
			}
			cancel()
			ctx, cancel = context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			began := time.Now()
			if _, err := a.Ping(ctx, b.Self().ID, mode); !errors.Is(err, engine.ErrCancelled) || time.Since(began) > time.Second {
				t.Errorf("%s: a cancelled ping: %v after %v", mode, err, time.Since(began))
			}
			net.Drop(nil)
			time.Sleep(5 * time.Second)
			if d, err := a.Ping(t.Context(), b.Self().ID, mode); err != nil || d > 10*latency {
				t.Errorf("%s: the next ping: %v, %v", mode, d, err)
			}
		})
	}
}
