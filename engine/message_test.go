package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

// TestMessage_DepthLimitIsTheSameOnBothSides checks that a message that is valid on this side is accepted on the other
// side.
func TestMessage_DepthLimitIsTheSameOnBothSides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deep := func(n int) json.RawMessage { return json.RawMessage(strings.Repeat("[", n) + strings.Repeat("]", n)) }
		if _, err := engine.New(engine.Config{Context: deep(32)}); !errors.Is(err, engine.ErrInvalid) {
			t.Error(err)
		}
		net := enginetest.New(t, latency)
		cfg := open("a")
		cfg.Context = deep(31)
		a, b := net.Start(cfg), net.Start(open("b"))
		events(t, a)(is[engine.PeerAdded])
		collect(t, b)
		if r, err := a.Send(t.Context(), deep(31), engine.Broadcast); err != nil || r[0].Err != nil {
			t.Error(r, err)
		}
		if _, err := a.Send(t.Context(), deep(32), engine.Broadcast); !errors.Is(err, engine.ErrInvalid) {
			t.Error(err)
		}
		long := json.RawMessage("[" + strings.Repeat("0,", 199_980) + "0]")
		if r, err := a.Send(t.Context(), long, engine.Broadcast); err != nil || r[0].Err != nil {
			t.Error(r, err)
		}
		if connected(a) != 1 {
			t.Error("the session ended")
		}
	})
}

func TestPost_GivingUpOnStalledPathKeepsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b, _, _ := pair(t, net)
		collect(t, b)
		net.Cut(b.Addr, true) // too short to end the connection
		for began := time.Now(); time.Since(began) < 4*time.Second; time.Sleep(2 * time.Millisecond) {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			d, err := a.Post(ctx, "x", engine.Broadcast)
			if err != nil {
				t.Fatal(err)
			}
			go func() { d.Results(); cancel() }()
			if p, _ := a.Peer(b.Self().ID); !p.Confirmed {
				t.Fatalf("after %v the conn is gone", time.Since(began))
			}
		}
		net.Cut(b.Addr, false)
		if r, err := a.Send(t.Context(), "y", engine.Broadcast); err != nil || r[0].Err != nil {
			t.Error(r, err)
		}
	})
}

func TestSend_UnavailableWithoutAReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := enginetest.New(t, latency)
		a := n.Start(open("a"))
		cfg := open("b")
		cfg.Dial = []string{a.Addr.String()} // the engine keeps dialling it
		b := n.Start(cfg)
		next := events(t, a)
		next(is[engine.PeerAdded])
		r, err := a.Send(t.Context(), "hello", b.Self().ID)
		if !errors.Is(err, engine.ErrUnavailable) || !errors.Is(r[0].Err, engine.ErrUnavailable) {
			t.Errorf("a message that nobody reads: %v, %v", r, err)
		}
	})
}

func TestSend_KeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(open("a")), net.Start(open("b"))
		nextA, nextB := events(t, a), events(t, b)
		nextA(is[engine.PeerAdded])
		for i := range 500 {
			if r, err := a.Send(t.Context(), i, b.Self().ID); err != nil || r[0].Err != nil {
				t.Fatal(r, err)
			}
			var got int
			m := nextB(is[engine.Message]).(engine.Message)
			if err := json.Unmarshal(m.Body, &got); err != nil || got != i {
				t.Fatalf("message %d is %s", i, m.Body)
			}
		}
	})
}

func TestSend_TooLargeErrorNamesTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(open("a")), net.Start(open("b"))
		next, _ := events(t, a), events(t, b)
		next(is[engine.PeerAdded])
		if _, err := a.Send(t.Context(), strings.Repeat("x", engine.MaxMessage), engine.Broadcast); !errors.Is(err, engine.ErrTooLarge) || !strings.Contains(err.Error(), "1048576") {
			t.Errorf("over the limit: %v", err)
		}
		if r, err := a.Send(t.Context(), strings.Repeat("x", engine.MaxMessage-2), engine.Broadcast); err != nil || r[0].Err != nil {
			t.Errorf("at the limit: %v %v", r, err)
		}
	})
}

// TestPost_KeepsOrderAndReportsEachRecipient checks that Post keeps the order of the calls, reports each recipient, and
// waits only if too many messages are pending.
func TestPost_KeepsOrderAndReportsEachRecipient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b, nextA, _ := pair(t, net)
		c := net.Start(open("c"))
		nextA(is[engine.PeerAdded])
		boxB, boxC := collect(t, b), collect(t, c)
		var all []*engine.Delivery
		began := time.Now()
		for i := range engine.MaxPending {
			d, err := a.Post(t.Context(), i, engine.Broadcast)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, d)
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("Post took %v", took)
		}
		if _, err := a.TryPost("one too many", engine.Broadcast); !errors.Is(err, engine.ErrBusy) {
			t.Errorf("with %d pending: %v", engine.MaxPending, err)
		} else if op := (*engine.OpError)(nil); !errors.As(err, &op) || op.Peer != b.Self().ID && op.Peer != c.Self().ID {
			t.Errorf("the error names no peer: %v", err)
		}
		ended, end := context.WithCancel(t.Context())
		end()
		if _, err := a.Post(ended, "never", engine.Broadcast); !errors.Is(err, engine.ErrCancelled) {
			t.Errorf("after the end of its context: %v", err)
		}
		if _, err := a.Send(ended, "never", engine.Broadcast); !errors.Is(err, engine.ErrCancelled) {
			t.Errorf("after the end of its context: %v", err)
		}
		brief, end := context.WithCancel(t.Context())
		time.AfterFunc(time.Microsecond, end)
		over, err := a.Post(brief, "one too many", engine.Broadcast)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range over.Results() {
			if !errors.Is(r.Err, engine.ErrCancelled) {
				t.Errorf("without time to wait for room: %v", r.Err)
			}
		}
		for i, d := range all {
			<-d.Done()
			if r := d.Results(); len(r) != 2 || r[0].Err != nil || r[1].Err != nil {
				t.Fatalf("%d: %v", i, r)
			}
		}
		for _, box := range []*inbox{boxB, boxC} {
			got := box.of(a.Self().ID)
			if len(got) != engine.MaxPending || got[0] != "0" || got[len(got)-1] != "255" {
				t.Errorf("%d messages", len(got))
			}
		}
	})
}

func TestMessage_WithoutAnswerEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b, _, _ := pair(t, net)
		collect(t, b)
		net.Cut(b.Addr, true)
		ctx, cancel := contextWithTimeout(t, 2*time.Second)
		defer cancel()
		began := time.Now()
		r, err := a.Send(ctx, "x", engine.Broadcast)
		if !errors.Is(err, engine.ErrTimeout) || !errors.Is(r[0].Err, engine.ErrTimeout) || time.Since(began) != 2*time.Second {
			t.Errorf("%v %v after %v", r, err, time.Since(began))
		}
		net.Cut(b.Addr, false)
		if r, err := a.Send(t.Context(), "y", engine.Broadcast); err != nil || r[0].Err != nil {
			t.Error(r, err)
		}
	})
}

func TestSend_ReachesThoseThatAreNamedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b, _, next := pair(t, net)
		id := b.Self().ID
		var team []engine.PeerID // a list that happens to be empty must not reach everyone
		for _, to := range [][]engine.PeerID{nil, team, {}} {
			_, sent := a.Send(t.Context(), "secret", to...)
			_, posted := a.Post(t.Context(), "secret", to...)
			_, gram := a.SendDatagram("secret", to...)
			for _, err := range []error{sent, posted, gram} {
				if !errors.Is(err, engine.ErrInvalid) {
					t.Errorf("without a recipient: %v", err)
				}
			}
		}
		for _, to := range [][]engine.PeerID{{id, id}, {engine.Broadcast}, {engine.Broadcast, id}} {
			if r, err := a.Send(t.Context(), "once", to...); err != nil || len(r) != 1 || r[0] != (engine.Result{Peer: id}) {
				t.Errorf("%v: %v", r, err)
			}
			if m := next(is[engine.Message]).(engine.Message); string(m.Body) != `"once"` {
				t.Errorf("%s arrives", m.Body)
			}
		}
		if r, err := a.Send(t.Context(), "last", id); err != nil || r[0].Err != nil {
			t.Fatal(r, err)
		}
		if m := next(is[engine.Message]).(engine.Message); string(m.Body) != `"last"` {
			t.Errorf("%s arrives too", m.Body)
		}
	})
}

// TestSend_TakesWhatEncodingJSONEncodes: keys that differ only in case are two keys for a program that decodes a map.
func TestSend_TakesWhatEncodingJSONEncodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b, _, next := pair(t, net)
		id := b.Self().ID
		for _, v := range []map[string]int{
			{"Anna": 1, "anna": 2},
			{"É": 1, "é": 2},
			{"k": 1, "K": 2, "\u212a": 3},
			{"type": 1, "Type": 2, "body": 3, "Body": 4},
			{"a": 1, "A": 2, "b": 3, "B": 4, "c": 5, "C": 6, "d": 7, "D": 8, "e": 9, "E": 10},
		} {
			if r, err := a.Send(t.Context(), v, id); err != nil || r[0].Err != nil {
				t.Fatal(v, r, err)
			}
			if r, err := a.SendDatagram(v, id); err != nil || r[0].Err != nil {
				t.Fatal(v, r, err)
			}
			for range 2 {
				var got map[string]int
				m := next(is[engine.Message]).(engine.Message)
				if err := m.Decode(&got); err != nil || !maps.Equal(got, v) {
					t.Errorf("%v arrives as %s (%v)", v, m.Body, err)
				}
			}
		}
		twice := json.RawMessage(`{"a":1,"a":2}`)
		if _, err := a.Send(t.Context(), twice, id); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("a key twice: %v", err)
		}
	})
}

// TestPost_LoopIsAsFastAsTheReceivers: all messages of a plain loop arrive, in order and once, however slow the
// receiver is, and messages to another peer are not delayed.
func TestPost_LoopIsAsFastAsTheReceivers(t *testing.T) {
	messages := 10_000
	if testing.Short() {
		messages = 3000
	}
	for _, takes := range []time.Duration{0, time.Millisecond, 5 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, latency)
			a, slow, idle := net.Start(open("a")), net.Start(open("slow")), net.Start(open("idle"))
			next := events(t, a)
			next(is[engine.PeerAdded])
			next(is[engine.PeerAdded])
			ctx, cancel := context.WithCancel(t.Context())
			var readers sync.WaitGroup
			defer readers.Wait()
			defer cancel()
			var got []string
			done := make(chan struct{})
			readers.Go(waitFor(slow.Handle(ctx, engine.Handler{Receive: func(m engine.Message) {
				time.Sleep(takes)
				if got = append(got, string(m.Body)); len(got) == messages {
					close(done)
				}
			}})))
			readers.Go(waitFor(idle.Handle(ctx, engine.Handler{Receive: func(engine.Message) {}})))
			var worst time.Duration
			readers.Go(func() {
				for ctx.Err() == nil {
					began := time.Now()
					if r, err := a.Send(ctx, "x", idle.Self().ID); ctx.Err() == nil && (err != nil || r[0].Err != nil) {
						t.Error(r, err)
					}
					worst = max(worst, time.Since(began))
					time.Sleep(100 * time.Millisecond)
				}
			})
			var last *engine.Delivery
			for i := range messages {
				d, err := a.Post(t.Context(), i, slow.Self().ID)
				if err != nil {
					t.Fatal(err)
				}
				last = d
			}
			<-done
			if r := last.Results(); r[0].Err != nil {
				t.Error(r[0].Err)
			}
			for i, m := range got {
				if m != fmt.Sprint(i) {
					t.Fatalf("message %d is %s", i, m)
				}
			}
			cancel()
			readers.Wait()
			if worst > 20*latency {
				t.Errorf("a receiver that takes %v: messages to an idle peer take %v", takes, worst)
			}
		})
	}
}

func TestDelivery_CancelEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b, _, _ := pair(t, net)
		net.Cut(b.Addr, true)
		ctx, cancel := context.WithCancel(t.Context())
		d, err := a.Post(ctx, 1, b.Self().ID)
		if err != nil {
			t.Fatal(err)
		}
		cancel() // limits only the wait for room
		time.Sleep(time.Second)
		select {
		case <-d.Done():
			t.Error("the context of Post ends the message")
		default:
		}
		began := time.Now()
		d.Cancel()
		if r := d.Results(); !errors.Is(r[0].Err, engine.ErrCancelled) || time.Since(began) > time.Second {
			t.Errorf("%v after %v", r[0].Err, time.Since(began))
		}
	})
}

// TestSend_ErrorNamesEachRecipientWithoutTheMessage checks that a failed send does not look like a success to a program
// that ignores the results.
func TestSend_ErrorNamesEachRecipientWithoutTheMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(open("a")), net.Start(open("b"))
		nextA := events(t, a)
		nextA(is[engine.PeerAdded])
		for what, send := range map[string]func() ([]engine.Result, error){
			"Send":         func() ([]engine.Result, error) { return a.Send(t.Context(), "x", b.Self().ID) },
			"Topic.Send":   func() ([]engine.Result, error) { return a.Topic("t").Send(t.Context(), "x", b.Self().ID) },
			"SendDatagram": func() ([]engine.Result, error) { return a.SendDatagram("x", b.Self().ID, a.Self().ID) },
		} {
			results, err := send()
			var op *engine.OpError
			if what == "SendDatagram" {
				if !errors.Is(err, engine.ErrNoPeer) || !errors.As(err, &op) || op.Peer != a.Self().ID || len(results) != 2 || results[0].Err != nil {
					t.Errorf("%s: %v, %v", what, results, err)
				}
				continue
			}
			if !errors.Is(err, engine.ErrUnavailable) || !errors.As(err, &op) || op.Peer != b.Self().ID || len(results) != 1 {
				t.Errorf("%s to a program that reads nothing: %v, %v", what, results, err)
			}
		}
		b.Handle(t.Context(), engine.Handler{Receive: func(engine.Message) {}})
		if results, err := a.Send(t.Context(), "x", b.Self().ID); err != nil || len(results) != 1 {
			t.Errorf("%v, %v", results, err)
		}
	})
}
