package engine_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

const latency = time.Millisecond

// open configures a peer that invites and accepts everyone.
func open(name string) engine.Config {
	return engine.Config{Name: name, Invite: engine.Everyone, Accept: engine.Everyone}
}

// events collects the events of an engine, in order.
func events(t *testing.T, n *enginetest.Node) func(match func(engine.Event) bool) engine.Event {
	t.Helper()
	return eventsOf(t, n.Watch)
}

// eventsAndStreams is like events, but also takes the streams, for an engine where nothing else handles them.
func eventsAndStreams(t *testing.T, n *enginetest.Node) func(match func(engine.Event) bool) engine.Event {
	t.Helper()
	return eventsOf(t, n.WatchStreams)
}

func eventsOf(t *testing.T, watch func(context.Context) iter.Seq[engine.Event]) func(match func(engine.Event) bool) engine.Event {
	t.Helper()
	ch := make(chan engine.Event, 10000)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	seq := watch(ctx)
	go func() {
		defer close(done)
		for ev := range seq {
			ch <- ev
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return func(match func(engine.Event) bool) engine.Event {
		t.Helper()
		timeout := time.After(time.Minute)
		for {
			select {
			case ev := <-ch:
				if match(ev) {
					return ev
				}
			case <-timeout:
				t.Fatal("the event did not come")
			}
		}
	}
}

// waitFor returns a function that waits until done is closed.
func waitFor(done <-chan struct{}) func() { return func() { <-done } }

func is[E engine.Event](ev engine.Event) bool { _, ok := ev.(E); return ok }

// byPerson makes the invited peer known.
var byPerson = engine.InviteOptions{Person: true}

// meet waits until a has found b and has a connection to it. The session of a policy may begin later.
func meet(t *testing.T, a, b *enginetest.Node) {
	t.Helper()
	for range 1000 {
		if p, ok := a.Peer(b.Self().ID); ok && p.Confirmed {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the two do not meet")
}

// meetInSession waits until both have the session that a policy begins.
func meetInSession(t *testing.T, a, b *enginetest.Node) {
	t.Helper()
	for range 1000 {
		p, _ := a.Peer(b.Self().ID)
		q, _ := b.Peer(a.Self().ID)
		if p.State == engine.Connected && q.State == engine.Connected {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("no session begins")
}

func connected(n *enginetest.Node) int {
	c := 0
	for _, p := range n.Peers() {
		if p.State == engine.Connected {
			c++
		}
	}
	return c
}

func TestEngine_TwoPeersConnectAndExchangeMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a := net.Start(engine.Config{Name: "Anna", Invite: engine.Everyone, Context: map[string]int{"level": 3}})
		b := net.Start(engine.Config{Name: "Ben"})
		nextA, nextB := events(t, a), events(t, b)

		inv := nextB(is[*engine.Invitation]).(*engine.Invitation)
		if inv.Peer.Name != "Anna" || string(inv.Context) != `{"level":3}` {
			t.Errorf("invitation %+v", inv)
		}
		if err := inv.Accept(); err != nil {
			t.Fatal(err)
		}
		if err := inv.Accept(); !errors.Is(err, engine.ErrAnswered) {
			t.Errorf("second answer: %v", err)
		}
		added := nextA(is[engine.PeerAdded]).(engine.PeerAdded)
		if added.Peer.ID != b.Self().ID || added.Peer.State != engine.Connected || !added.Peer.Confirmed {
			t.Errorf("added %+v", added.Peer)
		}
		if got := nextB(is[engine.PeerAdded]).(engine.PeerAdded); string(got.Peer.Context) != `{"level":3}` {
			t.Errorf("context %s", got.Peer.Context)
		}

		results, err := a.Send(t.Context(), map[string]string{"text": "grüß dich <b>"}, engine.Broadcast)
		if err != nil || len(results) != 1 || results[0].Err != nil {
			t.Fatal(results, err)
		}
		m := nextB(is[engine.Message]).(engine.Message)
		if m.From != a.Self().ID || m.Name != "Anna" || string(m.Body) != `{"text":"grüß dich <b>"}` {
			t.Errorf("message %+v %s", m, m.Body)
		}

		b.Disconnect(a.Self().ID)
		if r := nextA(is[engine.PeerRemoved]).(engine.PeerRemoved); r.Peer.ID != b.Self().ID {
			t.Errorf("removed %+v", r)
		}
		results, _ = a.Send(t.Context(), 1, b.Self().ID)
		if !errors.Is(results[0].Err, engine.ErrNotConnected) {
			t.Errorf("message to a gone peer: %v", results[0].Err)
		}
		if _, err := a.Send(t.Context(), 1, engine.Broadcast); !errors.Is(err, engine.ErrNobody) {
			t.Errorf("message to nobody: %v", err)
		}
	})
}

// TestDial_BothSidesAtOnceLeaveOneSession starts both sides at the same instant, repeatedly: exactly one session must
// remain.
func TestDial_BothSidesAtOnceLeaveOneSession(t *testing.T) {
	runs := 1000
	if testing.Short() {
		runs = 50
	}
	single := 0
	for i := range runs {
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, time.Duration(1+i%7)*time.Millisecond)
			// Only typed addresses make both dial at once: if both are discovered, the higher ID waits for the lower.
			cfgA, cfgB := open("a"), open("b")
			cfgA.Hidden, cfgA.Blind, cfgB.Hidden, cfgB.Blind = true, true, true, true
			cfgA.Dial, cfgB.Dial = []string{"10.0.0.2"}, []string{"10.0.0.1"}
			a := net.Start(cfgA)
			time.Sleep(time.Duration(i%11) * time.Millisecond / 2)
			b := net.Start(cfgB)
			nextA, nextB := events(t, a), events(t, b)
			countA, countB := watchSessions(t, a), watchSessions(t, b)
			nextA(is[engine.PeerAdded])
			nextB(is[engine.PeerAdded])
			time.Sleep(20 * time.Second) // leave time for crossing dials to do harm
			if connected(a) != 1 || connected(b) != 1 {
				t.Fatalf("run %d: %d and %d sessions", i, connected(a), connected(b))
			}
			if ca, cb := countA(), countB(); ca != [2]int{1, 0} || cb != [2]int{1, 0} {
				t.Fatalf("run %d: added and removed %v and %v times", i, ca, cb)
			}
			if r, err := a.Send(t.Context(), i, engine.Broadcast); err != nil || r[0].Err != nil {
				t.Fatalf("run %d: %v %v", i, r, err)
			}
			single++
		})
	}
	t.Logf("%d of %d runs ended with a single session", single, runs)
}

// watchSessions counts PeerAdded and PeerRemoved.
func watchSessions(t *testing.T, n *enginetest.Node) func() [2]int {
	ctx, cancel := context.WithCancel(context.Background())
	var count [2]int
	done := make(chan struct{})
	seq := n.WatchStreams(ctx)
	go func() {
		defer close(done)
		for ev := range seq {
			switch ev := ev.(type) {
			case engine.Snapshot:
				for _, p := range ev.Peers {
					if p.State == engine.Connected {
						count[0]++
					}
				}
			case engine.PeerAdded:
				count[0]++
			case engine.PeerRemoved:
				count[1]++
			}
		}
	}()
	return func() [2]int { cancel(); <-done; return count }
}

func TestPeer_SilentOneIsLostAndFoundAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(open("a")), net.Start(open("b"))
		next := events(t, a)
		next(is[engine.PeerAdded])
		cut := time.Now()
		net.Drop(func(from, to netip.AddrPort) bool { return true })
		next(is[engine.PeerRemoved])
		next(is[engine.PeerLost])
		if took := time.Since(cut); took > 13500*time.Millisecond {
			t.Errorf("lost after %v", took)
		}
		net.Drop(nil)
		b.SetLooking(false, true) // off and on again, so that discovery reports it again
		b.SetLooking(true, true)
		next(is[engine.PeerAdded])
	})
}

func TestEngine_StopIsReportedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(open("a")), net.Start(open("b"))
		next := events(t, a)
		next(is[engine.PeerAdded])
		stop := time.Now()
		go b.Stop()
		if r := next(is[engine.PeerRemoved]).(engine.PeerRemoved); !errors.Is(r.Err, engine.ErrBye) {
			t.Errorf("removed with %v", r.Err)
		}
		next(is[engine.PeerLost])
		if took := time.Since(stop); took > 100*time.Millisecond {
			t.Errorf("reported after %v", took)
		}
	})
}

func TestSession_ComesBackWithoutAnInvitation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a := net.Start(engine.Config{})
		b := net.Start(engine.Config{})
		nextA, nextB := events(t, a), events(t, b)
		meet(t, a, b)
		go func() { nextB(is[*engine.Invitation]).(*engine.Invitation).Accept() }()
		if err := a.Invite(t.Context(), b.Self().ID); err != nil {
			t.Fatal(err)
		}
		nextA(is[engine.PeerAdded])
		net.Drop(func(from, to netip.AddrPort) bool { return true })
		nextA(is[engine.PeerRemoved])
		nextB(is[engine.PeerRemoved])
		time.Sleep(time.Minute)
		net.Drop(nil)
		b.SetLooking(false, true) // off and on again, so that discovery reports it again
		b.SetLooking(true, true)
		nextA(is[engine.PeerAdded]) // without a second invitation
		nextB(is[engine.PeerAdded])
	})
}

func TestEngine_TwelvePeersConnectToEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 12
		net := enginetest.New(t, latency)
		var all []*enginetest.Node
		for range n {
			all = append(all, net.Start(open("")))
		}
		time.Sleep(20 * time.Second)
		for i, node := range all {
			if c := connected(node); c != n-1 {
				t.Errorf("peer %d: %d sessions", i, c)
			}
			results, err := node.Send(t.Context(), "to all", engine.Broadcast)
			if !errors.Is(err, engine.ErrUnavailable) || len(results) != n-1 {
				t.Fatal(results, err)
			}
			for _, r := range results {
				if !errors.Is(r.Err, engine.ErrUnavailable) { // no program reads at the recipient
					t.Errorf("result %v", r.Err)
				}
			}
		}
	})
}

func TestNew_RefusesInvalidConfig(t *testing.T) {
	for _, cfg := range []engine.Config{
		{Name: strings.Repeat("x", 64)},
		{Name: "a\nb"},
		{Name: "\u200b"},
		{Service: "Chat"},
		{Service: "my.chat"},
		{Service: "123"},
		{Port: 70000},
		{Port: -1},
	} {
		if _, err := engine.New(cfg); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
	if _, err := engine.New(engine.Config{Context: make(chan int)}); err == nil {
		t.Error("a context that is not JSON was accepted")
	}
}

func TestEngine_StopsTwiceAndRunsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a := net.Start(engine.Config{})
		if err := a.Stop(); err != nil {
			t.Error(err)
		}
		if err := a.Stop(); err != nil {
			t.Error(err)
		}
		if err := a.Run(t.Context()); err == nil {
			t.Error("an engine ran twice")
		}
		for range a.Watch(t.Context()) { // must end
		}
	})
}

func TestSetName_DuringTheGreetingArrives(t *testing.T) {
	for i := range 40 {
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, latency)
			a, b := net.Start(engine.Config{Name: "old"}), net.Start(engine.Config{})
			time.Sleep(time.Duration(i) * 250 * time.Microsecond)
			if err := a.SetName("new"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second)
			if p, _ := b.Peer(a.Self().ID); p.Name != "new" {
				t.Errorf("renamed after %d: seen as %q", i, p.Name)
			}
		})
	}
}

func TestEngine_EndedContextGivesErrCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b, _, _ := pair(t, net)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := a.OpenStream(ctx, b.Self().ID, "x"); !errors.Is(err, engine.ErrCancelled) || !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if err := a.Invite(ctx, b.Self().ID); !errors.Is(err, engine.ErrCancelled) {
			t.Error(err)
		}
		if r, err := a.Send(ctx, 1, engine.Broadcast); !errors.Is(err, engine.ErrCancelled) || len(r) > 0 {
			t.Error(r, err)
		}
	})
}

// TestEngine_ServicesInOneProcessStayApart checks that engines of two services do not see each other.
func TestEngine_ServicesInOneProcessStayApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		var all []*enginetest.Node
		for i := range 6 {
			cfg := open("")
			cfg.Service = []string{"chat-demo", "speedtest"}[i%2]
			all = append(all, net.Start(cfg))
		}
		time.Sleep(10 * time.Second)
		for i, n := range all {
			if connected(n) != 2 || len(n.Peers()) != 2 {
				t.Errorf("engine %d: %d sessions, %d rows", i, connected(n), len(n.Peers()))
			}
		}
	})
}

// TestLog_NamesPeerAndReason checks that logs are structured: records of a peer that comes or goes have its ID and the
// reason.
func TestLog_NamesPeerAndReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		var lines lockedBuffer
		cfg := open("a")
		cfg.Log = slog.New(slog.NewJSONHandler(&lines, nil))
		a, b := net.Start(cfg), net.Start(open("b"))
		events(t, a)(is[engine.PeerAdded])
		_ = b.Stop()
		time.Sleep(time.Second)
		want := map[string]bool{"conn up": false, "conn down": false, "lost": false}
		for _, line := range bytes.Split(bytes.TrimSpace(lines.bytes()), []byte("\n")) {
			var entry struct{ Msg, Peer, Err string }
			if err := json.Unmarshal(line, &entry); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			if entry.Peer == b.Self().ID.Short() {
				want[entry.Msg] = true
			}
		}
		for msg, there := range want {
			if !there {
				t.Errorf("no %q in\n%s", msg, lines.bytes())
			}
		}
	})
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.b.Bytes())
}

// TestEngine_EndsInAnyOrder checks that every method that ends something can be called twice, whether the engine has never run or has already been stopped.
func TestEngine_EndsInAnyOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		idle, err := engine.New(engine.Config{})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			idle.Leave()
			idle.SetLooking(false, false)
			if err := idle.Close(); err != nil {
				t.Error(err)
			}
		}
		net := enginetest.New(t, latency)
		a, b, _, _ := pair(t, net)
		for range 2 {
			a.Leave()
			a.SetLooking(false, false)
			if err := a.Stop(); err != nil {
				t.Error(err)
			}
			a.Disconnect(b.Self().ID)
			if err := a.Close(); err != nil {
				t.Error(err)
			}
		}
		if _, err := a.Send(t.Context(), 1, engine.Broadcast); !errors.Is(err, engine.ErrClosed) {
			t.Errorf("sending after the end: %v", err)
		}
		if _, err := a.OpenStream(t.Context(), b.Self().ID, "x"); err == nil {
			t.Error("a stream after the end")
		}
		if err := a.Invite(t.Context(), b.Self().ID); err == nil {
			t.Error("an invitation after the end")
		}
		if _, err := a.Dial(t.Context(), "10.0.0.2"); !errors.Is(err, engine.ErrClosed) {
			t.Errorf("dialling after the end: %v", err)
		}
	})
}
