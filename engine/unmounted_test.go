package engine_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
	"multipeer/transfer"
)

// TestTransfer_WaitsForTheDiskAfterARestart: if the disk of the receiving folder is not mounted when the receiver starts
// again, both sides see the reason and wait. Nothing is stored in the folder below the mount point.
func TestTransfer_WaitsForTheDiskAfterARestart(t *testing.T) {
	big := bytesIn(t, size)
	dir, pa, pb := dirs(t)
	disk := dir + " (disk)"
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		net.Limit(20_000_000, 256<<10)
		a, b := net.Start(engine.Config{Offers: engine.Everyone, Name: "a", Profile: pa}), net.Start(engine.Config{Offers: engine.Everyone, Name: "b", Profile: pb})
		acceptAll(t, b, engine.AcceptOptions{Dir: dir})
		meet(t, a, b)
		tr, err := a.OfferWith(t.Context(), b.Self().ID, engine.OfferOptions{Keep: true}, big)
		if err != nil {
			t.Fatal(err)
		}
		until(t, a, tr.ID, 5*time.Second, "movement", past(1<<20))
		_ = b.Kill()
		must(t, os.Rename(dir, disk))
		must(t, os.Mkdir(dir, 0o700))
		b = net.Start(engine.Config{Offers: engine.Everyone, Name: "b", Profile: pb})
		waits := func(tr engine.Transfer) bool {
			return tr.State == engine.Stalled && errors.Is(tr.Err, transfer.ErrUnmounted)
		}
		until(t, b, tr.ID, time.Minute, "the reason", waits)
		until(t, a, tr.ID, time.Minute, "the reason", waits)
		time.Sleep(10 * time.Minute)
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("below the mount point: %v, %v", left, err)
		}
		must(t, os.Remove(dir))
		must(t, os.Rename(disk, dir))
		if end, err := b.Wait(t.Context(), tr.ID); err != nil || end.State != engine.Delivered {
			t.Error(end.State, err)
		}
		if end, err := a.Wait(t.Context(), tr.ID); err != nil || end.State != engine.Delivered {
			t.Error(end.State, err)
		}
	})
}

// TestTransfer_WaitsForThePlaceOfItsFolder: an offer that is accepted while the chosen folder is elsewhere waits, and
// arrives once the folder is back.
func TestTransfer_WaitsForThePlaceOfItsFolder(t *testing.T) {
	file := bytesIn(t, 1000)
	dir := t.TempDir()
	inbox, private := filepath.Join(dir, "inbox"), filepath.Join(dir, "private")
	must(t, os.Mkdir(inbox, 0o700))
	must(t, os.Mkdir(private, 0o700))
	place, err := transfer.PlaceOf(inbox)
	must(t, err)
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{}), net.Start(engine.Config{Offers: engine.Everyone})
		acceptAll(t, b, engine.AcceptOptions{Dir: inbox, Place: place})
		meet(t, a, b)
		must(t, os.Rename(inbox, inbox+" (old)"))
		must(t, os.Symlink(private, inbox))
		tr, err := a.Offer(t.Context(), b.Self().ID, file)
		must(t, err)
		waits := func(tr engine.Transfer) bool {
			return tr.State == engine.Stalled && errors.Is(tr.Err, transfer.ErrUnmounted)
		}
		until(t, b, tr.ID, time.Minute, "the reason", waits)
		until(t, a, tr.ID, time.Minute, "the reason", waits)
		if left, err := os.ReadDir(private); err != nil || len(left) > 0 {
			t.Errorf("behind the link: %v, %v", left, err)
		}
		must(t, os.Remove(inbox))
		must(t, os.Rename(inbox+" (old)", inbox))
		if end, err := a.Wait(t.Context(), tr.ID); err != nil || !end.Complete() {
			t.Error(end.State, err)
		}
	})
}

// TestTransfer_PlaceIsThatOfTheAcceptance checks that a program that names no place gets nothing behind a link that
// replaces its folder after the acceptance.
func TestTransfer_PlaceIsThatOfTheAcceptance(t *testing.T) {
	big := bytesIn(t, size)
	for range 20 {
		dir := t.TempDir()
		inbox, private := filepath.Join(dir, "inbox"), filepath.Join(dir, "private")
		must(t, os.Mkdir(private, 0o700))
		opened := false // the receiver opened the folder before it was replaced, and continued in that one
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, latency)
			a, b := net.Start(engine.Config{}), net.Start(engine.Config{Offers: engine.Everyone})
			offered := offers(t, b)
			meet(t, a, b)
			tr, err := a.Offer(t.Context(), b.Self().ID, big)
			must(t, err)
			o := offered()
			must(t, o.Accept(engine.AcceptOptions{Dir: inbox}))
			must(t, os.Rename(inbox, inbox+" (old)"))
			must(t, os.Symlink(private, inbox))
			until(t, b, tr.ID, time.Minute, "the reason", func(tr engine.Transfer) bool {
				opened = tr.State == engine.Failed && errors.Is(tr.Err, transfer.ErrGone)
				return opened || tr.State == engine.Stalled && errors.Is(tr.Err, transfer.ErrUnmounted)
			})
		})
		if left, err := os.ReadDir(private); err != nil || len(left) > 0 {
			t.Fatalf("behind the link: %v, %v", left, err)
		}
		if !opened {
			return
		}
	}
	t.Error("the folder was always opened first")
}
