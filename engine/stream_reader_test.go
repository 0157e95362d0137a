package engine_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

// TestStream_StoppedReadersDoNotBlockMessages: streams opened by either side are read for a while and then fill their
// windows, and messages must continue.
func TestStream_StoppedReadersDoNotBlockMessages(t *testing.T) {
	streams := engine.MaxStreams
	if testing.Short() {
		streams /= 4
	}
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, 20*time.Millisecond)
		a, b, nextA, nextB := pair(t, net)
		var wg sync.WaitGroup
		var all []*engine.Stream
		stopped := make(chan struct{})
		fill := func(w, r *engine.Stream) {
			all = append(all, w, r)
			wg.Go(func() {
				chunk := make([]byte, 64<<10)
				for {
					if _, err := w.Write(chunk); err != nil {
						return
					}
				}
			})
			wg.Go(func() { _, _ = io.CopyN(io.Discard, r, 1<<20); <-stopped })
		}
		for range streams {
			s, err := a.OpenStream(t.Context(), b.Self().ID, "x")
			if err != nil {
				t.Fatal(err)
			}
			fill(s, received(t, nextB))
		}
		for range streams {
			s, err := b.OpenStream(t.Context(), a.Self().ID, "x")
			if err != nil {
				t.Fatal(err)
			}
			_, _ = s.Write([]byte{1})
			fill(received(t, nextA), s)
		}
		time.Sleep(10 * time.Second)
		if r, err := a.Send(t.Context(), strings.Repeat("m", 1000), engine.Broadcast); err != nil || r[0].Err != nil {
			t.Error(r, err)
		}
		close(stopped)
		for _, s := range all {
			s.Reset(1)
		}
		wg.Wait()
	})
}

// TestStream_ManyShortOnesAllArrive opens streams faster than they are read.
func TestStream_ManyShortOnesAllArrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, 5*time.Millisecond)
		a, b := net.Start(open("a")), net.Start(open("b"))
		events(t, a)(is[engine.PeerAdded])
		const n = 200
		var mu sync.Mutex
		got := 0
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			<-b.Handle(ctx, engine.Handler{StreamReceive: func(s *engine.Stream) {
				if m, err := s.ReadFrame(1000); err == nil && string(m) == "abcd" {
					mu.Lock()
					got++
					mu.Unlock()
				}
				time.Sleep(50 * time.Millisecond)
			}})
		}()
		for range n {
			s, err := a.OpenStream(t.Context(), b.Self().ID, "x")
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(s.WriteFrame([]byte("abcd")), s.Close()); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(30 * time.Second)
		cancel()
		<-done
		if got != n {
			t.Errorf("%d of %d arrived", got, n)
		}
	})
}

func TestStream_EndedReaderReleasesItsSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(open("a")), net.Start(open("b"))
		events(t, a)(is[engine.PeerAdded])
		ctx, cancel := context.WithCancel(t.Context())
		_ = b.WatchStreams(ctx) // a reader that never reads
		for range engine.MaxStreams {
			s, err := a.OpenStream(t.Context(), b.Self().ID, "x")
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
		}
		time.Sleep(time.Second)
		cancel()
		time.Sleep(time.Second)
		next := eventsAndStreams(t, b)
		s, err := a.OpenStream(t.Context(), b.Self().ID, "y")
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		_ = received(t, next).Close()
	})
}

func TestStream_InUseSurvivesTheEndOfAnotherReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(open("a")), net.Start(open("b"))
		events(t, a)(is[engine.PeerAdded])
		lag, stop := context.WithCancel(context.Background())
		_ = b.WatchStreams(lag) // has the event too, and never reads it
		taken := make(chan *engine.Stream, 1)
		go func() {
			for ev := range b.WatchStreams(context.Background()) {
				if ev, ok := ev.(engine.StreamReceived); ok {
					taken <- ev.Taken()
					return
				}
			}
		}()
		time.Sleep(time.Second)
		s, err := a.OpenStream(t.Context(), b.Self().ID, "x")
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		mine := <-taken
		time.Sleep(time.Second)
		stop()
		time.Sleep(time.Second)
		_, _ = mine.Write([]byte("hello"))
		_ = mine.Close()
		if got, err := io.ReadAll(s); string(got) != "hello" || err != nil {
			t.Errorf("%q %v", got, err)
		}
	})
}

// TestStream_UnreadOnesAreReleasedWithTheirReader covers a reader that ends in the middle of its queue.
func TestStream_UnreadOnesAreReleasedWithTheirReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(open("a")), net.Start(open("b"))
		events(t, a)(is[engine.PeerAdded])
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			<-b.Handle(ctx, engine.Handler{Receive: func(m engine.Message) {
				if string(m.Body) == "1" {
					time.Sleep(5 * time.Second) // the rest arrives in the meantime
				} else {
					cancel()
				}
			}, StreamReceive: func(s *engine.Stream) { t.Error("received") }})
		}()
		time.Sleep(time.Second)
		for i := range 2 {
			if r, err := a.Send(t.Context(), i+1, engine.Broadcast); err != nil || r[0].Err != nil {
				t.Fatal(r, err)
			}
		}
		for range engine.MaxStreams {
			s, err := a.OpenStream(t.Context(), b.Self().ID, "x")
			if err != nil {
				t.Fatal(err)
			}
			_ = s.Close()
		}
		<-done
		time.Sleep(time.Second)
		for range engine.MaxStreams {
			s, err := a.OpenStream(t.Context(), b.Self().ID, "y")
			if err != nil {
				t.Fatal(err)
			}
			_ = s.Close()
		}
	})
}
