package transfer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// countingWriter counts the writes to a pipe.
type countingWriter struct {
	io.Writer
	writes *atomic.Int64
}

func (w countingWriter) Write(b []byte) (int, error) {
	w.writes.Add(1)
	return w.Writer.Write(b)
}

// TestCompare_RequestsTravelTogether: comparing an unchanged tree takes far fewer writes than there are files, on both
// sides.
func TestCompare_RequestsTravelTogether(t *testing.T) {
	const files = 1000
	src, dst := filepath.Join(t.TempDir(), "src"), t.TempDir()
	for i := range files {
		write(t, filepath.Join(src, fmt.Sprintf("d%d/f%d", i%10, i)), fmt.Sprint("content ", i))
	}
	if _, _, e1, e2 := run(t, t.Context(), []string{src}, ReceiveOptions{Dir: dst}); e1 != nil || e2 != nil {
		t.Fatal(e1, e2)
	}
	var fromSender, fromReceiver atomic.Int64
	a, b := newPipe()
	a.Writer = countingWriter{a.Writer, &fromSender}
	b.Writer = countingWriter{b.Writer, &fromReceiver}
	var got Result
	var sendErr, recvErr error
	var wg sync.WaitGroup
	wg.Go(func() { _, sendErr = Send(t.Context(), only(a), SendOptions{Paths: []string{src}}) })
	wg.Go(func() {
		got, recvErr = Receive(t.Context(), only(b), ReceiveOptions{Dir: dst, Existing: SkipIdentical})
	})
	wg.Wait()
	if sendErr != nil || recvErr != nil || got.Unchanged != files {
		t.Fatal(sendErr, recvErr, got)
	}
	if fromSender.Load() > files || fromReceiver.Load() > files {
		t.Errorf("%d writes of the sender, %d of the receiver", fromSender.Load(), fromReceiver.Load())
	}
	t.Logf("%d writes of the sender, %d of the receiver", fromSender.Load(), fromReceiver.Load())
}

// TestCompare_ChangedSourceIsNoMix: pieces that the receiver has already are of the state that was compared. If the
// source changes while it is sent, the rest is of another state, and the file is left out.
func TestCompare_ChangedSourceIsNoMix(t *testing.T) {
	for _, policy := range []Existing{KeepBoth, SkipIdentical, Replace} {
		src, dst := filepath.Join(t.TempDir(), "db"), t.TempDir()
		content := bytes.Repeat([]byte("1"), 40<<20)
		old := bytes.Repeat([]byte("0"), 40<<20)
		copy(old, content[:1<<20])
		for path, b := range map[string][]byte{src: content, filepath.Join(dst, "db"): old} {
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		a, b := newPipe()
		var got Result
		var recvErr, sendErr error
		var wg sync.WaitGroup
		wg.Go(func() {
			got, recvErr = Receive(t.Context(), only(b), ReceiveOptions{Dir: dst, Reserve: -1, Existing: policy})
		})
		wg.Go(func() {
			_, sendErr = Send(t.Context(), only(&changing{a, 4 << 20, func() {
				f, err := os.OpenFile(src, os.O_WRONLY, 0)
				if err != nil {
					t.Error(err)
					return
				}
				defer f.Close()
				for _, off := range []int64{0, 39 << 20} {
					if _, err := f.WriteAt([]byte("2"), off); err != nil {
						t.Error(err)
					}
				}
			}}), SendOptions{Paths: []string{src}})
		})
		wg.Wait()
		if !errors.Is(sendErr, ErrChanged) || recvErr == nil || got.Files > 0 {
			t.Errorf("policy %v: sent %v, received %v %v", policy, sendErr, got.Saved, recvErr)
		}
		if now, err := os.ReadFile(filepath.Join(dst, "db")); err != nil || !bytes.Equal(now, old) {
			t.Errorf("policy %v: the receiver's file has changed (%v)", policy, err)
		}
	}
}

// TestCompare_OnlyInFoldersThatAreMerged: an existing folder that is a repository, or a link, is not merged into. What is
// in it counts for nothing: the new folder beside it is complete.
func TestCompare_OnlyInFoldersThatAreMerged(t *testing.T) {
	for _, policy := range []Existing{SkipIdentical, Replace} {
		src, dst := filepath.Join(t.TempDir(), "top"), t.TempDir()
		for _, folder := range []string{"repository", "link", "plain"} {
			write(t, filepath.Join(src, folder, "same"), "the same")
			write(t, filepath.Join(src, folder, "deep/same"), "the same")
			write(t, filepath.Join(src, folder, "new"), "new")
		}
		write(t, filepath.Join(dst, "top/repository/HEAD"), "ref")
		for _, folder := range []string{"top/repository", "top/plain", "other"} {
			write(t, filepath.Join(dst, folder, "same"), "the same")
			write(t, filepath.Join(dst, folder, "deep/same"), "the same")
		}
		if err := os.Symlink("../other", filepath.Join(dst, "top/link")); err != nil {
			t.Skip(err)
		}
		_, got, err1, err2 := run(t, t.Context(), []string{src}, ReceiveOptions{Dir: dst, Existing: policy})
		if err1 != nil || err2 != nil || got.LeftOut > 0 || got.Unchanged != 2 {
			t.Fatalf("%v %v, %d left out, %d unchanged", err1, err2, got.LeftOut, got.Unchanged)
		}
		for _, folder := range []string{"repository (2)", "link (2)", "plain"} {
			for name, want := range map[string]string{"same": "the same", "deep/same": "the same", "new": "new"} {
				if b, err := os.ReadFile(filepath.Join(dst, "top", folder, name)); err != nil || string(b) != want {
					t.Errorf("%v: %s/%s: %q, %v", policy, folder, name, b, err)
				}
			}
		}
	}
}
