package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
	"multipeer/engine/internal/wire"
)

// untilBroken waits until a has noticed that its conn is gone.
func untilBroken(a, b *enginetest.Node) {
	for p, _ := a.Peer(b.Self().ID); p.State == engine.Connected; p, _ = a.Peer(b.Self().ID) {
		time.Sleep(10 * time.Millisecond)
	}
}

// TestReturnAtAnyMoment: the network comes back shortly before, in and after the moment when the session is given up.
func TestReturnAtAnyMoment(t *testing.T) {
	runs := 200
	if testing.Short() {
		runs = 40
	}
	for i := range runs {
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, 30*time.Millisecond)
			a, b := net.Start(open("a")), net.Start(open("b"))
			la, lb := keepLedger(t, a), keepLedger(t, b)
			events(t, a)(is[engine.PeerAdded])
			collect(t, a)
			collect(t, b)
			time.Sleep(time.Second + time.Duration(i*37%2500)*time.Millisecond)
			net.Drop(func(_, _ netip.AddrPort) bool { return true })
			untilBroken(a, b)
			time.Sleep(2*time.Second + time.Duration(i)*time.Second/time.Duration(runs)*3/2)
			net.Drop(nil)
			time.Sleep(30 * time.Second)
			for _, n := range []*enginetest.Node{a, b} {
				if connected(n) != 1 { // it was given up; the network tells of it anew
					n.SetAdvertising(false)
					n.SetAdvertising(true)
				}
			}
			time.Sleep(time.Minute)
			la.check(t, a)
			lb.check(t, b)
			for _, n := range []*enginetest.Node{a, b} {
				if r, err := n.Send(t.Context(), 1); err != nil || r[0].Err != nil {
					t.Fatalf("return %d: %v %v", i, r, err)
				}
			}
		})
	}
}

// TestReturnOverALongPath: greetings that take longer than an attempt may do not go round in circles.
func TestReturnOverALongPath(t *testing.T) {
	for _, rtt := range []time.Duration{200, 450, 600} {
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, rtt*time.Millisecond/2)
			a, b := net.Start(open("a")), net.Start(open("b"))
			events(t, a)(is[engine.PeerAdded])
			time.Sleep(3 * time.Second)
			countA, countB := watchSessions(t, a), watchSessions(t, b)
			net.Drop(func(_, _ netip.AddrPort) bool { return true })
			untilBroken(a, b)
			net.Drop(nil)
			time.Sleep(30 * time.Second)
			ca, cb := countA(), countB()
			if connected(a) != 1 || connected(b) != 1 || ca[1] > 1 || cb[1] > 1 {
				t.Errorf("rtt %d ms: %d and %d sessions, counts %v and %v", rtt, connected(a), connected(b), ca, cb)
			}
		})
	}
}

// TestNoGhostWithoutAnnouncement: a peer that has stopped advertising and crashes is lost as any other.
func TestNoGhostWithoutAnnouncement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b, _, _ := pair(t, net)
		b.SetAdvertising(false)
		time.Sleep(time.Second)
		_ = b.Kill()
		time.Sleep(15 * time.Second)
		if peers := a.Peers(); len(peers) > 0 {
			t.Errorf("%+v", peers)
		}
	})
}

// TestReturnWithoutAnnouncement: a session in a closed lobby outlives a break too.
func TestReturnWithoutAnnouncement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b, _, _ := pair(t, net)
		a.SetLooking(false)
		b.SetLooking(false)
		time.Sleep(time.Second)
		count := watchSessions(t, a)
		net.Cut(b.Addr, true)
		time.Sleep(8 * time.Second)
		net.Cut(b.Addr, false)
		time.Sleep(20 * time.Second)
		if c := count(); c != [2]int{1, 0} || connected(a) != 1 || connected(b) != 1 {
			t.Errorf("added and removed %v times, %d and %d sessions", c, connected(a), connected(b))
		}
	})
}

// TestNoAnswerFromTheSessionBefore: what was under way when a session ended has nothing to say in the next one.
func TestNoAnswerFromTheSessionBefore(t *testing.T) {
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

// TestLargeMessageWhenTheSessionEnds costs the session, not the conn.
func TestLargeMessageWhenTheSessionEnds(t *testing.T) {
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
			_, _ = b.Post(t.Context(), strings.Repeat("m", 500_000))
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

// TestGivenUpMessagesStayInTheWindow: a program that keeps giving up on a stalled path does not end its own conn.
func TestGivenUpMessagesStayInTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b, _, _ := pair(t, net)
		collect(t, b)
		net.Cut(b.Addr, true) // for less than what ends a conn
		for began := time.Now(); time.Since(began) < 4*time.Second; time.Sleep(2 * time.Millisecond) {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			d, err := a.Post(ctx, "x")
			if err != nil {
				t.Fatal(err)
			}
			go func() { d.Results(); cancel() }()
			if p, _ := a.Peer(b.Self().ID); !p.Confirmed {
				t.Fatalf("after %v the conn is gone", time.Since(began))
			}
		}
		net.Cut(b.Addr, false)
		if r, err := a.Send(t.Context(), "y"); err != nil || r[0].Err != nil {
			t.Error(r, err)
		}
	})
}

// TestOneKeepsNobodyElseOut: while a program is slow, neither a stranger's invitations nor a peer's datagrams cost
// another peer its messages.
func TestOneKeepsNobodyElseOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, friend, noisy := net.Start(open("a")), net.Start(open("friend")), net.Start(open("noisy"))
		time.Sleep(5 * time.Second)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		_ = a.Watch(ctx) // busy with something
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
		refused := 0
		for range 1500 {
			_, _ = noisy.SendDatagram(1, a.Self().ID)
			time.Sleep(200 * time.Microsecond)
		}
		for range 1200 {
			if r, _ := noisy.Send(t.Context(), 1, a.Self().ID); errors.Is(r[0].Err, engine.ErrBusy) {
				refused++
			}
		}
		if r, err := friend.Send(t.Context(), "hello", a.Self().ID); err != nil || r[0].Err != nil {
			t.Errorf("a friend's message: %v %v", r, err)
		}
		if refused == 0 {
			t.Error("nothing of the noisy one's was refused")
		}
	})
}

// TestEndedContext is told as such.
func TestEndedContext(t *testing.T) {
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
		if r, err := a.Send(ctx, 1); err != nil || !errors.Is(r[0].Err, engine.ErrCancelled) {
			t.Error(r, err)
		}
	})
}

// TestDeepestMessage: what is taken here is taken there.
func TestDeepestMessage(t *testing.T) {
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
		if r, err := a.Send(t.Context(), deep(31)); err != nil || r[0].Err != nil {
			t.Error(r, err)
		}
		if _, err := a.Send(t.Context(), deep(32)); !errors.Is(err, engine.ErrInvalid) {
			t.Error(err)
		}
		long := json.RawMessage("[" + strings.Repeat("0,", 199_980) + "0]")
		if r, err := a.Send(t.Context(), long); err != nil || r[0].Err != nil {
			t.Error(r, err)
		}
		if connected(a) != 1 {
			t.Error("the session ended")
		}
	})
}

// byHand is a discovery that tells what the test says.
type byHand struct{ sink chan engine.Sink }

func (d *byHand) Run(ctx context.Context, _ engine.Announcement, to engine.Sink) error {
	d.sink <- to
	<-ctx.Done()
	return nil
}
func (*byHand) Update(engine.Announcement) {}
func (*byHand) Forget(engine.PeerID)       {}
func (*byHand) Recheck(engine.PeerID)      {}
func (*byHand) Link(netip.Addr) string     { return "" }

// pairByHand is two connected engines whose discovery the test holds.
func pairByHand(t *testing.T, net *enginetest.Net) (a, b *enginetest.Node, sa, sb engine.Sink) {
	t.Helper()
	da, db := &byHand{make(chan engine.Sink, 1)}, &byHand{make(chan engine.Sink, 1)}
	ca, cb := open("a"), open("b")
	ca.Discovery, cb.Discovery = da, db
	a, b = net.Start(ca), net.Start(cb)
	sa, sb = <-da.sink, <-db.sink
	sa.Found(engine.Hint{ID: b.Self().ID, Addrs: []netip.AddrPort{b.Addr}, How: "test"})
	sb.Found(engine.Hint{ID: a.Self().ID, Addrs: []netip.AddrPort{a.Addr}, How: "test"})
	time.Sleep(5 * time.Second)
	if connected(a) != 1 || connected(b) != 1 {
		t.Fatal("no session")
	}
	return a, b, sa, sb
}

// TestBothAreToldOfAnEnd: one side has noticed that the session ended, and failed messages for it; the other one, which was
// asleep perhaps, has not. It is told when the session is back, once, and what it has posted itself still arrives.
func TestBothAreToldOfAnEnd(t *testing.T) {
	for range 3 {
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, latency)
			a, b, sa, _ := pairByHand(t, net)
			ea, eb := events(t, a), events(t, b)
			ca, cb := watchSessions(t, a), watchSessions(t, b)
			net.Drop(func(_, _ netip.AddrPort) bool { return true })
			sa.NetworkChanged()
			lost := make(chan error, 1)
			go func() {
				_, err := a.Send(t.Context(), map[string]string{"text": "lost"}, b.Self().ID)
				lost <- err
			}()
			posted, err := b.Post(t.Context(), map[string]string{"text": "kept"}, a.Self().ID)
			if err != nil {
				t.Fatal(err)
			}
			ea(is[engine.PeerRemoved])
			<-lost
			net.Drop(nil)
			time.Sleep(5 * time.Second)
			if x, y := ca(), cb(); x != [2]int{2, 1} || y != x { // one was there at first
				t.Fatalf("added and removed: %v at the one that has noticed, %v at the other", x, y)
			}
			if r := posted.Results(); r[0].Err != nil {
				t.Errorf("what was posted meanwhile: %v", r[0].Err)
			}
			if m := ea(is[engine.MessageReceived]).(engine.MessageReceived).Message; !strings.Contains(string(m.Body), "kept") {
				t.Errorf("%s", m.Body)
			}
			if _, err := a.Send(t.Context(), map[string]string{"text": "after"}, b.Self().ID); err != nil {
				t.Error(err)
			}
			if m := eb(is[engine.MessageReceived]).(engine.MessageReceived).Message; !strings.Contains(string(m.Body), "after") {
				t.Errorf("%s", m.Body)
			}
		})
	}
}

// TestOldBreakDoesNotCount: the grace of a break begins with that break.
func TestOldBreakDoesNotCount(t *testing.T) {
	for range 3 {
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, latency)
			a, b, sa, sb := pairByHand(t, net)
			cut := func(s engine.Sink, n, o *enginetest.Node) {
				net.Drop(func(_, _ netip.AddrPort) bool { return true })
				s.NetworkChanged()
				untilBroken(n, o)
			}
			cut(sb, b, a)
			net.Drop(nil)
			time.Sleep(time.Minute)
			count := watchSessions(t, b)
			cut(sa, a, b) // b does not notice this one, but gets a newer conn
			net.Drop(nil)
			for p, _ := a.Peer(b.Self().ID); p.State != engine.Connected; p, _ = a.Peer(b.Self().ID) {
				time.Sleep(5 * time.Millisecond)
			}
			time.Sleep(500 * time.Millisecond)
			cut(sb, b, a)
			time.Sleep(200 * time.Millisecond)
			net.Drop(nil)
			time.Sleep(10 * time.Second)
			if c := count(); c != [2]int{1, 0} || connected(a) != 1 || connected(b) != 1 {
				t.Errorf("counts %v, %d and %d sessions", c, connected(a), connected(b))
			}
		})
	}
}

// TestKnownBeforeStrangers: a peer that was accepted before is reached at once, whatever else the network tells of.
func TestKnownBeforeStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net, sinks := enginetest.New(t, latency), make(chan engine.Sink, 1)
		a := among(net, "Anna", func(c *engine.Config) { c.Discovery = handed{here, sinks} })
		sink := <-sinks
		b := among(net, "Ben", blind)
		if err := a.SetTrust(b.Self().ID, engine.TrustSeen); err != nil {
			t.Fatal(err)
		}
		for i := range 200 {
			var id engine.PeerID
			id[0], id[1] = byte(i), 7
			sink.Found(engine.Hint{ID: id, Addrs: []netip.AddrPort{netip.MustParseAddrPort("10.9.9.9:1")}, How: "test"})
		}
		time.Sleep(5 * time.Second)
		sink.Found(engine.Hint{ID: b.Self().ID, Addrs: []netip.AddrPort{b.Addr}, How: "test"})
		seenWithin(t, 2*time.Second, a, b)
	})
}

// TestReturnBeforeStrangers: a session that returns does not queue behind peers that only somebody's packets tell of.
func TestReturnBeforeStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b, sa, sb := pairByHand(t, net)
		count := watchSessions(t, a)
		for i := range 60 {
			var id engine.PeerID
			id[0], id[1] = byte(i), 7
			h := engine.Hint{ID: id, Addrs: []netip.AddrPort{netip.MustParseAddrPort("10.9.9.9:1")}, How: "test"}
			sa.Found(h)
			sb.Found(h)
		}
		time.Sleep(time.Minute)
		net.Drop(func(_, _ netip.AddrPort) bool { return true })
		sa.NetworkChanged()
		sb.NetworkChanged()
		time.Sleep(time.Second)
		net.Drop(nil)
		time.Sleep(20 * time.Second)
		if c := count(); c != [2]int{1, 0} || connected(b) != 1 {
			t.Errorf("counts %v, %d sessions of b", c, connected(b))
		}
	})
}

// TestNothingComesBeforeAnEnd: who has not noticed that a session ended is told so before a stream or datagram of the one
// that has begun.
func TestNothingComesBeforeAnEnd(t *testing.T) {
	bad, grams, streams := 0, 0, 0
	for i := range 60 {
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, latency)
			a, b, sa, _ := pairByHand(t, net)
			if i%2 == 1 {
				net.Scatter(5*time.Millisecond, 0)
			}
			ctx, cancel := context.WithCancel(t.Context())
			var order []string
			doneA, doneB := make(chan struct{}), make(chan struct{})
			wa, wb := a.Watch(ctx), b.Watch(ctx)
			go func() {
				defer close(doneA)
				for ev := range wa {
					switch ev.(type) {
					case engine.PeerAdded:
						_, _ = a.SendDatagram("g", b.Self().ID)
						go func() {
							s, err := a.OpenStream(t.Context(), b.Self().ID, "x")
							if err != nil {
								t.Log(err)
								return
							}
							_, _ = s.Write([]byte("hello"))
							s.Close()
						}()
					}
				}
			}()
			go func() {
				defer close(doneB)
				for ev := range wb {
					switch ev := ev.(type) {
					case engine.PeerAdded:
						order = append(order, "added")
					case engine.PeerRemoved:
						order = append(order, "removed")
					case engine.StreamReceived:
						order = append(order, "stream")
						ev.Stream.Close()
					case engine.MessageReceived:
						order = append(order, "datagram")
					}
				}
			}()
			net.Drop(func(_, _ netip.AddrPort) bool { return true })
			sa.NetworkChanged()
			time.Sleep(4200 * time.Millisecond)
			net.Drop(nil)
			time.Sleep(8 * time.Second)
			cancel()
			<-doneA
			<-doneB
			removed := false
			for _, o := range order {
				removed = removed || o == "removed"
				if o == "stream" && !removed {
					streams++
				}
				if o == "datagram" && !removed {
					grams++
				}
			}
			if len(order) > 0 && order[0] != "removed" {
				bad++
				if bad < 4 {
					t.Log(i, order)
				}
			}
		})
	}
	if bad > 0 {
		t.Errorf("in %d of 60 (streams %d, datagrams %d) what belongs to the new session came before the end of the old one", bad, streams, grams)
	}
}
