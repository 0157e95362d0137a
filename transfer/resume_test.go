package transfer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// random fills a file with bytes that depend on seed alone.
func random(t testing.TB, path string, size int, seed byte) {
	t.Helper()
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// mixed creates a tree with a few large files and many small ones.
func mixed(t testing.TB, large, small int) string {
	t.Helper()
	src := filepath.Join(t.TempDir(), "src")
	for i := range large {
		random(t, filepath.Join(src, fmt.Sprintf("large%d", i)), 5<<20+i, byte(i))
	}
	for i := range small {
		random(t, filepath.Join(src, fmt.Sprintf("many/%02d/f%04d", i%7, i)), i%5000, byte(i))
	}
	if err := os.MkdirAll(filepath.Join(src, "hollow/inner"), 0o755); err != nil {
		t.Fatal(err)
	}
	return src
}

// visible is tree without hidden entries.
func visible(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := tree(t, dir)
	maps.DeleteFunc(all, func(p, _ string) bool { return strings.HasPrefix(p, PartialDir) })
	return all
}

// cutting is a pipe that breaks after a number of bytes.
type cutting struct {
	Pipe
	left *atomic.Int64
}

func (c cutting) Write(b []byte) (int, error) {
	if c.left.Add(-int64(len(b))) < 0 {
		c.Interrupt()
		return 0, errors.New("cut")
	}
	return c.Pipe.Write(b)
}

// attempt makes one call of each end over one lane that breaks after limit bytes.
func attempt(t *testing.T, send SendOptions, recv ReceiveOptions, limit int64) (sent, got Result, sendErr, recvErr error) {
	t.Helper()
	a, b := newPipe()
	left := &atomic.Int64{}
	left.Store(limit)
	var wg sync.WaitGroup
	wg.Go(func() { sent, sendErr = Send(t.Context(), only(cutting{a, left}), send) })
	wg.Go(func() { got, recvErr = Receive(t.Context(), only(b), recv) })
	wg.Wait()
	return sent, got, sendErr, recvErr
}

// TestResume_ContinuesAfterEachCut cuts the only lane again and again at random places: the transfer still completes,
// identical, and little is sent twice.
func TestResume_ContinuesAfterEachCut(t *testing.T) {
	src, dst := mixed(t, 4, 1500), t.TempDir()
	want := tree(t, filepath.Dir(src))
	total := int64(0)
	for _, v := range want {
		total += int64(len(v))
	}
	dice := rand.New(rand.NewPCG(1, 2))
	moved, cuts := int64(0), 0
	everything := false
	for resume := false; ; resume = true {
		sent, _, sendErr, recvErr := attempt(t, SendOptions{Paths: []string{src}, Sent: everything}, ReceiveOptions{Dir: dst, ID: "cuts", Key: "k", Resume: resume}, 100_000+dice.Int64N(3<<20))
		moved += sent.Moved
		everything = everything || sent.Sent
		if recvErr == nil {
			break
		}
		if !errors.Is(recvErr, ErrInterrupted) || sendErr == nil {
			t.Fatalf("cut %d: sender %v, receiver %v", cuts, sendErr, recvErr)
		}
		if left := visible(t, dst); len(left) != 0 {
			t.Fatalf("under a final name after a cut: %v", left)
		}
		if cuts++; cuts > 500 {
			t.Fatal("it makes no headway")
		}
	}
	if got := visible(t, dst); !maps.Equal(got, want) {
		t.Errorf("%d entries arrived, want %d", len(got), len(want))
	}
	again := moved - total
	t.Logf("%d cuts, %d bytes of %d sent again, %d at each cut", cuts, again, total, again/int64(max(cuts, 1)))
	if cuts < 10 || again > int64(cuts)*(1<<20) { // the manifest itself is a part of that
		t.Errorf("%d cuts, %d bytes sent again", cuts, again)
	}
}

// TestResume_ExecutableAsTheLastCallSays: a later call decides which files are executable, including those that an
// earlier call has completed.
func TestResume_ExecutableAsTheLastCallSays(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no such bit")
	}
	src := filepath.Join(t.TempDir(), "src")
	write(t, filepath.Join(src, "a"), "#!/bin/sh")
	if err := os.Chmod(filepath.Join(src, "a"), 0o755); err != nil {
		t.Fatal(err)
	}
	random(t, filepath.Join(src, "b"), 3<<20, 1)
	for _, keep := range []bool{false, true} {
		dst := t.TempDir()
		first := ReceiveOptions{Dir: dst, ID: "exec", Key: "k", KeepExec: !keep}
		if _, _, _, err := attempt(t, SendOptions{Paths: []string{src}}, first, 2<<20); !errors.Is(err, ErrInterrupted) {
			t.Fatal(err)
		}
		staged, err := os.Stat(filepath.Join(dst, PartialDir, "exec", "data", "src", "a"))
		if err != nil || staged.Mode()&0o111 != 0 == keep {
			t.Fatal(staged, err)
		}
		second := ReceiveOptions{Dir: dst, ID: "exec", Key: "k", Resume: true, KeepExec: keep}
		if _, _, e1, e2 := attempt(t, SendOptions{Paths: []string{src}}, second, 1<<30); e1 != nil || e2 != nil {
			t.Fatal(e1, e2)
		}
		info, err := os.Stat(filepath.Join(dst, "src", "a"))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode()&0o111 != 0 != keep {
			t.Errorf("keep %v: mode %v", keep, info.Mode())
		}
	}
}

// TestLanes_ComeAndGo sends over several lanes that break one after the other while new ones arrive.
func TestLanes_ComeAndGo(t *testing.T) {
	src, dst := mixed(t, 8, 500), t.TempDir()
	to, from := make(chan Pipe), make(chan Pipe)
	ctx, cancel := context.WithCancel(t.Context())
	var feeding sync.WaitGroup
	lanes := atomic.Int32{}
	feeding.Go(func() {
		dice := rand.New(rand.NewPCG(3, 4))
		for {
			a, b := tcpPipes(t)
			left := &atomic.Int64{}
			left.Store(200_000 + dice.Int64N(4<<20))
			if lanes.Add(1)%4 == 1 {
				left.Store(1 << 40) // some stay up
			}
			select {
			case to <- cutting{a, left}:
				from <- b
			case <-ctx.Done():
				a.Interrupt()
				b.Interrupt()
				return
			}
			time.Sleep(time.Millisecond)
			if lanes.Load() > 60 {
				return
			}
		}
	})
	var wg sync.WaitGroup
	var sendErr, recvErr error
	wg.Go(func() { _, sendErr = Send(t.Context(), to, SendOptions{Paths: []string{src}}) })
	wg.Go(func() { _, recvErr = Receive(t.Context(), from, ReceiveOptions{Dir: dst}) })
	wg.Wait()
	cancel()
	feeding.Wait()
	if sendErr != nil || recvErr != nil {
		t.Fatal(sendErr, recvErr)
	}
	if got, want := visible(t, dst), tree(t, filepath.Dir(src)); !maps.Equal(got, want) {
		t.Errorf("%d entries, want %d", len(got), len(want))
	}
	t.Logf("%d lanes", lanes.Load())
}

// TestResume_SendsOnlyWhatChanged changes one file between two attempts, also without changing its length and time.
func TestResume_SendsOnlyWhatChanged(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, file string){
		"longer": func(t *testing.T, file string) { random(t, file, 6<<20, 99) },
		"other content": func(t *testing.T, file string) {
			info, err := os.Stat(file)
			if err != nil {
				t.Fatal(err)
			}
			random(t, file, int(info.Size()), 99)
			if err := os.Chtimes(file, time.Time{}, info.ModTime()); err != nil {
				t.Fatal(err)
			}
		},
		"gone": func(t *testing.T, file string) {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		},
	} {
		for _, when := range []int64{4 << 20, 8 << 20, 13 << 20} {
			t.Run(fmt.Sprintf("%s after %d", name, when), func(t *testing.T) {
				if name == "other content" && runtime.GOOS == "windows" {
					t.Skip("the change cannot be seen there")
				}
				src, dst := mixed(t, 3, 50), t.TempDir()
				recv := ReceiveOptions{Dir: dst, ID: "change", Key: "k"}
				first, _, _, err := attempt(t, SendOptions{Paths: []string{src}}, recv, when)
				if err == nil {
					t.Fatal("was not cut")
				}
				change(t, filepath.Join(src, "large0"))
				recv.Resume = true
				second, got, _, err := attempt(t, SendOptions{Paths: []string{src}}, recv, 1<<40)
				if err != nil {
					t.Fatal(err)
				}
				if got, want := visible(t, dst), tree(t, filepath.Dir(src)); !maps.Equal(got, want) {
					t.Errorf("%d entries, want %d", len(got), len(want))
				}
				if got.LeftOut != 0 {
					t.Errorf("left out %+v", got.Notes)
				}
				t.Logf("%d and %d bytes were sent", first.Moved, second.Moved)
				// all of it once, the changed file perhaps twice, and what was in flight
				if moved := first.Moved + second.Moved; moved > 16<<20+6<<20+1<<20 {
					t.Errorf("%d bytes were sent", moved)
				}
			})
		}
	}
}

func TestResume_WithAnotherKeyIsRefused(t *testing.T) {
	src, dst := mixed(t, 2, 5), t.TempDir()
	if _, _, _, err := attempt(t, SendOptions{Paths: []string{src}}, ReceiveOptions{Dir: dst, ID: "x", Key: "anna"}, 4<<20); err == nil {
		t.Fatal("was not cut")
	}
	if _, _, _, err := attempt(t, SendOptions{Paths: []string{src}}, ReceiveOptions{Dir: dst, ID: "x", Key: "mallory", Resume: true}, 1<<40); !errors.Is(err, ErrGone) {
		t.Errorf("continued with another transfer's data: %v", err)
	}
}

// TestResume_RepeatsALostReceipt: delivered data whose receipt was lost is not sent again.
func TestResume_RepeatsALostReceipt(t *testing.T) {
	src, dst := mixed(t, 1, 20), t.TempDir()
	recv := ReceiveOptions{Dir: dst, ID: "r", Key: "k"}
	a, b := newPipe()
	var wg sync.WaitGroup
	var first Result
	wg.Go(func() { // a sender whose read side breaks as soon as it has sent everything
		first, _ = Send(t.Context(), only(deaf{a}), SendOptions{Paths: []string{src}})
	})
	var recvErr error
	wg.Go(func() { _, recvErr = Receive(t.Context(), only(b), recv) })
	wg.Wait()
	if recvErr != nil {
		t.Fatal(recvErr)
	}
	recv.Resume = true
	sent, got, sendErr, recvErr := attempt(t, SendOptions{Paths: []string{src}, Sent: first.Sent}, recv, 1<<40)
	if sendErr != nil || recvErr != nil {
		t.Fatal(sendErr, recvErr)
	}
	if sent.Moved > 10_000 || sent.Totals != got.Totals || len(got.Saved) != 1 || got.Saved[0] != "src" {
		t.Errorf("sent %+v, got %+v", sent, got)
	}
	if got, want := visible(t, dst), tree(t, filepath.Dir(src)); !maps.Equal(got, want) {
		t.Errorf("%d entries, want %d", len(got), len(want))
	}
	if err := Discard(dst, recv.ID); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dst, PartialDir)); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the staging is still there")
	}
}

// deaf is a pipe over which no receipt is read: it breaks when one arrives.
type deaf struct{ Pipe }

func (d deaf) Read(b []byte) (int, error) {
	n, err := d.Pipe.Read(b)
	if n > blockHead && b[0] == frameBlock && b[blockHead] == recReceipt {
		d.Interrupt()
		return 0, errors.New("deaf")
	}
	return n, err
}

// TestReceive_SurvivesEachFailingOperation makes the N-th file system operation fail, for every N, with different
// errors: the transfer never reports a delivery that did not happen, leaves nothing incomplete under a final name, and
// resumes afterwards.
func TestReceive_SurvivesEachFailingOperation(t *testing.T) {
	t.Parallel()
	src := filepath.Join(t.TempDir(), "job")
	random(t, filepath.Join(src, "a"), 300_000, 1)
	random(t, filepath.Join(src, "sub/b"), 5, 2)
	random(t, filepath.Join(src, "c"), 0, 3)
	want := tree(t, filepath.Dir(src))
	for _, fault := range []error{syscall.EIO, syscall.EACCES, syscall.EMFILE, syscall.ENOSPC} {
		ops := map[string]int{}
		for n := 1; ; n++ {
			dst := t.TempDir()
			count, failed := atomic.Int64{}, ""
			var mu sync.Mutex
			recv := ReceiveOptions{Dir: dst, ID: "f", Key: "k", check: func(op, name string) error {
				if count.Add(1) == int64(n) {
					mu.Lock()
					failed = op
					mu.Unlock()
					return &fs.PathError{Op: op, Path: name, Err: fault}
				}
				return nil
			}}
			sent, received, sendErr, recvErr := attempt(t, SendOptions{Paths: []string{src}}, recv, 1<<40)
			if failed == "" {
				if recvErr != nil || n < 15 {
					t.Fatalf("%d operations: %v", n, recvErr)
				}
				break
			}
			ops[failed]++
			what := fmt.Sprintf("%v at operation %d, %s", fault, n, failed)
			got := visible(t, dst)
			if (recvErr == nil) != (sendErr == nil) {
				t.Errorf("%s: sender %v, receiver %v", what, sendErr, recvErr)
			}
			if recvErr == nil { // it was overcome, or cost one entry or an attribute, which both sides name
				sameAccount(t, what, want, got, sent, received)
				continue
			}
			if len(got) != 0 && !maps.Equal(got, want) {
				t.Errorf("%s: under a final name: %d entries", what, len(got))
			}
			if reasonOf(sendErr) != reasonOf(recvErr) {
				t.Errorf("%s: sender %v, receiver %v", what, sendErr, recvErr)
			}
			recv.check = nil
			if _, _, sendErr, recvErr = attempt(t, SendOptions{Paths: []string{src}, Sent: sent.Sent}, recv, 1<<40); sendErr != nil || recvErr != nil {
				t.Errorf("%s: afterwards: %v, %v", what, sendErr, recvErr)
			} else if got := visible(t, dst); !maps.Equal(got, want) {
				t.Errorf("%s: afterwards %d of %d entries are there", what, len(got), len(want))
			}
		}
		t.Logf("%v: %v", fault, ops)
	}
}

// TestReceive_SurvivesBeingKilledAtEachOperation kills the receiver's process at its N-th file system operation, for
// every N.
func TestReceive_SurvivesBeingKilledAtEachOperation(t *testing.T) {
	if dir := os.Getenv("TRANSFER_DIES"); dir != "" {
		dieAt(t, dir)
		return
	}
	if runtime.GOOS == "windows" {
		t.Skip("no SIGKILL there")
	}
	src := filepath.Join(t.TempDir(), "job")
	random(t, filepath.Join(src, "a"), 3<<20, 1)
	random(t, filepath.Join(src, "sub/b"), 5, 2)
	random(t, filepath.Join(src, "sub/c"), 70_000, 3)
	want := tree(t, filepath.Dir(src))
	deaths := 0
	for n := 1; ; n++ {
		dst := t.TempDir()
		died := dies(t, src, dst, n)
		if got := visible(t, dst); len(got) != 0 && !maps.Equal(got, want) {
			t.Errorf("died at operation %d: %d entries under final names", n, len(got))
		}
		recv := ReceiveOptions{Dir: dst, ID: "d", Key: "k"}
		if !died { // it is delivered, and both sides know it
			break
		}
		_, _, sendErr, recvErr := attempt(t, SendOptions{Paths: []string{src}, Sent: true}, recv, 1<<40)
		if sendErr != nil || recvErr != nil {
			t.Fatalf("after a death at operation %d: %v, %v", n, sendErr, recvErr)
		}
		if got := visible(t, dst); !maps.Equal(got, want) {
			t.Errorf("died at operation %d: %d of %d entries afterwards", n, len(got), len(want))
		}
		deaths++
	}
	if deaths < 20 {
		t.Errorf("%d deaths", deaths)
	}
	t.Logf("%d deaths", deaths)
}

// TestResume_FolderReplacedByAFile: a folder is replaced by a file, and its content is gone.
func TestResume_FolderReplacedByAFile(t *testing.T) {
	src, dst := filepath.Join(t.TempDir(), "src"), t.TempDir()
	random(t, filepath.Join(src, "a/x"), 300<<10, 1)
	random(t, filepath.Join(src, "b"), 6<<20, 2)
	_, _, _, r := attempt(t, SendOptions{Paths: []string{src}}, ReceiveOptions{Dir: dst, ID: "x", Key: "k"}, 3<<20)
	if r == nil {
		t.Fatal("was not cut")
	}
	_ = os.RemoveAll(filepath.Join(src, "a"))
	random(t, filepath.Join(src, "a"), 100<<10, 3)
	_, _, e1, e2 := run(t, t.Context(), []string{src}, ReceiveOptions{Dir: dst, ID: "x", Key: "k", Resume: true})
	if e1 != nil || e2 != nil || !maps.Equal(visible(t, dst), tree(t, filepath.Dir(src))) {
		t.Error(e1, e2)
	}
}
