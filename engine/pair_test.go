package engine_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

// stage waits until a node's pairing with a peer reaches a stage, and returns the pairing.
func stage(t *testing.T, n *enginetest.Node, with engine.PeerID, s engine.PairingStage) engine.Pairing {
	t.Helper()
	for range 3000 {
		for _, p := range n.Pairings() {
			if p.Peer == with && p.Stage == s {
				return p
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("the pairing is never %v: %+v", s, n.Pairings())
	return engine.Pairing{}
}

// ended waits for the end of a pairing.
func ended(next func(func(engine.Event) bool) engine.Event) engine.Pairing {
	return next(func(ev engine.Event) bool {
		p, ok := ev.(engine.Pairing)
		return ok && p.Stage.Final()
	}).(engine.Pairing)
}

func trust(n, of *enginetest.Node) engine.Trust {
	p, _ := n.Peer(of.Self().ID)
	return p.Trust
}

// TestPairing_CodeVerifiesBothSides: one side asks, the other opens its pairing window later and picks it. The code on
// one screen must be among the three on the other, and each peer is verified only when both users have confirmed.
func TestPairing_CodeVerifiesBothSides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Name: "Anna"}), net.Start(engine.Config{Name: "Ben"})
		meet(t, a, b)
		meet(t, b, a)
		nextA, nextB := events(t, a), events(t, b)
		if err := a.Pair(t.Context(), b.Self().ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if len(b.Pairings()) != 0 {
			t.Fatal("a peer asks while the window is closed")
		}
		if until := b.OpenPairing(); time.Until(until) != engine.PairingWindow || b.Self().PairingUntil != until {
			t.Error("the window is not open for its time")
		}
		asked := stage(t, b, a.Self().ID, engine.PairingAsked)
		if asked.Name != "Anna" || asked.Code != "" || asked.Choices != nil {
			t.Errorf("asked: %+v", asked)
		}
		if got := stage(t, a, b.Self().ID, engine.PairingWaiting); got.Code != "" {
			t.Error("a code before the other side has picked us")
		}
		if err := b.Pair(t.Context(), a.Self().ID); err != nil {
			t.Fatal(err)
		}
		shows, picks := stage(t, a, b.Self().ID, engine.PairingCompare), stage(t, b, a.Self().ID, engine.PairingCompare)
		if len(shows.Code) != 7 || shows.Choices != nil || picks.Code != "" || len(picks.Choices) != 3 || !slices.Contains(picks.Choices, shows.Code) {
			t.Fatalf("%+v and %+v", shows, picks)
		}
		if err := a.ConfirmPairing(b.Self().ID, ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if trust(a, b) != engine.TrustUnknown || trust(b, a) != engine.TrustUnknown {
			t.Error("trusted before both have said yes")
		}
		if err := b.ConfirmPairing(a.Self().ID, shows.Code); err != nil {
			t.Fatal(err)
		}
		if p := ended(nextA); p.Stage != engine.PairingDone {
			t.Errorf("at the initiator: %+v", p)
		}
		if p := ended(nextB); p.Stage != engine.PairingDone {
			t.Errorf("at the responder: %+v", p)
		}
		if trust(a, b) != engine.TrustVerified || trust(b, a) != engine.TrustVerified {
			t.Error("not verified")
		}
	})
}

// TestPairing_CrossedRequestsNeedNoSecondPick checks that if both ask each other, at once or one after the other,
// neither has to pick the other again.
func TestPairing_CrossedRequestsNeedNoSecondPick(t *testing.T) {
	for _, apart := range []time.Duration{0, latency / 2, 3 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, latency)
			a, b := net.Start(engine.Config{Name: "Anna"}), net.Start(engine.Config{Name: "Ben"})
			meet(t, a, b)
			meet(t, b, a)
			if err := a.Pair(t.Context(), b.Self().ID); err != nil {
				t.Fatal(err)
			}
			time.Sleep(apart)
			if err := b.Pair(t.Context(), a.Self().ID); err != nil {
				t.Fatal(err)
			}
			for _, x := range [][2]*enginetest.Node{{a, b}, {b, a}} {
				p := stage(t, x[0], x[1].Self().ID, engine.PairingCompare)
				other := stage(t, x[1], x[0].Self().ID, engine.PairingCompare)
				if p.Code != "" && !slices.Contains(other.Choices, p.Code) {
					t.Errorf("%q is not among %q", p.Code, other.Choices)
				}
			}
		})
	}
}

// TestPairing_FailureEndsItOnBothSides checks that a wrong choice, a rejection, a lost connection, a timeout and a
// cancellation each end the pairing on both sides, leave no trust, and count as a failure; three failures close the
// pairing window.
func TestPairing_FailureEndsItOnBothSides(t *testing.T) {
	cases := map[string]struct {
		do   func(a, b *enginetest.Node, net *enginetest.Net)
		here error
	}{
		"wrong choice": {func(a, b *enginetest.Node, _ *enginetest.Net) { _ = b.ConfirmPairing(a.Self().ID, "1") }, engine.ErrMismatch},
		"no":           {func(a, b *enginetest.Node, _ *enginetest.Net) { _ = a.RejectPairing(b.Self().ID) }, engine.ErrMismatch},
		"cancelled":    {func(a, b *enginetest.Node, _ *enginetest.Net) { b.CancelPairing(a.Self().ID) }, engine.ErrCancelled},
		"nobody answers": {func(a, b *enginetest.Node, _ *enginetest.Net) {
			for _, p := range a.Pairings() { // a confirms if it is the initiator
				if p.Code != "" {
					_ = a.ConfirmPairing(b.Self().ID, "")
				}
			}
			time.Sleep(engine.PairingTimeout)
		}, engine.ErrTimeout},
		"cut": {func(a, b *enginetest.Node, net *enginetest.Net) { net.Cut(a.Addr, true) }, engine.ErrLost},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := enginetest.New(t, latency)
				a, b := net.Start(engine.Config{Name: "Anna"}), net.Start(engine.Config{Name: "Ben"})
				meet(t, a, b)
				meet(t, b, a)
				nextA, nextB := events(t, a), events(t, b)
				compare(t, a, b)
				c.do(a, b, net)
				for who, next := range map[string]func(func(engine.Event) bool) engine.Event{"a": nextA, "b": nextB} {
					if p := ended(next); p.Stage != engine.PairingFailed || !errors.Is(p.Err, c.here) {
						t.Errorf("%s: %v, %v", who, p.Stage, p.Err)
					}
				}
				if trust(a, b) != engine.TrustUnknown || trust(b, a) != engine.TrustUnknown {
					t.Error("trusted")
				}
				if c.here == engine.ErrMismatch {
					if err := a.Pair(t.Context(), b.Self().ID); !errors.Is(err, engine.ErrMismatch) {
						t.Errorf("again at once: %v", err)
					}
					time.Sleep(10*time.Minute + time.Second)
					if err := a.Pair(t.Context(), b.Self().ID); err != nil {
						t.Errorf("after ten minutes: %v", err)
					}
				}
			})
		})
	}
}

// compare takes two peers to the comparison of codes.
func compare(t *testing.T, a, b *enginetest.Node) {
	t.Helper()
	if err := a.Pair(t.Context(), b.Self().ID); err != nil {
		t.Fatal(err)
	}
	if err := b.Pair(t.Context(), a.Self().ID); err != nil {
		t.Fatal(err)
	}
	stage(t, a, b.Self().ID, engine.PairingCompare)
	stage(t, b, a.Self().ID, engine.PairingCompare)
}

// TestPairing_FailuresAndAttemptsAreLimited checks that three failures close the pairing window, whichever peers they
// are with, and that one key has ten attempts a day.
func TestPairing_FailuresAndAttemptsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Name: "Anna"}), net.Start(engine.Config{Name: "Ben"})
		meet(t, a, b)
		meet(t, b, a)
		b.OpenPairing()
		for i := range engine.MaxPairingFailures {
			if b.Self().PairingUntil.IsZero() {
				t.Fatalf("closed after %d failures", i)
			}
			compare(t, a, b)
			a.CancelPairing(b.Self().ID)
			time.Sleep(time.Second)
		}
		if !b.Self().PairingUntil.IsZero() || !a.Self().PairingUntil.IsZero() {
			t.Error("still open after three failures")
		}
		for range 10 - engine.MaxPairingFailures {
			compare(t, a, b)
			a.CancelPairing(b.Self().ID)
			time.Sleep(time.Second)
		}
		if err := a.Pair(t.Context(), b.Self().ID); !errors.Is(err, engine.ErrBusy) {
			t.Errorf("the eleventh attempt of a day: %v", err)
		}
		time.Sleep(24 * time.Hour)
		compare(t, a, b)
	})
}

// TestPairing_FiveWaitAndOneIsCompared checks that at most five peers wait to be picked, and that one code is compared
// at a time.
func TestPairing_FiveWaitAndOneIsCompared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		b := net.Start(engine.Config{Name: "Ben"})
		time.Sleep(time.Second)
		b.OpenPairing()
		for range 7 {
			a := net.Start(engine.Config{})
			meet(t, a, b)
			if err := a.Pair(t.Context(), b.Self().ID); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		if n := len(b.Pairings()); n != 5 {
			t.Errorf("%d wait to be picked", n)
		}
		first, second := b.Pairings()[0].Peer, b.Pairings()[1].Peer
		if err := b.Pair(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		if err := b.Pair(t.Context(), second); !errors.Is(err, engine.ErrBusy) {
			t.Errorf("a second comparison: %v", err)
		}
		b.ClosePairing()
		time.Sleep(time.Second)
		if got := b.Pairings(); len(got) != 1 || got[0].Stage != engine.PairingCompare {
			t.Errorf("after closing: %+v", got)
		}
		time.Sleep(engine.PairingWindow)
		if got := b.Pairings(); len(got) != 0 {
			t.Errorf("later: %+v", got)
		}
	})
}

// TestPairingLink_VerifiesBothSidesOnce checks that a link connects and verifies both sides in one step, once, while
// it is valid, and is bound to one device.
func TestPairingLink_VerifiesBothSidesOnce(t *testing.T) {
	service := enginetest.Service()
	start := func(name string) *engine.Engine {
		e, err := engine.New(engine.Config{Name: name, Service: service, Hidden: true, Blind: true, Visible: engine.VisibleToNobody})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- e.Run(ctx) }()
		t.Cleanup(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
		for range 500 {
			if e.Self().Running {
				return e
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatal("does not run")
		return nil
	}
	a, b, c := start("Anna"), start("Ben"), start("Cleo")
	link, err := a.NewPairingLink()
	if errors.Is(err, engine.ErrNoNetwork) {
		t.Skip("no address but loopback")
	}
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := engine.ParseLink(link)
	if err != nil || parsed.ID != a.Self().ID || !parsed.Secret() || parsed.String() != link {
		t.Fatalf("%q: %+v, %v", link, parsed, err)
	}
	wrong := link[:len(link)-4] + strings.Map(func(r rune) rune { return 'a' + 'z' - r }, "abyz")
	if _, err := c.OpenLink(t.Context(), wrong); !errors.Is(err, engine.ErrDeclined) {
		t.Errorf("a link with another secret: %v", err)
	}
	id, err := b.OpenLink(t.Context(), link)
	if err != nil || id != a.Self().ID {
		t.Fatal(id, err)
	}
	for range 200 {
		p, _ := a.Peer(b.Self().ID)
		q, _ := b.Peer(id)
		if p.Trust == engine.TrustVerified && q.Trust == engine.TrustVerified {
			if _, err := c.OpenLink(t.Context(), link); !errors.Is(err, engine.ErrDeclined) {
				t.Errorf("used twice: %v", err)
			}
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("not verified on both sides")
}

func TestParseLink(t *testing.T) {
	for _, bad := range []string{
		"", "multipeer:", "http://x/?at=1.2.3.4", "multipeer://aeaqcaiba/?at=1.2.3.4", "multipeer://x@aeaqcaiba-eaqcaibae-aqcaibaea-qcaibaeaq-caibaeaqc-aibaeaq73/?at=1.2.3.4",
		"multipeer://aeaqcaiba-eaqcaibae-aqcaibaea-qcaibaeaq-caibaeaqc-aibaeaq73/", "multipeer://aeaqcaiba-eaqcaibae-aqcaibaea-qcaibaeaq-caibaeaqc-aibaeaq73/x?at=1.2.3.4",
		"multipeer://aeaqcaiba-eaqcaibae-aqcaibaea-qcaibaeaq-caibaeaqc-aibaeaq73/?at=1.2.3.4&s=aa", "multipeer://aeaqcaiba-eaqcaibae-aqcaibaea-qcaibaeaq-caibaeaqc-aibaeaq73/?at=:x",
		"multipeer://" + strings.Repeat("a", 5000),
	} {
		if l, err := engine.ParseLink(bad); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("%.60q is %+v, %v", bad, l, err)
		}
	}
	if l, err := engine.ParseLink(" multipeer://aeaqcaiba-eaqcaibae-aqcaibaea-qcaibaeaq-caibaeaqc-aibaeaq73/?at=10.0.0.1%3A17717 "); err != nil || l.Secret() {
		t.Errorf("%+v, %v", l, err)
	}
}

// FuzzParseLink fuzzes ParseLink, since links may come from anywhere.
func FuzzParseLink(f *testing.F) {
	const id = "aeaqcaiba-eaqcaibae-aqcaibaea-qcaibaeaq-caibaeaqc-aibaeaq73"
	f.Add("multipeer://" + id + "/?at=10.0.0.1%3A17717&s=aaaaaaaaaaaaaaaaaaaaaaaaaa")
	f.Add("multipeer://" + id + "/?at=[fe80::1%25eth0]:1,host")
	f.Fuzz(func(t *testing.T, s string) {
		l, err := engine.ParseLink(s)
		if err != nil {
			if !errors.Is(err, engine.ErrInvalid) {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		again, err := engine.ParseLink(l.String())
		if err != nil || again.ID != l.ID || again.Ticket != l.Ticket || again.Secret() != l.Secret() {
			t.Errorf("%q is %+v, and that is %+v, %v", s, l, again, err)
		}
	})
}

// TestPairing_StrangerIsLostWhenTheWindowCloses: a stranger is visible only because the pairing window is open. Its
// connection breaks, which closes the window. The stranger must be lost, and no event about it may follow.
func TestPairing_StrangerIsLostWhenTheWindowCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := among(net, "Anna", func(c *engine.Config) { c.Visible = engine.VisibleToKnown }), among(net, "Ben")
		for !a.Self().Running || !b.Self().Running {
			time.Sleep(latency)
		}
		a.OpenPairing()
		dial(t, b, a)
		meet(t, a, b)
		for i := range engine.MaxPairingFailures {
			for _, err := range []error{b.Pair(t.Context(), a.Self().ID), a.Pair(t.Context(), b.Self().ID)} {
				if err != nil {
					t.Fatal(err)
				}
			}
			stage(t, a, b.Self().ID, engine.PairingCompare)
			stage(t, b, a.Self().ID, engine.PairingCompare)
			if i < engine.MaxPairingFailures-1 {
				b.CancelPairing(a.Self().ID)
				time.Sleep(time.Second)
			}
		}
		if err := a.SetVisible(engine.VisibleToKnown, 0); err != nil { // this cancels the program's wish to connect
			t.Fatal(err)
		}
		next := events(t, a)
		net.Drop(func(_, _ netip.AddrPort) bool { return true })
		next(is[engine.PeerLost])
		time.Sleep(time.Minute)
		if err := a.SetName("the last event"); err != nil {
			t.Fatal(err)
		}
		next(func(ev engine.Event) bool {
			if is[engine.PeerChanged](ev) {
				t.Error("it changes after it was lost")
			}
			self, ok := ev.(engine.Self)
			return ok && self.Name == "the last event"
		})
	})
}

// TestPairing_KeepsTheNameThatWasPicked checks that a peer cannot take another's name between the code and the last
// confirmation.
func TestPairing_KeepsTheNameThatWasPicked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		ben := net.Start(engine.Config{Name: "Ben"})
		anna, mallory := net.Start(engine.Config{Name: "Anna"}), net.Start(engine.Config{Name: "Mallory"})
		meet(t, ben, anna)
		meet(t, ben, mallory)
		meet(t, mallory, ben)
		if err := ben.SetTrust(anna.Self().ID, engine.TrustVerified); err != nil {
			t.Fatal(err)
		}
		id := mallory.Self().ID
		ben.OpenPairing()
		if err := mallory.Pair(t.Context(), ben.Self().ID); err != nil {
			t.Fatal(err)
		}
		stage(t, ben, id, engine.PairingAsked)
		if err := ben.Pair(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		shows := stage(t, mallory, ben.Self().ID, engine.PairingCompare)
		stage(t, ben, id, engine.PairingCompare)
		if err := ben.ConfirmPairing(id, shows.Code); err != nil {
			t.Fatal(err)
		}
		if err := mallory.SetName("Anna"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if err := mallory.ConfirmPairing(ben.Self().ID, ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		for _, k := range ben.Acquaintances() {
			if k.ID == id && k.Name != "Mallory" {
				t.Errorf("%q is kept", k.Name)
			}
		}
		if p, _ := ben.Peer(id); p.Trust != engine.TrustVerified || p.LooksLike != anna.Self().ID {
			t.Errorf("%q is %v and looks like %v", p.Name, p.Trust, p.LooksLike)
		}
	})
}
