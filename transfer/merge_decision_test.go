//go:build unix

package transfer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// contents returns what visible returns, without the times.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := visible(t, dir)
	for name, text := range all {
		_, all[name], _ = strings.Cut(text, " ")
	}
	return all
}

// crash makes every operation on the disk fail from one on.
type crash struct {
	mu  sync.Mutex
	n   int
	now bool
}

// check returns a ReceiveOptions.check that crashes when at returns true; n counts the operations from 1.
func (c *crash) check(at func(n int, op, name string) bool) func(op, name string) error {
	return func(op, name string) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.n++
		c.now = c.now || at(c.n, op, name)
		if c.now {
			return errors.New("crash")
		}
		return nil
	}
}

func (c *crash) crashed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// TestRecover_KeepsTheDecisionsOfTheAttempt: after a crash while files replace others, the rest replaces the others as
// well, although the program that decided is gone, and nothing that has arrived counts as left out.
func TestRecover_KeepsTheDecisionsOfTheAttempt(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	var paths []string
	for i := range 4 {
		name := fmt.Sprintf("f%d", i)
		write(t, filepath.Join(src, name), "new")
		write(t, filepath.Join(dst, name), "old")
		paths = append(paths, filepath.Join(src, name))
	}
	var crashes crash
	opts := ReceiveOptions{Dir: dst, ID: "x", Key: "k", Reserve: -1, Choose: func(context.Context, string) Existing { return Replace }}
	opts.check = crashes.check(func(_ int, op, name string) bool { return op == "rename" && name == "f2" })
	attempt(t, SendOptions{Paths: paths}, opts, 1<<40)
	if !crashes.crashed() {
		t.Fatal("nothing was replaced")
	}
	opts.check, opts.Choose = nil, nil
	got, done, err := Recover(opts)
	if err != nil || !done || got.LeftOut > 0 {
		t.Errorf("%d left out, %v, %v", got.LeftOut, done, err)
	}
	all := contents(t, dst)
	for _, p := range paths {
		if all[filepath.Base(p)] != "new" || len(all) != 4 {
			t.Errorf("%v", all)
		}
	}
}

// TestRecover_FolderThatAppearedLosesNoLink: a folder that someone creates after a crash, under the name of the folder that
// has arrived, does not make a link vanish.
func TestRecover_FolderThatAppearedLosesNoLink(t *testing.T) {
	src := filepath.Join(t.TempDir(), "d")
	write(t, filepath.Join(src, "a"), "aaaa")
	if err := os.Symlink("a", filepath.Join(src, "l")); err != nil {
		t.Fatal(err)
	}
	recovered := 0
	for crashAt := 1; ; crashAt++ {
		dst := t.TempDir()
		var crashes crash
		opts := ReceiveOptions{Dir: dst, ID: "x", Key: "k", Reserve: -1, Links: true, Existing: SkipIdentical}
		opts.check = crashes.check(func(n int, _, _ string) bool { return n == crashAt })
		attempt(t, SendOptions{Paths: []string{src}, Links: true}, opts, 1<<40)
		if !crashes.crashed() {
			break
		}
		_ = os.Mkdir(filepath.Join(dst, "d"), 0o755)
		opts.check = nil
		got, done, err := Recover(opts)
		if !done {
			continue
		}
		recovered++
		there := map[string]bool{}
		for name := range visible(t, dst) {
			there[path.Base(name)] = true
		}
		if err != nil || !there["a"] || !there["l"] || got.LeftOut > 0 {
			t.Errorf("crash at %d: %+v, %v, there is %v", crashAt, got, err, there)
		}
	}
	if recovered == 0 {
		t.Error("no crash came after everything had arrived")
	}
}

// TestRecover_FolderMovedUnderAnotherName: a crash after a folder was moved as a whole, because a file had its name, does
// not make what is in it count as left out.
func TestRecover_FolderMovedUnderAnotherName(t *testing.T) {
	recovered := 0
	for crashAt := 1; ; crashAt++ {
		src, dst := filepath.Join(t.TempDir(), "top"), t.TempDir()
		for _, name := range []string{"a", "sub/x", "sub/y", "z"} {
			write(t, filepath.Join(src, name), name)
		}
		write(t, filepath.Join(dst, "top/sub"), "a file")
		var crashes crash
		opts := ReceiveOptions{Dir: dst, ID: "x", Key: "k", Reserve: -1, Existing: SkipIdentical}
		opts.check = crashes.check(func(n int, _, _ string) bool { return n == crashAt })
		_, _, _, err := attempt(t, SendOptions{Paths: []string{src}}, opts, 1<<40)
		if !crashes.crashed() {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		opts.check = nil
		got, done, err := Recover(opts)
		if !done {
			continue
		}
		recovered++
		all := contents(t, dst)
		if err != nil || got.LeftOut > 0 || all["top/sub (2)/x"] != "sub/x" || all["top/sub (2)/y"] != "sub/y" || all["top/sub"] != "a file" {
			t.Errorf("crash at %d: %d left out, %v, %v: %v", crashAt, got.LeftOut, got.Notes, err, all)
		}
	}
	if recovered == 0 {
		t.Error("no crash came after everything had arrived")
	}
}

// TestExisting_EmptyFileIsUnchanged: an empty file that exists is not stored again at each transfer.
func TestExisting_EmptyFileIsUnchanged(t *testing.T) {
	src, dst := filepath.Join(t.TempDir(), "d"), t.TempDir()
	write(t, filepath.Join(src, "__init__.py"), "")
	write(t, filepath.Join(src, "full"), "x")
	write(t, filepath.Join(src, "other"), "")
	write(t, filepath.Join(dst, "d", "other"), "not empty")
	for i, policy := range []Existing{SkipIdentical, SkipIdentical, Replace, Replace} {
		_, got, sendErr, err := run(t, t.Context(), []string{src, filepath.Join(src, "__init__.py")}, ReceiveOptions{Dir: dst, Reserve: -1, Existing: policy})
		if sendErr != nil || err != nil {
			t.Fatal(sendErr, err)
		}
		if i > 0 && got.Unchanged < 3 {
			t.Errorf("transfer %d: %d unchanged", i, got.Unchanged)
		}
	}
	all := contents(t, dst)
	if all["d/__init__.py"] != "" || all["__init__.py"] != "" || len(all) > 7 {
		t.Errorf("%d entries: %v", len(all), all)
	}
}

// TestListing_NameListedTwice: a folder that lists a file twice, because it was created again in the meantime, is sent
// nevertheless. tmpfs does that.
func TestListing_NameListedTwice(t *testing.T) {
	var many nameSet
	batch := func(from, to int) (names []string) {
		for i := from; i < to; i++ {
			names = append(names, fmt.Sprintf("f%05d", i))
		}
		return names
	}
	for _, step := range []struct{ from, to, left int }{{0, dirBatch, dirBatch}, {dirBatch - 10, 2 * dirBatch, dirBatch}, {5, 20, 0}} {
		if got := many.add(batch(step.from, step.to)); len(got) != step.left {
			t.Errorf("of %d to %d, %d names are left", step.from, step.to, len(got))
		}
	}
	var few nameSet
	if got := few.add([]string{"a", "a", "b"}); len(got) != 2 {
		t.Errorf("%q", got)
	}

	home, err := os.MkdirTemp("/dev/shm", "multipeer")
	if err != nil {
		t.Skip("no tmpfs")
	}
	defer os.RemoveAll(home)
	src, dst := filepath.Join(home, "src"), t.TempDir()
	for _, name := range batch(0, 5000) {
		write(t, filepath.Join(src, name), "old")
	}
	l, err := NewListing([]string{src}, ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	again := false
	if _, err := l.Fill(t.Context(), func(Totals) {
		for _, name := range batch(0, 5000) {
			if !again {
				_ = os.Remove(filepath.Join(src, name))
				write(t, filepath.Join(src, name), "new")
			}
		}
		again = true
	}); err != nil {
		t.Fatal(err)
	}
	_, got, sendErr, err := runWith(t, t.Context(), SendOptions{Listing: l}, ReceiveOptions{Dir: dst, Reserve: -1})
	if sendErr != nil || err != nil || !again {
		t.Errorf("%v, %v; %d files", sendErr, err, got.Files)
	}
}
