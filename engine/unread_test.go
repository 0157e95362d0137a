package engine_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

// TestMoreIsLeftUnreadThanAQueueTakes: all of it was acknowledged, and all of it comes.
func TestMoreIsLeftUnreadThanAQueueTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(open("a")), net.Start(open("b"))
		gate := make(chan struct{})
		got := 0
		done := make(chan struct{})
		go func() {
			defer close(done)
			for ev := range b.Watch(t.Context()) {
				switch ev.(type) {
				case engine.PeerAdded:
					<-gate // busy while 1000 come
				case engine.MessageReceived:
					got++
					<-gate // busy while 1000 more come
				}
				if got > 0 {
					break
				}
			}
		}()
		time.Sleep(5 * time.Second)
		ok := 0
		say := func(n int) {
			for range n {
				r, err := a.Send(t.Context(), "x")
				if err != nil {
					t.Fatal(err)
				}
				if r[0].Err == nil {
					ok++
				}
			}
		}
		say(1000)
		gate <- struct{}{}
		time.Sleep(time.Second)
		say(1000)
		gate <- struct{}{}
		<-done
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for ev := range b.Watch(ctx) {
			if _, is := ev.(engine.MessageReceived); is {
				got++
			}
		}
		if got != ok {
			t.Errorf("delivered %d, read %d", ok, got)
		}
	})
}

// TestTwoReadersLeaveOnce what both have not read: the next one gets it once, and in order.
func TestTwoReadersLeaveOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(open("a")), net.Start(open("b"))
		ctx, cancel := context.WithCancel(t.Context())
		gate := make(chan struct{})
		done := make(chan struct{}, 2)
		for range 2 {
			go func() {
				defer func() { done <- struct{}{} }()
				for ev := range b.Watch(ctx) {
					if _, is := ev.(engine.MessageReceived); is {
						<-gate
						break
					}
				}
			}()
		}
		time.Sleep(5 * time.Second)
		for i := range 5 {
			if r, err := a.Send(t.Context(), i); err != nil || r[0].Err != nil {
				t.Fatal(r, err)
			}
		}
		cancel()
		time.Sleep(time.Second)
		close(gate)
		<-done
		<-done
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var got []string
		for ev := range b.Watch(ctx) {
			if m, is := ev.(engine.MessageReceived); is {
				got = append(got, string(m.Message.Body))
			}
		}
		if want := []string{"1", "2", "3", "4"}; !slices.Equal(got, want) {
			t.Errorf("the next reader gets %q, want %q", got, want)
		}
	})
}

// TestReadersHandOver to one that has begun before, and to one that begins right after.
func TestReadersHandOver(t *testing.T) {
	for _, how := range []string{"break", "unranged, context ends, next Watch at once"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := enginetest.New(t, latency)
				a, b := net.Start(open("a")), net.Start(open("b"))
				ctx, cancel := context.WithCancel(t.Context())
				first := b.Watch(ctx)
				time.Sleep(5 * time.Second)
				for i := range 5 {
					if r, err := a.Send(t.Context(), i); err != nil || r[0].Err != nil {
						t.Fatal(r, err)
					}
				}
				if how != "break" {
					cancel()
				}
				ctx2, cancel2 := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel2()
				second := b.Watch(ctx2)
				var got []string
				if how == "break" {
					for ev := range first {
						if m, is := ev.(engine.MessageReceived); is {
							got = append(got, string(m.Message.Body))
							break
						}
					}
				}
				for ev := range second {
					if m, is := ev.(engine.MessageReceived); is {
						got = append(got, string(m.Message.Body))
					}
				}
				cancel()
				ctx3, cancel3 := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel3()
				for ev := range b.Watch(ctx3) {
					if m, is := ev.(engine.MessageReceived); is {
						got = append(got, string(m.Message.Body))
					}
				}
				if len(got) != 5 {
					t.Errorf("read %q of 5", got)
				}
			})
		})
	}
}
