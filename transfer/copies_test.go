package transfer

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// memory is Copies without a file.
type memory struct {
	mu   sync.Mutex
	keys []CopyKey
}

func (m *memory) Load() []CopyKey {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.keys)
}

func (m *memory) Add(keys []CopyKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keys = append(m.keys, keys...)
}

// sendAgain sends a folder into dst, in a time when all its files are steady, and returns the results of both sides.
func sendAgain(t *testing.T, src string, opts ReceiveOptions) (sent, got Result) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)))
		var sendErr, recvErr error
		sent, got, sendErr, recvErr = run(t, t.Context(), []string{src}, opts)
		if sendErr != nil || recvErr != nil {
			t.Fatal(sendErr, recvErr)
		}
	})
	return sent, got
}

// TestCopies_UnchangedFilesAreNotRead: a file that was received, and has changed on neither side, is found identical
// without its digest. Any change on either side is found, with the size and the modification time as they were.
func TestCopies_UnchangedFilesAreNotRead(t *testing.T) {
	here, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	if !keepsChangeTimes(here) {
		t.Skip("the times of files cannot be trusted on this disk")
	}
	const files = 100
	src, dst, copies := filepath.Join(t.TempDir(), "src"), t.TempDir(), &memory{}
	for i := range files {
		write(t, filepath.Join(src, fmt.Sprintf("d%d/f%d", i%3, i)), fmt.Sprint("content ", i))
	}
	write(t, filepath.Join(src, "above"), "in the top folder")
	opts := ReceiveOptions{Dir: dst, Existing: Replace, Copies: copies, Sender: "anna"}
	sendAgain(t, src, opts)
	withDigests := opts
	withDigests.Reread = true
	compared, got := sendAgain(t, src, withDigests)
	if got.Unchanged != files+1 {
		t.Fatal(got)
	}
	sent, got := sendAgain(t, src, opts)
	if got.Unchanged != files+1 || sent.Moved > compared.Moved-32*files {
		t.Fatalf("%d unchanged; the sender has sent %d bytes, and %d with digests", got.Unchanged, sent.Moved, compared.Moved)
	}
	other := opts
	other.Sender = "ben"
	sent, got = sendAgain(t, src, other)
	if got.Unchanged != files+1 || sent.Moved < compared.Moved-16*files {
		t.Errorf("another sender: %d unchanged, sent %d bytes, and %d with digests", got.Unchanged, sent.Moved, compared.Moved)
	}

	change := func(name string) {
		t.Helper()
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := os.ReadFile(name)
		b[0] ^= 1
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, info.ModTime(), info.ModTime()); err != nil {
			t.Fatal(err)
		}
	}
	change(filepath.Join(src, "d1/f1"))
	change(filepath.Join(dst, "src/d2/f2"))
	_, got = sendAgain(t, src, opts)
	if got.Unchanged != files-1 {
		t.Errorf("%d unchanged, want %d", got.Unchanged, files-1)
	}
	for _, name := range []string{"d1/f1", "d2/f2"} {
		theirs, err1 := os.ReadFile(filepath.Join(src, name))
		ours, err2 := os.ReadFile(filepath.Join(dst, "src", name))
		if err1 != nil || err2 != nil || string(theirs) != string(ours) {
			t.Errorf("%s: %q, sent %q (%v, %v)", name, ours, theirs, err1, err2)
		}
	}
	sent, got = sendAgain(t, src, opts)
	if got.Unchanged != files+1 || sent.Moved > compared.Moved-32*files {
		t.Errorf("after the changes: %d unchanged, sent %d bytes, and %d with digests", got.Unchanged, sent.Moved, compared.Moved)
	}
}

// TestCopies_RecentFilesAreCompared: the stamp of a file that was changed a moment ago does not identify its content,
// because the next change may have the same time.
func TestCopies_RecentFilesAreCompared(t *testing.T) {
	src, dst, copies := filepath.Join(t.TempDir(), "src"), t.TempDir(), &memory{}
	write(t, filepath.Join(src, "f"), "content")
	for range 2 {
		write(t, filepath.Join(src, "f"), "content")
		if _, _, err1, err2 := run(t, t.Context(), []string{src}, ReceiveOptions{Dir: dst, Existing: Replace, Copies: copies, Sender: "anna"}); err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
	}
	if n := len(copies.Load()); n > 0 {
		t.Errorf("%d records", n)
	}
}

// TestCopies_AreBounded: a sender of many files does not fill the memory with records.
func TestCopies_AreBounded(t *testing.T) {
	r := receiver{}
	for range 2 * maxCopies {
		r.keepCopy(CopyKey{})
	}
	if len(r.newCopies) > maxCopies {
		t.Errorf("%d records of one transfer", len(r.newCopies))
	}
}
