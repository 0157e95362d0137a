package engine_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

// TestPinger_FrequentPingsMeasureTheLine checks that frequent pings do not measure the rate limit for peers without a
// session, and that none is falsely counted as lost.
func TestPinger_FrequentPingsMeasureTheLine(t *testing.T) {
	for _, mode := range []engine.PingMode{engine.PingReliable, engine.PingUnreliable, engine.PingStream} {
		for _, session := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				net := enginetest.New(t, latency)
				a, b := net.Start(engine.Config{}), net.Start(engine.Config{Accept: engine.Everyone})
				reach(t, a, b)
				if session {
					if err := a.Invite(t.Context(), b.Self().ID); err != nil {
						t.Fatal(err)
					}
				}
				p, err := a.NewPinger(t.Context(), b.Self().ID, mode)
				if err != nil {
					t.Fatal(err)
				}
				defer p.Close()
				if paced := p.Pace() > 0; paced == (session || mode == engine.PingStream) {
					t.Errorf("%s, session %v: a pace of %v", mode, session, p.Pace())
				}
				began := time.Now()
				for i := range 600 {
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					d, err := p.Ping(ctx)
					cancel()
					if err != nil || d > 2*latency+5*time.Millisecond {
						t.Fatalf("%s, session %v: ping %d: %v, %v", mode, session, i, d, err)
					}
				}
				if took := time.Since(began); session && took > 600*(2*latency+5*time.Millisecond) || took < 599*p.Pace() {
					t.Errorf("%s, session %v: all took %v", mode, session, took)
				}
				ctx, cancel := context.WithTimeout(t.Context(), p.Pace()/4)
				defer cancel()
				if _, err := p.Ping(ctx); p.Pace() > 0 && !errors.Is(err, engine.ErrBusy) {
					t.Errorf("%s: a deadline before its turn: %v", mode, err)
				}
			})
		}
	}
}

func TestPinger_MeasuresInEachMode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, 5*time.Millisecond)
		a, b := net.Start(engine.Config{}), net.Start(engine.Config{})
		for _, mode := range []engine.PingMode{engine.PingReliable, engine.PingUnreliable, engine.PingStream} {
			meet(t, a, b)
			p, err := a.NewPinger(t.Context(), b.Self().ID, mode)
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				rtt, err := p.Ping(ctx)
				cancel()
				if err != nil || rtt < 10*time.Millisecond || rtt > 100*time.Millisecond {
					t.Errorf("%s: %v, %v", mode, rtt, err)
				}
			}
			p.Close()
		}
	})
}
