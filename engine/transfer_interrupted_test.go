package engine_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
	"multipeer/transfer"
)

func show(t *testing.T, what string, n *enginetest.Node, id engine.TransferID) engine.Transfer {
	t.Helper()
	tr := of(t, n, id)
	t.Logf("%s: %v, %d bytes in %d attempts, %v", what, tr.State, tr.Done, tr.Attempts, tr.Err)
	return tr
}

// restored replaces a profile with an older copy, which undoes later writes.
func restored(t *testing.T, profile, old string) {
	t.Helper()
	if err := os.RemoveAll(profile); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(profile, os.DirFS(old)); err != nil {
		t.Fatal(err)
	}
	_ = filepath.WalkDir(profile, func(p string, d os.DirEntry, _ error) error {
		if d.IsDir() {
			return os.Chmod(p, 0o700)
		}
		return os.Chmod(p, 0o600)
	})
}

func dirs(t *testing.T) (dir, pa, pb string) {
	t.Helper()
	dir, pa, pb = t.TempDir(), t.TempDir(), t.TempDir()
	_ = os.Chmod(pa, 0o700)
	_ = os.Chmod(pb, 0o700)
	return dir, pa, pb
}

// TestResume_WorksAfterALongPause checks that a pause does not count as absence.
func TestResume_WorksAfterALongPause(t *testing.T) {
	file := bytesIn(t, size)
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, 20*time.Millisecond)
		net.Limit(50_000_000, 256<<10)
		a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
		acceptAll(t, b, engine.AcceptOptions{Dir: dir})
		meet(t, a, b)
		tr, err := a.Offer(t.Context(), b.Self().ID, file)
		if err != nil {
			t.Fatal(err)
		}
		until(t, a, tr.ID, 5*time.Second, "movement", past(2<<20))
		_ = b.Pause(tr.ID)
		time.Sleep(time.Minute)
		_ = b.Resume(tr.ID)
		time.Sleep(10 * time.Second)
		if x, y := show(t, "a", a, tr.ID), show(t, "b", b, tr.ID); x.State != engine.Delivered || y.State != engine.Delivered {
			t.Error("it does not continue")
		}
	})
}

// TestPause_WhileOfflineReachesThePeerLater pauses and resumes without a connection; the other side learns of it
// later.
func TestPause_WhileOfflineReachesThePeerLater(t *testing.T) {
	file := bytesIn(t, size)
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		net.Limit(20_000_000, 256<<10)
		a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
		acceptAll(t, b, engine.AcceptOptions{Dir: dir})
		meet(t, a, b)
		tr, err := a.OfferWith(t.Context(), b.Self().ID, engine.OfferOptions{Keep: true}, file)
		if err != nil {
			t.Fatal(err)
		}
		until(t, a, tr.ID, 5*time.Second, "movement", past(2<<20))
		net.Cut(b.Addr, true)
		time.Sleep(20 * time.Second)
		_ = b.Pause(tr.ID)
		net.Cut(b.Addr, false)
		time.Sleep(2 * time.Minute)
		if x, y := show(t, "a", a, tr.ID), show(t, "b", b, tr.ID); x.State != engine.Paused || y.State != engine.Paused {
			t.Error("it is not paused on both sides")
		}
		net.Cut(b.Addr, true)
		time.Sleep(20 * time.Second)
		if err := b.Resume(tr.ID); err != nil {
			t.Fatal(err)
		}
		net.Cut(b.Addr, false)
		time.Sleep(2 * time.Minute)
		if x, y := show(t, "a", a, tr.ID), show(t, "b", b, tr.ID); x.State != engine.Delivered || y.State != engine.Delivered {
			t.Error("it does not continue")
		}
	})
}

func TestRetry_WorksAfterCancel(t *testing.T) {
	file := bytesIn(t, size)
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		net.Limit(20_000_000, 256<<10)
		a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
		acceptAll(t, b, engine.AcceptOptions{Dir: dir})
		meet(t, a, b)
		tr, err := a.OfferWith(t.Context(), b.Self().ID, engine.OfferOptions{}, file)
		if err != nil {
			t.Fatal(err)
		}
		until(t, a, tr.ID, 5*time.Second, "movement", past(2<<20))
		a.Cancel(tr.ID)
		time.Sleep(5 * time.Second)
		if err := a.Retry(tr.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		show(t, "b", b, tr.ID)
		if x := show(t, "a", a, tr.ID); x.State != engine.Delivered {
			t.Error("cannot be retried")
		}
	})
}

// TestTransfer_MissingSourceLeavesNoReceiverWaiting removes the source of a kept transfer.
func TestTransfer_MissingSourceLeavesNoReceiverWaiting(t *testing.T) {
	file := bytesIn(t, size)
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		net.Limit(20_000_000, 256<<10)
		a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
		acceptAll(t, b, engine.AcceptOptions{Dir: dir})
		meet(t, a, b)
		tr, err := a.OfferWith(t.Context(), b.Self().ID, engine.OfferOptions{Keep: true}, file)
		if err != nil {
			t.Fatal(err)
		}
		until(t, a, tr.ID, 5*time.Second, "movement", past(2<<20))
		_ = a.Pause(tr.ID)
		time.Sleep(time.Second)
		_ = os.Remove(file)
		_ = a.Resume(tr.ID)
		time.Sleep(time.Hour)
		x, y := show(t, "a", a, tr.ID), show(t, "b", b, tr.ID)
		if x.State.Final() && !y.State.Final() {
			t.Error("the receiver waits forever")
		}
	})
}

// TestTransfer_LostAcceptanceIsAskedForAgain: the receiver dies before the acceptance is on its disk, and must ask
// again.
func TestTransfer_LostAcceptanceIsAskedForAgain(t *testing.T) {
	file := bytesIn(t, size)
	dir, pa, pb := dirs(t)
	old := filepath.Join(t.TempDir(), "old")
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		net.Limit(20_000_000, 256<<10)
		ca, cb := engine.Config{Offers: engine.Everyone, Name: "a", Profile: pa}, engine.Config{Offers: engine.Everyone, Name: "b", Profile: pb}
		a, b := net.Start(ca), net.Start(cb)
		meet(t, a, b)
		if err := os.CopyFS(old, os.DirFS(pb)); err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		accepted := make(chan struct{})
		first := b.Watch(ctx)
		go func() {
			for ev := range first {
				if o, ok := ev.(*engine.Offer); ok {
					_ = o.Accept(engine.AcceptOptions{Dir: dir})
					close(accepted)
					return
				}
			}
		}()
		time.Sleep(time.Second)
		tr, err := a.OfferWith(t.Context(), b.Self().ID, engine.OfferOptions{Keep: true}, file)
		if err != nil {
			t.Fatal(err)
		}
		<-accepted
		until(t, a, tr.ID, 5*time.Second, "acceptance", inState(engine.Moving, engine.Queued))
		time.Sleep(100 * time.Millisecond)
		_ = b.Kill()
		restored(t, pb, old)
		b = net.Start(cb)
		screen, off := context.WithCancel(ctx)
		seq := b.Watch(screen)
		shown := make(chan struct{})
		go func() {
			defer close(shown)
			for range seq { // a screen shows the offer to a person who takes a minute
			}
		}()
		time.Sleep(time.Minute)
		if x := show(t, "a", a, tr.ID); x.State.Final() || show(t, "b", b, tr.ID).State != engine.Offered {
			t.Error("the offer does not wait for its answer")
		}
		off()
		<-shown
		acceptAll(t, b, engine.AcceptOptions{Dir: dir})
		time.Sleep(20 * time.Second)
		if x := show(t, "a", a, tr.ID); x.State != engine.Delivered {
			t.Error("it was accepted again, and did not continue")
		}
	})
}

// TestChoose_SlowAnswerIsAwaited has a person take four minutes.
func TestChoose_SlowAnswerIsAwaited(t *testing.T) {
	file := bytesIn(t, size)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		net.Limit(50_000_000, 256<<10)
		a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
		acceptAll(t, b, engine.AcceptOptions{Dir: dir, Choose: func(string) transfer.Existing {
			time.Sleep(4 * time.Minute)
			return transfer.Replace
		}})
		meet(t, a, b)
		tr, err := a.OfferWith(t.Context(), b.Self().ID, engine.OfferOptions{Keep: true}, file)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Minute)
		if x := show(t, "a", a, tr.ID); x.State != engine.Delivered || x.Attempts != 1 {
			t.Error("not delivered at once when it was chosen")
		}
	})
}

// TestTransfer_BothCrashBeforeRecordingDelivery: both sides die when everything is delivered, before either has
// recorded it.
func TestTransfer_BothCrashBeforeRecordingDelivery(t *testing.T) {
	file := bytesIn(t, size)
	dir, pa, pb := dirs(t)
	oldA, oldB, oldDir := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b"), filepath.Join(t.TempDir(), "dir")
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		net.Limit(20_000_000, 256<<10)
		ca, cb := engine.Config{Offers: engine.Everyone, Name: "a", Profile: pa}, engine.Config{Offers: engine.Everyone, Name: "b", Profile: pb}
		a, b := net.Start(ca), net.Start(cb)
		acceptAll(t, b, engine.AcceptOptions{Dir: dir})
		meet(t, a, b)
		tr, err := a.OfferWith(t.Context(), b.Self().ID, engine.OfferOptions{Keep: true}, file)
		if err != nil {
			t.Fatal(err)
		}
		until(t, a, tr.ID, 5*time.Second, "movement", past(2<<20))
		for from, to := range map[string]string{pa: oldA, pb: oldB} {
			if err := os.CopyFS(to, os.DirFS(from)); err != nil {
				t.Fatal(err)
			}
		}
		for { // until the last journal entry says that everything is published
			j, _ := os.ReadFile(filepath.Join(dir, ".multipeer-partial", string(tr.ID), "journal"))
			if n := len(j); n > 6 && j[n-6] == 'V' && j[n-5] == 0 {
				break
			}
			time.Sleep(time.Millisecond)
		}
		if err := os.CopyFS(oldDir, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		_ = a.Kill() // this lets it write what a crash would not
		_ = b.Kill()
		_ = os.RemoveAll(dir)
		if err := os.CopyFS(dir, os.DirFS(oldDir)); err != nil {
			t.Fatal(err)
		}
		restored(t, pa, oldA)
		restored(t, pb, oldB)
		a, b = net.Start(ca), net.Start(cb)
		time.Sleep(time.Minute)
		if x, y := show(t, "a", a, tr.ID), show(t, "b", b, tr.ID); x.State != engine.Delivered || y.State != engine.Delivered {
			t.Error("not delivered")
		}
	})
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 1 {
		t.Errorf("delivered twice: %q", left)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) != 0 {
		t.Errorf("left %q", left)
	}
}

// TestCancel_WhileOfflineReachesThePeerLater: the sender cancels while the receiver is offline; the receiver learns of
// it later.
func TestCancel_WhileOfflineReachesThePeerLater(t *testing.T) {
	file := bytesIn(t, size)
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		net.Limit(20_000_000, 256<<10)
		a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
		acceptAll(t, b, engine.AcceptOptions{Dir: dir})
		meet(t, a, b)
		tr, err := a.OfferWith(t.Context(), b.Self().ID, engine.OfferOptions{Keep: true}, file)
		if err != nil {
			t.Fatal(err)
		}
		until(t, a, tr.ID, 5*time.Second, "movement", past(2<<20))
		net.Cut(b.Addr, true)
		time.Sleep(20 * time.Second)
		a.Cancel(tr.ID)
		net.Cut(b.Addr, false)
		time.Sleep(time.Hour)
		show(t, "a", a, tr.ID)
		if y := show(t, "b", b, tr.ID); !y.State.Final() {
			t.Error("the receiver waits forever")
		}
	})
}

// TestPause_IsKeptForAWeek checks that a paused transfer is kept, however long the pause.
func TestPause_IsKeptForAWeek(t *testing.T) {
	file := bytesIn(t, size)
	dir, pa, pb := dirs(t)
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		net.Limit(20_000_000, 256<<10)
		ca, cb := engine.Config{Offers: engine.Everyone, Name: "a", Profile: pa}, engine.Config{Offers: engine.Everyone, Name: "b", Profile: pb}
		a, b := net.Start(ca), net.Start(cb)
		acceptAll(t, b, engine.AcceptOptions{Dir: dir})
		meet(t, a, b)
		tr, err := a.OfferWith(t.Context(), b.Self().ID, engine.OfferOptions{Keep: true}, file)
		if err != nil {
			t.Fatal(err)
		}
		until(t, a, tr.ID, 5*time.Second, "movement", past(2<<20))
		_ = a.Pause(tr.ID)
		time.Sleep(time.Second)
		_ = a.Stop()
		_ = b.Stop()
		time.Sleep(8 * 24 * time.Hour)
		a, b = net.Start(ca), net.Start(cb)
		meet(t, a, b)
		if err := a.Resume(tr.ID); err != nil {
			t.Fatal(err)
		}
		got, err := a.Wait(t.Context(), tr.ID)
		if err != nil || got.State != engine.Delivered || got.Moved > size-(1<<20) {
			t.Errorf("%v, %d bytes moved, %v %v", got.State, got.Moved, got.Err, err)
		}
	})
}

// TestTransfer_ContinuesWhileASideHides checks that a transfer with a stranger continues when a side hides, even if its
// connection breaks for a long time.
func TestTransfer_ContinuesWhileASideHides(t *testing.T) {
	file := bytesIn(t, 4<<20)
	for name, v := range map[string]engine.Visibility{"known": engine.VisibleToKnown, "nobody": engine.VisibleToNobody} {
		for _, who := range []string{"the sender", "the receiver", "both"} {
			t.Run(name+" "+who, func(t *testing.T) {
				dir := t.TempDir()
				synctest.Test(t, func(t *testing.T) {
					net := enginetest.New(t, latency)
					net.Limit(8_000_000, 128<<10)
					a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
					acceptAll(t, b, engine.AcceptOptions{Dir: dir})
					meet(t, a, b)
					tr, err := a.OfferWith(t.Context(), b.Self().ID, engine.OfferOptions{Keep: true}, file)
					if err != nil {
						t.Fatal(err)
					}
					until(t, a, tr.ID, 5*time.Second, "movement", past(1<<20))
					for n, hides := range map[*enginetest.Node]bool{a: who != "the receiver", b: who != "the sender"} {
						if !hides {
							continue
						}
						if err := n.SetVisible(v, 0); err != nil {
							t.Fatal(err)
						}
					}
					net.Cut(b.Addr, true)
					time.Sleep(time.Minute)
					net.Cut(b.Addr, false)
					time.Sleep(2 * time.Minute)
					if x, y := show(t, "a", a, tr.ID), show(t, "b", b, tr.ID); x.State != engine.Delivered || y.State != engine.Delivered {
						t.Error("it does not continue")
					}
				})
			})
		}
	}
}

// TestRetry_AsksTheReceiverAgain checks that a transfer that either side has cancelled or declined can be offered
// again: the receiver is asked, and the sender knows that it waits for the answer.
func TestRetry_AsksTheReceiverAgain(t *testing.T) {
	path := bytesIn(t, 3<<20)
	for _, how := range []string{"declined", "cancelled there", "cancelled here"} {
		t.Run(how, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				net := enginetest.New(t, latency)
				net.Limit(5_000_000, 256<<10)
				a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
				meet(t, a, b)
				next := events(t, b)
				offer := func() *engine.Offer { return next(is[*engine.Offer]).(*engine.Offer) }
				tr, err := a.OfferWith(t.Context(), b.Self().ID, engine.OfferOptions{Keep: true}, path)
				if err != nil {
					t.Fatal(err)
				}
				first := offer()
				if how == "declined" {
					_ = first.Decline()
				} else {
					_ = first.Accept(engine.AcceptOptions{Dir: dir})
					until(t, a, tr.ID, 5*time.Second, "movement", past(1<<20))
					if how == "cancelled there" {
						b.Cancel(tr.ID)
					} else {
						a.Cancel(tr.ID)
					}
				}
				time.Sleep(5 * time.Second)
				if err := a.Retry(tr.ID); err != nil {
					t.Fatal(err)
				}
				again := offer()
				until(t, a, tr.ID, time.Second, "a wait for the answer", inState(engine.Offered))
				if err := again.Accept(engine.AcceptOptions{Dir: dir}); err != nil {
					t.Fatal(err)
				}
				if got, err := a.Wait(t.Context(), tr.ID); err != nil || got.State != engine.Delivered {
					t.Errorf("%v, %v, %v", got.State, got.Err, err)
				}
			})
		})
	}
}
