package transfer

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// disk is a file system that refuses some calls: it returns the error of an operation on a name, or nil.
type disk func(op, name string) error

// disks are kinds of disks that users have, with what happens to a file called hit on each.
var disks = []struct {
	name string
	make func() disk
	left error // why hit is left out; nil if it arrives
	kept error // what of it is not kept
	all  error // why nothing arrives
}{
	{name: "all right", make: func() disk { return func(string, string) error { return nil } }},
	{name: "no times", make: refusing("chtimes", syscall.EPERM), kept: ErrTimes},
	{name: "no syncs EINVAL", make: refusing("fsync", syscall.EINVAL), kept: ErrNotDurable},
	{name: "no syncs EOPNOTSUPP", make: refusing("fsync", syscall.EOPNOTSUPP), kept: ErrNotDurable},
	{name: "no links", make: refusing("link", syscall.EPERM)},
	{name: "no links, no exclusive rename", make: refusingAny(syscall.EOPNOTSUPP, "link", "move")},
	{name: "nothing is replaced", make: replacingNothing},
	{name: "0 blocks", make: refusing("statfs", syscall.ENOSYS)},
	{name: "a name is refused EINVAL", make: refusingName(syscall.EINVAL, isHit), left: ErrNameRefused},
	{name: "a name is refused EILSEQ", make: refusingName(syscall.EILSEQ, isHit), left: ErrNameRefused},
	{name: "names of 143 bytes", make: refusingName(syscall.ENAMETOOLONG, func(base string) bool { return len(base) > 143 })},
	{name: "file too large", make: refusingWrites(syscall.EFBIG, 2), left: ErrFileTooLarge},
	{name: "EIO at the first write", make: refusingWrites(syscall.EIO, 1), left: ErrDisk},
	{name: "EIO at the third write", make: refusingWrites(syscall.EIO, 3), left: ErrDisk},
	{name: "no permission for one", make: refusingName(syscall.EACCES, isHit), left: ErrDenied},
	{name: "cannot be cut", make: refusing("truncate", syscall.EIO)},
	{name: "read-only from the start", make: readOnlyAfter(0), all: ErrReadOnly},
	{name: "read-only half way", make: readOnlyAfter(12), all: ErrReadOnly},
	{name: "read-only at the end", make: readOnlyAt("fsync"), all: ErrReadOnly},
}

const hit = "hit.bin"

func isHit(base string) bool { return strings.HasPrefix(base, "hit") }

func refusing(op string, err error) func() disk { return refusingAny(err, op) }

func refusingAny(err error, ops ...string) func() disk {
	return func() disk {
		return func(op, name string) error {
			if slices.Contains(ops, op) {
				return &fs.PathError{Op: op, Path: name, Err: err}
			}
			return nil
		}
	}
}

// replacingNothing refuses links, exclusive renames, and the first rename to each name: the one over the placeholder.
func replacingNothing() disk {
	var mu sync.Mutex
	seen := map[string]bool{}
	return func(op, name string) error {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case op == "link", op == "move":
			return syscall.EPERM
		case op == "rename" && path.Ext(name) != "" && !seen[name]:
			seen[name] = true
			return syscall.EEXIST
		}
		return nil
	}
}

func refusingName(err error, refused func(base string) bool) func() disk {
	return func() disk {
		return func(op, name string) error {
			if (op == "open" || op == "mkdir") && refused(path.Base(name)) {
				return &fs.PathError{Op: op, Path: name, Err: err}
			}
			return nil
		}
	}
}

// refusingWrites refuses the n-th write to the file hit, and all after it.
func refusingWrites(err error, n int) func() disk {
	return func() disk {
		var mu sync.Mutex
		writes := 0
		return func(op, name string) error {
			if op != "write" || path.Base(name) != hit {
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			if writes++; writes >= n {
				return &fs.PathError{Op: op, Path: name, Err: err}
			}
			return nil
		}
	}
}

func readOnlyAfter(n int) func() disk {
	return func() disk {
		var mu sync.Mutex
		return func(op, name string) error {
			mu.Lock()
			defer mu.Unlock()
			if n--; n < 0 && op != "statfs" {
				return &fs.PathError{Op: op, Path: name, Err: syscall.EROFS}
			}
			return nil
		}
	}
}

func readOnlyAt(first string) func() disk {
	return func() disk {
		var mu sync.Mutex
		begun := false
		return func(op, name string) error {
			mu.Lock()
			defer mu.Unlock()
			if begun = begun || op == first; begun && op != "statfs" {
				return &fs.PathError{Op: op, Path: name, Err: syscall.EROFS}
			}
			return nil
		}
	}
}

// TestDisk_RefusesCalls receives one file, three files one of which is hit, and a tree, on each disk. What the disk
// cannot store is left out with its name and the cause on both sides, and cleaned up; the rest arrives; attributes
// that are not kept are noted.
func TestDisk_RefusesCalls(t *testing.T) {
	t.Parallel()
	for _, d := range disks {
		for _, shape := range []string{"one", "three", "tree"} {
			for _, before := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/asked=%v", d.name, shape, before), func(t *testing.T) {
					src, dst := t.TempDir(), t.TempDir()
					paths, offered := source3(t, src, shape)
					want := map[string]string{}
					for p, v := range tree(t, src) {
						if slices.ContainsFunc(offered, func(top string) bool { return p == top || strings.HasPrefix(p, top+"/") }) {
							want[p] = v
						}
					}
					opts := ReceiveOptions{Dir: dst, ID: "x", Reserve: -1, check: d.make()}
					if before { // the sender asks about each file
						opts.Existing = Replace
					}
					sent, got, sendErr, recvErr := run(t, t.Context(), paths, opts)
					if d.left != nil && shape == "one" || d.all != nil {
						wholeFails(t, d.left, d.all, sendErr, recvErr)
						if there := visible(t, dst); len(there) != 0 && d.all == nil {
							t.Errorf("there: %v", slices.Collect(maps.Keys(there)))
						}
						return
					}
					if sendErr != nil || recvErr != nil {
						t.Fatalf("sender %v, receiver %v", sendErr, recvErr)
					}
					if shape == "tree" && strings.HasPrefix(d.name, "names of 143") {
						if got.Renamed != 1 || got.LeftOut != 0 || sent.Renamed != 1 {
							t.Errorf("%+v", got)
						}
						return
					}
					sameAccount(t, d.name, want, visible(t, dst), sent, got)
					for side, r := range map[string]Result{"sender": sent, "receiver": got} {
						for _, n := range r.Notes {
							if n.LeftOut() && !errors.Is(n.Err, d.left) {
								t.Errorf("%s: %s: %v, want %v", side, n.Path, n.Err, d.left)
							}
							if !n.LeftOut() && n.Err != nil && !errors.Is(n.Err, d.kept) {
								t.Errorf("%s: %s: %v, want %v", side, n.Path, n.Err, d.kept)
							}
							if n.LeftOut() && n.Remote != (side == "sender") {
								t.Errorf("%s: %s: found by the other side: %v", side, n.Path, n.Remote)
							}
						}
						if d.left != nil && r.LeftOut == 0 || d.kept != nil && r.Unkept == 0 {
							t.Errorf("%s: nothing is reported: %+v", side, r)
						}
					}
					if err := Discard(dst, "x"); err != nil {
						t.Error(err)
					}
					if left, _ := filepath.Glob(filepath.Join(dst, ".*")); len(left) != 0 {
						t.Errorf("left %q", left)
					}
				})
			}
		}
	}
}

// wholeFails checks that both sides report the same specific cause, and which side found it.
func wholeFails(t *testing.T, left, all, sendErr, recvErr error) {
	t.Helper()
	want := left
	if all != nil {
		want = all
	}
	if !errors.Is(sendErr, want) || !errors.Is(recvErr, want) {
		t.Errorf("sender %v, receiver %v, want %v", sendErr, recvErr, want)
	}
	if Passing(sendErr) || Passing(recvErr) {
		t.Errorf("it would be tried again: sender %v, receiver %v", sendErr, recvErr)
	}
	var f *Failure
	if !errors.As(sendErr, &f) || !f.Remote || all == nil && f.Path != hit {
		t.Errorf("the sender does not learn that the other device found it, and where: %v", sendErr)
	}
	if errors.As(recvErr, &f) && f.Remote {
		t.Errorf("the receiver says that the sender found it: %v", recvErr)
	}
}

// source3 creates the source and returns its paths and top-level names.
func source3(t *testing.T, src, shape string) (paths, names []string) {
	t.Helper()
	random(t, filepath.Join(src, hit), 5*ChunkSize+7, 1)
	switch shape {
	case "one":
		names = []string{hit}
	case "three":
		random(t, filepath.Join(src, "a.txt"), 3000, 2)
		random(t, filepath.Join(src, "z.txt"), 2*ChunkSize, 3)
		names = []string{"a.txt", hit, "z.txt"}
	case "tree":
		if err := os.Remove(filepath.Join(src, hit)); err != nil {
			t.Fatal(err)
		}
		random(t, filepath.Join(src, "t/a.txt"), 3000, 2)
		random(t, filepath.Join(src, "t/sub", hit), 5*ChunkSize, 1)
		random(t, filepath.Join(src, "t/sub/z.txt"), ChunkSize, 4)
		random(t, filepath.Join(src, "t/hit dir/in.txt"), 100, 5)
		random(t, filepath.Join(src, "t", strings.Repeat("n", 200)+".txt"), 50, 6)
		names = []string{"t"}
	}
	for _, n := range names {
		paths = append(paths, filepath.Join(src, n))
	}
	return paths, names
}

// TestDisk_ShortNamesOfDots: on a disk with short names, such as an encrypted folder, a name whose start is nothing but
// dots is shortened like any other.
func TestDisk_ShortNamesOfDots(t *testing.T) {
	name := strings.Repeat(".", 150) + strings.Repeat("b", 30)
	for _, sub := range []string{name, name + "/x"} {
		src, dst := filepath.Join(t.TempDir(), "d"), t.TempDir()
		write(t, filepath.Join(src, sub), "payload")
		check := refusingName(syscall.ENAMETOOLONG, func(base string) bool { return len(base) > 143 })()
		_, got, sent, received := run(t, t.Context(), []string{src}, ReceiveOptions{Dir: dst, ID: "x", Reserve: -1, check: check})
		if sent != nil || received != nil || got.LeftOut != 0 || got.Files != 1 {
			t.Errorf("%.20s: %+v, %v, %v", sub, got, sent, received)
		}
	}
}
