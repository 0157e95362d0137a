package engine_test

import (
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
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

// file makes a file of the given size and returns its path.
func file(t *testing.T, name string, size int) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(p, make([]byte, size), 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestAutoAccept_OnlyVerifiedPeersWithinTheirLimits checks that only offers of a verified peer are accepted, up to its
// daily bytes, until its date, into its folder; all others are asked about.
func TestAutoAccept_OnlyVerifiedPeersWithinTheirLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Offers: engine.Everyone, Name: "Anna"}), net.Start(engine.Config{Offers: engine.Everyone, Name: "Ben"})
		meet(t, a, b)
		meet(t, b, a)
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
			o := next(is[*engine.Offer]).(*engine.Offer)
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
		meet(t, a, b)
		taken(file(t, "the next day", 6_000_000))
		time.Sleep(6 * time.Hour)
		meet(t, a, b)
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

// TestRefusals_ThreeSilenceAPeer checks that after three refusals no one is asked for ten minutes.
func TestRefusals_ThreeSilenceAPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Offers: engine.Everyone, Name: "Anna"}), net.Start(engine.Config{Offers: engine.Everyone, Name: "Ben"})
		meet(t, a, b)
		meet(t, b, a)
		var asked atomic.Int32
		b.Handle(t.Context(), engine.Handler{
			Offer:      func(o *engine.Offer) { asked.Add(1); _ = o.DeclineByPerson() },
			Invitation: func(i *engine.Invitation) { asked.Add(1); _ = i.DeclineByPerson() },
		})
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
			} else if err := a.InviteWith(t.Context(), b.Self().ID, byPerson); !errors.Is(err, engine.ErrDeclined) {
				t.Errorf("%d: %v", i, err)
			}
		}
		if asked.Load() != 3 {
			t.Errorf("a person was asked %d times", asked.Load())
		}
		time.Sleep(11 * time.Minute)
		if err := a.InviteWith(t.Context(), b.Self().ID, byPerson); !errors.Is(err, engine.ErrDeclined) || asked.Load() != 4 {
			t.Errorf("after ten minutes: %v, asked %d times", err, asked.Load())
		}
	})
}

// TestRefusals_RuleOfAProgramSilencesNoPeer checks that a function is asked about each offer and each invitation, however many
// it has declined, left unanswered or could not accept.
func TestRefusals_RuleOfAProgramSilencesNoPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Offers: engine.Everyone, Name: "Anna"}), net.Start(engine.Config{Offers: engine.Everyone, Name: "Ben"})
		meet(t, a, b)
		meet(t, b, a)
		invited, offered := 0, 0
		b.HandleInvitations(func(i *engine.Invitation) {
			invited++
			if invited%2 == 0 { // the others are declined because f returns
				_ = i.Decline()
			}
		})
		b.HandleOffers(func(o *engine.Offer) {
			offered++
			if offered%2 == 0 {
				_ = o.Decline()
			} else if err := o.Accept(engine.AcceptOptions{}); err == nil {
				t.Error("accepted without a folder")
			}
		})
		for i := range 10 {
			if err := a.Invite(t.Context(), b.Self().ID); !errors.Is(err, engine.ErrDeclined) {
				t.Errorf("%d: %v", i, err)
			}
			tr, err := a.Offer(t.Context(), b.Self().ID, file(t, "f", 10))
			if err != nil {
				t.Fatal(err)
			}
			if tr, _ = a.Wait(t.Context(), tr.ID); tr.State != engine.Declined {
				t.Errorf("%d: %v, %v", i, tr.State, tr.Err)
			}
		}
		if invited != 10 || offered != 10 {
			t.Errorf("%d invitations and %d offers reached the functions", invited, offered)
		}
	})
}

// TestOffer_ManyAtOnceAllArrive checks that a program may offer many files in a row, or at once, to one that accepts each at
// once: what has no place yet is offered again.
func TestOffer_ManyAtOnceAllArrive(t *testing.T) {
	for name, atOnce := range map[string]bool{"in a row": false, "at once": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := enginetest.New(t, latency)
				a, b := net.Start(engine.Config{Name: "Anna", Invite: engine.Everyone}), net.Start(engine.Config{Name: "Ben", Accept: engine.Everyone})
				for connected(b) == 0 {
					time.Sleep(10 * time.Millisecond)
				}
				dir := t.TempDir()
				b.HandleOffers(func(o *engine.Offer) { _ = o.Accept(engine.AcceptOptions{Dir: dir}) })
				var waits sync.WaitGroup
				deliver := func() {
					tr, err := a.Offer(t.Context(), b.Self().ID, file(t, "f", 10))
					if err != nil {
						t.Error(err)
						return
					}
					if tr, err = a.Wait(t.Context(), tr.ID); err != nil || tr.State != engine.Delivered {
						t.Errorf("%v, %v", tr.State, tr.Err)
					}
				}
				for range 40 {
					if atOnce {
						waits.Go(deliver)
					} else {
						deliver()
					}
				}
				waits.Wait()
			})
		})
	}
}

// TestImpersonation_NameOfABetterKnownPeerIsFlagged checks that another key with the name of a more trusted peer is
// flagged, and that no other peer is.
func TestImpersonation_NameOfABetterKnownPeerIsFlagged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		b := net.Start(engine.Config{Offers: engine.Everyone, Name: "Ben", Accept: engine.Everyone})
		anna := net.Start(engine.Config{Offers: engine.Everyone, Name: "Anna Lind", Invite: engine.Everyone})
		for connected(b) == 0 {
			time.Sleep(10 * time.Millisecond)
		}
		if err := b.InviteWith(t.Context(), anna.Self().ID, byPerson); err != nil { // the policy alone makes her no better known
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		like := func(n *enginetest.Node) engine.PeerID {
			meet(t, b, n)
			p, _ := b.Peer(n.Self().ID)
			return p.LooksLike
		}
		eve := net.Start(engine.Config{Offers: engine.Everyone, Name: "Аnnа  Lind"}) // Cyrillic А and а, two spaces
		other := net.Start(engine.Config{Offers: engine.Everyone, Name: "Anna Lund"})
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
			t.Error("the unverified peer is not flagged")
		}
	})
}

// TestTrust_BlockedKeyGetsNoConnection checks that a blocked key gets no connection and no information.
func TestTrust_BlockedKeyGetsNoConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Offers: engine.Everyone, Name: "Anna"}), net.Start(engine.Config{Offers: engine.Everyone, Name: "Ben", Hidden: true, Blind: true})
		time.Sleep(time.Second)
		if err := a.SetTrust(b.Self().ID, engine.TrustBlocked); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Dial(t.Context(), a.Addr.String()); !errors.Is(err, engine.ErrRefused) {
			t.Errorf("%v, want the refusal of the handshake", err)
		}
	})
}

// TestAutoAccept_ConcurrentOffersStayWithinTheLimit checks that concurrent offers do not exceed the daily limit.
func TestAutoAccept_ConcurrentOffersStayWithinTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Offers: engine.Everyone, Name: "Anna"}), net.Start(engine.Config{Offers: engine.Everyone, Name: "Ben"})
		meet(t, a, b)
		meet(t, b, a)
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
			_ = next(is[*engine.Offer]).(*engine.Offer).Decline()
		}
		time.Sleep(5 * time.Second)
		got, err := os.ReadDir(into)
		if err != nil || len(got) < 2 || len(got) > 3 { // the hidden folder for partial files may be there
			t.Errorf("%v, %v", got, err)
		}
	})
}

// TestRefusals_OutliveTheConnection checks that refusals outlive the connection, and that all strangers together are
// limited.
func TestRefusals_OutliveTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		b := net.Start(engine.Config{Offers: engine.Everyone, Name: "Ben"})
		var asked atomic.Int32
		b.Handle(t.Context(), engine.Handler{Invitation: func(i *engine.Invitation) { asked.Add(1); _ = i.DeclineByPerson() }})
		cfg := engine.Config{Offers: engine.Everyone, Name: "Eve", Profile: filepath.Join(t.TempDir(), "profile")}
		for range 4 {
			eve := net.Start(cfg)
			meet(t, eve, b)
			for range 3 {
				_ = eve.InviteWith(t.Context(), b.Self().ID, byPerson)
			}
			if err := eve.Stop(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if n := asked.Load(); n != 3 {
			t.Errorf("the same key has asked %d times", n)
		}
		for range 70 { // any number of keys
			eve := net.Start(engine.Config{Offers: engine.Everyone, Name: "Eve"})
			meet(t, eve, b)
			_ = eve.InviteWith(t.Context(), b.Self().ID, byPerson)
			_ = eve.Stop()
		}
		if n := asked.Load(); n < 50 || n > 3+60+10 {
			t.Errorf("free keys have asked %d times", n)
		}
	})
}

// TestFindPeer_NameOfAKnownPeerFindsNoOther checks that the name of a known peer finds no other peer, whether the
// known one is nearby or not; IDs do.
func TestFindPeer_NameOfAKnownPeerFindsNoOther(t *testing.T) {
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
		if !errors.Is(err, engine.ErrNoPeer) || !strings.Contains(err.Error(), "is not the") {
			t.Errorf("when the known peer is away: %v", err)
		}
		for _, id := range []string{other.Self().ID.String(), other.Self().ID.Short()} {
			if p, err := anna.FindPeer(id); err != nil || p.ID != other.Self().ID {
				t.Errorf("by ID: %v, %v", p.ID, err)
			}
		}
		// The ID of this key begins with the name of a known peer.
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

// TestFindPeer_RenamedPeerDoesNotTakeAName checks that a known peer cannot take another's name by renaming itself, and
// that no stranger can use the start of an ID as its name.
func TestFindPeer_RenamedPeerDoesNotTakeAName(t *testing.T) {
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

// TestFindPeer_NameLikeAnID checks that a name that is the start of another peer's ID finds only the more trusted of
// the two, and no one if the user trusts them equally.
func TestFindPeer_NameLikeAnID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		me, anna := among(net, "Me"), among(net, "Anna", blind)
		short := anna.Self().ID.Short()
		thief := among(net, short, blind)
		dial(t, me, anna)
		dial(t, me, thief)
		for _, text := range []string{short, strings.ToUpper(short), short[:4]} {
			if text == short[:4] {
				if err := thief.SetName(text); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
			}
			p, err := me.FindPeer(text)
			if !errors.Is(err, engine.ErrInvalid) || !strings.Contains(err.Error(), anna.Self().ID.String()) || !strings.Contains(err.Error(), thief.Self().ID.String()) {
				t.Errorf("of two strangers %q finds %v, %v", text, p.ID, err)
			}
		}
		if p, err := me.FindPeer(strings.ReplaceAll(anna.Self().ID.String(), "-", "")); err != nil || p.ID != anna.Self().ID {
			t.Errorf("the whole ID finds %v, %v", p.ID, err)
		}
		if p, err := me.FindPeer(anna.Self().ID.String()[:12]); err != nil || p.ID != anna.Self().ID {
			t.Errorf("more of the ID finds %v, %v", p.ID, err)
		}
		if err := thief.SetName(short); err != nil {
			t.Fatal(err)
		}
		join(t, me, thief) // accepted once
		time.Sleep(time.Second)
		if err := me.SetTrust(anna.Self().ID, engine.TrustSeen); err != nil {
			t.Fatal(err)
		}
		if p, err := me.FindPeer(short); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("of two that were accepted it finds %v, %v", p.ID, err)
		}
		if err := me.SetTrust(anna.Self().ID, engine.TrustVerified); err != nil {
			t.Fatal(err)
		}
		if p, err := me.FindPeer(short); err != nil || p.ID != anna.Self().ID {
			t.Errorf("with a verified one nearby it finds %v, %v", p.ID, err)
		}
		if err := anna.Stop(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if p, err := me.FindPeer(short); !errors.Is(err, engine.ErrNoPeer) || !strings.Contains(err.Error(), "is not the") {
			t.Errorf("while the verified one is away it finds %v, %v", p.ID, err)
		}
		if err := me.SetTrust(anna.Self().ID, engine.TrustSeen); err != nil {
			t.Fatal(err)
		}
		if p, err := me.FindPeer(short); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("while one of two that were accepted is away it finds %v, %v", p.ID, err)
		}
	})
}

// TestTrust_PolicyDoesNotRaiseIt checks that a peer that a policy admitted is still a stranger when it returns,
// however the session came about; a person's choice makes it known.
func TestTrust_PolicyDoesNotRaiseIt(t *testing.T) {
	for name, c := range map[string]struct{ a, b engine.Config }{
		"one invites all, one accepts all": {engine.Config{Offers: engine.Everyone, Invite: engine.Everyone}, engine.Config{Offers: engine.Everyone, Accept: engine.Everyone}},
		"both invite all":                  {engine.Config{Offers: engine.Everyone, Invite: engine.Everyone}, engine.Config{Offers: engine.Everyone, Invite: engine.Everyone}},
		"both do both":                     {open("a"), open("b")},
		"a function says yes":              {engine.Config{Offers: engine.Everyone, Invite: engine.Everyone}, engine.Config{Offers: engine.Everyone, AcceptIf: func(engine.Peer, json.RawMessage) bool { return true }}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := enginetest.New(t, latency)
				a, b := net.Start(c.a), net.Start(c.b)
				settle := func() {
					for i := 0; connected(a) == 0 || connected(b) == 0; i++ {
						if time.Sleep(10 * time.Millisecond); i > 3000 {
							t.Fatal("no session")
						}
					}
					time.Sleep(time.Second)
				}
				settle()
				// The session resumes over another connection.
				net.Drop(func(netip.AddrPort, netip.AddrPort) bool { return true })
				time.Sleep(9 * time.Second)
				net.Drop(nil)
				settle()
				for from, to := range map[*enginetest.Node]*enginetest.Node{a: b, b: a} {
					if tr := from.Trust(to.Self().ID); tr != engine.TrustUnknown || len(from.Acquaintances()) > 0 {
						t.Errorf("trust %q, and %d peers are kept", tr, len(from.Acquaintances()))
					}
				}
				if err := a.InviteWith(t.Context(), b.Self().ID, byPerson); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				if a.Trust(b.Self().ID) != engine.TrustSeen || b.Trust(a.Self().ID) != engine.TrustUnknown {
					t.Errorf("after a person's invitation: trust %q there and %q here", a.Trust(b.Self().ID), b.Trust(a.Self().ID))
				}
			})
		})
	}
	t.Run("a person says yes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, latency)
			a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
			b.Handle(t.Context(), engine.Handler{Invitation: func(i *engine.Invitation) { _ = i.AcceptWith(byPerson) }})
			meet(t, a, b)
			if err := a.InviteWith(t.Context(), b.Self().ID, byPerson); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			if a.Trust(b.Self().ID) != engine.TrustSeen || b.Trust(a.Self().ID) != engine.TrustSeen {
				t.Errorf("trust %q and %q", a.Trust(b.Self().ID), b.Trust(a.Self().ID))
			}
		})
	})
}

func TestTrust_BlockedPeerCannotUseASpareConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := enginetest.New(t, latency)
		a := n.Start(engine.Config{Offers: engine.Everyone})
		next := events(t, a)
		m := newRaw(t, n)
		if _, err := m.greet(t, m.dial(t, a)); err != nil {
			t.Fatal(err)
		}
		next(is[engine.PeerChanged])
		spare := m.dial(t, a) // its handshake is complete before the block
		if err := a.SetTrust(m.id.ID, engine.TrustBlocked); err != nil {
			t.Fatal(err)
		}
		s, err := m.greet(t, spare)
		if err == nil {
			_ = s.WriteMessage(wire.Invite{ID: "00112233445566778899aabbccddeeff"})
		}
		time.Sleep(2 * time.Second)
		if p, ok := a.Peer(m.id.ID); ok && p.Confirmed {
			t.Errorf("a blocked peer is back: %+v", p)
		}
	})
}

func TestTrust_ForgottenPeerNeedsANewInvitation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := enginetest.New(t, latency)
		a, b := n.Start(engine.Config{Offers: engine.Everyone}), n.Start(engine.Config{Offers: engine.Everyone, Accept: engine.Everyone})
		next := events(t, a)
		meet(t, a, b)
		if err := a.InviteWith(t.Context(), b.Self().ID, byPerson); err != nil {
			t.Fatal(err)
		}
		next(is[engine.PeerAdded])
		time.Sleep(time.Second)
		if err := a.SetTrust(b.Self().ID, engine.TrustUnknown); err != nil {
			t.Fatal(err)
		}
		next(is[engine.PeerRemoved])
		n.Drop(func(_, _ netip.AddrPort) bool { return true })
		time.Sleep(9 * time.Second)
		n.Drop(nil)
		time.Sleep(time.Minute)
		if connected(a) != 0 {
			t.Error("connected again without an invitation")
		}
	})
}

func TestTrust_BlockedPeerIsDisconnected(t *testing.T) {
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

// TestTrust_StoresTheNameThatWasShown: a peer that takes another name between the question and the answer, or after it,
// is not stored under a name that no one has seen.
func TestTrust_StoresTheNameThatWasShown(t *testing.T) {
	path := file(t, "cat.jpg", 20)
	dir := t.TempDir()
	for name, accept := range map[string]func(t *testing.T, a, zed *enginetest.Node, next func(func(engine.Event) bool) engine.Event, rename func()){
		"offer": func(t *testing.T, a, zed *enginetest.Node, next func(func(engine.Event) bool) engine.Event, rename func()) {
			if _, err := zed.Offer(t.Context(), a.Self().ID, path); err != nil {
				t.Fatal(err)
			}
			o := next(is[*engine.Offer]).(*engine.Offer)
			rename()
			if err := o.Accept(engine.AcceptOptions{Dir: dir, Reserve: -1, Person: true}); err != nil {
				t.Error(err)
			}
		},
		"invitation": func(t *testing.T, a, zed *enginetest.Node, next func(func(engine.Event) bool) engine.Event, rename func()) {
			go zed.InviteWith(t.Context(), a.Self().ID, byPerson)
			i := next(is[*engine.Invitation]).(*engine.Invitation)
			rename()
			if err := i.AcceptWith(byPerson); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := enginetest.New(t, latency)
				a, zed := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone, Name: "Zed"})
				next := events(t, a)
				meet(t, a, zed)
				time.Sleep(5 * time.Second)
				accept(t, a, zed, next, func() {
					if err := zed.SetName("Anna"); err != nil {
						t.Error(err)
					}
					time.Sleep(time.Second)
				})
				time.Sleep(5 * time.Second)
				known := a.Acquaintances()
				if len(known) != 1 || known[0].Name != "Zed" {
					t.Errorf("stored as %+v", known)
				}
				_ = zed.SetName("Zed")
				anna := net.Start(engine.Config{Offers: engine.Everyone, Name: "Anna"})
				meet(t, a, anna)
				time.Sleep(5 * time.Second)
				if p, err := a.FindPeer("Anna"); err != nil || p.ID != anna.Self().ID {
					t.Errorf("Anna is %v (%v)", p.ID.Short(), err)
				}
			})
		})
	}
}

// TestLooksLike_FollowsTrust: a device that is nearby already is flagged when a device of the same name is verified.
func TestLooksLike_FollowsTrust(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, anna, twin := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone, Name: "Anna"}), net.Start(engine.Config{Offers: engine.Everyone, Name: "Anna"})
		next := events(t, a)
		meet(t, a, anna)
		meet(t, a, twin)
		time.Sleep(time.Second)
		if err := a.SetTrust(anna.Self().ID, engine.TrustVerified); err != nil {
			t.Fatal(err)
		}
		p := next(func(ev engine.Event) bool {
			c, ok := ev.(engine.PeerChanged)
			return ok && c.Peer.ID == twin.Self().ID && !c.Peer.LooksLike.IsZero()
		}).(engine.PeerChanged).Peer
		if p.LooksLike != anna.Self().ID {
			t.Errorf("%+v", p)
		}
		if like := a.LooksLike(twin.Self().ID, "anna"); like != anna.Self().ID {
			t.Errorf("anna looks like %v", like)
		}
		if like := a.LooksLike(twin.Self().ID, "Ben"); !like.IsZero() {
			t.Errorf("Ben looks like %v", like)
		}
	})
}

// TestFindPeer_ShortStartMeansNoStranger checks that the first characters of an ID, which a key can be made for in seconds,
// find only a known peer, and that the error says how many it takes.
func TestFindPeer_ShortStartMeansNoStranger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Name: "a"}), net.Start(engine.Config{Name: "b"})
		time.Sleep(time.Second)
		id := b.Self().ID.String()
		for n := 4; n < 8; n++ {
			if p, err := a.FindPeer(id[:n]); !errors.Is(err, engine.ErrInvalid) || !strings.Contains(err.Error(), id) {
				t.Errorf("%d characters: %v, %v", n, p.ID, err)
			}
		}
		for _, who := range []string{id, id[:8], id[:12], "b"} {
			if p, err := a.FindPeer(who); err != nil || p.ID != b.Self().ID {
				t.Errorf("%s: %v, %v", who, p.ID, err)
			}
		}
		must(t, a.SetTrust(b.Self().ID, engine.TrustSeen))
		if p, err := a.FindPeer(id[:4]); err != nil || p.ID != b.Self().ID {
			t.Errorf("a known peer by 4 characters: %v, %v", p.ID, err)
		}
	})
}
