package transfer

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// TestOrphanScans_OncePerHour checks that many transfers into one folder cost one scan, and that the table is bounded.
func TestOrphanScans_OncePerHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := scanTimes{at: map[string]time.Time{}}
		scans := 0
		for range 240 {
			if s.due("a") {
				scans++
			}
			time.Sleep(time.Minute)
		}
		if scans != 4 {
			t.Errorf("%d scans in 4 hours", scans)
		}
		for i := range 10 * maxScanTimes {
			if !s.due(fmt.Sprint(i)) {
				t.Fatal("another folder was not scanned")
			}
		}
		if len(s.at) > maxScanTimes {
			t.Errorf("%d folders are remembered", len(s.at))
		}
	})
}

// TestOrphans_AreSoughtOncePerHour checks that the second transfer into a folder does not scan it again.
func TestOrphans_AreSoughtOncePerHour(t *testing.T) {
	src, dst := filepath.Join(t.TempDir(), "f"), t.TempDir()
	write(t, src, "payload")
	old := time.Now().Add(-40 * 24 * time.Hour)
	var j journal
	j.put(jourStart, []byte("k"))
	orphan := filepath.Join(dst, PartialDir, "orphan")
	for _, stays := range []bool{false, true} {
		write(t, filepath.Join(orphan, journalName), string(j.buf))
		if err := os.Chmod(filepath.Dir(orphan), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(orphan, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, p := range []string{filepath.Join(orphan, journalName), orphan} {
			if err := os.Chtimes(p, old, old); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, _, err := run(t, t.Context(), []string{src}, ReceiveOptions{Dir: dst}); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(orphan); (err == nil) != stays {
			t.Errorf("it stays: %v, want %v", err == nil, stays)
		}
	}
}

// forgetOrphanScans makes the next transfer scan its folder, as it does in a program that starts.
func forgetOrphanScans() {
	orphanScans.mu.Lock()
	defer orphanScans.mu.Unlock()
	clear(orphanScans.at)
}
