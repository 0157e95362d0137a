package transfers

import (
	"encoding/binary"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"multipeer/transfer"
)

func copyKeys(from, n int) []transfer.CopyKey {
	keys := make([]transfer.CopyKey, n)
	for i := range keys {
		binary.BigEndian.PutUint32(keys[i][:], uint32(from+i))
	}
	return keys
}

// TestCopies_FileIsUntrusted: a file that is damaged, truncated or of another program costs only its records.
func TestCopies_FileIsUntrusted(t *testing.T) {
	for name, content := range map[string]string{
		"missing": "-", "empty": "", "other": "something else that is longer than a record", "torn": copiesHead + "0123456789",
	} {
		c := &copies{path: filepath.Join(t.TempDir(), "below", "copies"), log: slog.New(slog.DiscardHandler)}
		if content != "-" {
			if err := os.MkdirAll(filepath.Dir(c.path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(c.path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		c.Add(copyKeys(1, 2))
		c.Add(copyKeys(3, 1))
		if got := c.Load(); !slices.Equal(got, copyKeys(1, 3)) {
			t.Errorf("%s: %d records, want 3", name, len(got))
		}
	}
}

// TestCopies_FileIsBounded: the oldest records make room for new ones.
func TestCopies_FileIsBounded(t *testing.T) {
	const half = maxCopies / 2
	c := &copies{path: filepath.Join(t.TempDir(), "copies"), log: slog.New(slog.DiscardHandler)}
	for i := range 5 {
		c.Add(copyKeys(i*half, half))
		got := c.Load()
		if len(got) > maxCopies || !slices.Equal(got[len(got)-half:], copyKeys(i*half, half)) {
			t.Fatalf("%d records, or not the newest", len(got))
		}
	}
}
