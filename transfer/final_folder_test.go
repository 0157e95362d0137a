package transfer

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// TestMerge_FolderThatIsReplacedMeanwhileGetsNothing checks that files that are merged into a folder do not go elsewhere if
// another user puts a link, or another folder, in its place, or in that of a folder below it, while they arrive.
func TestMerge_FolderThatIsReplacedMeanwhileGetsNothing(t *testing.T) {
	for _, replaced := range []string{"photos", "photos/trip"} {
		for _, with := range []string{"a link", "a folder"} {
			if with == "a folder" && replaced != "photos" {
				continue // that takes write access to the folder above it
			}
			src, dst := t.TempDir(), t.TempDir()
			for _, name := range []string{"photos/notes", "photos/trip/notes"} {
				write(t, filepath.Join(src, name), "received")
				write(t, filepath.Join(dst, name), "old")
			}
			for _, name := range []string{"taxes/notes", "taxes/trip/notes", "photos/own/notes"} {
				write(t, filepath.Join(dst, name), "mine")
			}
			at := filepath.Join(dst, replaced)
			var once sync.Once
			recv := ReceiveOptions{Dir: dst, ID: "x", Key: "k", Reserve: -1, Existing: Replace, check: func(op, name string) error {
				if op != "rename" || !strings.HasPrefix(name, replaced+"/") {
					return nil
				}
				var err error
				once.Do(func() {
					err = os.Rename(at, filepath.Join(dst, "moved"))
					if with == "a folder" {
						err = errors.Join(err, os.Rename(filepath.Join(dst, "taxes"), at))
						return
					}
					err = errors.Join(err, os.Symlink(map[string]string{"photos": "taxes", "photos/trip": "own"}[replaced], at))
				})
				return err
			}}
			_, got, _, re := attempt(t, SendOptions{Paths: []string{filepath.Join(src, "photos")}}, recv, 1<<40)
			for _, name := range []string{"taxes/notes", "taxes/trip/notes", "photos/own/notes", "photos/notes"} {
				b, err := os.ReadFile(filepath.Join(dst, name))
				switch { // what was moved away
				case with == "a folder" && name != "photos/notes", replaced == "photos" && name == "photos/own/notes":
					continue
				case replaced != "photos" && name == "photos/notes": // was merged before
					continue
				}
				if err != nil || string(b) != "mine" {
					t.Errorf("%s in place of %s: %s is %q, %v", with, replaced, name, b, err)
				}
			}
			if re == nil && got.LeftOut+got.Renamed == 0 {
				t.Errorf("%s in place of %s: nothing is reported: %+v", with, replaced, got)
			}
		}
	}
}

// TestMerge_OnlyIntoOurFolder checks that a folder that another user has made, or can write to, is not merged into: that
// user could change what arrives. Everything arrives beside it.
func TestMerge_OnlyIntoOurFolder(t *testing.T) {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("only root can give a folder away")
	}
	for _, c := range []struct {
		owner, group int
		inbox, mode  os.FileMode
		merges       bool
	}{
		{0, 0, 0o755, 0o755, true},
		{0, 0, 0o755, 0o775, true}, // a group of its own for each user
		{0, 5, 0o755, 0o775, false},
		{0, 0, 0o755, 0o777, false},
		{12345, 12345, 0o755, 0o755, false},
		{12345, 12345, 0o777 | os.ModeSticky, 0o777, false},
		{12345, 12345, 0o777 | os.ModeSticky, 0o755, false},
		{0, 0, 0o777 | os.ModeSticky, 0o755, true},
		{0, 0, 0o777, 0o777, true}, // others can change everything in the inbox anyway
	} {
		src, dst := t.TempDir(), t.TempDir()
		write(t, filepath.Join(src, "photos/a"), "received")
		write(t, filepath.Join(dst, "photos/b"), "there")
		photos := filepath.Join(dst, "photos")
		if err := errors.Join(os.Chown(photos, c.owner, c.group), os.Chmod(photos, c.mode), os.Chmod(dst, c.inbox)); err != nil {
			t.Fatal(err)
		}
		recv := ReceiveOptions{Dir: dst, ID: "x", Key: "k", Reserve: -1, Existing: SkipIdentical}
		_, got, se, re := attempt(t, SendOptions{Paths: []string{filepath.Join(src, "photos")}}, recv, 1<<40)
		if se != nil || re != nil || got.LeftOut > 0 {
			t.Errorf("%+v: %v, %v, %+v", c, se, re, got)
		}
		want := "photos (2)/a"
		if c.merges {
			want = "photos/a"
		}
		if _, err := os.Stat(filepath.Join(dst, want)); err != nil {
			t.Errorf("%+v: %v; there are %q", c, err, names(t, dst))
		}
	}
}
