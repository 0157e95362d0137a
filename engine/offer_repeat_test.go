package engine_test

import (
	"context"
	"errors"
	"fmt"
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
	"multipeer/engine/internal/wire"
	"multipeer/transfer"
)

// retried changes the source between an offer and its retry, and checks the result.
func retried(t *testing.T, src, dir string, change func(), check func(shown, x, y engine.Transfer)) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
		offered := offers(t, b)
		meet(t, a, b)
		tr, err := a.Offer(t.Context(), b.Self().ID, src)
		if err != nil {
			t.Fatal(err)
		}
		_ = offered().Decline()
		_, _ = a.Wait(t.Context(), tr.ID)
		change()
		if err := a.Retry(tr.ID); err != nil {
			t.Fatal(err)
		}
		o := offered()
		time.Sleep(5 * time.Second)
		shown := of(t, b, tr.ID)
		if err := o.Accept(engine.AcceptOptions{Dir: dir, Reserve: -1}); err != nil {
			t.Fatal(err)
		}
		x, _ := a.Wait(t.Context(), tr.ID)
		y, _ := b.Wait(t.Context(), tr.ID)
		check(shown, x, y)
	})
}

func TestRetry_OffersTheCurrentContent(t *testing.T) {
	src := filepath.Join(t.TempDir(), "f")
	_ = os.WriteFile(src, []byte("x"), 0o644)
	retried(t, src, t.TempDir(), func() { _ = os.Truncate(src, 100<<20) }, func(shown, x, y engine.Transfer) {
		if x.State != engine.Delivered {
			t.Errorf("shown %d bytes: %v %v / %v %v", shown.Bytes, x.State, x.Err, y.State, y.Err)
		}
	})
}

func TestRetry_BothSidesCountTheSameLeftOut(t *testing.T) {
	src := filepath.Join(t.TempDir(), "d")
	_ = os.MkdirAll(src, 0o755)
	for i := range 3 {
		_ = os.WriteFile(filepath.Join(src, fmt.Sprint(i)), []byte("x"), 0o644)
	}
	retried(t, src, t.TempDir(), func() { _ = os.Remove(filepath.Join(src, "1")) }, func(shown, x, y engine.Transfer) {
		if x.LeftOut != y.LeftOut {
			t.Errorf("shown %d files; left out: %d %v / %d %v", shown.Files, x.LeftOut, x.Notes, y.LeftOut, y.Notes)
		}
	})
}

// swappable returns a folder to send, and a function that replaces it, or the folder above it, with a link to another
// folder.
func swappable(t *testing.T, above bool) (src string, swap func()) {
	base := t.TempDir()
	src, secret := filepath.Join(base, "shared", "docs"), filepath.Join(base, "secret")
	for _, d := range []string{src, secret, filepath.Join(secret, "docs")} {
		_ = os.MkdirAll(d, 0o755)
		_ = os.WriteFile(filepath.Join(d, "text"), []byte(d), 0o644)
	}
	return src, func() {
		at := src
		if above {
			at = filepath.Dir(src)
		}
		if err := os.Rename(at, at+".old"); err != nil {
			t.Error(err)
		}
		if err := os.Symlink(secret, at); err != nil {
			t.Skip("no symbolic links: ", err)
		}
	}
}

// ledNowhere checks that nothing from the target of the link was sent, and that the result reports the missing entry.
func ledNowhere(t *testing.T, dir string, x engine.Transfer) {
	t.Helper()
	_ = filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err == nil && d.Name() == "text" {
			t.Errorf("%s was sent", p)
		}
		return nil
	})
	t.Logf("%v %v, left out %d: %v", x.State, x.Err, x.LeftOut, x.Notes)
	if x.State == engine.Delivered && x.LeftOut == 0 {
		t.Errorf("%v with nothing left out", x.State)
	}
}

// offeredToAbsent starts a, which offers src to b and keeps the offer, because b does not run.
func offeredToAbsent(t *testing.T, net *enginetest.Net, ca, cb engine.Config, src string) (a *enginetest.Node, tr engine.Transfer) {
	t.Helper()
	b := net.Start(cb)
	id := b.Self().ID
	_ = b.Stop()
	a = net.Start(ca)
	tr, err := a.OfferWith(t.Context(), id, engine.OfferOptions{Keep: true}, src)
	if err != nil {
		t.Fatal(err)
	}
	return a, tr
}

// TestOutbox_SwappedFolderIsNotFollowed swaps a folder that waits for its peer across a restart.
func TestOutbox_SwappedFolderIsNotFollowed(t *testing.T) {
	for _, above := range []bool{false, true} {
		dir, pa, pb := t.TempDir(), t.TempDir(), t.TempDir()
		_ = os.Chmod(pa, 0o700)
		_ = os.Chmod(pb, 0o700)
		src, swap := swappable(t, above)
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, latency)
			ca, cb := engine.Config{Offers: engine.Everyone, Name: "a", Profile: pa}, engine.Config{Offers: engine.Everyone, Name: "b", Profile: pb}
			a, tr := offeredToAbsent(t, net, ca, cb, src)
			_ = a.Stop()
			swap()
			a, b := net.Start(ca), net.Start(cb)
			acceptAll(t, b, engine.AcceptOptions{Dir: dir, Reserve: -1})
			x, _ := a.Wait(t.Context(), tr.ID)
			ledNowhere(t, dir, x)
		})
	}
}

// TestOutbox_MissingAfterARestartIsNamed changes a folder that waits for its peer across a restart: what was offered and
// is not there any more is named on both sides, even if as many new files have come.
func TestOutbox_MissingAfterARestartIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(src string)
		missing []string
		arrived []string
	}{
		"another file": {
			func(src string) { _ = os.Rename(filepath.Join(src, "b"), filepath.Join(src, "new")) },
			[]string{"src/b"},
			[]string{"src/a", "src/new", "src/sub/c"},
		},
		"a folder": {
			func(src string) {
				_ = os.RemoveAll(filepath.Join(src, "sub"))
				_ = os.WriteFile(filepath.Join(src, "new"), nil, 0o644)
				_ = os.WriteFile(filepath.Join(src, "newer"), nil, 0o644)
			},
			[]string{"src/sub", "src/sub/c"},
			[]string{"src/a", "src/b", "src/new", "src/newer"},
		},
		"a file that is a folder now": {
			func(src string) {
				_ = os.Remove(filepath.Join(src, "b"))
				_ = os.Mkdir(filepath.Join(src, "b"), 0o755)
				_ = os.WriteFile(filepath.Join(src, "b", "new"), nil, 0o644)
			},
			[]string{"src/b"},
			[]string{"src/a", "src/sub/c"},
		},
		"all of it": {
			func(src string) { _ = os.RemoveAll(src) },
			[]string{"src", "src/a", "src/b", "src/sub", "src/sub/c"},
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			src, dir, pa, pb := filepath.Join(t.TempDir(), "src"), t.TempDir(), t.TempDir(), t.TempDir()
			_ = os.Chmod(pa, 0o700)
			_ = os.Chmod(pb, 0o700)
			_ = os.MkdirAll(filepath.Join(src, "sub"), 0o755)
			for _, f := range []string{"a", "b", "sub/c"} {
				_ = os.WriteFile(filepath.Join(src, f), []byte(f), 0o644)
			}
			synctest.Test(t, func(t *testing.T) {
				net := enginetest.New(t, latency)
				ca, cb := engine.Config{Offers: engine.Everyone, Name: "a", Profile: pa}, engine.Config{Offers: engine.Everyone, Name: "b", Profile: pb}
				a, tr := offeredToAbsent(t, net, ca, cb, src)
				time.Sleep(time.Second)
				_ = a.Stop()
				c.change(src)
				a = net.Start(ca)
				time.Sleep(time.Second)
				_ = a.Stop()
				a, b := net.Start(ca), net.Start(cb) // the second restart knows it too
				acceptAll(t, b, engine.AcceptOptions{Dir: dir, Reserve: -1})
				x, _ := a.Wait(t.Context(), tr.ID)
				y, _ := b.Wait(t.Context(), tr.ID)
				time.Sleep(time.Second) // both clean up
				for _, end := range []engine.Transfer{x, y} {
					var missing []string
					for _, n := range end.Notes {
						if n.Saved == "" && errors.Is(n.Err, transfer.ErrVanished) {
							missing = append(missing, n.Path)
						}
					}
					slices.Sort(missing)
					if !slices.Equal(missing, c.missing) || end.LeftOut != int64(len(missing)) {
						t.Errorf("%v, %d left out: %q", end.State, end.LeftOut, missing)
					}
				}
				var arrived []string
				for _, f := range filesBelow(t, dir) {
					rel, _ := filepath.Rel(dir, f)
					if !strings.HasPrefix(rel, ".") { // a failed transfer keeps its journal for a retry
						arrived = append(arrived, filepath.ToSlash(rel))
					}
				}
				slices.Sort(arrived)
				if !slices.Equal(arrived, c.arrived) {
					t.Errorf("arrived: %q", arrived)
				}
				if left := filesBelow(t, filepath.Join(pa, "spool")); len(left) > 0 {
					t.Errorf("left in the spool: %q", left)
				}
			})
		})
	}
}

// TestRetry_SwappedFolderIsNotFollowed swaps a folder that is offered again.
func TestRetry_SwappedFolderIsNotFollowed(t *testing.T) {
	for _, above := range []bool{false, true} {
		src, swap := swappable(t, above)
		dir := t.TempDir()
		retried(t, src, dir, swap, func(_, x, _ engine.Transfer) { ledNowhere(t, dir, x) })
	}
}

// TestOutbox_FolderAwayForOneRunArrives: a folder that waits for its peer, and whose disk is not there during one run of
// the program, is sent once it is back.
func TestOutbox_FolderAwayForOneRunArrives(t *testing.T) {
	src, dir, pa, pb := filepath.Join(t.TempDir(), "src"), t.TempDir(), t.TempDir(), t.TempDir()
	_ = os.Chmod(pa, 0o700)
	_ = os.Chmod(pb, 0o700)
	_ = os.MkdirAll(filepath.Join(src, "sub"), 0o755)
	_ = os.WriteFile(filepath.Join(src, "sub", "c"), []byte("ccc"), 0o644)
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		ca, cb := engine.Config{Offers: engine.Everyone, Name: "a", Profile: pa}, engine.Config{Offers: engine.Everyone, Name: "b", Profile: pb}
		a, tr := offeredToAbsent(t, net, ca, cb, src)
		time.Sleep(time.Second)
		_ = a.Stop()
		_ = os.Rename(src, src+".away")
		a = net.Start(ca)
		time.Sleep(time.Second)
		_ = a.SetPriority(tr.ID, 1) // stores the transfer
		time.Sleep(time.Second)
		_ = a.Stop()
		_ = os.Rename(src+".away", src)
		a, b := net.Start(ca), net.Start(cb)
		acceptAll(t, b, engine.AcceptOptions{Dir: dir, Reserve: -1})
		if x, err := a.Wait(t.Context(), tr.ID); err != nil || x.State != engine.Delivered || x.LeftOut > 0 {
			t.Errorf("%v, %d left out, %v", x.State, x.LeftOut, err)
		}
	})
}

// TestRetry_ChangedAfterALostReceiptIsNotDelivered: the receiver has a file, its receipt is lost, and the file changes
// before the retry. The receiver's answer that it has the transfer is not taken for the new version.
func TestRetry_ChangedAfterALostReceiptIsNotDelivered(t *testing.T) {
	for _, changes := range []bool{false, true} {
		dir, src := t.TempDir(), filepath.Join(t.TempDir(), "f")
		_ = os.WriteFile(src, []byte("first version"), 0o644)
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, latency)
			a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
			acceptAll(t, b, engine.AcceptOptions{Dir: dir, Reserve: -1})
			meet(t, a, b)
			net.Drop(func(from, _ netip.AddrPort) bool {
				_, err := os.Stat(filepath.Join(dir, "f"))
				return err == nil && from == b.Addr // everything from b, once it has published the file
			})
			tr, err := a.Offer(t.Context(), b.Self().ID, src)
			if err != nil {
				t.Fatal(err)
			}
			x, _ := a.Wait(t.Context(), tr.ID)
			if y := of(t, b, tr.ID); x.State != engine.Failed || y.State != engine.Delivered {
				t.Fatalf("the receipt was not lost: %v, %v", x.State, y.State)
			}
			net.Drop(nil)
			want := engine.Delivered
			if changes {
				_ = os.WriteFile(src, []byte("other version"), 0o644)
				want = engine.Failed
			}
			for range 2 { // another retry does not help
				time.Sleep(30 * time.Second)
				if err := a.Retry(tr.ID); err != nil {
					t.Fatal(err)
				}
				if x, err = a.Wait(t.Context(), tr.ID); x.State != want {
					t.Errorf("changed %v: %v, %v", changes, x.State, err)
				}
				if !changes {
					break
				}
			}
		})
	}
}

// TestOutbox_ChangedAfterALostReceiptIsNotDelivered: the receiver has everything, its receipt is lost, and the files change
// before the sender is back, with the same program or after a restart or a crash. The sender reports "delivered" only for
// the version that has arrived.
func TestOutbox_ChangedAfterALostReceiptIsNotDelivered(t *testing.T) {
	type change struct {
		name string
		do   func(src, file string) error
		want engine.TransferState
	}
	changes := []change{
		{"none", func(string, string) error { return nil }, engine.Delivered},
		{"content", func(_, file string) error { return os.WriteFile(file, []byte("other version"), 0o644) }, engine.Failed},
		{"size", func(_, file string) error { return os.WriteFile(file, []byte("a longer version of it"), 0o644) }, engine.Failed},
		{"removed", func(src, _ string) error { return os.RemoveAll(src) }, engine.Delivered}, // there is nothing newer
		{"added", func(src, _ string) error { return os.WriteFile(filepath.Join(src, "new"), []byte("new"), 0o644) }, engine.Failed},
	}
	for _, folder := range []bool{false, true} {
		for _, restart := range []string{"same program", "stopped", "killed"} {
			for _, c := range changes {
				if c.name == "added" && !folder {
					continue
				}
				t.Run(fmt.Sprintf("folder %v, %s, %s", folder, restart, c.name), func(t *testing.T) {
					dir, pa, pb := dirs(t)
					src := filepath.Join(t.TempDir(), "src")
					file, arrived := src, filepath.Join(dir, "src")
					if folder {
						_ = os.Mkdir(src, 0o755)
						file, arrived = filepath.Join(src, "f"), filepath.Join(dir, "src", "f")
					}
					_ = os.WriteFile(file, []byte("first version"), 0o644)
					synctest.Test(t, func(t *testing.T) {
						net := enginetest.New(t, latency)
						ca, cb := engine.Config{Offers: engine.Everyone, Name: "a", Profile: pa}, engine.Config{Offers: engine.Everyone, Name: "b", Profile: pb}
						a, b := net.Start(ca), net.Start(cb)
						acceptAll(t, b, engine.AcceptOptions{Dir: dir, Reserve: -1})
						meet(t, a, b)
						net.Drop(func(from, _ netip.AddrPort) bool {
							_, err := os.Stat(arrived)
							return err == nil && from == b.Addr // everything from b, once it has published the files
						})
						tr, err := a.OfferWith(t.Context(), b.Self().ID, engine.OfferOptions{Keep: true}, src)
						if err != nil {
							t.Fatal(err)
						}
						time.Sleep(20 * time.Second)
						if x, y := of(t, a, tr.ID), of(t, b, tr.ID); x.State == engine.Delivered || y.State != engine.Delivered {
							t.Fatalf("the receipt was not lost: %v, %v", x.State, y.State)
						}
						switch restart {
						case "stopped":
							_ = a.Stop()
						case "killed":
							_ = a.Kill()
						}
						if err := c.do(src, file); err != nil {
							t.Fatal(err)
						}
						net.Drop(nil)
						if restart != "same program" {
							a = net.Start(ca)
						}
						x, err := a.Wait(t.Context(), tr.ID)
						if x.State != c.want || c.want == engine.Failed && !errors.Is(err, transfer.ErrChanged) {
							t.Errorf("%v, %v; want %v", x.State, err, c.want)
						}
						if got, _ := os.ReadFile(arrived); string(got) != "first version" {
							t.Errorf("the receiver has %q", got)
						}
					})
				})
			}
		}
	}
}

func photos(t *testing.T) string {
	src := filepath.Join(t.TempDir(), "photos")
	_ = os.MkdirAll(src, 0o755)
	for i := range 3 {
		f, err := os.Create(filepath.Join(src, fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		_ = f.Truncate(100 << 20)
		_ = f.Close()
	}
	return src
}

// askedAgain accepts an offer after the given wait; the sender then sends more than it showed.
func askedAgain(t *testing.T, wait time.Duration, then func(a, b *enginetest.Node, id engine.TransferID, offered func() *engine.Offer, dir string)) {
	src, dir := photos(t), t.TempDir()
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
		time.Sleep(wait)
		o.Transfer.Files, o.Transfer.Bytes, o.Transfer.Counting = 1, 20, true
		if err := o.Accept(engine.AcceptOptions{Dir: dir, Reserve: -1}); err != nil {
			t.Fatal(err)
		}
		then(a, b, tr.ID, offered, dir)
	})
}

// TestOffer_AskedAgainLateCanBeAccepted asks again long after the first offer.
func TestOffer_AskedAgainLateCanBeAccepted(t *testing.T) {
	askedAgain(t, engine.OfferTimeout-10*time.Second, func(_, b *enginetest.Node, id engine.TransferID, offered func() *engine.Offer, dir string) {
		o := offered()
		time.Sleep(30 * time.Second)
		if err := o.Accept(engine.AcceptOptions{Dir: dir, Reserve: -1}); err != nil {
			t.Errorf("30 s after it was asked: %v", err)
		}
	})
}

// askedAgainSlowly is like askedAgain, but each attempt takes a second to end.
func askedAgainSlowly(t *testing.T, then func(a, b *enginetest.Node, id engine.TransferID, offered func() *engine.Offer, dir string)) {
	defer engine.SetAttemptsEndSlowly(time.Second)()
	askedAgain(t, 0, then)
}

// TestOffer_AskedAgainWhileTheAttemptEnds: a disk is slow to sync, and the sender repeats the offer before the
// attempt has ended.
func TestOffer_AskedAgainWhileTheAttemptEnds(t *testing.T) {
	askedAgainSlowly(t, func(a, b *enginetest.Node, id engine.TransferID, offered func() *engine.Offer, dir string) {
		o := offered()
		if err := o.Accept(engine.AcceptOptions{Dir: dir, Reserve: -1}); err != nil {
			t.Fatal(err)
		}
		if end, err := a.Wait(context.Background(), id); err != nil || end.State != engine.Delivered {
			t.Errorf("%v, %v, %v", err, end.State, end.Err)
		}
	})
}

// TestOffer_AskedAgainAfterAPause: the sender pauses and resumes while the person is being asked.
func TestOffer_AskedAgainAfterAPause(t *testing.T) {
	askedAgainSlowly(t, func(a, b *enginetest.Node, id engine.TransferID, offered func() *engine.Offer, dir string) {
		time.Sleep(10 * time.Second)
		_ = a.Pause(id)
		time.Sleep(2 * time.Second)
		_ = a.Resume(id)
		o := offered()
		if err := o.Accept(engine.AcceptOptions{Dir: dir, Reserve: -1}); err != nil {
			t.Fatal(err)
		}
	})
}

// TestOffer_GrownSourceIsAskedAboutAgain: a folder has 20 more files when its sender comes back from a restart, and
// reports that. The person is asked again, and everything arrives.
func TestOffer_GrownSourceIsAskedAboutAgain(t *testing.T) {
	src, dir, pa, pb := filepath.Join(t.TempDir(), "photos"), t.TempDir(), t.TempDir(), t.TempDir()
	_ = os.Chmod(pa, 0o700)
	_ = os.Chmod(pb, 0o700)
	_ = os.MkdirAll(src, 0o755)
	_ = os.WriteFile(filepath.Join(src, "0"), make([]byte, 4<<20), 0o644)
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		net.Limit(1_000_000, 256<<10)
		ca := engine.Config{Offers: engine.Everyone, Name: "a", Profile: pa}
		a, b := net.Start(ca), net.Start(engine.Config{Offers: engine.Everyone, Name: "b", Profile: pb})
		offered := offers(t, b)
		meet(t, a, b)
		tr, err := a.OfferWith(t.Context(), b.Self().ID, engine.OfferOptions{Keep: true}, src)
		if err != nil {
			t.Fatal(err)
		}
		if err := offered().Accept(engine.AcceptOptions{Dir: dir, Reserve: -1}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		_ = a.Stop()
		for i := range 20 {
			_ = os.WriteFile(filepath.Join(src, fmt.Sprint("new", i)), []byte("x"), 0o644)
		}
		a = net.Start(ca)
		o := offered()
		time.Sleep(5 * time.Second) // the sender counts
		now := of(t, b, tr.ID)
		if err := o.Accept(engine.AcceptOptions{Dir: dir, Reserve: -1, Seen: &now}); err != nil {
			t.Fatal(err)
		}
		x, _ := a.Wait(t.Context(), tr.ID)
		y, _ := b.Wait(t.Context(), tr.ID)
		if x.State != engine.Delivered || y.Files != 21 {
			t.Errorf("%v %v / %v %v, %d files", x.State, x.Err, y.State, y.Err, y.Files)
		}
	})
}

// TestOffer_AsksAgainBeyondWhatWasShown checks that the data is limited by what was shown, even if the sender was still
// counting.
func TestOffer_AsksAgainBeyondWhatWasShown(t *testing.T) {
	src := filepath.Join(t.TempDir(), "photos")
	dir := t.TempDir()
	if err := os.MkdirAll(src, 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		f, err := os.Create(filepath.Join(src, fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		_ = f.Truncate(100 << 20)
		_ = f.Close()
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
		o.Transfer.Files, o.Transfer.Bytes, o.Transfer.Counting = 1, 20, true
		if err := o.Accept(engine.AcceptOptions{Dir: dir, Reserve: -1}); err != nil {
			t.Fatal(err)
		}
		o = offered()
		if o.Transfer.Bytes != 300<<20 || o.Transfer.Files != 3 {
			t.Errorf("asked again about %+v", o.Transfer)
		}
		if got := of(t, b, tr.ID); got.State != engine.Offered {
			t.Errorf("in the meantime it is %v", got.State)
		}
		time.Sleep(5 * time.Second)
		if err := o.Accept(engine.AcceptOptions{Dir: dir, Reserve: -1}); err != nil {
			t.Fatal(err)
		}
		for _, n := range []*enginetest.Node{a, b} {
			if end, err := n.Wait(t.Context(), tr.ID); err != nil || end.State != engine.Delivered || end.LeftOut != 0 {
				t.Errorf("%v, %v, %v", err, end.State, end.Err)
			}
		}
	})
}

// TestOffer_EachAnswerDecidesAlone: an offer is accepted again, into another folder. The first decision about existing
// files does not apply there, and nothing is left in the first folder.
func TestOffer_EachAnswerDecidesAlone(t *testing.T) {
	src := filepath.Join(t.TempDir(), "photos")
	first, second := t.TempDir(), t.TempDir()
	for _, dir := range []string{src, filepath.Join(first, "photos"), filepath.Join(second, "photos")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		if err := os.WriteFile(filepath.Join(src, fmt.Sprint(i)), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(filepath.Join(src, fmt.Sprint(i)), 100<<20); err != nil {
			t.Fatal(err)
		}
	}
	own := filepath.Join(second, "photos", "0")
	if err := os.WriteFile(own, []byte("my own"), 0o644); err != nil {
		t.Fatal(err)
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
		o.Transfer.Files, o.Transfer.Bytes, o.Transfer.Counting = 1, 20, true
		replace := func(string) transfer.Existing { return transfer.Replace }
		if err := o.Accept(engine.AcceptOptions{Dir: first, Reserve: -1, Choose: replace}); err != nil {
			t.Fatal(err)
		}
		o = offered()
		asked := false
		keep := func(string) transfer.Existing { asked = true; return transfer.KeepBoth }
		if err := o.Accept(engine.AcceptOptions{Dir: second, Reserve: -1, Choose: keep}); err != nil {
			t.Fatal(err)
		}
		if end, err := b.Wait(t.Context(), tr.ID); err != nil || end.State != engine.Delivered {
			t.Error(end.State, err)
		}
		if !asked {
			t.Error("the second answer was not used")
		}
	})
	if got, err := os.ReadFile(own); string(got) != "my own" {
		t.Errorf("the file that was there is now %d bytes, %v", len(got), err)
	}
	if left, _ := filepath.Glob(filepath.Join(first, ".multipeer-partial", "*")); len(left) > 0 {
		t.Errorf("the first folder still has %v", left)
	}
}

func TestOffer_DeclinedWhenAskedAgainLeavesNothing(t *testing.T) {
	src := filepath.Join(t.TempDir(), "photos")
	dir := t.TempDir()
	if err := os.MkdirAll(src, 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(src, "big"))
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Truncate(100 << 20)
	_ = f.Close()
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
		o.Transfer.Bytes, o.Transfer.Counting = 20, true
		if err := o.Accept(engine.AcceptOptions{Dir: dir, Reserve: -1}); err != nil {
			t.Fatal(err)
		}
		if err := offered().Decline(); err != nil {
			t.Fatal(err)
		}
		if end, _ := a.Wait(t.Context(), tr.ID); end.State != engine.Declined {
			t.Errorf("the sender reports %v, %v", end.State, end.Err)
		}
	})
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}

// TestOffer_AsksAgainAfterAViolation checks that after a violation the earlier acceptance no longer counts.
func TestOffer_AsksAgainAfterAViolation(t *testing.T) {
	file := bytesIn(t, 1<<20)
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
		offered := offers(t, b)
		meet(t, a, b)
		tr, err := a.Offer(t.Context(), b.Self().ID, file)
		if err != nil {
			t.Fatal(err)
		}
		o := offered()
		b.Alter(tr.ID, func(_ *engine.Transfer, names []string) { names[0] = "holiday.jpg" })
		if err := o.Accept(engine.AcceptOptions{Dir: dir}); err != nil {
			t.Fatal(err)
		}
		if end, _ := b.Wait(t.Context(), tr.ID); !errors.Is(end.Err, transfer.ErrTooMuch) {
			t.Fatalf("ended with %v", end.Err)
		}
		if _, err := a.Wait(t.Context(), tr.ID); !errors.Is(err, transfer.ErrTooMuch) {
			t.Fatal(err)
		}
		if err := a.Retry(tr.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if got := of(t, b, tr.ID); got.State != engine.Offered {
			t.Errorf("after a breach it is %v without a question", got.State)
		}
	})
}

// TestOffer_LimitedByWhatThePersonSaw checks that if a sender announces more after the person was asked, the offer is
// limited by what the question showed, or by what the program states that the person saw.
func TestOffer_LimitedByWhatThePersonSaw(t *testing.T) {
	src, dir := photos(t), t.TempDir()
	for _, seen := range []bool{false, true} {
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
			now := o.Transfer
			o.Transfer.Files, o.Transfer.Bytes, o.Transfer.Counting = 1, 20, true // what the question showed
			opts := engine.AcceptOptions{Dir: dir, Reserve: -1}
			if seen {
				opts.Seen = &now
			}
			if err := o.Accept(opts); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second)
			want := engine.Offered // the person is asked again
			if seen {
				want = engine.Delivered
			}
			if got := of(t, b, tr.ID); got.State != want {
				t.Errorf("seen %v: it is %v, %v", seen, got.State, got.Err)
			}
		})
	}
}

// TestOffer_RepeatedWithoutDataIsPaced: a sender that keeps starting over without sending anything causes a few
// attempts, not one for each offer.
func TestOffer_RepeatedWithoutDataIsPaced(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		b := net.Start(engine.Config{Offers: engine.Everyone, Accept: engine.Everyone})
		b.HandleOffers(func(o *engine.Offer) { _ = o.Accept(engine.AcceptOptions{Dir: dir, Reserve: -1}) })
		hostile := newRaw(t, net)
		_, s := hostile.join(t, b)
		go drain(s)
		id := wire.NewID()
		const offers = 2000
		for n := range int64(offers) {
			if err := s.WriteMessage(wire.Offer{ID: id, Names: []string{"x"}, Items: 1, Files: 1, Bytes: 5, Attempt: n + 1}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		if got := of(t, b, engine.TransferID(id)).Attempts; got > 20 {
			t.Errorf("%d attempts for %d offers in 20 s", got, offers)
		}
	})
}

// TestOffer_CountNeverShrinks: the total that a person sees while the sender counts does not jump back.
func TestOffer_CountNeverShrinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		b := net.Start(engine.Config{Offers: engine.Everyone, Accept: engine.Everyone})
		offered := offers(t, b)
		hostile := newRaw(t, net)
		_, s := hostile.join(t, b)
		go drain(s)
		id := wire.NewID()
		if err := s.WriteMessage(wire.Offer{ID: id, Names: []string{"x"}, Items: 1, Files: 1, Folders: 1, Bytes: 20, Attempt: 1, Counting: true}); err != nil {
			t.Fatal(err)
		}
		offered()
		for _, size := range []int64{500 << 30, 20} {
			if err := s.WriteMessage(wire.OfferUpdate{ID: id, Files: 1, Folders: 1, Bytes: size, Counting: true}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		time.Sleep(time.Second)
		if got := of(t, b, engine.TransferID(id)).Bytes; got != 500<<30 {
			t.Errorf("%d bytes", got)
		}
	})
}

// TestOffer_FailedAndRepeatedIsPaced: a sender that lets each attempt fail and offers again also causes only a few
// attempts.
func TestOffer_FailedAndRepeatedIsPaced(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		b := net.Start(engine.Config{Offers: engine.Everyone, Accept: engine.Everyone})
		b.HandleOffers(func(o *engine.Offer) { _ = o.Accept(engine.AcceptOptions{Dir: dir, Reserve: -1}) })
		hostile := newRaw(t, net)
		_, s := hostile.join(t, b)
		begun := 0
		go func() {
			for {
				m, err := s.ReadMessage(wire.MaxFrame)
				if err != nil {
					return
				}
				if a, ok := m.(wire.OfferAnswer); ok && a.Accept {
					begun++
				}
			}
		}()
		id := wire.NewID()
		const offers = 1000
		for n := range int64(offers) {
			for _, m := range []wire.Message{
				wire.Offer{ID: id, Names: []string{"x"}, Items: 1, Files: 1, Bytes: 5, Attempt: n + 1},
				wire.OfferCancel{ID: id, Code: wire.Failed, Reason: 8},
			} {
				if err := s.WriteMessage(m); err != nil {
					t.Fatal(err)
				}
				time.Sleep(10 * time.Millisecond)
			}
		}
		synctest.Wait()
		if begun > 20 {
			t.Errorf("%d attempts for %d offers in 20 s", begun, offers)
		}
	})
}
