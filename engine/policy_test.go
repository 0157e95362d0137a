package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

// TestInfo is seen before a session, and changes while running, for all who see us.
func TestInfo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a := net.Start(engine.Config{Info: map[string]string{"room": "kitchen"}})
		b := net.Start(engine.Config{})
		next := events(t, b)
		var seen engine.Peer
		next(func(ev engine.Event) bool { // it may have been found before somebody reads
			switch ev := ev.(type) {
			case engine.Snapshot:
				if len(ev.Peers) == 1 {
					seen = ev.Peers[0]
				}
			case engine.PeerChanged:
				seen = ev.Peer
			}
			return !seen.ID.IsZero()
		})
		if seen.Info["room"] != "kitchen" || seen.Confirmed {
			t.Errorf("at first sight: %+v", seen)
		}
		has := func(room string) func(engine.Event) bool {
			return func(ev engine.Event) bool {
				p, ok := ev.(engine.PeerChanged)
				return ok && p.Peer.Info["room"] == room
			}
		}
		next(func(ev engine.Event) bool { p, ok := ev.(engine.PeerChanged); return ok && p.Peer.Confirmed })
		for _, room := range []string{"garden", "", "caf\u00e9 \\ \"x\""} {
			if err := a.SetInfo(map[string]string{"room": room}); err != nil {
				t.Fatal(err)
			}
			next(has(room))
		}
		if got := a.Self().Info["room"]; got != "caf\u00e9 \\ \"x\"" {
			t.Errorf("own info: %q", got)
		}
		if err := a.SetInfo(map[string]string{"_v": "2"}); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("%v", err)
		}
	})
}

// TestContexts: each invitation and each answer may carry its own.
func TestContexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Context: "config a"}), net.Start(engine.Config{Context: "config b"})
		nextA, nextB := events(t, a), events(t, b)
		meet(t, a, b)
		for _, c := range []struct {
			invite, accept any
			atB, atA       string
		}{
			{"config a", "config b", `"config a"`, `"config b"`},
			{map[string]int{"level": 3}, []int{1}, `{"level":3}`, `[1]`},
			{nil, nil, ``, ``},
			{"config a", nil, `"config a"`, ``},
		} {
			go func() {
				inv := nextB(is[engine.InvitationReceived]).(engine.InvitationReceived).Invitation
				if string(inv.Context) != c.atB {
					t.Errorf("invited with %s", inv.Context)
				}
				if err := inv.AcceptWith(c.accept); err != nil {
					t.Error(err)
				}
			}()
			if err := a.InviteWith(t.Context(), b.Self().ID, c.invite); err != nil {
				t.Fatal(err)
			}
			if p := nextA(is[engine.PeerAdded]).(engine.PeerAdded).Peer; string(p.Context) != c.atA {
				t.Errorf("a has %s", p.Context)
			}
			if p := nextB(is[engine.PeerAdded]).(engine.PeerAdded).Peer; string(p.Context) != c.atB {
				t.Errorf("b has %s", p.Context)
			}
			a.Disconnect(b.Self().ID)
			nextB(is[engine.PeerRemoved])
			if p, _ := b.Peer(a.Self().ID); p.Context != nil {
				t.Errorf("without a session b still has %s", p.Context)
			}
		}
		for _, n := range []*enginetest.Node{a, b} {
			if err := n.SetContext("chosen late by " + n.Self().Name); err != nil {
				t.Fatal(err)
			}
		}
		go func() { _ = nextB(is[engine.InvitationReceived]).(engine.InvitationReceived).Invitation.Accept() }()
		if err := a.Invite(t.Context(), b.Self().ID); err != nil {
			t.Fatal(err)
		}
		if p := nextA(is[engine.PeerAdded]).(engine.PeerAdded).Peer; !strings.HasPrefix(string(p.Context), `"chosen late by`) {
			t.Errorf("a has %s", p.Context)
		}
	})
}

// TestContextOutlivesTheConn: what was said at the beginning is still known after a long break.
func TestContextOutlivesTheConn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		cfgA, cfgB := open("a"), open("b")
		cfgA.Context, cfgB.Context = "from a", "from b"
		a, b := net.Start(cfgA), net.Start(cfgB)
		nextA, nextB := events(t, a), events(t, b)
		nextA(is[engine.PeerAdded])
		nextB(is[engine.PeerAdded])
		net.Drop(func(from, to netip.AddrPort) bool { return true })
		nextA(is[engine.PeerRemoved])
		nextB(is[engine.PeerRemoved])
		time.Sleep(10 * time.Second)
		net.Drop(nil)
		b.SetAdvertising(false)
		b.SetAdvertising(true)
		if p := nextA(is[engine.PeerAdded]).(engine.PeerAdded).Peer; string(p.Context) != `"from b"` {
			t.Errorf("a has %q", p.Context)
		}
		if p := nextB(is[engine.PeerAdded]).(engine.PeerAdded).Peer; string(p.Context) != `"from a"` {
			t.Errorf("b has %q", p.Context)
		}
	})
}

// TestMutualInvitations cross and make one session, with the context of each.
func TestMutualInvitations(t *testing.T) {
	for i := range 50 {
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, latency)
			a, b := net.Start(engine.Config{Context: "a"}), net.Start(engine.Config{Context: "b"})
			nextA, nextB := events(t, a), events(t, b)
			meet(t, a, b)
			meet(t, b, a)
			countA, countB := watchSessions(t, a), watchSessions(t, b)
			var wg sync.WaitGroup
			for _, way := range [][2]*enginetest.Node{{a, b}, {b, a}} {
				wg.Go(func() {
					if err := way[0].Invite(t.Context(), way[1].Self().ID); err != nil {
						t.Error(err)
					}
				})
				time.Sleep(time.Duration(i) * 100 * time.Microsecond)
			}
			wg.Wait()
			if p := nextA(is[engine.PeerAdded]).(engine.PeerAdded).Peer; string(p.Context) != `"b"` {
				t.Errorf("a has %s", p.Context)
			}
			if p := nextB(is[engine.PeerAdded]).(engine.PeerAdded).Peer; string(p.Context) != `"a"` {
				t.Errorf("b has %s", p.Context)
			}
			time.Sleep(10 * time.Second)
			if ca, cb := countA(), countB(); ca != [2]int{1, 0} || cb != [2]int{1, 0} {
				t.Errorf("added and removed %v and %v times", ca, cb)
			}
		})
	}
}

// TestInviteIsWithdrawn when its context ends, and by Disconnect.
func TestInviteIsWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{}), net.Start(engine.Config{})
		next := events(t, b)
		meet(t, a, b)
		for what, end := range map[string]func(cancel func()){
			"cancelled":    func(cancel func()) { cancel() },
			"disconnected": func(func()) { a.Disconnect(b.Self().ID) },
		} {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- a.Invite(ctx, b.Self().ID) }()
			inv := next(is[engine.InvitationReceived]).(engine.InvitationReceived).Invitation
			end(cancel)
			if err := <-done; !errors.Is(err, engine.ErrCancelled) {
				t.Errorf("%s: %v", what, err)
			}
			next(is[engine.InvitationClosed])
			if err := inv.Accept(); !errors.Is(err, engine.ErrAnswered) {
				t.Errorf("%s: a late yes: %v", what, err)
			}
			cancel()
		}
		began := time.Now()
		if err := a.Invite(t.Context(), b.Self().ID); !errors.Is(err, engine.ErrTimeout) || time.Since(began) != engine.InviteTimeout {
			t.Errorf("unanswered for %v: %v", time.Since(began), err)
		}
	})
}

// TestAdmit has the program decide by peer and context, before the policy.
func TestAdmit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		var asked []string
		var mu sync.Mutex
		door := net.Start(engine.Config{Admit: func(from engine.Peer, context json.RawMessage) engine.Decision {
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, from.Name+" "+string(context))
			switch string(context) {
			case `"open sesame"`:
				return engine.Yes
			case `"?"`:
				return engine.Ask
			}
			return engine.No
		}})
		next := events(t, door)
		for name, c := range map[string]struct {
			word any
			want error
		}{"a": {"open sesame", nil}, "b": {"let me in", engine.ErrDeclined}, "c": {nil, engine.ErrDeclined}, "d": {"?", nil}} {
			n := net.Start(engine.Config{Name: name})
			meet(t, n, door)
			if c.word == "?" {
				go func() { _ = next(is[engine.InvitationReceived]).(engine.InvitationReceived).Invitation.Accept() }()
			}
			if err := n.InviteWith(t.Context(), door.Self().ID, c.word); !errors.Is(err, c.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if len(asked) != 4 || connected(door) != 2 {
			t.Errorf("asked for %q, %d sessions", asked, connected(door))
		}
	})
}

// TestVerify has the program check keys: who it refuses is never greeted, and is told so.
func TestVerify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		friend, stranger := net.Start(open("friend")), net.Start(open("stranger"))
		cfg := open("picky")
		var certificates sync.Map
		cfg.Verify = func(id engine.PeerID, certificate []byte) error {
			certificates.Store(id, len(certificate))
			if id != friend.Self().ID {
				return errors.New("not on the list")
			}
			return nil
		}
		picky := net.Start(cfg)
		events(t, picky)(is[engine.PeerAdded])
		time.Sleep(20 * time.Second)
		if connected(picky) != 1 || connected(stranger) != 1 {
			t.Errorf("%d and %d sessions", connected(picky), connected(stranger))
		}
		if p, ok := stranger.Peer(picky.Self().ID); !ok || p.Confirmed || !errors.Is(p.Err, engine.ErrRefused) {
			t.Errorf("the stranger is told %v", p.Err)
		}
		if p, ok := picky.Peer(stranger.Self().ID); !ok || !errors.Is(p.Err, engine.ErrIdentity) || !strings.Contains(p.Err.Error(), "not on the list") {
			t.Errorf("the picky one is told %v", p.Err)
		}
		if n, ok := certificates.Load(friend.Self().ID); !ok || n.(int) == 0 {
			t.Error("no certificate to look at")
		}
	})
}

// TestMaxPeers holds whoever invites, and lets the next one in when one leaves.
func TestMaxPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		cfg := open("small")
		cfg.MaxPeers = 2
		small := net.Start(cfg)
		var others []*enginetest.Node
		for range 4 {
			others = append(others, net.Start(engine.Config{Accept: engine.Everyone}))
		}
		time.Sleep(5 * time.Second)
		if connected(small) != 2 {
			t.Fatalf("%d sessions", connected(small))
		}
		for _, o := range others {
			if connected(o) == 0 {
				if err := o.Invite(t.Context(), small.Self().ID); !errors.Is(err, engine.ErrBusy) {
					t.Errorf("one too many: %v", err)
				}
				if err := small.Invite(t.Context(), o.Self().ID); !errors.Is(err, engine.ErrBusy) {
					t.Errorf("inviting one too many: %v", err)
				}
			}
		}
		for _, o := range others {
			if connected(o) == 1 {
				o.Leave()
				break
			}
		}
		time.Sleep(5 * time.Second)
		if connected(small) != 2 {
			t.Errorf("%d sessions after one has left", connected(small))
		}
	})
}

// TestKick: no policy brings back who was disconnected, not even over a new conn; an invitation by hand does.
func TestKick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b, nextA, nextB := pair(t, net)
		a.Disconnect(b.Self().ID)
		a.Disconnect(b.Self().ID)
		if r := nextB(is[engine.PeerRemoved]).(engine.PeerRemoved); !errors.Is(r.Err, engine.ErrKicked) || !errors.Is(r.Err, engine.ErrBye) {
			t.Errorf("the kicked one is told %v", r.Err)
		}
		net.Cut(b.Addr, true)
		time.Sleep(30 * time.Second)
		net.Cut(b.Addr, false)
		b.SetAdvertising(false)
		b.SetAdvertising(true)
		// b's policy asks; a's, which is to accept everyone, does not answer for the kicked one.
		inv := nextA(is[engine.InvitationReceived]).(engine.InvitationReceived).Invitation
		if connected(a) != 0 {
			t.Fatal("back")
		}
		if err := inv.Accept(); err != nil {
			t.Fatal(err)
		}
		nextA(is[engine.PeerAdded])
		nextB(is[engine.PeerAdded])
	})
}

// TestLeaveAndLooking: who leaves is not found any more only if it stops looking too; sessions do not mind looking.
func TestLeaveAndLooking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b, _, _ := pair(t, net)
		a.SetLooking(false)
		a.SetLooking(false)
		b.SetLooking(false)
		time.Sleep(5 * time.Minute)
		if connected(a) != 1 || connected(b) != 1 {
			t.Error("sessions ended with looking")
		}
		c := net.Start(open("c"))
		time.Sleep(10 * time.Second)
		if len(c.Peers()) != 0 {
			t.Error("a closed lobby lets somebody in")
		}
		a.SetLooking(true)
		time.Sleep(10 * time.Second)
		if connected(c) != 1 || connected(a) != 2 {
			t.Errorf("%d and %d sessions", connected(c), connected(a))
		}
		a.Leave()
		a.Leave()
		if connected(a) != 0 || len(a.Peers()) != 2 {
			t.Errorf("%d sessions, %d rows", connected(a), len(a.Peers()))
		}
	})
}

// TestTicket connects without discovery, to the ticket's key only.
func TestTicket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		hidden := func(name string) *enginetest.Node {
			return net.Start(engine.Config{Name: name, Hidden: true, Blind: true, Accept: engine.Everyone})
		}
		a, b, c := hidden("a"), hidden("b"), hidden("c")
		time.Sleep(time.Second)
		ticket := fmt.Sprintf("%s@10.9.9.9:1234,%s", b.Self().ID, b.Addr) // one of its addresses is not reachable
		id, err := a.Dial(t.Context(), ticket)
		if err != nil || id != b.Self().ID {
			t.Fatal(id, err)
		}
		if err := a.Invite(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Dial(t.Context(), fmt.Sprintf("%s@%s", b.Self().ID, c.Addr)); !errors.Is(err, engine.ErrIdentity) {
			t.Errorf("another key: %v", err)
		}
		for _, bad := range []string{"", "@", "x@10.0.0.1", b.Self().ID.String() + "@", b.Self().ID.String() + "@10.0.0.1:x", "a b"} {
			if _, err := a.Dial(t.Context(), bad); !errors.Is(err, engine.ErrInvalid) {
				t.Errorf("%q: %v", bad, err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { time.Sleep(time.Second); cancel() }()
		if _, err := a.Dial(ctx, "10.9.9.9:1"); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		if ticket := c.Ticket(); ticket != "" && !strings.HasPrefix(ticket, c.Self().ID.String()+"@") {
			t.Errorf("ticket %q", ticket)
		}
	})
}

// TestPath tells the way and what it loses.
func TestPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, 10*time.Millisecond)
		a, b, _, _ := pair(t, net)
		collect(t, b)
		net.Lose(0.2)
		for i := range 200 {
			if _, err := a.Send(t.Context(), i); err != nil {
				t.Fatal(err)
			}
		}
		p, err := a.Path(b.Self().ID)
		if err != nil || p.Remote != b.Addr || p.Local != a.Addr {
			t.Fatalf("%+v %v", p, err)
		}
		if p.MinRTT < 20*time.Millisecond || p.RTT < p.MinRTT || p.RTT > 100*time.Millisecond || p.BytesSent == 0 || p.PacketsReceived == 0 {
			t.Errorf("%+v", p)
		}
		if p.Loss() < 0.02 || p.Loss() > 0.5 {
			t.Errorf("loss %v", p.Loss())
		}
		if _, err := a.Path(a.Self().ID); !errors.Is(err, engine.ErrNoPeer) {
			t.Errorf("to itself: %v", err)
		}
	})
}
