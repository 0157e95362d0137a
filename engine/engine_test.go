package engine_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

const latency = time.Millisecond

// open is a peer that invites and accepts everybody.
func open(name string) engine.Config {
	return engine.Config{Name: name, Invite: engine.Everyone, Accept: engine.Everyone}
}

// events collects what an engine tells, in order.
func events(t *testing.T, n *enginetest.Node) func(match func(engine.Event) bool) engine.Event {
	t.Helper()
	ch := make(chan engine.Event, 10000)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	seq := n.Watch(ctx)
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

func is[E engine.Event](ev engine.Event) bool { _, ok := ev.(E); return ok }

// meet waits until a sees b.
func meet(t *testing.T, a, b *enginetest.Node) {
	t.Helper()
	for range 1000 {
		if _, ok := a.Peer(b.Self().ID); ok {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the two do not meet")
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

func TestTwoPeersMeetAndTalk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a := net.Start(engine.Config{Name: "Anna", Invite: engine.Everyone, Context: map[string]int{"level": 3}})
		b := net.Start(engine.Config{Name: "Ben"})
		nextA, nextB := events(t, a), events(t, b)

		inv := nextB(is[engine.InvitationReceived]).(engine.InvitationReceived).Invitation
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

		results, err := a.Send(t.Context(), map[string]string{"text": "grüß dich <b>"})
		if err != nil || len(results) != 1 || results[0].Err != nil {
			t.Fatal(results, err)
		}
		m := nextB(is[engine.MessageReceived]).(engine.MessageReceived).Message
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
		if _, err := a.Send(t.Context(), 1); !errors.Is(err, engine.ErrNobody) {
			t.Errorf("message to nobody: %v", err)
		}
	})
}

func TestDecline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{}), net.Start(engine.Config{})
		next := events(t, b)
		meet(t, a, b)
		go func() { next(is[engine.InvitationReceived]).(engine.InvitationReceived).Invitation.Decline() }()
		if err := a.Invite(t.Context(), b.Self().ID); !errors.Is(err, engine.ErrDeclined) {
			t.Errorf("Invite: %v", err)
		}
		if connected(a)+connected(b) != 0 {
			t.Error("connected all the same")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := a.Invite(ctx, b.Self().ID); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, engine.ErrTimeout) {
			t.Errorf("unanswered: %v", err)
		}
		next(is[engine.InvitationClosed])
	})
}

// TestBothDialAtOnce starts both sides in the same instant, over and over: exactly one session must remain.
func TestBothDialAtOnce(t *testing.T) {
	runs := 1000
	if testing.Short() {
		runs = 50
	}
	single := 0
	for i := range runs {
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, time.Duration(1+i%7)*time.Millisecond)
			// Typed addresses alone make both dial at once: of two that are found the higher ID waits for the lower.
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
			time.Sleep(20 * time.Second) // whatever still crosses has time to do harm
			if connected(a) != 1 || connected(b) != 1 {
				t.Fatalf("run %d: %d and %d sessions", i, connected(a), connected(b))
			}
			if ca, cb := countA(), countB(); ca != [2]int{1, 0} || cb != [2]int{1, 0} {
				t.Fatalf("run %d: added and removed %v and %v times", i, ca, cb)
			}
			if r, err := a.Send(t.Context(), i); err != nil || r[0].Err != nil {
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
	seq := n.Watch(ctx)
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

func TestSilentDeathIsNoticed(t *testing.T) {
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
		b.SetAdvertising(false) // and on again: the network tells of it anew
		b.SetAdvertising(true)
		next(is[engine.PeerAdded])
	})
}

func TestCleanStopIsToldAtOnce(t *testing.T) {
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
			t.Errorf("told after %v", took)
		}
	})
}

func TestSessionComesBackByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a := net.Start(engine.Config{})
		b := net.Start(engine.Config{})
		nextA, nextB := events(t, a), events(t, b)
		meet(t, a, b)
		go func() { nextB(is[engine.InvitationReceived]).(engine.InvitationReceived).Invitation.Accept() }()
		if err := a.Invite(t.Context(), b.Self().ID); err != nil {
			t.Fatal(err)
		}
		nextA(is[engine.PeerAdded])
		net.Drop(func(from, to netip.AddrPort) bool { return true })
		nextA(is[engine.PeerRemoved])
		nextB(is[engine.PeerRemoved])
		time.Sleep(time.Minute)
		net.Drop(nil)
		b.SetAdvertising(false) // and on again: the network tells of it anew
		b.SetAdvertising(true)
		nextA(is[engine.PeerAdded]) // without a second invitation
		nextB(is[engine.PeerAdded])
	})
}

func TestManyPeers(t *testing.T) {
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
			results, err := node.Send(t.Context(), "to all")
			if err != nil || len(results) != n-1 {
				t.Fatal(results, err)
			}
			for _, r := range results {
				if !errors.Is(r.Err, engine.ErrUnavailable) { // nobody watches there, and the sender is told so
					t.Errorf("result %v", r.Err)
				}
			}
		}
	})
}

func TestMessagesStayInOrder(t *testing.T) {
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
			m := nextB(is[engine.MessageReceived]).(engine.MessageReceived).Message
			if err := json.Unmarshal(m.Body, &got); err != nil || got != i {
				t.Fatalf("message %d is %s", i, m.Body)
			}
		}
	})
}

func TestTooLargeNamesTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(open("a")), net.Start(open("b"))
		next, _ := events(t, a), events(t, b)
		next(is[engine.PeerAdded])
		if _, err := a.Send(t.Context(), strings.Repeat("x", engine.MaxMessage)); !errors.Is(err, engine.ErrTooLarge) || !strings.Contains(err.Error(), "1048576") {
			t.Errorf("over the limit: %v", err)
		}
		if r, err := a.Send(t.Context(), strings.Repeat("x", engine.MaxMessage-2)); err != nil || r[0].Err != nil {
			t.Errorf("at the limit: %v %v", r, err)
		}
	})
}

func TestFolderArrives(t *testing.T) {
	src := filepath.Join(t.TempDir(), "photos")
	want := map[string]string{}
	for _, name := range []string{"a.jpg", "sub/b.jpg", "sub/deep/c.jpg"} {
		p := filepath.Join(src, name)
		_ = os.MkdirAll(filepath.Dir(p), 0o755)
		want[name] = rand.Text()
		if err := os.WriteFile(p, []byte(want[name]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	inbox := filepath.Join(t.TempDir(), "inbox")
	for _, direction := range []string{"one dials", "the other dials"} {
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, latency)
			a, b := net.Start(engine.Config{Name: "Anna"}), net.Start(engine.Config{Name: "Ben"})
			if (direction == "one dials") != a.Self().ID.Less(b.Self().ID) {
				a, b = b, a
			}
			next := events(t, b)
			next(is[engine.PeerChanged])
			tr, err := a.Offer(t.Context(), b.Self().ID, src)
			if err != nil {
				t.Fatal(err)
			}
			offer := next(is[engine.OfferReceived]).(engine.OfferReceived).Offer
			if v := offer.Transfer; v.Files != 3 || v.Folders != 3 || v.Counting || !slices.Equal(v.Names, []string{"photos"}) {
				t.Errorf("offer %+v", v)
			}
			if err := offer.Accept(engine.AcceptOptions{Dir: inbox}); err != nil {
				t.Fatal(err)
			}
			sent, err := a.Wait(t.Context(), tr.ID)
			if err != nil || sent.State != engine.Delivered || sent.Done != sent.Bytes || sent.DoneFiles != 3 {
				t.Fatalf("%v: %+v, %v", sent.Err, sent, err)
			}
			got, err := b.Wait(t.Context(), tr.ID)
			if err != nil || got.State != engine.Delivered || len(got.Saved) != 1 {
				t.Fatalf("%+v, %v", got, err)
			}
			for name, content := range want {
				if c, err := os.ReadFile(filepath.Join(got.Saved[0], name)); err != nil || string(c) != content {
					t.Errorf("%s: %q, %v", name, c, err)
				}
			}
		})
	}
}

func TestOfferDeclinedWithdrawnAndLost(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		do   func(net *enginetest.Net, a, b *enginetest.Node, o *engine.Offer)
		want engine.TransferState
	}{
		"declined":  {func(_ *enginetest.Net, _, _ *enginetest.Node, o *engine.Offer) { o.Decline() }, engine.Declined},
		"withdrawn": {func(_ *enginetest.Net, a, _ *enginetest.Node, o *engine.Offer) { a.Cancel(o.Transfer.ID) }, engine.Cancelled},
		"refused":   {func(_ *enginetest.Net, _, b *enginetest.Node, o *engine.Offer) { b.Cancel(o.Transfer.ID) }, engine.Cancelled},
		"lost": {func(n *enginetest.Net, _, _ *enginetest.Node, _ *engine.Offer) {
			n.Drop(func(_, _ netip.AddrPort) bool { return true })
		}, engine.Failed},
		"quit": {func(_ *enginetest.Net, _, b *enginetest.Node, _ *engine.Offer) { go b.Stop() }, engine.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := enginetest.New(t, latency)
				a, b := net.Start(engine.Config{}), net.Start(engine.Config{})
				next := events(t, b)
				next(is[engine.PeerChanged])
				tr, err := a.Offer(t.Context(), b.Self().ID, file)
				if err != nil {
					t.Fatal(err)
				}
				o := next(is[engine.OfferReceived]).(engine.OfferReceived).Offer
				c.do(net, a, b, o)
				sent, err := a.Wait(t.Context(), tr.ID)
				if err != nil || sent.State != c.want || sent.Err == nil {
					t.Errorf("%v: %v, %v", sent.State, sent.Err, err)
				}
				time.Sleep(time.Second)
				if err := o.Accept(engine.AcceptOptions{Dir: t.TempDir()}); name != "lost" && !errors.Is(err, engine.ErrAnswered) {
					t.Errorf("a late yes: %v", err)
				}
				if name == "lost" { // the yes comes before anybody can know
					if got, err := b.Wait(t.Context(), o.Transfer.ID); err != nil || got.State != engine.Failed || got.Err == nil {
						t.Errorf("the receiver: %v: %v, %v", got.State, got.Err, err)
					}
				}
			})
		})
	}
}

func TestBlockedPeerIsNotHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(open("a")), net.Start(open("b"))
		next := events(t, a)
		next(is[engine.PeerAdded])
		if err := a.SetTrust(b.Self().ID, engine.TrustBlocked); err != nil {
			t.Fatal(err)
		}
		next(is[engine.PeerRemoved])
		time.Sleep(time.Minute)
		if connected(a)+connected(b) != 0 {
			t.Error("still connected")
		}
		if err := a.SetTrust(b.Self().ID, engine.TrustSeen); err != nil {
			t.Fatal(err)
		}
		next(is[engine.PeerAdded])
	})
}

func TestSlowReaderMissesNoState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(open("a")), net.Start(open("b"))
		next := events(t, a)
		next(is[engine.PeerAdded])
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		slow := b.Watch(ctx) // not read yet
		refused, taken := 0, 0
		for i := range 5000 {
			r, err := a.Send(t.Context(), i)
			if err != nil {
				t.Fatal(err)
			}
			if errors.Is(r[0].Err, engine.ErrBusy) {
				refused++
			} else if r[0].Err == nil {
				taken++
			}
		}
		if taken+refused != 5000 || refused == 0 {
			t.Errorf("%d taken, %d refused", taken, refused)
		}
		b.Disconnect(a.Self().ID)
		time.Sleep(time.Second)
		cancelSoon := time.AfterFunc(time.Second, cancel)
		defer cancelSoon.Stop()
		got, last := 0, engine.Connected
		for ev := range slow {
			switch ev := ev.(type) {
			case engine.MessageReceived:
				got++
			case engine.Snapshot:
				if got > 0 && len(ev.Peers) == 1 {
					last = ev.Peers[0].State
				}
			case engine.PeerChanged:
				last = ev.Peer.State
			}
		}
		if got != taken || last == engine.Connected {
			t.Errorf("read %d of %d messages, state %v", got, taken, last)
		}
	})
}

func TestPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, 5*time.Millisecond)
		a, b := net.Start(engine.Config{}), net.Start(engine.Config{})
		for _, mode := range []engine.PingMode{engine.PingReliable, engine.PingUnreliable, engine.PingStream} {
			meet(t, a, b)
			p, err := a.NewPinger(t.Context(), b.Self().ID, mode)
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				rtt, err := p.Ping(ctx)
				cancel()
				if err != nil || rtt < 10*time.Millisecond || rtt > 100*time.Millisecond {
					t.Errorf("%s: %v, %v", mode, rtt, err)
				}
			}
			p.Close()
		}
	})
}

func TestBadConfigNamesTheRule(t *testing.T) {
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
		t.Error("a context that is no JSON was taken")
	}
}

func TestRunEndsTwice(t *testing.T) {
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
		for range a.Watch(t.Context()) { // ends
		}
	})
}

// TestRenameAtAnyMoment: a name that changes while the greeting is under way arrives too.
func TestRenameAtAnyMoment(t *testing.T) {
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
