package engine_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"multipeer/engine"
)

// onLoopback returns two engines with a session, over the loopback interface, beside others that are connected too.
func onLoopback(b *testing.B, others int) (from *engine.Engine, to engine.PeerID) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	b.Cleanup(func() { cancel(); wg.Wait() })
	start := func(name string, dial ...string) *engine.Engine {
		e, err := engine.New(engine.Config{Name: name, Service: "bench", Interfaces: []string{"lo"}, Hidden: true, Blind: true, Dial: dial, Invite: engine.Everyone, Accept: engine.Everyone})
		if err != nil {
			b.Fatal(err)
		}
		wg.Go(e.Handling(ctx, engine.Handler{StreamReceive: func(s *engine.Stream) { _ = s.Close() }}))
		wg.Go(func() { _ = e.Run(ctx) })
		for e.Self().Port == 0 {
			time.Sleep(time.Millisecond)
		}
		return e
	}
	from = start("from")
	at := fmt.Sprintf("127.0.0.1:%d", from.Self().Port)
	to = start("to", at).Self().ID
	for i := range others {
		start(fmt.Sprint(i), at)
	}
	sessions := func() (n int) {
		for _, p := range from.Peers() {
			if p.HasSession() {
				n++
			}
		}
		return n
	}
	for sessions() < others+1 {
		time.Sleep(10 * time.Millisecond)
	}
	return from, to
}

func BenchmarkOpenStream(b *testing.B) {
	from, to := onLoopback(b, 20)
	b.ReportAllocs()
	for b.Loop() {
		s, err := from.OpenStream(b.Context(), to, "x")
		if err != nil {
			b.Fatal(err)
		}
		_ = s.Close()
	}
}

func BenchmarkSend(b *testing.B) {
	from, to := onLoopback(b, 20)
	b.ReportAllocs()
	for b.Loop() {
		if r, err := from.Send(b.Context(), "hello", to); err != nil || r[0].Err != nil {
			b.Fatal(r, err)
		}
	}
}
