package engine_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

// pair starts two connected engines; the functions return their next events.
func pair(t *testing.T, net *enginetest.Net) (a, b *enginetest.Node, nextA, nextB func(func(engine.Event) bool) engine.Event) {
	t.Helper()
	a, b = net.Start(open("a")), net.Start(open("b"))
	nextA, nextB = eventsAndStreams(t, a), eventsAndStreams(t, b)
	nextA(is[engine.PeerAdded])
	nextB(is[engine.PeerAdded])
	return a, b, nextA, nextB
}

func received(t *testing.T, next func(func(engine.Event) bool) engine.Event) *engine.Stream {
	t.Helper()
	return next(is[engine.StreamReceived]).(engine.StreamReceived).Taken()
}

// TestStream_CarriesBytesBothWays checks that a stream carries bytes both ways, ends each direction separately, and
// starts without a round trip.
func TestStream_CarriesBytesBothWays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, 50*time.Millisecond)
		a, b, _, nextB := pair(t, net)
		began := time.Now()
		s, err := a.OpenStream(t.Context(), b.Self().ID, "moves")
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if _, err := s.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		r := received(t, nextB)
		defer r.Close()
		got := make([]byte, 5)
		if _, err := io.ReadFull(r, got); err != nil || string(got) != "hello" || r.Name != "moves" || r.Peer != a.Self().ID {
			t.Fatalf("%q from %v, named %q: %v", got, r.Peer, r.Name, err)
		}
		if took := time.Since(began); took > 60*time.Millisecond {
			t.Errorf("the first bytes took %v over a path of 50ms", took)
		}
		if err := s.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if n, err := r.Read(got); n != 0 || err != io.EOF {
			t.Errorf("after CloseWrite: %d, %v", n, err)
		}
		if _, err := r.Write([]byte("still here")); err != nil { // the other direction is still open
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if rest, err := io.ReadAll(s); err != nil || string(rest) != "still here" {
			t.Errorf("%q, %v", rest, err)
		}
	})
}

// TestStream_ManyAtOnceLoseNoByte opens as many streams as allowed, in both directions at once, and checks that no
// byte of a short write is lost.
func TestStream_ManyAtOnceLoseNoByte(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		net.Lose(0.02)
		a, b, nextA, nextB := pair(t, net)
		data := make([]byte, 300_000)
		_, _ = rand.Read(data)
		want := sha256.Sum256(data)
		var wg sync.WaitGroup
		for _, way := range []struct {
			from, to *enginetest.Node
			next     func(func(engine.Event) bool) engine.Event
		}{{a, b, nextB}, {b, a, nextA}} {
			for i := range engine.MaxStreams {
				s, err := way.from.OpenStream(t.Context(), way.to.Self().ID, fmt.Sprint(i))
				if err != nil {
					t.Fatal(err)
				}
				wg.Go(func() {
					defer s.Close()
					if n, err := s.Write(data); n != len(data) || err != nil {
						t.Errorf("%d of %d bytes written: %v", n, len(data), err)
					}
				})
			}
			for range engine.MaxStreams {
				r := received(t, way.next)
				wg.Go(func() {
					defer r.Close()
					h := sha256.New()
					if _, err := io.Copy(h, r); err != nil || !bytes.Equal(h.Sum(nil), want[:]) {
						t.Errorf("stream %s arrived otherwise: %v", r.Name, err)
					}
				})
			}
		}
		wg.Wait()
	})
}

// TestOpenStream_WaitsAtTheLimit also checks that the call continues once both sides have closed a stream.
func TestOpenStream_WaitsAtTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b, _, nextB := pair(t, net)
		var mine, theirs []*engine.Stream
		var err error
		for err == nil {
			ctx, cancel := contextWithTimeout(t, time.Second)
			var s *engine.Stream
			if s, err = a.OpenStream(ctx, b.Self().ID, "x"); err == nil {
				mine, theirs = append(mine, s), append(theirs, received(t, nextB))
			}
			cancel()
		}
		if len(mine) < engine.MaxStreams || len(mine) > engine.MaxStreams+8 || !errors.Is(err, engine.ErrTimeout) {
			t.Errorf("after %d: %v", len(mine), err)
		}
		time.AfterFunc(time.Second, func() { _ = mine[0].Close(); _ = theirs[0].Close() })
		s, err := a.OpenStream(t.Context(), b.Self().ID, "x")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write([]byte("y")); err != nil {
			t.Error(err)
		}
		r := received(t, nextB)
		for _, s := range append(append(mine, theirs...), s, r) {
			_ = s.Close()
		}
	})
}

// TestStream_StoppedReaderBlocksOnlyItsWriter checks that a stopped reader blocks only the writer of that stream,
// whose memory does not grow.
func TestStream_StoppedReaderBlocksOnlyItsWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b, _, nextB := pair(t, net)
		var stopped []*engine.Stream
		written := make([]atomic.Int64, engine.MaxStreams-1)
		var wg sync.WaitGroup
		for i := range written { // all but one of the streams allowed
			s, err := a.OpenStream(t.Context(), b.Self().ID, "stopped")
			if err != nil {
				t.Fatal(err)
			}
			stopped = append(stopped, received(t, nextB))
			wg.Go(func() {
				chunk := make([]byte, 64<<10)
				for {
					n, err := s.Write(chunk)
					written[i].Add(int64(n))
					if err != nil {
						return
					}
				}
			})
		}
		time.Sleep(10 * time.Second)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		time.Sleep(time.Minute)
		runtime.GC()
		runtime.ReadMemStats(&after)
		if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 8<<20 {
			t.Errorf("the heap grew by %d bytes while nobody read", grown)
		}
		for i := range written {
			if n := written[i].Load(); n > 4<<20 {
				t.Errorf("stream %d took %d bytes that nobody reads", i, n)
			}
		}
		// Messages, datagrams, pings and the last stream continue.
		if r, err := a.Send(t.Context(), strings.Repeat("m", 500_000), engine.Broadcast); err != nil || r[0].Err != nil {
			t.Error(r, err)
		}
		if r, err := a.SendDatagram("d", engine.Broadcast); err != nil || r[0].Err != nil {
			t.Error(r, err)
		}
		s, err := a.OpenStream(t.Context(), b.Self().ID, "free")
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		free := received(t, nextB)
		defer free.Close()
		wg.Go(func() {
			_, _ = s.Write(make([]byte, 3<<20))
			_ = s.CloseWrite()
		})
		if n, err := io.Copy(io.Discard, free); n != 3<<20 || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
		for i, r := range stopped {
			r.Reset(uint16(i))
		}
		wg.Wait()
	})
}

// TestStream_ResetCarriesItsCode checks that Reset carries the code, and ends both directions at once.
func TestStream_ResetCarriesItsCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b, _, nextB := pair(t, net)
		s, err := a.OpenStream(t.Context(), b.Self().ID, "x")
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		r := received(t, nextB)
		defer r.Close()
		r.Reset(4711)
		time.Sleep(10 * time.Millisecond)
		var reset *engine.ResetError
		if _, err := s.Read(make([]byte, 1)); !errors.As(err, &reset) || reset.Code != 4711 {
			t.Errorf("reading: %v", err)
		}
		reset = nil
		if _, err := s.Write([]byte("x")); !errors.As(err, &reset) || reset.Code != 4711 {
			t.Errorf("writing: %v", err)
		}
	})
}

// TestStream_EndsWithTheSession checks that a stream ends in each of the ways in which a session ends.
func TestStream_EndsWithTheSession(t *testing.T) {
	for name, end := range map[string]func(a, b *enginetest.Node){
		"disconnected here":  func(a, b *enginetest.Node) { a.Disconnect(b.Self().ID) },
		"disconnected there": func(a, b *enginetest.Node) { b.Leave() },
		"the other ended":    func(a, b *enginetest.Node) { go b.Stop() },
		"killed":             func(a, b *enginetest.Node) { go b.Kill() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := enginetest.New(t, latency)
				a, b, _, nextB := pair(t, net)
				s, err := a.OpenStream(t.Context(), b.Self().ID, "x")
				if err != nil {
					t.Fatal(err)
				}
				received(t, nextB)
				failed := make(chan error, 1)
				go func() {
					_, err := s.Read(make([]byte, 1))
					failed <- err
				}()
				end(a, b)
				select {
				case err := <-failed:
					if err == nil || err == io.EOF {
						t.Errorf("read: %v", err)
					}
				case <-time.After(15 * time.Second):
					t.Error("the reader still waits")
				}
				_ = s.Close()
				time.Sleep(time.Second) // the stream may end before the session
				if _, err := a.OpenStream(t.Context(), b.Self().ID, "x"); err == nil {
					t.Error("a stream without a session")
				}
			})
		})
	}
}

func TestStream_FailsAtTheOpenerWithoutAReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(open("a")), net.Start(open("b"))
		events(t, a)(is[engine.PeerAdded])
		s, err := a.OpenStream(t.Context(), b.Self().ID, "x")
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if _, err := s.Read(make([]byte, 1)); !errors.Is(err, engine.ErrUnavailable) {
			t.Errorf("%v", err)
		}
	})
}

// TestFrames_KeepBoundariesAndLimit checks the boundaries and the limit of frames.
func TestFrames_KeepBoundariesAndLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b, _, nextB := pair(t, net)
		s, err := a.OpenStream(t.Context(), b.Self().ID, "frames")
		if err != nil {
			t.Fatal(err)
		}
		r := received(t, nextB)
		defer r.Close()
		want := []string{"one", "", strings.Repeat("long", 10_000), "four"}
		go func() { // a write may wait for the reader
			for _, f := range append(want[:4:4], strings.Repeat("x", 101)) {
				if err := s.WriteFrame([]byte(f)); err != nil {
					t.Error(err)
				}
			}
		}()
		for _, f := range want {
			if got, err := r.ReadFrame(40_000); err != nil || string(got) != f {
				t.Fatalf("%d bytes, want %d: %v", len(got), len(f), err)
			}
		}
		if _, err := r.ReadFrame(100); !errors.Is(err, engine.ErrTooLarge) {
			t.Errorf("over the limit: %v", err)
		}
		_ = s.Close()
	})
}

// TestStream_DeadlineEndsAReadAndKeepsTheStream checks that a deadline ends a read in time and leaves the stream
// usable.
func TestStream_DeadlineEndsAReadAndKeepsTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b, _, nextB := pair(t, net)
		s, err := a.OpenStream(t.Context(), b.Self().ID, "x")
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		r := received(t, nextB)
		defer r.Close()
		s.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := s.Read(make([]byte, 1)); !isTimeout(err) {
			t.Errorf("%v", err)
		}
		s.SetReadDeadline(time.Time{})
		_, _ = r.Write([]byte("x"))
		if _, err := s.Read(make([]byte, 1)); err != nil {
			t.Error(err)
		}
	})
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

// TestStream_OvertakingTheAnswerArrives loses the packet with the answer to the invitation, but not the stream's.
func TestStream_OvertakingTheAnswerArrives(t *testing.T) {
	for i := range 40 {
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, latency)
			a, b := net.Start(engine.Config{Accept: engine.Everyone}), net.Start(engine.Config{})
			nextA, nextB := events(t, a), eventsAndStreams(t, b)
			meet(t, b, a)
			net.Lose(float64(i%20) / 40)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			var wg sync.WaitGroup
			wg.Go(func() {
				if err := b.Invite(ctx, a.Self().ID); err != nil {
					t.Error(err)
				}
			})
			nextA(is[engine.PeerAdded])
			s, err := a.OpenStream(ctx, b.Self().ID, "early")
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if _, err := s.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			r := received(t, nextB)
			defer r.Close()
			if _, err := r.Read(make([]byte, 1)); err != nil {
				t.Error(err)
			}
			wg.Wait()
		})
	}
}

// TestStream_OfAStrangerIsRefused checks that a stranger that keeps opening streams loses its connection: a stream
// that no one accepts would keep its memory.
func TestStream_OfAStrangerIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		b := net.Start(engine.Config{})
		m := newRaw(t, net)
		conn := m.dial(t, b)
		if _, err := m.greet(t, conn); err != nil {
			t.Fatal(err)
		}
		opened := 0
		for conn.Err() == nil && opened < 1000 {
			s, err := conn.OpenStream(t.Context())
			if err != nil {
				break
			}
			_, _ = s.Write(make([]byte, 100))
			opened++
			time.Sleep(10 * time.Millisecond)
		}
		if opened < 100 || opened > 500 {
			t.Errorf("the connection ended after %d streams", opened)
		}
	})
}

// TestStream_CloseEndsABlockedWrite checks that Close ends the Write, and that the other side does not mistake the
// part that arrived for the whole.
func TestStream_CloseEndsABlockedWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b, _, nextB := pair(t, net)
		s, err := a.OpenStream(t.Context(), b.Self().ID, "x")
		if err != nil {
			t.Fatal(err)
		}
		r := received(t, nextB)
		defer r.Close()
		failed := make(chan error, 1)
		go func() {
			_, err := s.Write(make([]byte, 8<<20))
			failed <- err
		}()
		time.Sleep(time.Second)
		_ = s.Close()
		select {
		case err := <-failed:
			if err == nil {
				t.Error("a Write that was cut off counts as done")
			}
		case <-time.After(time.Minute):
			t.Error("Write is still blocked")
		}
		var reset *engine.ResetError
		if _, err := io.Copy(io.Discard, r); !errors.As(err, &reset) {
			t.Errorf("the other side reads to %v", err)
		}
	})
}

// TestHandleStream_ClosesTheStream checks that the other side reads io.EOF when the function returns.
func TestHandleStream_ClosesTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(open("a")), net.Start(open("b"))
		defer b.HandleStream("greet", func(s *engine.Stream) { _, _ = io.WriteString(s, "hello") })()
		events(t, a)(is[engine.PeerAdded])
		for range 2 * engine.MaxStreams {
			s, err := a.OpenStream(t.Context(), b.Self().ID, "greet")
			if err != nil {
				t.Fatal(err)
			}
			if text, err := io.ReadAll(s); err != nil || string(text) != "hello" {
				t.Fatalf("%q, %v", text, err)
			}
			_ = s.Close()
		}
	})
}

// TestStream_CloseDoesNotWaitForAWrite checks that Close returns even if a Write that has just begun never does:
// otherwise the end of the session would wait for that Write with the lock of the peers held.
func TestStream_CloseDoesNotWaitForAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _, nextB := pair(t, enginetest.New(t, latency))
		s, err := a.OpenStream(t.Context(), b.Self().ID, "s")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = s.Write([]byte("x"))
		defer received(t, nextB).Close()
		engine.WhileWriteBegins(s, func() { _ = s.Close() })
		<-s.Done()
		_ = a.Peers()
	})
}
