package engine_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
	"multipeer/transfer"
)

// TestChoose_FilesAreKeptAfterACrash: after a crash of the receiver, whose function for taken names is gone, no file is
// replaced about which it has said "keep both", or has not been asked yet.
func TestChoose_FilesAreKeptAfterACrash(t *testing.T) {
	big := bytesIn(t, size)
	dir, pa, pb := dirs(t)
	old, src := filepath.Join(t.TempDir(), "b"), t.TempDir()
	const photos = 18
	name := func(i int) string { return fmt.Sprintf("photo%02d.jpg", i) }
	var paths []string
	for i := range photos {
		must(t, os.WriteFile(filepath.Join(src, name(i)), fmt.Append(nil, "new ", i), 0o644))
		must(t, os.WriteFile(filepath.Join(dir, name(i)), fmt.Append(nil, "mine ", i), 0o644))
		paths = append(paths, filepath.Join(src, name(i)))
	}
	paths = append(paths, big)
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		net.Limit(20_000_000, 256<<10)
		a, b := net.Start(engine.Config{Offers: engine.Everyone, Name: "a", Profile: pa}), net.Start(engine.Config{Offers: engine.Everyone, Name: "b", Profile: pb})
		keep := func(string) transfer.Existing { return transfer.KeepBoth }
		acceptAll(t, b, engine.AcceptOptions{Dir: dir, Existing: transfer.Replace, Choose: keep})
		meet(t, a, b)
		tr, err := a.OfferWith(t.Context(), b.Self().ID, engine.OfferOptions{Keep: true}, paths...)
		if err != nil {
			t.Fatal(err)
		}
		until(t, a, tr.ID, 5*time.Second, "movement", past(1<<20))
		time.Sleep(300 * time.Millisecond)
		must(t, os.CopyFS(old, os.DirFS(pb)))
		_ = b.Kill() // lets it write what a crash would not
		restored(t, pb, old)
		b = net.Start(engine.Config{Offers: engine.Everyone, Name: "b", Profile: pb})
		if end, err := b.Wait(t.Context(), tr.ID); err != nil || end.State != engine.Delivered {
			t.Error(end.State, err)
		}
	})
	for i := range photos {
		if b, err := os.ReadFile(filepath.Join(dir, name(i))); string(b) != fmt.Sprint("mine ", i) {
			t.Errorf("%s was replaced: %q, %v", name(i), b, err)
		}
	}
}

// TestChoose_AsksOnceWhileAPersonThinks: attempts that begin meanwhile wait for the same answer.
func TestChoose_AsksOnceWhileAPersonThinks(t *testing.T) {
	file, dir := bytesIn(t, size), t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, filepath.Base(file)), []byte("old"), 0o644))
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
		var asked atomic.Int64
		answered := make(chan struct{})
		acceptAll(t, b, engine.AcceptOptions{Dir: dir, Choose: func(string) transfer.Existing {
			asked.Add(1)
			<-answered
			return transfer.Replace
		}})
		meet(t, a, b)
		tr, err := a.OfferWith(t.Context(), b.Self().ID, engine.OfferOptions{Keep: true}, file)
		if err != nil {
			t.Fatal(err)
		}
		for range 50 {
			time.Sleep(2 * time.Second)
			_ = a.Pause(tr.ID)
			time.Sleep(500 * time.Millisecond)
			_ = a.Resume(tr.ID)
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("asked %d times about one name", n)
		}
		close(answered)
		if end, err := a.Wait(t.Context(), tr.ID); err != nil || end.State != engine.Delivered {
			t.Error(end.State, err)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) > 2 { // the file and the staging folder
			t.Errorf("%v, %v: the answer did not count", entries, err)
		}
	})
}
