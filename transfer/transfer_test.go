package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTransfer_TreeArrivesUnchanged(t *testing.T) {
	src := filepath.Join(t.TempDir(), "album")
	big := make([]byte, 30*ChunkSize+17)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(big)
	write(t, filepath.Join(src, "big.bin"), string(big))
	write(t, filepath.Join(src, "empty"), "")
	write(t, filepath.Join(src, "deep/er/Zoë 日本.txt"), "text")
	for i := range 300 {
		write(t, filepath.Join(src, "many", fmt.Sprintf("f%03d", i)), strings.Repeat("x", i))
	}
	if err := os.MkdirAll(filepath.Join(src, "hollow/inner"), 0o755); err != nil {
		t.Fatal(err)
	}
	old := time.Date(2001, 2, 3, 4, 5, 6, 789_000_000, time.UTC)
	for _, p := range []string{"big.bin", "many/f007", "hollow/inner", "hollow", "."} {
		if err := os.Chtimes(filepath.Join(src, p), old, old); err != nil {
			t.Fatal(err)
		}
	}
	want := tree(t, filepath.Dir(src))
	dst := t.TempDir()
	sent, got, sendErr, recvErr := run(t, t.Context(), []string{src}, ReceiveOptions{Dir: dst})
	if sendErr != nil || recvErr != nil {
		t.Fatal(sendErr, recvErr)
	}
	if arrived := tree(t, dst); !maps.Equal(arrived, want) {
		t.Errorf("arrived %d entries, want %d", len(arrived), len(want))
		for k, v := range want {
			if arrived[k] != v {
				t.Errorf("%s differs", k)
			}
		}
	}
	if sent.Totals != got.Totals || got.Files != 303 || got.Folders != 6 || got.LeftOut != 0 {
		t.Errorf("sent %+v, got %+v", sent.Totals, got.Totals)
	}
	if !slices.Equal(got.Saved, []string{"album"}) {
		t.Errorf("saved as %q", got.Saved)
	}
}

func TestReceive_OverwritesNothing(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	write(t, filepath.Join(src, "a.txt"), "new")
	write(t, filepath.Join(src, "dir/x"), "new")
	write(t, filepath.Join(dst, "a.txt"), "old")
	write(t, filepath.Join(dst, "dir/x"), "old")
	for n := 2; n < 5; n++ {
		_, got, sendErr, recvErr := run(t, t.Context(), []string{filepath.Join(src, "a.txt"), filepath.Join(src, "dir")}, ReceiveOptions{Dir: dst})
		if sendErr != nil || recvErr != nil {
			t.Fatal(sendErr, recvErr)
		}
		want := []string{fmt.Sprintf("a (%d).txt", n), fmt.Sprintf("dir (%d)", n)}
		if !slices.Equal(got.Saved, want) || got.Renamed != 2 {
			t.Errorf("saved %q, renamed %d, want %q", got.Saved, got.Renamed, want)
		}
	}
	for _, p := range []string{"a.txt", "dir/x"} {
		if b, _ := os.ReadFile(filepath.Join(dst, p)); string(b) != "old" {
			t.Errorf("%s holds %q", p, b)
		}
	}
}

func TestReceive_CancelLeavesNothing(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	write(t, filepath.Join(src, "a"), strings.Repeat("x", 64*ChunkSize))
	a, b := newPipe()
	ctx, cancel := context.WithCancelCause(t.Context())
	got := make(chan error, 1)
	go func() {
		_, err := Receive(ctx, only(b), ReceiveOptions{Dir: dst, OnProgress: func(p Progress) { cancel(ErrCancelled) }})
		got <- err
	}()
	slow := &testPipe{a.Reader, slowWriter{a}, a.closeWrite, a.interrupt}
	if _, err := Send(t.Context(), only(slow), SendOptions{Paths: []string{filepath.Join(src, "a")}}); err == nil {
		t.Error("sender did not notice")
	}
	if err := <-got; !errors.Is(err, ErrCancelled) {
		t.Errorf("receiver: %v", err)
	}
	if left := tree(t, dst); len(left) != 0 {
		t.Errorf("left %v", slices.Collect(maps.Keys(left)))
	}
}

type slowWriter struct{ *testPipe }

func (w slowWriter) Write(b []byte) (int, error) {
	time.Sleep(20 * time.Millisecond)
	return w.testPipe.Write(b)
}

func TestNotes_NameWhatIsLeftOutOrRenamed(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need a privilege there")
	}
	src, dst := filepath.Join(t.TempDir(), "src"), t.TempDir()
	write(t, filepath.Join(src, "good"), "1")
	write(t, filepath.Join(src, `back\slash`), "2")
	if err := os.Symlink("/etc/passwd", filepath.Join(src, "link")); err != nil {
		t.Fatal(err)
	}
	sent, got, sendErr, recvErr := run(t, t.Context(), []string{src}, ReceiveOptions{Dir: dst})
	if sendErr != nil || recvErr != nil {
		t.Fatal(sendErr, recvErr)
	}
	for _, r := range []Result{sent, got} {
		named := slices.ContainsFunc(r.Notes, func(n Note) bool { return n.Path == "src/link" && n.LeftOut() && errors.Is(n.Err, ErrSpecial) })
		renamed := slices.ContainsFunc(r.Notes, func(n Note) bool { return n.Path == `src/back\slash` && n.Saved == "src/back_slash" })
		if r.LeftOut != 1 || r.Renamed != 1 || len(r.Notes) != 2 || !named || !renamed {
			t.Errorf("notes %+v", r.Notes)
		}
	}
	if _, err := os.Stat(filepath.Join(dst, "src", "back_slash")); err != nil {
		t.Error(err)
	}
}

// changing is a pipe that changes the source after a number of bytes.
type changing struct {
	Pipe
	after int
	do    func()
}

func (c *changing) Write(b []byte) (int, error) {
	if c.after -= len(b); c.after <= 0 && c.do != nil {
		c.do()
		c.do = nil
	}
	return c.Pipe.Write(b)
}

func TestSource_ChangedFileIsNeverMixed(t *testing.T) {
	for name, change := range map[string]func(string) error{
		"cut": func(p string) error { return os.Truncate(p, 100) },
		"overwritten": func(p string) error {
			f, err := os.OpenFile(p, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteAt([]byte("other"), 10)
			return errors.Join(err, f.Close())
		},
		"overwritten and longer": func(p string) error {
			return os.WriteFile(p, bytes.Repeat([]byte("y"), 300*ChunkSize), 0o644)
		},
	} {
		t.Run(name, func(t *testing.T) {
			src, dst := filepath.Join(t.TempDir(), "src"), t.TempDir()
			moving := filepath.Join(src, "a")
			write(t, moving, strings.Repeat("x", 200*ChunkSize))
			write(t, filepath.Join(src, "b"), "fine")
			a, b := newPipe()
			done := make(chan Result, 1)
			go func() {
				got, err := Receive(t.Context(), only(b), ReceiveOptions{Dir: dst})
				if err != nil {
					t.Error(err)
				}
				done <- got
			}()
			sent, err := Send(t.Context(), only(&changing{a, 2 * ChunkSize, func() {
				if err := change(moving); err != nil {
					t.Error(err)
				}
			}}), SendOptions{Paths: []string{src}})
			if err != nil {
				t.Fatal(err)
			}
			if got := <-done; sent.LeftOut != 1 || got.LeftOut != 1 || got.Files != 1 {
				t.Errorf("sent %+v, got %+v", sent, got)
			}
			if _, err := os.Stat(filepath.Join(dst, "src/a")); !os.IsNotExist(err) {
				t.Error("half a file was published")
			}
		})
	}
}

// TestSource_ChangeThatKeepsTheContentLosesNoFile: a change that does not alter the announced content does not lose the
// file.
func TestSource_ChangeThatKeepsTheContentLosesNoFile(t *testing.T) {
	content := strings.Repeat("x", 200*ChunkSize)
	for name, c := range map[string]struct {
		change func(string) error
		unkept int64
	}{
		"touched": {func(p string) error { return os.Chtimes(p, time.Time{}, time.Unix(1e9, 0)) }, 0},
		"mode":    {func(p string) error { return os.Chmod(p, 0o600) }, 0},
		"renamed": {func(p string) error { return os.Rename(p, p+".old") }, 0},
		"removed": {os.Remove, 0},
		"grown": {func(p string) error {
			f, err := os.OpenFile(p, os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteString(strings.Repeat("z", 9<<20))
			return errors.Join(err, f.Close())
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			src, dst := filepath.Join(t.TempDir(), "a"), t.TempDir()
			write(t, src, content)
			a, b := newPipe()
			done := make(chan Result, 1)
			go func() {
				got, err := Receive(t.Context(), only(b), ReceiveOptions{Dir: dst})
				if err != nil {
					t.Error(err)
				}
				done <- got
			}()
			sent, err := Send(t.Context(), only(&changing{a, 2 * ChunkSize, func() {
				if err := c.change(src); err != nil {
					t.Error(err)
				}
			}}), SendOptions{Paths: []string{src}})
			if err != nil {
				t.Fatal(err)
			}
			got := <-done
			for side, r := range map[string]Result{"sender": sent, "receiver": got} {
				if r.LeftOut != 0 || r.Unkept != c.unkept || r.Files != 1 || r.Bytes != int64(len(content)) {
					t.Errorf("%s: %+v", side, r)
				}
			}
			if b, err := os.ReadFile(filepath.Join(dst, "a")); err != nil || string(b) != content {
				t.Errorf("%d bytes, %v", len(b), err)
			}
		})
	}
}

func TestDiskSpace_TooLargeIsRefusedAtOnce(t *testing.T) {
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		t.Skip("free space is not asked for there")
	}
	src, dst := t.TempDir(), t.TempDir()
	write(t, filepath.Join(src, "a"), "x")
	_, _, sendErr, recvErr := run(t, t.Context(), []string{src}, ReceiveOptions{Dir: dst, Expect: 1 << 60})
	if !errors.Is(sendErr, ErrDiskFull) || !errors.Is(recvErr, ErrDiskFull) {
		t.Errorf("sender %v, receiver %v", sendErr, recvErr)
	}
	if left := tree(t, dst); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}

func TestReceive_ExecutableOnlyOnRequest(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no such bit")
	}
	src := filepath.Join(t.TempDir(), "tool")
	write(t, src, "#!/bin/sh")
	if err := os.Chmod(src, 0o4755); err != nil {
		t.Fatal(err)
	}
	for _, keep := range []bool{false, true} {
		dst := t.TempDir()
		if _, _, e1, e2 := run(t, t.Context(), []string{src}, ReceiveOptions{Dir: dst, KeepExec: keep}); e1 != nil || e2 != nil {
			t.Fatal(e1, e2)
		}
		info, err := os.Stat(filepath.Join(dst, "tool"))
		if err != nil {
			t.Fatal(err)
		}
		if x := info.Mode().Perm()&0o111 != 0; x != keep || info.Mode()&os.ModeSetuid != 0 {
			t.Errorf("keep %v: mode %v", keep, info.Mode())
		}
	}
}
