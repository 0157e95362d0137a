package engine_test

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

// TestOutbox_DataOutlivesAMoveOfTheProfile: data that came from a reader, and waits for its peer, is sent after the profile
// was renamed, restored from a backup, or named by another path.
func TestOutbox_DataOutlivesAMoveOfTheProfile(t *testing.T) {
	for what, move := range map[string]func(t *testing.T, from, to string){
		"renamed": func(t *testing.T, from, to string) { must(t, os.Rename(from, to)) },
		"copied": func(t *testing.T, from, to string) {
			must(t, os.CopyFS(to, os.DirFS(from)))
			must(t, os.Chmod(to, 0o700))
			must(t, filepath.WalkDir(to, func(path string, e os.DirEntry, err error) error {
				if err == nil && !e.IsDir() {
					err = os.Chmod(path, 0o600)
				}
				return err
			}))
		},
		"linked": func(t *testing.T, from, to string) {
			if err := os.Symlink(from, to); err != nil {
				t.Skip(err)
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			dir, pa, pb := dirs(t)
			moved := pa + "-moved"
			data := bytes.Repeat([]byte("precious"), 1<<19)
			synctest.Test(t, func(t *testing.T) {
				net := enginetest.New(t, latency)
				net.Limit(2_000_000, 256<<10)
				a, b := net.Start(engine.Config{Offers: engine.Everyone, Name: "a", Profile: pa}), net.Start(engine.Config{Offers: engine.Everyone, Name: "b", Profile: pb})
				acceptAll(t, b, engine.AcceptOptions{Dir: dir})
				meet(t, a, b)
				tr, err := a.OfferWith(t.Context(), b.Self().ID, engine.OfferOptions{Keep: true, Name: "data.bin", Content: bytes.NewReader(data)})
				if err != nil {
					t.Fatal(err)
				}
				until(t, a, tr.ID, 5*time.Second, "movement", past(1))
				net.Cut(b.Addr, true)
				time.Sleep(time.Second)
				_ = a.Kill()
				move(t, pa, moved)
				a = net.Start(engine.Config{Offers: engine.Everyone, Name: "a", Profile: moved})
				time.Sleep(time.Second)
				net.Cut(b.Addr, false)
				if end, err := a.Wait(t.Context(), tr.ID); err != nil || end.State != engine.Delivered {
					t.Error(end.State, err)
				}
			})
			if got, err := os.ReadFile(filepath.Join(dir, "data.bin")); !bytes.Equal(got, data) {
				t.Errorf("%d bytes arrived, %v", len(got), err)
			}
			if what == "copied" {
				if files, err := os.ReadDir(filepath.Join(pa, "spool", engine.DefaultService)); err != nil || len(files) == 0 {
					t.Errorf("the data of the other profile is gone: %v", err)
				}
			}
		})
	}
}

// TestOutbox_PathsNeedNotBeUTF8: a file, or a receiving folder, whose name is not UTF-8 is found again after a restart.
func TestOutbox_PathsNeedNotBeUTF8(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the file system requires UTF-8")
	}
	for _, c := range []struct{ src, dst string }{{"caf\xe9", "in"}, {"cafe", "in\xe9"}} {
		dir, pa, pb := dirs(t)
		dir = filepath.Join(dir, c.dst)
		file := filepath.Join(t.TempDir(), c.src)
		must(t, os.WriteFile(file, bytes.Repeat([]byte("precious"), 1<<19), 0o644))
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, latency)
			net.Limit(2_000_000, 256<<10)
			ca, cb := engine.Config{Offers: engine.Everyone, Name: "a", Profile: pa}, engine.Config{Offers: engine.Everyone, Name: "b", Profile: pb}
			a, b := net.Start(ca), net.Start(cb)
			acceptAll(t, b, engine.AcceptOptions{Dir: dir})
			meet(t, a, b)
			tr, err := a.OfferWith(t.Context(), b.Self().ID, engine.OfferOptions{Keep: true}, file)
			if err != nil {
				t.Fatal(err)
			}
			until(t, a, tr.ID, 5*time.Second, "movement", past(1))
			time.Sleep(200 * time.Millisecond)
			_ = a.Kill()
			_ = b.Kill()
			a, b = net.Start(ca), net.Start(cb)
			for _, n := range []*enginetest.Node{a, b} {
				end, err := n.Wait(t.Context(), tr.ID)
				if err != nil || end.State != engine.Delivered {
					t.Errorf("%q to %q: %v, %v", c.src, c.dst, end.State, err)
				}
				if n == b && (len(end.Saved) != 1 || filepath.Dir(end.Saved[0]) != dir) {
					t.Errorf("saved as %q", end.Saved)
				}
			}
		})
	}
}
