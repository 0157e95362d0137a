package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
	"multipeer/engine/internal/wire"
)

// TestWatch_UnreadMessagesBeyondAQueueArrive checks that all acknowledged messages arrive, even if they exceed a
// queue.
func TestWatch_UnreadMessagesBeyondAQueueArrive(t *testing.T) {
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
					<-gate // busy while 1000 messages arrive
				case engine.Message:
					got++
					<-gate // busy while 1000 more arrive
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
				r, err := a.Send(t.Context(), "x", engine.Broadcast)
				if errors.Is(err, engine.ErrNobody) { // 64 unanswered messages ended the session; it begins again
					time.Sleep(time.Second)
					continue
				}
				if len(r) != 1 {
					t.Fatal(err)
				}
				if err == nil {
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
			if _, is := ev.(engine.Message); is {
				got++
			}
		}
		if got != ok {
			t.Errorf("delivered %d, read %d", ok, got)
		}
	})
}

// TestWatch_NextReaderGetsUnreadMessagesOnceInOrder checks that the next reader gets, once and in order, what two
// readers have left unread.
func TestWatch_NextReaderGetsUnreadMessagesOnceInOrder(t *testing.T) {
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
					if _, is := ev.(engine.Message); is {
						<-gate
						break
					}
				}
			}()
		}
		time.Sleep(5 * time.Second)
		for i := range 5 {
			if r, err := a.Send(t.Context(), i, engine.Broadcast); err != nil || r[0].Err != nil {
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
			if m, is := ev.(engine.Message); is {
				got = append(got, string(m.Body))
			}
		}
		if want := []string{"1", "2", "3", "4"}; !slices.Equal(got, want) {
			t.Errorf("the next reader gets %q, want %q", got, want)
		}
	})
}

// TestWatch_UnreadMessagesPassToAnotherReader checks that unread messages go to a reader that started earlier, or to
// one that starts right after.
func TestWatch_UnreadMessagesPassToAnotherReader(t *testing.T) {
	for _, how := range []string{"break", "unranged, context ends, next Watch at once"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := enginetest.New(t, latency)
				a, b := net.Start(open("a")), net.Start(open("b"))
				ctx, cancel := context.WithCancel(t.Context())
				first := b.Watch(ctx)
				time.Sleep(5 * time.Second)
				for i := range 5 {
					if r, err := a.Send(t.Context(), i, engine.Broadcast); err != nil || r[0].Err != nil {
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
						if m, is := ev.(engine.Message); is {
							got = append(got, string(m.Body))
							break
						}
					}
				}
				for ev := range second {
					if m, is := ev.(engine.Message); is {
						got = append(got, string(m.Body))
					}
				}
				cancel()
				ctx3, cancel3 := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel3()
				for ev := range b.Watch(ctx3) {
					if m, is := ev.(engine.Message); is {
						got = append(got, string(m.Body))
					}
				}
				if len(got) != 5 {
					t.Errorf("read %q of 5", got)
				}
			})
		})
	}
}

// TestEventQueue_NoisyPeersLeaveRoomForOthers checks that while a program is slow, neither a stranger's invitations
// nor a peer's datagrams cost another peer its messages.
func TestEventQueue_NoisyPeersLeaveRoomForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, friend, noisy := net.Start(open("a")), net.Start(open("friend")), net.Start(open("noisy"))
		time.Sleep(5 * time.Second)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		_ = a.Watch(ctx) // simulates a busy program
		m := newRaw(t, net)
		s, err := m.greet(t, m.dial(t, a))
		if err != nil {
			t.Fatal(err)
		}
		big, _ := json.Marshal(strings.Repeat("x", 200))
		for i := range 2100 {
			id := fmt.Sprintf("%032x", i)
			_ = s.WriteMessage(wire.Invite{ID: id, Context: big})
			_ = s.WriteMessage(wire.InviteCancel{ID: id})
		}
		for range 1500 {
			_, _ = noisy.SendDatagram(1, a.Self().ID)
			time.Sleep(200 * time.Microsecond)
		}
		for range 1200 { // more than its share of the queue: the rest waits
			if _, err := noisy.Post(t.Context(), 1, a.Self().ID); err != nil {
				t.Fatal(err)
			}
		}
		if r, err := friend.Send(t.Context(), "hello", a.Self().ID); err != nil || r[0].Err != nil {
			t.Errorf("a friend's message: %v %v", r, err)
		}
	})
}

// TestWatch_SlowReaderSeesALossAndAnArrival checks that an appearance after a loss is a separate event.
func TestWatch_SlowReaderSeesALossAndAnArrival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := enginetest.New(t, latency)
		a := n.Start(engine.Config{})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		slow := a.Watch(ctx)
		b := n.Start(engine.Config{})
		meet(t, a, b)
		time.Sleep(2 * time.Second)
		b.SetLooking(false, true)
		_ = b.Stop()
		c := n.Start(engine.Config{})
		meet(t, a, c)
		time.Sleep(2 * time.Second)
		time.AfterFunc(time.Second, cancel)
		here := map[engine.PeerID]bool{}
		for ev := range slow {
			switch ev := ev.(type) {
			case engine.PeerChanged:
				here[ev.Peer.ID] = true
			case engine.PeerLost:
				delete(here, ev.Peer.ID)
			}
		}
		if !here[c.Self().ID] || here[b.Self().ID] {
			t.Errorf("the reader believes in %v", here)
		}
	})
}

func TestWatch_SlowReaderMissesNoState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(open("a")), net.Start(open("b"))
		next := events(t, a)
		next(is[engine.PeerAdded])
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		slow := b.Watch(ctx) // not read yet
		var posted []*engine.Delivery
		ctxPost, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		for i := range 5000 { // until no room is left
			d, err := a.Post(ctxPost, i, engine.Broadcast)
			if errors.Is(err, engine.ErrTimeout) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			posted = append(posted, d)
		}
		b.Disconnect(a.Self().ID)
		time.Sleep(time.Second)
		cancelSoon := time.AfterFunc(time.Second, cancel)
		defer cancelSoon.Stop()
		got, last := 0, engine.Connected
		for ev := range slow {
			switch ev := ev.(type) {
			case engine.Message:
				got++
			case engine.Snapshot:
				if got > 0 && len(ev.Peers) == 1 {
					last = ev.Peers[0].State
				}
			case engine.PeerChanged:
				last = ev.Peer.State
			}
		}
		taken := 0
		for _, d := range posted {
			if d.Results()[0].Err == nil {
				taken++
			}
		}
		if got != taken || taken == 0 || taken == len(posted) || last == engine.Connected {
			t.Errorf("read %d of %d messages, state %v", got, taken, last)
		}
	})
}

// TestWatch_DeliveredMessagesAreRead checks that delivered messages are read even if a busy program stops reading: by
// the same loop if its context ends, by the next one if it breaks out.
func TestWatch_DeliveredMessagesAreRead(t *testing.T) {
	const sent = 5
	for name, leave := range map[string]bool{"context ends": false, "loop breaks off": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := enginetest.New(t, latency)
				a, b := net.Start(open("a")), net.Start(open("b"))
				ctx, cancel := context.WithCancel(t.Context())
				busy := make(chan struct{})
				var got []string
				done := make(chan struct{})
				go func() {
					defer close(done)
					for ev := range b.Watch(ctx) {
						if m, ok := ev.(engine.Message); ok {
							<-busy
							if got = append(got, string(m.Body)); leave {
								break
							}
						}
					}
				}()
				time.Sleep(5 * time.Second)
				say := func(i int) error {
					_, err := a.Send(t.Context(), i, engine.Broadcast)
					return err
				}
				for i := range sent {
					if err := say(i); err != nil {
						t.Fatal(err)
					}
				}
				if !leave {
					cancel()
					synctest.Wait()
					if err := say(sent); !errors.Is(err, engine.ErrUnavailable) { // no reader is left
						t.Error(err)
					}
				}
				close(busy)
				<-done
				cancel()
				if leave {
					if err := say(sent); !errors.Is(err, engine.ErrUnavailable) {
						t.Error(err)
					}
					_ = b.Stop()
					for ev := range b.Watch(t.Context()) {
						if m, ok := ev.(engine.Message); ok {
							got = append(got, string(m.Body))
						}
					}
				}
				if want := []string{"0", "1", "2", "3", "4"}; !slices.Equal(got, want) {
					t.Errorf("read %q, delivered were %q", got, want)
				}
			})
		})
	}
}
