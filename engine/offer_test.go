package engine_test

import (
	"context"
	"crypto/rand"
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
	"multipeer/transfer"
)

// offers returns a function that waits for the next offer at n.
func offers(t *testing.T, n *enginetest.Node) func() *engine.Offer {
	t.Helper()
	next := events(t, n)
	return func() *engine.Offer {
		t.Helper()
		return next(is[*engine.Offer]).(*engine.Offer)
	}
}

// TestOfferEach_UnreachablePeerDelaysNoOther checks that an offer to several peers reaches those that are there while it
// waits for one that is not, that a peer that is named twice gets one offer, and that the error names who got none.
func TestOfferEach_UnreachablePeerDelaysNoOther(t *testing.T) {
	src := filepath.Join(t.TempDir(), "a.txt")
	if err := os.WriteFile(src, []byte("a"), 0o644); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{}), net.Start(engine.Config{Offers: engine.Everyone})
		offered := offers(t, b)
		meet(t, a, b)
		gone, err := engine.New(engine.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer gone.Close()
		absent := gone.Self().ID
		came := make(chan time.Time, 1)
		go func() {
			offered()
			came <- time.Now()
		}()
		limit := 10 * time.Second
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		began := time.Now()
		list, err := a.OfferEach(ctx, []engine.PeerID{absent, b.Self().ID, absent, b.Self().ID}, engine.OfferOptions{}, src)
		if waited := (<-came).Sub(began); waited > limit/2 {
			t.Errorf("the offer came after %v", waited)
		}
		if len(list) != 2 || list[0].Peer != absent || list[0].State != engine.Failed || list[0].Err == nil || list[1].Peer != b.Self().ID || list[1].Err != nil {
			t.Errorf("transfers %+v", list)
		}
		var of *engine.OpError
		if !errors.As(err, &of) || of.Peer != absent {
			t.Errorf("error %v", err)
		}
		if _, err := a.OfferEach(ctx, nil, engine.OfferOptions{}, src); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("without a peer: %v", err)
		}
	})
}

// TestOffer_VanishedFileIsNamedOnBothSides checks that a file that is renamed after the offer and before it is sent is
// reported on both sides.
func TestOffer_VanishedFileIsNamedOnBothSides(t *testing.T) {
	src := filepath.Join(t.TempDir(), "src")
	dir := t.TempDir()
	for _, n := range []string{"a.bin", "b.txt"} {
		if err := os.MkdirAll(src, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(src, n), []byte(n), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
		offered := offers(t, b)
		meet(t, a, b)
		tr, err := a.Offer(t.Context(), b.Self().ID, src)
		if err != nil {
			t.Fatal(err)
		}
		o := offered()
		if o.Transfer.Files != 2 {
			t.Fatalf("offered %+v", o.Transfer)
		}
		if err := os.Rename(filepath.Join(src, "b.txt"), filepath.Join(src, "c.txt")); err != nil {
			t.Fatal(err)
		}
		if err := o.Accept(engine.AcceptOptions{Dir: dir}); err != nil {
			t.Fatal(err)
		}
		for side, n := range map[string]*enginetest.Node{"sender": a, "receiver": b} {
			end, err := n.Wait(t.Context(), tr.ID)
			if !errors.Is(err, engine.ErrIncomplete) || end.State != engine.Delivered || end.LeftOut != 1 || end.Files != 1 {
				t.Errorf("%s: %v, %+v", side, err, end)
			}
			if listed := of(t, n, tr.ID); !errors.Is(listed.Err, engine.ErrIncomplete) {
				t.Errorf("%s: listed with the error %v", side, listed.Err)
			}
			if len(end.Notes) != 1 || end.Notes[0].Path != "src/b.txt" || !errors.Is(end.Notes[0].Err, transfer.ErrVanished) {
				t.Errorf("%s: notes %+v", side, end.Notes)
			}
		}
	})
}

// TestOffer_CauseReachesTheSender checks that both sides always report the receiver's own error.
func TestOffer_CauseReachesTheSender(t *testing.T) {
	file := bytesIn(t, 1<<20)
	for i := range 20 {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, ".multipeer-partial"), nil, 0o644); err != nil { // prevents staging
			t.Fatal(err)
		}
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, time.Duration(i)*time.Millisecond)
			a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
			acceptAll(t, b, engine.AcceptOptions{Dir: dir})
			meet(t, a, b)
			tr, err := a.Offer(t.Context(), b.Self().ID, file)
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			sent, _ := a.Wait(t.Context(), tr.ID)
			got, _ := b.Wait(t.Context(), tr.ID)
			var f *transfer.Failure
			if !errors.Is(sent.Err, transfer.ErrDenied) || !errors.As(sent.Err, &f) || !f.Remote {
				t.Errorf("run %d: the sender reports %v", i, sent.Err)
			}
			if !errors.Is(got.Err, transfer.ErrDenied) || !strings.Contains(got.Err.Error(), ".multipeer-partial") {
				t.Errorf("run %d: the receiver reports %v", i, got.Err)
			}
			if sent.Attempts > 1 || time.Since(began) > 10*time.Second {
				t.Errorf("run %d: %d attempts in %v", i, sent.Attempts, time.Since(began))
			}
		})
	}
}

// TestOffer_UnreadableSourceFailsAtOnce checks that the side that cannot read reports it before anyone is asked.
func TestOffer_UnreadableSourceFailsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
		meet(t, a, b)
		for path, want := range map[string]error{
			"":                                    nil,
			filepath.Join(t.TempDir(), "nothing"): transfer.ErrVanished,
			"/proc/version":                       transfer.ErrUnsized,
			"/dev/null":                           transfer.ErrSpecial,
		} {
			if _, err := os.Stat("/proc/version"); err != nil && path == "/proc/version" {
				continue
			}
			_, err := a.Offer(t.Context(), b.Self().ID, path)
			if err == nil || want != nil && !errors.Is(err, want) {
				t.Errorf("%q: %v, want %v", path, err, want)
			}
		}
		if list := b.Transfers(); len(list) != 0 {
			t.Errorf("the other side was asked: %+v", list)
		}
	})
}

// TestOffer_ProfileIsNeverSent checks that the private key does not leave with a folder that contains the profile.
func TestOffer_ProfileIsNeverSent(t *testing.T) {
	dir := t.TempDir()
	profile := filepath.Join(dir, "home", "profile")
	if err := os.MkdirAll(filepath.Dir(profile), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "home", "notes"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Profile: profile}), net.Start(engine.Config{Offers: engine.Everyone})
		offered := offers(t, b)
		meet(t, a, b)
		for _, path := range []string{profile, filepath.Join(profile, "identity.key")} {
			if _, err := a.Offer(t.Context(), b.Self().ID, path); !errors.Is(err, transfer.ErrPrivate) {
				t.Errorf("%s: %v", path, err)
			}
		}
		tr, err := a.Offer(t.Context(), b.Self().ID, filepath.Dir(profile))
		if err != nil {
			t.Fatal(err)
		}
		if err := offered().Accept(engine.AcceptOptions{Dir: filepath.Join(dir, "inbox"), Person: true}); err != nil {
			t.Fatal(err)
		}
		sent, err := a.Wait(t.Context(), tr.ID)
		if !errors.Is(err, engine.ErrIncomplete) || sent.State != engine.Delivered || sent.Complete() || sent.LeftOut != 1 {
			t.Errorf("%+v, %v", sent, err)
		}
		home, err := os.ReadDir(filepath.Join(dir, "inbox", "home"))
		if err != nil || len(home) != 1 || home[0].Name() != "notes" {
			t.Errorf("arrived: %v, %v", home, err)
		}
	})
}

// TestOffer_LongNamesAreCut checks that long names are cut: a name must fill neither a screen nor the disk that stores
// it.
func TestOffer_LongNamesAreCut(t *testing.T) {
	name := filepath.Join(t.TempDir(), strings.Repeat("\u0085", 120)+".txt")
	if err := os.WriteFile(name, []byte("x"), 0o644); err != nil {
		t.Skip("this disk does not take the name")
	}
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
		offered := offers(t, b)
		meet(t, a, b)
		if _, err := a.Offer(t.Context(), b.Self().ID, name); err != nil {
			t.Fatal(err)
		}
		shown := offered().Transfer.Names[0]
		if n := len([]rune(shown)); n > 200 || !strings.HasSuffix(shown, ".txt") || !strings.Contains(shown, "…") {
			t.Errorf("%d characters: %s", n, shown)
		}
	})
}

// TestTransfers_UnacceptedOffersDisplaceNoOthers checks that offers that no one accepts do not make the engine forget
// delivered transfers.
func TestTransfers_UnacceptedOffersDisplaceNoOthers(t *testing.T) {
	file := bytesIn(t, 1000)
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
		offered := offers(t, b)
		meet(t, a, b)
		first, err := a.Offer(t.Context(), b.Self().ID, file)
		if err != nil {
			t.Fatal(err)
		}
		if err := offered().Accept(engine.AcceptOptions{Dir: dir}); err != nil {
			t.Fatal(err)
		}
		if end, err := b.Wait(t.Context(), first.ID); err != nil || end.State != engine.Delivered {
			t.Fatal(err, end.State)
		}
		if err := b.SetTrust(a.Self().ID, engine.TrustVerified); err != nil { // may ask more often
			t.Fatal(err)
		}
		for range 600 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			tr, err := a.Offer(ctx, b.Self().ID, file)
			if err != nil {
				t.Fatal(err)
			}
			o := offered()
			_ = o.Decline()
			time.Sleep(time.Second) // more are refused at once
			_, _ = a.Wait(ctx, tr.ID)
			cancel()
		}
		if got := of(t, b, first.ID); got.State != engine.Delivered {
			t.Error("what was delivered is forgotten")
		}
		if n := len(b.Transfers()); n > 60 {
			t.Errorf("%d transfers are remembered", n)
		}
	})
}

// TestOffer_OnlyAPersonsChoiceRaisesTrust checks that a person's acceptance makes the sender known, as does a person's
// choice of a receiver, but a policy's acceptance does not.
func TestOffer_OnlyAPersonsChoiceRaisesTrust(t *testing.T) {
	file := bytesIn(t, 1000)
	for _, policy := range []bool{true, false} {
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, latency)
			a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
			acceptAll(t, b, engine.AcceptOptions{Dir: dir, Person: !policy})
			meet(t, a, b)
			tr, err := a.OfferWith(t.Context(), b.Self().ID, engine.OfferOptions{Person: !policy}, file)
			if err != nil {
				t.Fatal(err)
			}
			if end, err := a.Wait(t.Context(), tr.ID); err != nil || end.State != engine.Delivered {
				t.Fatal(err, end.State)
			}
			time.Sleep(time.Second)
			want := engine.TrustSeen
			if policy {
				want = engine.TrustUnknown
			}
			if got := b.Trust(a.Self().ID); got != want {
				t.Errorf("accepted by a policy: %v, the sender is %v, want %v", policy, got, want)
			}
			if got := a.Trust(b.Self().ID); got != want {
				t.Errorf("chosen by a policy: %v, the receiver is %v", policy, got)
			}
		})
	}
}

func TestOffer_ExpiresUnanswered(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		n := enginetest.New(t, latency)
		a, b := n.Start(engine.Config{Offers: engine.Everyone}), n.Start(engine.Config{Offers: engine.Everyone})
		next := events(t, b)
		meet(t, a, b)
		refused := 0
		for range 5 {
			tr, err := a.Offer(t.Context(), b.Self().ID, file)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			for _, now := range a.Transfers() {
				if now.ID == tr.ID && errors.Is(now.Err, engine.ErrBusy) {
					refused++
				}
			}
		}
		if refused != 3 {
			t.Errorf("%d of 5 offers of a stranger found no place", refused)
		}
		next(is[*engine.Offer])
		time.Sleep(2 * engine.OfferTimeout) // two of the others get the places of those that expire
		for _, tr := range append(a.Transfers(), b.Transfers()...) {
			if !tr.State.Final() {
				t.Errorf("still %v", tr.State)
			}
		}
	})
}

func TestOffer_CancelledRightAfterIsCancelledThere(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		n := enginetest.New(t, latency)
		a, b := n.Start(engine.Config{Offers: engine.Everyone}), n.Start(engine.Config{Offers: engine.Everyone})
		events(t, b)
		meet(t, a, b)
		for i := range 30 {
			tr, err := a.Offer(t.Context(), b.Self().ID, file)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(i%3) * time.Millisecond)
			a.Cancel(tr.ID)
			if got, err := a.Wait(t.Context(), tr.ID); !errors.Is(err, engine.ErrCancelled) || got.State != engine.Cancelled {
				t.Fatalf("%v, %v", got.State, err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		for _, tr := range b.Transfers() {
			if tr.State != engine.Cancelled {
				t.Errorf("still %v there", tr.State)
			}
		}
	})
}

func TestOffer_FolderArrives(t *testing.T) {
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
			a, b := net.Start(engine.Config{Offers: engine.Everyone, Name: "Anna"}), net.Start(engine.Config{Offers: engine.Everyone, Name: "Ben"})
			if (direction == "one dials") != a.Self().ID.Less(b.Self().ID) {
				a, b = b, a
			}
			next := events(t, b)
			next(is[engine.PeerChanged])
			tr, err := a.Offer(t.Context(), b.Self().ID, src)
			if err != nil {
				t.Fatal(err)
			}
			offer := next(is[*engine.Offer]).(*engine.Offer)
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

func TestOffer_DeclinedWithdrawnOrLost(t *testing.T) {
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
				a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
				next := events(t, b)
				next(is[engine.PeerChanged])
				tr, err := a.Offer(t.Context(), b.Self().ID, file)
				if err != nil {
					t.Fatal(err)
				}
				o := next(is[*engine.Offer]).(*engine.Offer)
				c.do(net, a, b, o)
				sent, err := a.Wait(t.Context(), tr.ID)
				if err == nil || !errors.Is(err, sent.Err) || sent.State != c.want {
					t.Errorf("%v: %v, %v", sent.State, sent.Err, err)
				}
				time.Sleep(time.Second)
				if err := o.Accept(engine.AcceptOptions{Dir: t.TempDir()}); name != "lost" && !errors.Is(err, engine.ErrAnswered) {
					t.Errorf("a late yes: %v", err)
				}
				if name == "lost" { // the acceptance comes before the loss can be noticed
					if got, err := b.Wait(t.Context(), o.Transfer.ID); err == nil || !errors.Is(err, got.Err) || got.State != engine.Failed {
						t.Errorf("the receiver: %v: %v, %v", got.State, got.Err, err)
					}
				}
			})
		})
	}
}

// TestOffer_NameThatIsNotUTF8Arrives offers a file whose top-level name is not UTF-8.
func TestOffer_NameThatIsNotUTF8Arrives(t *testing.T) {
	src, dir := filepath.Join(t.TempDir(), "caf\xe9.txt"), t.TempDir()
	if err := os.WriteFile(src, []byte("x"), 0o644); err != nil {
		t.Skip(err)
	}
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
		acceptAll(t, b, engine.AcceptOptions{Dir: dir})
		meet(t, a, b)
		tr, err := a.Offer(t.Context(), b.Self().ID, src)
		if err != nil {
			t.Fatal(err)
		}
		x, _ := a.Wait(t.Context(), tr.ID)
		y, _ := b.Wait(t.Context(), tr.ID)
		if x.State != engine.Delivered {
			t.Errorf("%v %v / %v %v", x.State, x.Err, y.State, y.Err)
		}
	})
}

// TestOffer_PolicyStoresNoName: a known peer that changes its name, and whose offer a rule accepts, keeps the name under
// which a person accepted it.
func TestOffer_PolicyStoresNoName(t *testing.T) {
	file, dir := bytesIn(t, 1000), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Offers: engine.Everyone, Name: "Ben"}), net.Start(engine.Config{Offers: engine.Everyone})
		policy := false
		b.HandleOffers(func(o *engine.Offer) { _ = o.Accept(engine.AcceptOptions{Dir: dir, Person: !policy, Reserve: -1}) })
		meet(t, a, b)
		for _, name := range []string{"Ben", "Mom"} {
			if err := a.SetName(name); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second)
			tr, err := a.Offer(t.Context(), b.Self().ID, file)
			if err != nil {
				t.Fatal(err)
			}
			if end, err := a.Wait(t.Context(), tr.ID); err != nil || end.State != engine.Delivered {
				t.Fatal(err, end.State)
			}
			time.Sleep(time.Second)
			if known := b.Acquaintances(); len(known) != 1 || known[0].Name != "Ben" {
				t.Errorf("after an offer by %s: %+v", name, known)
			}
			policy = true
		}
	})
}
