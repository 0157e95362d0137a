package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// TestInfo_IsVisibleBeforeASessionAndChanges checks that discovery info is visible before a session, and that changes
// reach all who see us.
func TestInfo_IsVisibleBeforeASessionAndChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a := net.Start(engine.Config{Info: map[string]string{"room": "kitchen"}})
		b := net.Start(engine.Config{})
		next := events(t, b)
		var seen engine.Peer
		next(func(ev engine.Event) bool { // it may have been found before the reader starts
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

// TestInvitation_CarriesItsOwnContext checks that each invitation and each answer may have its own context.
func TestInvitation_CarriesItsOwnContext(t *testing.T) {
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
			{nil, []int{2}, `"config a"`, `[2]`},
			{nil, nil, `"config a"`, `"config b"`},
		} {
			go func() {
				inv := nextB(is[*engine.Invitation]).(*engine.Invitation)
				if string(inv.Context) != c.atB {
					t.Errorf("invited with %s", inv.Context)
				}
				if err := inv.AcceptWith(engine.InviteOptions{Context: c.accept}); err != nil {
					t.Error(err)
				}
			}()
			if err := a.InviteWith(t.Context(), b.Self().ID, engine.InviteOptions{Context: c.invite}); err != nil {
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
		go func() { _ = nextB(is[*engine.Invitation]).(*engine.Invitation).Accept() }()
		if err := a.Invite(t.Context(), b.Self().ID); err != nil {
			t.Fatal(err)
		}
		if p := nextA(is[engine.PeerAdded]).(engine.PeerAdded).Peer; !strings.HasPrefix(string(p.Context), `"chosen late by`) {
			t.Errorf("a has %s", p.Context)
		}
	})
}

func TestSession_KeepsContextsAcrossABreak(t *testing.T) {
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
		b.SetLooking(false, true)
		b.SetLooking(true, true)
		if p := nextA(is[engine.PeerAdded]).(engine.PeerAdded).Peer; string(p.Context) != `"from b"` {
			t.Errorf("a has %q", p.Context)
		}
		if p := nextB(is[engine.PeerAdded]).(engine.PeerAdded).Peer; string(p.Context) != `"from a"` {
			t.Errorf("b has %q", p.Context)
		}
	})
}

// TestInvitation_CrossingOnesMakeOneSession checks that crossing invitations result in one session, with the context
// of each side.
func TestInvitation_CrossingOnesMakeOneSession(t *testing.T) {
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

// TestInvite_WithdrawnByContextOrDisconnect checks that an invitation is withdrawn when its context ends, and by
// Disconnect.
func TestInvite_WithdrawnByContextOrDisconnect(t *testing.T) {
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
			inv := next(is[*engine.Invitation]).(*engine.Invitation)
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

// TestHandleInvitations_DecidesByContext checks that the program decides by peer and context, and that its decision
// makes no peer known.
func TestHandleInvitations_DecidesByContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		var asked []string
		var mu sync.Mutex
		door := net.Start(engine.Config{})
		door.HandleInvitations(func(i *engine.Invitation) {
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, i.Peer.Name+" "+string(i.Context))
			if string(i.Context) == `"open sesame"` {
				_ = i.AcceptWith(engine.InviteOptions{})
				return
			}
			_ = i.Decline()
		})
		for name, c := range map[string]struct {
			word any
			want error
		}{"a": {"open sesame", nil}, "b": {"let me in", engine.ErrDeclined}, "c": {nil, engine.ErrDeclined}} {
			n := net.Start(engine.Config{Name: name})
			meet(t, n, door)
			if err := n.InviteWith(t.Context(), door.Self().ID, engine.InviteOptions{Context: c.word}); !errors.Is(err, c.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if len(asked) != 3 || connected(door) != 1 || len(door.Acquaintances()) > 0 {
			t.Errorf("asked for %q, %d sessions, %d peers are known", asked, connected(door), len(door.Acquaintances()))
		}
	})
}

// TestAcceptIf_DecidesBeforeThePolicy: a function of the program lets peers in, and leaves others to the policy. It makes no
// peer known, and a panic in it lets nobody in.
func TestAcceptIf_DecidesBeforeThePolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		door := net.Start(engine.Config{Log: slog.New(slog.DiscardHandler), AcceptIf: func(from engine.Peer, context json.RawMessage) bool {
			if from.Name == "panic" {
				panic("a mistake")
			}
			return string(context) == `"open sesame"`
		}})
		door.HandleInvitations(func(i *engine.Invitation) { _ = i.Decline() })
		for name, c := range map[string]struct {
			word any
			want error
		}{"a": {"open sesame", nil}, "b": {"let me in", engine.ErrDeclined}, "panic": {"open sesame", engine.ErrDeclined}} {
			n := net.Start(engine.Config{Name: name})
			meet(t, n, door)
			if err := n.InviteWith(t.Context(), door.Self().ID, engine.InviteOptions{Context: c.word}); !errors.Is(err, c.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if connected(door) != 1 || len(door.Acquaintances()) > 0 {
			t.Errorf("%d sessions, %d peers are known", connected(door), len(door.Acquaintances()))
		}
	})
}

// TestAcceptIf_DoesNotBringBackAKickedPeer: like every policy, it does not undo a Disconnect; a person who invites it
// does.
func TestAcceptIf_DoesNotBringBackAKickedPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		asked := 0
		door := net.Start(engine.Config{AcceptIf: func(engine.Peer, json.RawMessage) bool { asked++; return true }})
		door.HandleInvitations(func(i *engine.Invitation) { _ = i.Decline() })
		n := net.Start(engine.Config{Accept: engine.Everyone})
		meet(t, n, door)
		id := n.Self().ID
		if err := n.Invite(t.Context(), door.Self().ID); err != nil || asked != 1 {
			t.Fatalf("%v, asked %d times", err, asked)
		}
		door.Disconnect(id)
		time.Sleep(time.Second)
		if err := n.Invite(t.Context(), door.Self().ID); !errors.Is(err, engine.ErrDeclined) || asked != 1 || connected(door) != 0 {
			t.Errorf("a kicked peer came back: %v, asked %d times, %d sessions", err, asked, connected(door))
		}
		if err := door.InviteWith(t.Context(), id, engine.InviteOptions{Person: true}); err != nil {
			t.Fatal(err)
		}
		n.Leave()
		time.Sleep(time.Second)
		if err := n.Invite(t.Context(), door.Self().ID); err != nil || asked != 2 {
			t.Errorf("after a person has invited it: %v, asked %d times", err, asked)
		}
	})
}

// TestVerify_RefusedPeerIsNotGreeted checks that the program can check keys: a refused peer is never greeted, and gets
// the refusal.
func TestVerify_RefusedPeerIsNotGreeted(t *testing.T) {
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
			t.Errorf("the stranger gets %v", p.Err)
		}
		if p, ok := picky.Peer(stranger.Self().ID); !ok || !errors.Is(p.Err, engine.ErrIdentity) || !strings.Contains(p.Err.Error(), "not on the list") {
			t.Errorf("the picky one gets %v", p.Err)
		}
		if n, ok := certificates.Load(friend.Self().ID); !ok || n.(int) == 0 {
			t.Error("no certificate to look at")
		}
	})
}

// TestMaxPeers_HoldsForInvitationsOfBothSides checks that the limit holds for both sides' invitations, and that the
// next peer is admitted when one leaves.
func TestMaxPeers_HoldsForInvitationsOfBothSides(t *testing.T) {
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

// TestDisconnect_OnlyAnInvitationBringsThePeerBack checks that no policy brings back a kicked peer, not even over a
// new connection, but an explicit invitation does.
func TestDisconnect_OnlyAnInvitationBringsThePeerBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b, nextA, nextB := pair(t, net)
		a.Disconnect(b.Self().ID)
		a.Disconnect(b.Self().ID)
		if r := nextB(is[engine.PeerRemoved]).(engine.PeerRemoved); !errors.Is(r.Err, engine.ErrKicked) || !errors.Is(r.Err, engine.ErrBye) {
			t.Errorf("the kicked one gets %v", r.Err)
		}
		net.Cut(b.Addr, true)
		time.Sleep(30 * time.Second)
		net.Cut(b.Addr, false)
		b.SetLooking(false, true)
		b.SetLooking(true, true)
		// b's policy asks; a's policy, although it accepts everyone, does not accept the kicked peer.
		inv := nextA(is[*engine.Invitation]).(*engine.Invitation)
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

// TestDisconnect_OutlastsASessionByPolicy checks that a session that a rule of the program has begun does not lift the
// kick: the policies still do not bring the peer back.
func TestDisconnect_OutlastsASessionByPolicy(t *testing.T) {
	for name, begin := range map[string]func(t *testing.T, a *enginetest.Node, inv *engine.Invitation) error{
		"accepted": func(_ *testing.T, _ *enginetest.Node, inv *engine.Invitation) error {
			return inv.AcceptWith(engine.InviteOptions{})
		},
		"invited": func(t *testing.T, a *enginetest.Node, inv *engine.Invitation) error {
			return a.InviteWith(t.Context(), inv.Peer.ID, engine.InviteOptions{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := enginetest.New(t, latency)
				a, b, nextA, _ := pair(t, net)
				a.Disconnect(b.Self().ID)
				nextA(is[engine.PeerRemoved])
				net.Cut(b.Addr, true)
				time.Sleep(30 * time.Second)
				net.Cut(b.Addr, false)
				b.SetLooking(false, true)
				b.SetLooking(true, true)
				if err := begin(t, a, nextA(is[*engine.Invitation]).(*engine.Invitation)); err != nil {
					t.Fatal(err)
				}
				nextA(is[engine.PeerAdded])
				b.Leave() // b may not have the answer yet
				nextA(is[engine.PeerRemoved])
				nextA(is[*engine.Invitation]) // b's policy invites, and a's policy does not accept
				if connected(a) != 0 {
					t.Error("the kicked peer is back")
				}
			})
		})
	}
}

// TestLeave_PeerCanBeFoundWhileItLooks checks that a peer that leaves can still be found unless it stops looking as
// well, and that looking does not affect sessions.
func TestLeave_PeerCanBeFoundWhileItLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b, _, _ := pair(t, net)
		a.SetLooking(false, false)
		a.SetLooking(false, false)
		b.SetLooking(false, false)
		time.Sleep(5 * time.Minute)
		if connected(a) != 1 || connected(b) != 1 {
			t.Error("sessions ended with looking")
		}
		c := net.Start(open("c"))
		time.Sleep(10 * time.Second)
		if len(c.Peers()) != 0 {
			t.Error("a closed lobby lets someone in")
		}
		a.SetLooking(true, true)
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

// TestLeave_PoliciesMeetAgain: both engines look for peers, so the session begins again, on both sides, no matter which
// side left.
func TestLeave_PoliciesMeetAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := sessionOfTwo(t)
		for range 3 {
			a.Leave()
			if connected(a) != 0 {
				t.Error("the session continues")
			}
			time.Sleep(5 * time.Second)
			if connected(a) != 1 || connected(b) != 1 {
				t.Fatalf("%d and %d sessions", connected(a), connected(b))
			}
		}
		a.Disconnect(b.Self().ID)
		time.Sleep(time.Minute)
		if connected(a) != 0 || connected(b) != 0 {
			t.Error("a kick was undone")
		}
	})
}

// TestPolicy_OfTheProgramMakesNobodyKnown checks that what a rule of the program invites or accepts gets no more trust
// than what Config.Invite and Config.Accept do, and that a person's decision still counts.
func TestPolicy_OfTheProgramMakesNobodyKnown(t *testing.T) {
	for _, policy := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, latency)
			a, b := net.Start(engine.Config{}), net.Start(engine.Config{})
			b.HandleInvitations(func(i *engine.Invitation) {
				if policy {
					_ = i.Accept()
				} else {
					_ = i.AcceptWith(byPerson)
				}
			})
			meet(t, a, b)
			if err := a.InviteWith(t.Context(), b.Self().ID, engine.InviteOptions{Person: !policy}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second) // the profile is written in the background
			want := engine.TrustSeen
			if policy {
				want = engine.TrustUnknown
			}
			for _, pair := range [][2]*enginetest.Node{{a, b}, {b, a}} {
				if got := pair[0].Trust(pair[1].Self().ID); got != want {
					t.Errorf("policy %v: %v", policy, got)
				}
			}
			if err := a.InviteWith(t.Context(), b.Self().ID, byPerson); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Second)
			if got := a.Trust(b.Self().ID); got != engine.TrustSeen {
				t.Errorf("a person has invited it: %v", got)
			}
		})
	}
}

// TestMaxPeers_BusyPeersAreLeftAlone: peers that answer each invitation of a policy with "busy" are invited less and
// less often, and a peer with room is still invited.
func TestMaxPeers_BusyPeersAreLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a := net.Start(engine.Config{Invite: engine.Everyone, Accept: engine.Everyone, MaxPeers: 3})
		var invited atomic.Int64
		const busy = 5
		for range busy {
			r := newRaw(t, net)
			h := r.hello()
			h.Service, h.Name = engine.DefaultService, "busy"
			s, _, err := r.dial(t, a).Greet(t.Context(), h, transport.HelloTimeout)
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				for {
					m, err := s.ReadMessage(wire.MaxFrame)
					if err != nil {
						return
					}
					if i, ok := m.(wire.Invite); ok {
						invited.Add(1)
						_ = s.WriteMessage(wire.InviteAnswer{ID: i.ID, Code: wire.Busy})
					}
				}
			}()
		}
		time.Sleep(5 * time.Minute)
		if n := invited.Load(); n < busy || n > 10*busy {
			t.Errorf("%d invitations", n)
		}
		b := net.Start(engine.Config{Accept: engine.Everyone})
		time.Sleep(10 * time.Second)
		if connected(b) != 1 {
			t.Error("a peer with room is not invited")
		}
	})
}
