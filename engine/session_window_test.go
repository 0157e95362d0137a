package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

// inbox collects the messages that an engine receives, by sender.
type inbox struct {
	mu   sync.Mutex
	from map[engine.PeerID][]json.RawMessage
}

// collect reads n's messages until the test ends.
func collect(t *testing.T, n *enginetest.Node) *inbox {
	t.Helper()
	in := &inbox{from: map[engine.PeerID][]json.RawMessage{}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	seq := n.Watch(ctx)
	go func() {
		defer close(done)
		for ev := range seq {
			if m, ok := ev.(engine.Message); ok {
				in.mu.Lock()
				in.from[m.From] = append(in.from[m.From], m.Body)
				in.mu.Unlock()
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return in
}

func (in *inbox) of(id engine.PeerID) []string {
	in.mu.Lock()
	defer in.mu.Unlock()
	var out []string
	for _, b := range in.from[id] {
		out = append(out, string(b))
	}
	return out
}

// TestSession_DeliversEachMessageOnceAcrossBreaks breaks the connection at many moments while messages flow: each is
// delivered once, in order, and the program sees one session.
func TestSession_DeliversEachMessageOnceAcrossBreaks(t *testing.T) {
	for i := range 30 {
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, latency)
			a, b := net.Start(open("a")), net.Start(open("b"))
			next := events(t, a)
			next(is[engine.PeerAdded])
			in := collect(t, b)
			countA, countB := watchSessions(t, a), watchSessions(t, b)
			const n = 200
			var all []*engine.Delivery
			for j := range n {
				if j == 50 {
					go func() { // the line is dead long enough to end the connection
						time.Sleep(time.Duration(i) * 300 * time.Microsecond)
						net.Drop(func(from, to netip.AddrPort) bool { return true })
						time.Sleep(9 * time.Second)
						net.Drop(nil)
					}()
				}
				d, err := a.Post(t.Context(), j, engine.Broadcast)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, d)
				time.Sleep(time.Duration(j%3) * time.Millisecond)
			}
			for j, d := range all {
				if r := d.Results(); len(r) != 1 || r[0].Err != nil {
					t.Fatalf("break %d, message %d: %v", i, j, r)
				}
			}
			got := in.of(a.Self().ID)
			if len(got) != n {
				t.Fatalf("break %d: %d of %d messages", i, len(got), n)
			}
			for j, s := range got {
				if s != fmt.Sprint(j) {
					t.Fatalf("break %d: message %d is %s", i, j, s)
				}
			}
			if ca, cb := countA(), countB(); ca != [2]int{1, 0} || cb != [2]int{1, 0} {
				t.Errorf("break %d: added and removed %v and %v times", i, ca, cb)
			}
		})
	}
}

// TestSend_ToAVanishingPeerEndsInTime checks that every Send returns in time, either actually delivered or with a documented
// error.
func TestSend_ToAVanishingPeerEndsInTime(t *testing.T) {
	typed := []error{engine.ErrLost, engine.ErrNoPeer, engine.ErrNotConnected, engine.ErrTimeout, engine.ErrBye, engine.ErrCancelled, engine.ErrUnavailable}
	const rounds, each = 50, 20
	delivered, failed := 0, 0
	dice := rand.New(rand.NewPCG(3, 4))
	for round := range rounds {
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, latency)
			a, b := net.Start(open("a")), net.Start(open("b"))
			next := events(t, a)
			next(is[engine.PeerAdded])
			in := collect(t, b)
			id, vanish := b.Self().ID, time.Duration(dice.IntN(40000))*time.Microsecond
			var wg sync.WaitGroup
			wg.Go(func() {
				time.Sleep(vanish)
				if round%2 == 0 {
					_ = b.Kill()
				} else {
					_ = b.Stop()
				}
			})
			results := make([]error, each)
			for i := range each {
				wg.Go(func() {
					time.Sleep(time.Duration(i) * 2 * time.Millisecond)
					began := time.Now()
					r, err := a.Send(t.Context(), i, id)
					if len(r) != 1 || !errors.Is(err, r[0].Err) {
						t.Errorf("%v %v", r, err)
						return
					}
					results[i] = r[0].Err
					if took := time.Since(began); took > engine.SendTimeout+time.Millisecond {
						t.Errorf("answered after %v", took)
					}
				})
			}
			wg.Wait()
			got := map[string]bool{}
			for _, s := range in.of(a.Self().ID) {
				got[s] = true
			}
			for i, err := range results {
				known := false
				for _, want := range typed {
					known = known || errors.Is(err, want)
				}
				switch {
				case err == nil && !got[fmt.Sprint(i)]:
					t.Errorf("round %d: message %d counts as delivered and is missing", round, i)
				case err == nil:
					delivered++
				case known:
					failed++
				default:
					t.Errorf("round %d: message %d: %v", round, i, err)
				}
			}
		})
	}
	if delivered+failed != rounds*each || delivered == 0 || failed == 0 {
		t.Errorf("%d delivered and %d failed", delivered, failed)
	}
	t.Logf("%d sends: %d delivered, %d with a typed error", rounds*each, delivered, failed)
}

// TestEngine_SettlesAfterKillsRestartsAndInvitations does 1,000 random kills, restarts and invitations among five
// devices that want to be connected. At the end each device lists every other running device once, with one session, no
// device that was gone 15 s ago, and never itself.
func TestEngine_SettlesAfterKillsRestartsAndInvitations(t *testing.T) {
	actions := 1000
	if testing.Short() {
		actions = 100
	}
	const devices = 5
	dirs := make([]string, devices)
	for i := range dirs {
		dirs[i] = filepath.Join(t.TempDir(), "profile")
	}
	synctest.Test(t, func(t *testing.T) {
		dice := rand.New(rand.NewPCG(5, 6))
		net := enginetest.New(t, latency)
		nodes, homes := make([]*enginetest.Node, devices), make([]netip.AddrPort, devices)
		ledgers := make([]*ledger, devices)
		start := func(i int) {
			cfg := open(fmt.Sprint("device ", i))
			cfg.Profile = dirs[i]
			if homes[i].IsValid() && dice.IntN(2) == 0 {
				nodes[i] = net.StartAt(homes[i], cfg)
			} else {
				nodes[i] = net.Start(cfg)
			}
			homes[i] = nodes[i].Addr
			ledgers[i] = keepLedger(t, nodes[i])
		}
		for i := range nodes {
			start(i)
		}
		counts := map[string]int{}
		for done := 0; done < actions; done = counts["kills"] + counts["restarts"] + counts["mutual invitations"] {
			for range 1 + dice.IntN(5) {
				i := dice.IntN(devices)
				n := nodes[i]
				switch what := dice.IntN(4); {
				case n == nil:
					counts["restarts"]++
					start(i)
				case what == 0:
					counts["kills"]++
					_ = n.Kill()
					nodes[i] = nil
				case what == 1:
					counts["stops"]++
					_ = n.Stop()
					nodes[i] = nil
				default:
					j := dice.IntN(devices)
					if o := nodes[j]; o != nil && j != i {
						counts["mutual invitations"]++
						invite := func(from, to *enginetest.Node) {
							ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
							defer cancel()
							_ = from.Invite(ctx, to.Self().ID) // the peer may be gone
						}
						go invite(n, o)
						go invite(o, n)
					}
				}
				time.Sleep(time.Duration(dice.IntN(2000)) * time.Millisecond * time.Duration(dice.IntN(2)))
			}
			time.Sleep(15 * time.Second)
			for i, n := range nodes {
				if n == nil {
					continue
				}
				others := map[engine.PeerID]bool{}
				for j, o := range nodes {
					if o != nil && j != i {
						others[o.Self().ID] = true
					}
				}
				for _, p := range n.Peers() {
					switch {
					case p.ID == n.Self().ID:
						t.Fatalf("after %d: device %d sees itself", done, i)
					case !others[p.ID]:
						t.Fatalf("after %d: device %d still sees %s, %v", done, i, p.Name, p.State)
					case p.State != engine.Connected:
						t.Fatalf("after %d: device %d and %s are %v: %v", done, i, p.Name, p.State, p.Err)
					}
					delete(others, p.ID)
				}
				if len(others) > 0 {
					t.Fatalf("after %d: device %d misses %d", done, i, len(others))
				}
				ledgers[i].check(t, n)
			}
		}
		t.Log(counts)
	})
}

// ledger checks that PeerAdded and PeerRemoved alternate for each peer.
type ledger struct {
	mu    sync.Mutex
	is    map[engine.PeerID]bool
	fault string
}

func keepLedger(t *testing.T, n *enginetest.Node) *ledger {
	l := &ledger{is: map[engine.PeerID]bool{}}
	seq := n.Watch(context.Background()) // ends with the engine
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ev := range seq {
			l.mu.Lock()
			switch ev := ev.(type) {
			case engine.PeerAdded:
				if l.is[ev.Peer.ID] {
					l.fault = ev.Peer.Name + " was added twice"
				}
				l.is[ev.Peer.ID] = true
			case engine.PeerRemoved:
				if !l.is[ev.Peer.ID] {
					l.fault = ev.Peer.Name + " was removed and had not been added"
				}
				delete(l.is, ev.Peer.ID)
			}
			l.mu.Unlock()
		}
	}()
	t.Cleanup(func() { _ = n.Stop(); <-done })
	return l
}

func (l *ledger) check(t *testing.T, n *enginetest.Node) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fault != "" {
		t.Fatal(l.fault)
	}
	if len(l.is) != connected(n) {
		t.Fatalf("%d were added, %d are connected", len(l.is), connected(n))
	}
}

// TestEngine_ThirtyTwoPeersConnectDespiteLoss loses every twentieth packet.
func TestEngine_ThirtyTwoPeersConnectDespiteLoss(t *testing.T) {
	n, each := 32, 4
	if testing.Short() {
		n = 12
	}
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		net.Lose(0.05)
		var all []*enginetest.Node
		var boxes []*inbox
		for range n {
			node := net.Start(open(""))
			all, boxes = append(all, node), append(boxes, collect(t, node))
		}
		time.Sleep(30 * time.Second)
		for i, node := range all {
			if c := connected(node); c != n-1 {
				t.Fatalf("peer %d: %d sessions", i, c)
			}
		}
		var wg sync.WaitGroup
		for _, node := range all {
			wg.Go(func() {
				for j := range each {
					results, err := node.Send(t.Context(), j, engine.Broadcast)
					if err != nil || len(results) != n-1 {
						t.Errorf("%d results, %v", len(results), err)
					}
					for _, r := range results {
						if r.Err != nil {
							t.Errorf("to %s: %v", r.Peer.Short(), r.Err)
						}
					}
				}
			})
		}
		wg.Wait()
		total := 0
		for i, in := range boxes {
			for j, from := range all {
				if i == j {
					continue
				}
				got := in.of(from.Self().ID)
				if fmt.Sprint(got) != "[0 1 2 3]" {
					t.Errorf("from %d to %d: %v", j, i, got)
				}
				total += len(got)
			}
		}
		t.Logf("%d messages among %d peers, each once and in order", total, n)
	})
}

// TestPeerTable_ForgetsPeersThatLeft checks that no state of peers that have left is kept, and that a returning peer
// starts over.
func TestPeerTable_ForgetsPeersThatLeft(t *testing.T) {
	home := filepath.Join(t.TempDir(), "profile")
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a := net.Start(open("a"))
		next := events(t, a)
		time.Sleep(time.Second) // wait until all goroutines run
		before := runtime.NumGoroutine()
		for round := range 20 {
			cfg := open("guest")
			cfg.Profile, cfg.Context = home, round
			guest := net.Start(cfg)
			p := next(is[engine.PeerAdded]).(engine.PeerAdded).Peer
			if string(p.Context) != fmt.Sprint(round) {
				t.Fatalf("round %d: context %s", round, p.Context)
			}
			s, err := a.OpenStream(t.Context(), p.ID, "x")
			if err != nil {
				t.Fatal(err)
			}
			if err := guest.Stop(); err != nil {
				t.Fatal(err)
			}
			next(is[engine.PeerRemoved])
			next(is[engine.PeerLost])
			if _, err := s.Write([]byte("x")); err == nil {
				t.Error("a dead stream takes bytes")
			}
			if p, ok := a.Peer(p.ID); ok {
				t.Errorf("still there: %+v", p)
			}
			if r, err := a.Send(t.Context(), "x", p.ID); !errors.Is(err, engine.ErrNoPeer) {
				t.Errorf("sending to it: %v %v", r, err)
			}
		}
		time.Sleep(time.Minute)
		if now := runtime.NumGoroutine(); now > before+2 {
			t.Errorf("%d goroutines before, %d after", before, now)
		}
	})
}

func TestSession_EndDuringLargeMessageKeepsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, 20*time.Millisecond)
		a, b := net.Start(engine.Config{}), net.Start(engine.Config{Accept: engine.Everyone})
		next := events(t, a)
		events(t, b)
		meet(t, a, b)
		if err := a.Invite(t.Context(), b.Self().ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		for range 3 {
			_, _ = b.Post(t.Context(), strings.Repeat("m", 500_000), engine.Broadcast)
		}
		time.Sleep(30 * time.Millisecond)
		a.Leave()
		next(is[engine.PeerRemoved])
		for range 200 {
			if p, ok := a.Peer(b.Self().ID); !ok || !p.Confirmed {
				t.Fatalf("the conn has gone: %v %+v", ok, p)
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
}

// TestSession_IgnoresAnswersOfThePreviousOne checks that answers in transit when a session ends have no effect in the
// next one.
func TestSession_IgnoresAnswersOfThePreviousOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, 50*time.Millisecond)
		a, b := net.Start(engine.Config{}), net.Start(engine.Config{Accept: engine.Everyone})
		in := collect(t, a)
		collect(t, b)
		meet(t, a, b)
		if err := a.Invite(t.Context(), b.Self().ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		sent := map[string]*engine.Delivery{}
		stop := time.Now().Add(3 * time.Second)
		again := make(chan error, 1)
		for i := 0; time.Now().Before(stop); i++ {
			if i == 9 {
				go func() {
					a.Leave()
					again <- a.Invite(t.Context(), b.Self().ID)
				}()
			}
			if d, err := b.Post(t.Context(), i, a.Self().ID); err == nil {
				sent[fmt.Sprint(i)] = d
			}
			time.Sleep(5 * time.Millisecond)
		}
		if err := <-again; err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		got := map[string]int{}
		for _, s := range in.of(b.Self().ID) {
			got[s]++
		}
		for s, d := range sent {
			switch err := d.Results()[0].Err; {
			case err == nil && got[s] != 1:
				t.Errorf("message %s counts as delivered and arrived %d times", s, got[s])
			case errors.Is(err, engine.ErrNotConnected) && got[s] > 0:
				t.Errorf("message %s: %v, and it was delivered", s, err)
			}
		}
	})
}

// TestTransfer_ArrivesDespiteHeavyLoss: a file arrives over a network that loses every eighth, and every fourth packet.
func TestTransfer_ArrivesDespiteHeavyLoss(t *testing.T) {
	file := bytesIn(t, 256<<10)
	for _, loss := range []float64{0.12, 0.25} {
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, latency)
			net.Lose(loss)
			a, b := net.Start(engine.Config{}), net.Start(engine.Config{Offers: engine.Everyone})
			dir := t.TempDir()
			b.HandleOffers(func(o *engine.Offer) { _ = o.Accept(engine.AcceptOptions{Dir: dir}) })
			meet(t, a, b)
			tr, err := a.Offer(t.Context(), b.Self().ID, file)
			must(t, err)
			if tr, err = a.Wait(t.Context(), tr.ID); err != nil || !tr.Complete() {
				t.Errorf("%.0f%% loss: %v, %v", 100*loss, tr.State, err)
			}
		})
	}
}
