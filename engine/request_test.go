package engine_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
	"multipeer/engine/internal/wire"
)

// TestRequest_GetsItsOwnAnswer: concurrent requests each get the answer to their own value, in JSON or bytes.
func TestRequest_GetsItsOwnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := sessionOfTwo(t)
		stop := b.Topic("sum").Answer(func(_ context.Context, m engine.Message) (any, error) {
			var n int
			if err := m.Decode(&n); err != nil {
				return []byte(m.Data), nil
			}
			time.Sleep(time.Duration(30-n) * time.Millisecond) // answers come in another order
			return n * 2, nil
		})
		var wg sync.WaitGroup
		for n := range 30 {
			wg.Go(func() {
				m, err := a.Topic("sum").Request(t.Context(), n, b.Self().ID)
				var got int
				if err != nil || m.Decode(&got) != nil || got != 2*n {
					t.Errorf("%d became %d: %v", n, got, err)
				}
			})
		}
		wg.Wait()
		m, err := a.Topic("sum").Request(t.Context(), []byte("raw"), b.Self().ID)
		if err != nil || string(m.Data) != "raw" {
			t.Errorf("%q %v", m.Data, err)
		}
		stop()
		if _, err := a.Topic("sum").Request(t.Context(), 1, b.Self().ID); !errors.Is(err, engine.ErrUnavailable) {
			t.Errorf("after stop: %v", err)
		}
	})
}

// TestRequest_FailsWithTheReason: the function's error, a value that cannot be sent, the deadline, too many at once, a
// peer that leaves.
func TestRequest_FailsWithTheReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := sessionOfTwo(t)
		to := b.Self().ID
		release := make(chan struct{})
		b.Topic("work").Answer(func(ctx context.Context, m engine.Message) (any, error) {
			var what string
			_ = m.Decode(&what)
			switch what {
			case "fail":
				return nil, errors.New("no such\x1b[31m file" + strings.Repeat("é", 2000))
			case "odd":
				return func() {}, nil
			}
			select {
			case <-release:
			case <-ctx.Done():
				return nil, ctx.Err() // an answer may still reach the peer
			}
			return nil, nil
		})
		var failed *engine.RequestError
		_, err := a.Topic("work").Request(t.Context(), "fail", to)
		if !errors.As(err, &failed) || !strings.HasPrefix(failed.Text, "no such") || strings.ContainsRune(failed.Text, 0x1b) {
			t.Errorf("the function's error: %v", err)
		}
		if _, err := a.Topic("work").Request(t.Context(), "odd", to); !errors.As(err, &failed) {
			t.Errorf("a value that JSON has no form for: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := a.Topic("work").Request(ctx, "wait", to); !errors.Is(err, engine.ErrTimeout) {
			t.Errorf("a deadline: %v", err)
		}
		began := time.Now()
		if _, err := a.Topic("work").Request(t.Context(), "wait", to); !errors.Is(err, engine.ErrTimeout) || time.Since(began) != engine.SendTimeout {
			t.Errorf("no deadline: %v after %v", err, time.Since(began))
		}
		results := make(chan error, 40)
		for range 40 { // two others are running already
			go func() {
				_, err := a.Topic("work").Request(t.Context(), "wait", to)
				results <- err
			}()
		}
		synctest.Wait()
		time.Sleep(time.Second)
		for range 10 {
			if err := <-results; !errors.Is(err, engine.ErrBusy) {
				t.Errorf("too many at once: %v", err)
			}
		}
		_ = b.Stop()
		for range 30 {
			if err := <-results; err == nil || errors.Is(err, engine.ErrTimeout) {
				t.Errorf("the peer left: %v", err)
			}
		}
		close(release)
	})
}

// TestRequest_MayAskBack: a function that asks back does not wait for itself.
func TestRequest_MayAskBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := sessionOfTwo(t)
		a.Topic("name").Answer(func(context.Context, engine.Message) (any, error) { return "Anna", nil })
		b.Topic("greet").Answer(func(ctx context.Context, m engine.Message) (any, error) {
			name, err := b.Topic("name").Request(ctx, nil, m.From)
			if err != nil {
				return nil, err
			}
			var text string
			err = name.Decode(&text)
			return "Hello " + text, err
		})
		m, err := a.Topic("greet").Request(t.Context(), nil, b.Self().ID)
		if err != nil || string(m.Body) != `"Hello Anna"` {
			t.Errorf("%s %v", m.Body, err)
		}
	})
}

// TestRequest_OnlyTheAskedPeerAnswers: another peer that guesses the number of a request cannot answer it.
func TestRequest_OnlyTheAskedPeerAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(open("a")), net.Start(open("b"))
		forger := newRaw(t, net)
		control, err := forger.greet(t, forger.dial(t, a))
		if err != nil {
			t.Fatal(err)
		}
		if err := control.WriteMessage(wire.Invite{ID: "00112233445566778899aabbccddeeff"}); err != nil {
			t.Fatal(err)
		}
		for _, id := range []engine.PeerID{forger.id.ID, b.Self().ID} {
			if _, err := a.WaitPeer(t.Context(), id, engine.Connected); err != nil {
				t.Fatal(err)
			}
		}
		b.Topic("sum").Answer(func(context.Context, engine.Message) (any, error) {
			for n := range uint64(10) {
				if err := control.WriteMessage(wire.Text{N: n + 1, Topic: "sum", Reply: n + 1, Body: []byte(`"forged"`)}); err != nil {
					t.Error(err)
				}
			}
			time.Sleep(time.Second)
			return "true", nil
		})
		m, err := a.Topic("sum").Request(t.Context(), 1, b.Self().ID)
		if err != nil || string(m.Body) != `"true"` {
			t.Errorf("%s %v", m.Body, err)
		}
	})
}

// TestRequest_LargeOnesShareALimit: the total size of the unanswered requests of one peer is limited.
func TestRequest_LargeOnesShareALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := sessionOfTwo(t)
		release := make(chan struct{})
		b.Topic("work").Answer(func(context.Context, engine.Message) (any, error) { <-release; return nil, nil })
		results := make(chan error, 10)
		for range 10 {
			go func() {
				_, err := a.Topic("work").Request(t.Context(), []byte(make([]byte, 1<<20)), b.Self().ID)
				results <- err
			}()
		}
		time.Sleep(time.Second)
		for range 6 {
			if err := <-results; !errors.Is(err, engine.ErrBusy) {
				t.Errorf("more than 4 MiB at once: %v", err)
			}
		}
		close(release)
		for range 4 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		if _, err := a.Topic("work").Request(t.Context(), 1, engine.Broadcast); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("a request to all: %v", err)
		}
		if err := a.SetTrust(engine.Broadcast, engine.TrustVerified); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("trust in everyone: %v", err)
		}
	})
}

// TestRequest_StrangersLeavePlacesForOthers checks that the requests of strangers at one address keep neither known
// peers nor other strangers from being answered.
func TestRequest_StrangersLeavePlacesForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		b := net.Start(open("b"))
		b.Topic("slow").Answer(func(ctx context.Context, _ engine.Message) (any, error) {
			<-ctx.Done()
			return nil, nil
		})
		b.Topic("quick").Answer(func(context.Context, engine.Message) (any, error) { return 42, nil })
		friend, other := net.Start(open("friend")), net.Start(open("other"))
		if err := b.SetTrust(friend.Self().ID, engine.TrustVerified); err != nil {
			t.Fatal(err)
		}
		var all []*enginetest.Node
		for i := range 9 {
			cfg := open(fmt.Sprint("stranger ", i))
			cfg.Blind = true
			all = append(all, net.StartAt(netip.AddrPortFrom(netip.MustParseAddr("10.0.0.200"), uint16(20000+i)), cfg))
		}
		for _, n := range append(all, friend, other) {
			up(n)
			dial(t, n, b)
			if _, err := n.WaitPeer(t.Context(), b.Self().ID, engine.Connected); err != nil {
				t.Fatal(err)
			}
		}
		busy := make(chan error, 9*32)
		for _, n := range all {
			for range 32 {
				go func() {
					ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
					defer cancel()
					_, err := n.Topic("slow").Request(ctx, 1, b.Self().ID)
					busy <- err
				}()
			}
		}
		time.Sleep(5 * time.Second)
		for _, n := range []*enginetest.Node{friend, other} {
			if _, err := n.Topic("quick").Request(t.Context(), 1, b.Self().ID); err != nil {
				t.Errorf("%s: %v", n.Self().Name, err)
			}
		}
		refused := 0
		for range 9 * 32 {
			if err := <-busy; errors.Is(err, engine.ErrBusy) {
				refused++
			}
		}
		if running := 9*32 - refused; running > 64 {
			t.Errorf("%d requests of one address ran", running)
		}
	})
}

// TestRequest_AnswersOnTheirWayCount: an answer takes memory until the peer has it, so it keeps its slot until then.
func TestRequest_AnswersOnTheirWayCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, time.Second)
		a, b := net.Start(open("a")), net.Start(open("b"))
		dial(t, a, b)
		up(a)
		if _, err := a.WaitPeer(t.Context(), b.Self().ID, engine.Connected); err != nil {
			t.Fatal(err)
		}
		var answered atomic.Int32
		b.Topic("work").Answer(func(context.Context, engine.Message) (any, error) {
			answered.Add(1)
			return 42, nil
		})
		results := make(chan error, 100)
		for range 100 {
			go func() {
				_, err := a.Topic("work").Request(t.Context(), 1, b.Self().ID)
				results <- err
			}()
		}
		time.Sleep(2 * time.Second) // the requests have arrived, and no answer has been acknowledged
		if n := answered.Load(); n != 32 {
			t.Errorf("%d answers are on their way", n)
		}
		for range 100 {
			if err := <-results; err != nil && !errors.Is(err, engine.ErrBusy) {
				t.Error(err)
			}
		}
	})
}

// TestShutdown_WaitsForAnswers checks that a request that has arrived is answered before the engine ends, and that
// later ones are refused.
func TestShutdown_WaitsForAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(open("a")), net.Start(open("b"))
		events(t, a)(is[engine.PeerAdded])
		defer b.Topic("work").Answer(func(context.Context, engine.Message) (any, error) {
			time.Sleep(5 * time.Second)
			return "done", nil
		})()
		answer := make(chan error, 1)
		go func() {
			m, err := a.Topic("work").Request(t.Context(), "go", b.Self().ID)
			if err == nil && string(m.Body) != `"done"` {
				err = fmt.Errorf("the answer is %s", m.Body)
			}
			answer <- err
		}()
		time.Sleep(time.Second)
		ended := make(chan error, 1)
		go func() { ended <- b.Shutdown(t.Context()) }()
		time.Sleep(time.Second)
		if _, err := a.Topic("work").Request(t.Context(), "go", b.Self().ID); !errors.Is(err, engine.ErrUnavailable) {
			t.Errorf("a request during Shutdown: %v", err)
		}
		if err := <-answer; err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// TestClose_FromAFunctionThatAnswers: the function may end the engine that has called it.
func TestClose_FromAFunctionThatAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := sessionOfTwo(t)
		closed := make(chan error, 1)
		b.Topic("work").Answer(func(context.Context, engine.Message) (any, error) {
			closed <- b.Close()
			return nil, nil
		})
		if _, err := a.Topic("work").Request(t.Context(), "stop", b.Self().ID); !errors.Is(err, engine.ErrLost) && !errors.Is(err, engine.ErrBye) {
			t.Errorf("the request: %v", err)
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
		<-b.Done()
	})
}

// TestShutdown_WaitsForNoFunctionAfterItsContext: a function that does not return delays Shutdown only until the end of
// its context.
func TestShutdown_WaitsForNoFunctionAfterItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := sessionOfTwo(t)
		release := make(chan struct{})
		defer close(release)
		b.Topic("work").Answer(func(context.Context, engine.Message) (any, error) {
			<-release
			return nil, nil
		})
		go a.Topic("work").Request(t.Context(), "go", b.Self().ID)
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began := time.Now()
		if err := b.Shutdown(ctx); !errors.Is(err, engine.ErrTimeout) || time.Since(began) > 4*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// TestRequest_OnePeerLeavesPlacesForOthers: a peer that asks many topics at once does not take all places of known peers.
func TestRequest_OnePeerLeavesPlacesForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := sessionOfTwo(t)
		if err := b.SetTrust(a.Self().ID, engine.TrustSeen); err != nil { // strangers at one address share a limit
			t.Fatal(err)
		}
		release := make(chan struct{})
		results := make(chan error, 96)
		for _, topic := range []string{"one", "two", "three"} {
			b.Topic(topic).Answer(func(context.Context, engine.Message) (any, error) { <-release; return nil, nil })
			for range 32 {
				go func() {
					_, err := a.Topic(topic).Request(t.Context(), 1, b.Self().ID)
					results <- err
				}()
			}
		}
		time.Sleep(time.Second)
		close(release)
		busy := 0
		for range 96 {
			if err := <-results; errors.Is(err, engine.ErrBusy) {
				busy++
			} else if err != nil {
				t.Error(err)
			}
		}
		if busy != 32 {
			t.Errorf("%d of 96 requests were refused", busy)
		}
	})
}
