package transfer

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

// TestSource_ChangesAtRandom changes a tree a thousand times in total while it is sent: each listed entry still
// arrives or is named as left out by both sides, nothing else arrives, and no file is a mix of two versions.
func TestSource_ChangesAtRandom(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("a file that is open cannot be renamed there")
	}
	rounds, changes := 50, 20
	if testing.Short() {
		rounds = 15
	}
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	left, arrived := 0, 0
	for round := range rounds {
		rng := rand.New(rand.NewPCG(uint64(seed), uint64(round)))
		home, dst := t.TempDir(), t.TempDir()
		src := filepath.Join(home, "src")
		var files []string
		for i := range 30 {
			p := filepath.Join(src, fmt.Sprintf("d%d", i%4), fmt.Sprintf("f%02d", i))
			if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
				t.Fatal(err)
			}
			uniform(t, p, rng.IntN(6*ChunkSize), byte(i))
			files = append(files, p)
		}
		listing, err := NewListing([]string{src}, ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := listing.Fill(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		opts := ReceiveOptions{Dir: dst, Reserve: -1}
		if round%2 == 1 { // the sender asks about each file
			opts.Existing = Replace
		}
		a, b := newPipe()
		var wg sync.WaitGroup
		var sent, got Result
		var sendErr, recvErr error
		wg.Go(func() { sent, sendErr = Send(t.Context(), only(paced{a}), SendOptions{Listing: listing}) })
		wg.Go(func() { got, recvErr = Receive(t.Context(), only(b), opts) })
		for i := range changes {
			time.Sleep(time.Duration(rng.IntN(3000)) * time.Microsecond)
			change(t, rng, files[rng.IntN(len(files))], byte(100+i))
		}
		wg.Wait()
		if sendErr != nil || recvErr != nil {
			t.Fatalf("round %d: sender %v, receiver %v", round, sendErr, recvErr)
		}
		offered := map[string]string{}
		_ = listing.each(t.Context(), func(e listed) error { offered[e.path] = ""; return nil })
		there := visible(t, dst)
		for p := range there {
			if b, err := os.ReadFile(filepath.Join(dst, filepath.FromSlash(p))); err == nil && len(b) > 0 && len(bytes.Trim(b, string(b[:1]))) > 0 {
				t.Errorf("round %d: %s is of two versions", round, p)
			}
			there[p] = ""
		}
		sent.Unkept, got.Unkept = 1, 1 // times are not compared
		sameAccount(t, fmt.Sprintf("round %d", round), offered, there, sent, got)
		left += int(got.LeftOut)
		arrived += len(there)
	}
	t.Logf("%d changes: %d entries arrived, %d were left out and named", rounds*changes, arrived, left)
	if left == 0 {
		t.Error("no change came in time")
	}
}

// paced is a lane of a few blocks per millisecond, so that changes happen in between.
type paced struct{ *testPipe }

func (p paced) Write(b []byte) (int, error) {
	time.Sleep(time.Millisecond)
	return p.testPipe.Write(b)
}

// uniform writes a file of one repeated byte: a mix of two versions shows.
func uniform(t *testing.T, p string, size int, b byte) {
	t.Helper()
	if err := os.WriteFile(p, bytes.Repeat([]byte{b}, size), 0o644); err != nil {
		t.Error(err)
	}
}

// change makes one change to a file, or to its folder.
func change(t *testing.T, rng *rand.Rand, p string, b byte) {
	t.Helper()
	info, err := os.Lstat(p)
	if err != nil || !info.Mode().IsRegular() {
		return // replaced by an earlier change
	}
	size := int(info.Size())
	kinds := []func(){
		func() { _ = os.Rename(p, p+".moved") },
		func() { _ = os.Remove(p) },
		func() { _ = os.Remove(p); _ = os.Mkdir(p, 0o755) },
		func() { _ = os.Remove(p); _ = os.Symlink("/etc/hostname", p) },
		func() { _ = os.Rename(filepath.Dir(p), filepath.Dir(p)+".moved") },
		func() { _ = os.Truncate(p, int64(size/2)) },
		func() { _ = os.Chmod(p, []os.FileMode{0, 0o400, 0o644}[rng.IntN(3)]) },
		func() { uniform(t, p, size, b) },
		func() {
			uniform(t, p+".new", rng.IntN(6*ChunkSize), b)
			_ = os.Rename(p+".new", p)
		},
		func() { // appends its own content
			held, err := os.ReadFile(p)
			if err != nil || len(held) == 0 {
				return
			}
			f, err := os.OpenFile(p, os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				return
			}
			_, _ = f.Write(slices.Repeat(held[:1], 1+rng.IntN(ChunkSize)))
			_ = f.Close()
		},
	}
	kinds[rng.IntN(len(kinds))]()
}

// TestSource_ReplacedWhileItWaitsIsLeftOut: a file that is replaced by a larger version before it is sent does not
// arrive as the beginning of that version.
func TestSource_ReplacedWhileItWaitsIsLeftOut(t *testing.T) {
	for _, existing := range []Existing{0, Replace} {
		for way, replace := range map[string]func(t *testing.T, p string){
			"by another file": func(t *testing.T, p string) {
				uniform(t, p+".new", 300_000, 2)
				if err := os.Rename(p+".new", p); err != nil {
					t.Fatal(err)
				}
			},
			"in place": func(t *testing.T, p string) { uniform(t, p, 300_000, 2) },
		} {
			home, dst := t.TempDir(), t.TempDir()
			one, other := filepath.Join(home, "one"), filepath.Join(home, "other")
			uniform(t, one, 100, 1)
			uniform(t, other, 100, 1)
			listing, err := NewListing([]string{one, other}, ListOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := listing.Fill(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			replace(t, one)
			a, b := newPipe()
			var sent Result
			var sendErr error
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				sent, sendErr = Send(t.Context(), only(a), SendOptions{Listing: listing})
			}()
			got, err := Receive(t.Context(), only(b), ReceiveOptions{Dir: dst, ID: "x", Reserve: -1, Existing: existing})
			<-ended
			if err != nil || sendErr != nil {
				t.Fatal(err, sendErr)
			}
			for side, r := range map[string]Result{"sender": sent, "receiver": got} {
				if r.Files != 1 || r.LeftOut != 1 || !errors.Is(r.Notes[0].Err, ErrChanged) || r.Notes[0].Path != "one" {
					t.Errorf("%s, existing %v, %s: %+v", way, existing, side, r)
				}
			}
			if _, err := os.Lstat(filepath.Join(dst, "one")); err == nil {
				t.Errorf("%s: a part of it arrived", way)
			}
		}
	}
}
