package transfer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestSync_FailureStaysFailed: after a sync failed because the disk was full, the failure stays even when there is room
// again.
func TestSync_FailureStaysFailed(t *testing.T) {
	src := filepath.Join(t.TempDir(), "src")
	for i := range 12 {
		random(t, filepath.Join(src, fmt.Sprintf("f%02d", i)), 4<<20, byte(i))
	}
	var failedSync, failedWrite atomic.Bool
	check := func(op, name string) error {
		if op == "fsync" && name == "files" {
			if !failedSync.Swap(true) {
				return syscall.ENOSPC
			}
		}
		if op == "write" && name != journalName && failedSync.Load() && !failedWrite.Swap(true) {
			time.Sleep(50 * time.Millisecond)
			return syscall.ENOSPC
		}
		return nil
	}
	_, got, serr, rerr := run(t, t.Context(), []string{src}, ReceiveOptions{Dir: t.TempDir(), ID: "x", check: check})
	if !failedSync.Load() || rerr == nil || serr == nil {
		t.Errorf("sync failed %v, write failed %v; sender %v, receiver %v, %+v", failedSync.Load(), failedWrite.Load(), serr, rerr, got.Totals)
	}
}

// copyTree copies a receiving folder, keeping the mode of its staging folder.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(to, PartialDir), 0o700); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}

// TestResume_SyncsFilesOfAKilledProcess covers files that a killed process had written but not synced.
func TestResume_SyncsFilesOfAKilledProcess(t *testing.T) {
	src := filepath.Join(t.TempDir(), "src")
	for i := range 5 {
		random(t, filepath.Join(src, fmt.Sprintf("f%02d", i)), 1<<20, byte(i))
	}
	dst, snap := t.TempDir(), filepath.Join(t.TempDir(), "snap")
	var calls atomic.Int64
	check := func(op, name string) error {
		if op == "fsync" && name == "files" && calls.Add(1) == 2 {
			copyTree(t, dst, snap) // everything is written; this fsync has not run yet
		}
		return nil
	}
	if _, _, s, r := run(t, t.Context(), []string{src}, ReceiveOptions{Dir: dst, ID: "x", Key: "k", check: check}); s != nil || r != nil {
		t.Fatal(s, r)
	}
	var ops []string
	var mu sync.Mutex
	_, got, s, r := run(t, t.Context(), []string{src}, ReceiveOptions{Dir: snap, ID: "x", Key: "k", Resume: true, check: func(op, name string) error {
		mu.Lock()
		defer mu.Unlock()
		if op == "fsync" {
			ops = append(ops, name)
		}
		return nil
	}})
	if s != nil || r != nil || got.Files != 5 {
		t.Fatal(s, r, got.Totals)
	}
	for _, o := range ops {
		if o == "files" {
			return
		}
	}
	t.Errorf("delivered, and made durable was only %q", ops)
}
