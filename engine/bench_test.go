package engine_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"multipeer/engine"
)

// onLoopback returns two engines with a session over the loopback interface, in addition to others that are connected.
func onLoopback(b *testing.B, others int) (from *engine.Engine, to engine.PeerID) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	b.Cleanup(func() { cancel(); wg.Wait() })
	start := func(name string, dial ...string) *engine.Engine {
		e, err := engine.New(engine.Config{Offers: engine.Everyone, Name: name, Service: "bench", Interfaces: []string{"lo"}, Hidden: true, Blind: true, Dial: dial, Invite: engine.Everyone, Accept: engine.Everyone})
		if err != nil {
			b.Fatal(err)
		}
		inbox := b.TempDir()
		wg.Go(waitFor(e.Handle(ctx, engine.Handler{
			Receive:       func(engine.Message) {},
			StreamReceive: func(s *engine.Stream) { _ = s.Close() },
			Offer:         func(o *engine.Offer) { _ = o.Accept(engine.AcceptOptions{Dir: inbox, Reserve: -1}) },
		})))
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

// BenchmarkSendDuringTransfers sends to fifty peers while eight of them receive files. Run it with -mutexprofile to see
// which locks they share: it measures for as long as the transfers run.
func BenchmarkSendDuringTransfers(b *testing.B) {
	from, _ := onLoopback(b, 49)
	src := filepath.Join(b.TempDir(), "file")
	data := make([]byte, 256<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(data)
	if err := os.WriteFile(src, data, 0o600); err != nil {
		b.Fatal(err)
	}
	var moving []engine.TransferID
	for _, p := range from.Peers()[:8] {
		t, err := from.Offer(b.Context(), p.ID, src)
		if err != nil {
			b.Fatal(err)
		}
		moving = append(moving, t.ID)
	}
	began, sent := time.Now(), 0
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, id := range moving {
			if t, err := from.Wait(b.Context(), id); err != nil || t.Err != nil {
				b.Error(err, t.Err)
			}
		}
	}()
	for b.Loop() {
		for working := true; working; sent++ {
			if _, err := from.Send(b.Context(), "hello", engine.Broadcast); err != nil {
				b.Fatal(err)
			}
			select {
			case <-done:
				working = false
			default:
			}
		}
	}
	b.ReportMetric(float64(50*sent)/time.Since(began).Seconds(), "messages/s")
}
