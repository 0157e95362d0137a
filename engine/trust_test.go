package engine_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

// file makes a file of so many bytes and returns its path.
func file(t *testing.T, name string, size int) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(p, make([]byte, size), 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestAutoAccept: only a verified peer, up to its bytes a day, until its date, into its folder; all else is asked for.
func TestAutoAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Name: "Anna"}), net.Start(engine.Config{Name: "Ben"})
		reach(t, a, b)
		reach(t, b, a)
		id, into := a.Self().ID, t.TempDir()
		next := events(t, b)
		auto := engine.AutoAccept{Bytes: 10_000_000, Dir: into, Until: time.Now().Add(30 * time.Hour)}
		if err := b.SetAutoAccept(id, auto); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("from a peer that is not verified: %v", err)
		}
		if err := b.SetTrust(id, engine.TrustVerified); err != nil {
			t.Fatal(err)
		}
		for _, bad := range []engine.AutoAccept{{Bytes: -1, Dir: into}, {Bytes: 1}, {Bytes: 1, Dir: "x"}} {
			if err := b.SetAutoAccept(id, bad); !errors.Is(err, engine.ErrInvalid) {
				t.Errorf("%+v: %v", bad, err)
			}
		}
		if err := b.SetAutoAccept(id, auto); err != nil {
			t.Fatal(err)
		}
		if p, _ := b.Peer(id); p.AutoAccept != auto {
			t.Errorf("kept %+v", p.AutoAccept)
		}
		send := func(path string) engine.Transfer {
			tr, err := a.Offer(t.Context(), b.Self().ID, path)
			if err != nil {
				t.Fatal(err)
			}
			return tr
		}
		taken := func(path string) {
			t.Helper()
			tr := send(path)
			if tr, err := a.Wait(t.Context(), tr.ID); err != nil || tr.State != engine.Delivered {
				t.Errorf("%s: %v, %v", path, tr.State, err)
			}
		}
		asked := func(path string) {
			t.Helper()
			send(path)
			o := next(is[engine.OfferReceived]).(engine.OfferReceived).Offer
			if o.Transfer.Names[0] != filepath.Base(path) {
				t.Fatalf("asked about %v, want %s", o.Transfer.Names, path)
			}
			_ = o.Decline()
		}
		taken(file(t, "first", 6_000_000))
		asked(file(t, "too much for the day", 6_000_000))
		taken(filepath.Dir(file(t, "in a folder", 3_000_000)))
		asked(filepath.Dir(file(t, "too much in a folder", 3_000_000)))
		if _, err := os.Stat(filepath.Join(into, "first")); err != nil {
			t.Error(err)
		}
		time.Sleep(25 * time.Hour)
		reach(t, a, b)
		taken(file(t, "the next day", 6_000_000))
		time.Sleep(6 * time.Hour)
		reach(t, a, b)
		asked(file(t, "after the date", 100))
		if err := b.SetAutoAccept(id, engine.AutoAccept{Bytes: 1000, Dir: into}); err != nil {
			t.Fatal(err)
		}
		if err := b.SetTrust(id, engine.TrustSeen); err != nil {
			t.Fatal(err)
		}
		if err := b.SetTrust(id, engine.TrustVerified); err != nil {
			t.Fatal(err)
		}
		asked(file(t, "after the trust was taken back", 100))
	})
}

// TestDeclinedOften: after three times no nobody is asked for ten minutes, unless a yes came.
func TestDeclinedOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Name: "Anna"}), net.Start(engine.Config{Name: "Ben"})
		reach(t, a, b)
		reach(t, b, a)
		var asked atomic.Int32
		go b.Handling(t.Context(), engine.Handler{
			Offer:      func(o *engine.Offer) { asked.Add(1); _ = o.Decline() },
			Invitation: func(i *engine.Invitation) { asked.Add(1); _ = i.Decline() },
		})()
		time.Sleep(time.Second)
		for i := range 10 {
			if i%2 == 0 {
				tr, err := a.Offer(t.Context(), b.Self().ID, file(t, "f", 10))
				if err != nil {
					t.Fatal(err)
				}
				if tr, _ = a.Wait(t.Context(), tr.ID); tr.State != engine.Declined {
					t.Errorf("%d: %v, %v", i, tr.State, tr.Err)
				}
			} else if err := a.Invite(t.Context(), b.Self().ID); !errors.Is(err, engine.ErrDeclined) {
				t.Errorf("%d: %v", i, err)
			}
		}
		if asked.Load() != 3 {
			t.Errorf("a person was asked %d times", asked.Load())
		}
		time.Sleep(11 * time.Minute)
		if err := a.Invite(t.Context(), b.Self().ID); !errors.Is(err, engine.ErrDeclined) || asked.Load() != 4 {
			t.Errorf("after ten minutes: %v, asked %d times", err, asked.Load())
		}
	})
}

// TestImpersonation: another key under the name of a peer that is better known is flagged, and no other.
func TestImpersonation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		b := net.Start(engine.Config{Name: "Ben", Accept: engine.Everyone})
		anna := net.Start(engine.Config{Name: "Anna Lind", Invite: engine.Everyone})
		for connected(b) == 0 {
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Second)
		like := func(n *enginetest.Node) engine.PeerID {
			reach(t, b, n)
			p, _ := b.Peer(n.Self().ID)
			return p.LooksLike
		}
		eve := net.Start(engine.Config{Name: "Аnnа  Lind"}) // Cyrillic А and а, two spaces
		other := net.Start(engine.Config{Name: "Anna Lund"})
		if like(eve) != anna.Self().ID {
			t.Error("the look-alike of a peer that was accepted is not flagged")
		}
		if !like(other).IsZero() || !like(anna).IsZero() {
			t.Error("an honest one is flagged")
		}
		if err := b.SetTrust(eve.Self().ID, engine.TrustSeen); err != nil {
			t.Fatal(err)
		}
		if !like(eve).IsZero() {
			t.Error("flagged though as well known")
		}
		if err := b.SetTrust(anna.Self().ID, engine.TrustVerified); err != nil {
			t.Fatal(err)
		}
		if like(eve) != anna.Self().ID || !like(anna).IsZero() {
			t.Error("the one that is not verified is not flagged")
		}
	})
}

// TestBlockedInTheHandshake: a blocked key gets no conn, and is told nothing.
func TestBlockedInTheHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Name: "Anna"}), net.Start(engine.Config{Name: "Ben", Hidden: true, Blind: true})
		time.Sleep(time.Second)
		if err := a.SetTrust(b.Self().ID, engine.TrustBlocked); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Dial(t.Context(), a.Addr.String()); !errors.Is(err, engine.ErrRefused) {
			t.Errorf("%v, want the refusal of the handshake", err)
		}
	})
}

// TestAutoAcceptAtOnce: offers that come together do not take more than the day allows.
func TestAutoAcceptAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Name: "Anna"}), net.Start(engine.Config{Name: "Ben"})
		reach(t, a, b)
		reach(t, b, a)
		id, into := a.Self().ID, t.TempDir()
		next := events(t, b)
		if err := b.SetTrust(id, engine.TrustVerified); err != nil {
			t.Fatal(err)
		}
		if err := b.SetAutoAccept(id, engine.AutoAccept{Bytes: 10_000_000, Dir: into}); err != nil {
			t.Fatal(err)
		}
		for range 4 {
			if _, err := a.Offer(t.Context(), b.Self().ID, file(t, "f", 4_000_000)); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			_ = next(is[engine.OfferReceived]).(engine.OfferReceived).Offer.Decline()
		}
		time.Sleep(5 * time.Second)
		got, err := os.ReadDir(into)
		if err != nil || len(got) < 2 || len(got) > 3 { // the hidden folder of partials may be there
			t.Errorf("%v, %v", got, err)
		}
	})
}

// TestAskedAgainAfterComingBack: what was declined is not forgotten with the conn, and all strangers together have a
// bound.
func TestAskedAgainAfterComingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		b := net.Start(engine.Config{Name: "Ben"})
		var asked atomic.Int32
		go b.Handling(t.Context(), engine.Handler{Invitation: func(i *engine.Invitation) { asked.Add(1); _ = i.Decline() }})()
		cfg := engine.Config{Name: "Eve", Profile: filepath.Join(t.TempDir(), "profile")}
		for range 4 {
			eve := net.Start(cfg)
			reach(t, eve, b)
			for range 3 {
				_ = eve.Invite(t.Context(), b.Self().ID)
			}
			if err := eve.Stop(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if n := asked.Load(); n != 3 {
			t.Errorf("the same key has asked %d times", n)
		}
		for range 70 { // free keys
			eve := net.Start(engine.Config{Name: "Eve"})
			reach(t, eve, b)
			_ = eve.Invite(t.Context(), b.Self().ID)
			_ = eve.Stop()
		}
		if n := asked.Load(); n < 50 || n > 3+60+10 {
			t.Errorf("free keys have asked %d times", n)
		}
	})
}

// TestNamesFindWhoIsKnown: a name that a known peer has finds nobody else, whether that one is here or not; IDs do.
func TestNamesFindWhoIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		anna, ben, other := among(net, "Anna"), among(net, "Ben", blind), among(net, "Ben", blind)
		if _, err := anna.FindPeer("Ben"); !errors.Is(err, engine.ErrNoPeer) {
			t.Fatal(err)
		}
		dial(t, anna, other)
		if p, err := anna.FindPeer("ben"); err != nil || p.ID != other.Self().ID {
			t.Fatalf("while nobody knows better: %v, %v", p.ID, err)
		}
		join(t, anna, ben)
		if err := anna.SetTrust(ben.Self().ID, engine.TrustVerified); err != nil {
			t.Fatal(err)
		}
		if p, err := anna.FindPeer("Ben"); err != nil || p.ID != ben.Self().ID {
			t.Errorf("of two: %v, %v", p.ID, err)
		}
		if err := ben.Stop(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		_, err := anna.FindPeer("Ben")
		if !errors.Is(err, engine.ErrNoPeer) || !strings.Contains(err.Error(), "another device") {
			t.Errorf("when the one that is known is away: %v", err)
		}
		for _, id := range []string{other.Self().ID.String(), other.Self().ID.Short()} {
			if p, err := anna.FindPeer(id); err != nil || p.ID != other.Self().ID {
				t.Errorf("by ID: %v, %v", p.ID, err)
			}
		}
		// A key whose ID begins with the name of who is known.
		if err := anna.SetTrust(ben.Self().ID, engine.TrustUnknown); err != nil {
			t.Fatal(err)
		}
		carl := among(net, other.Self().ID.Short()[:4])
		join(t, anna, carl)
		if err := carl.Stop(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if p, err := anna.FindPeer(other.Self().ID.Short()[:4]); !errors.Is(err, engine.ErrNoPeer) {
			t.Errorf("the start of an ID in place of a name: %v, %v", p.ID, err)
		}
	})
}

// TestKnownByAnotherName: who is known takes nobody's name either, by calling itself otherwise, and no stranger takes the
// start of an ID for a name.
func TestKnownByAnotherName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		anna, ben, zed := among(net, "Anna"), among(net, "Ben", blind), among(net, "Zed", blind)
		join(t, anna, ben)
		join(t, anna, zed)
		time.Sleep(time.Second)
		stranger := among(net, ben.Self().ID.Short(), blind)
		dial(t, anna, stranger)
		if p, err := anna.FindPeer(ben.Self().ID.Short()); err != nil || p.ID != ben.Self().ID {
			t.Errorf("the start of his ID finds %v, %v", p.ID, err)
		}
		if err := ben.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := zed.SetName("Ben"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if p, err := anna.FindPeer("Ben"); !errors.Is(err, engine.ErrNoPeer) {
			t.Errorf("his name finds %v, %v", p.ID, err)
		}
		if p, err := anna.FindPeer(ben.Self().ID.Short()); !errors.Is(err, engine.ErrNoPeer) {
			t.Errorf("the start of his ID finds %v, %v", p.ID, err)
		}
	})
}
