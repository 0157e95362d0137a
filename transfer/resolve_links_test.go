package transfer

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestResolveLinks_AsTheSystemDoes compares with the standard library, for links of this user.
func TestResolveLinks_AsTheSystemDoes(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "a/b/file"), "x")
	for name, target := range map[string]string{
		"up": "..", "a/b/back": "../b/file", "abs": filepath.Join(dir, "a"), "chain": "abs/b", "gone": "nothing", "loop": "loop", "dots": "./a/../a//b/",
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Skip("no links here:", err)
		}
	}
	for _, p := range []string{
		"", "a/b/file", "a/../a/b", "up", "a/b/back", "abs", "abs/b/file", "chain", "chain/file", "gone", "loop", "dots", "dots/back", "a/b/file/x", "nothing",
	} {
		full := dir + string(filepath.Separator) + filepath.FromSlash(p)
		want, wantErr := filepath.EvalSymlinks(full)
		got, err := resolveLinks(full)
		if got != want || (err == nil) != (wantErr == nil) || errors.Is(err, os.ErrNotExist) != errors.Is(wantErr, os.ErrNotExist) {
			t.Errorf("%q: %q, %v; want %q, %v", p, got, err, want, wantErr)
		}
	}
}

// TestSource_FollowsNoLinkOfAnotherUser checks that a link that another user has put into a shared folder is not followed,
// whether it is the path that is sent or a folder on the way to it, and that the error names it.
func TestSource_FollowsNoLinkOfAnotherUser(t *testing.T) {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("only root can give a link away")
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "private/key"), "secret")
	for name, owner := range map[string]int{"theirs": 12345, "ours": 0} {
		for link, target := range map[string]string{name + ".pdf": "private/key", name: "private"} {
			if err := errors.Join(os.Symlink(target, filepath.Join(dir, link)), os.Lchown(filepath.Join(dir, link), owner, owner)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, p := range []string{"theirs", "theirs/inbox"} {
		if err := MakeFolder(filepath.Join(dir, p), ""); !errors.Is(err, ErrDenied) || !strings.Contains(err.Error(), "theirs") {
			t.Errorf("receiving into %s: %v", p, err)
		}
		if _, err := PlaceOf(filepath.Join(dir, "theirs")); !errors.Is(err, ErrDenied) {
			t.Errorf("the place of %s: %v", p, err)
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, "private", "inbox")); err == nil {
		t.Error("a folder was made behind the link")
	}
	for p, follows := range map[string]bool{"theirs.pdf": false, "theirs": false, "theirs/key": false, "ours.pdf": true, "ours": true, "ours/key": true, "private": true} {
		_, err := NewListing([]string{filepath.Join(dir, p)}, ListOptions{})
		if (err == nil) != follows || !follows && (!errors.Is(err, ErrSpecial) || !strings.Contains(err.Error(), "theirs")) {
			t.Errorf("%s: %v", p, err)
		}
	}
}

// TestMayLink_OverflowUserOnlyInAContainer checks that links of root outside a container are followed in it.
func TestMayLink_OverflowUserOnlyInAContainer(t *testing.T) {
	if self() == "" {
		t.Skip("links have no owner here")
	}
	for _, c := range []struct {
		owner, overflow, mapped string
		want                    bool
	}{
		{self(), "", "", true},
		{"0", "", "", true},
		{"65534", "65534\n", "         0          0 4294967295\n", false},
		{"65534", "65534\n", "         0       1000          1\n", true},
		{"12345", "65534\n", "         0       1000          1\n", false},
		{"65534", "65534\n", "         0     100000      65536\n", false},
		{"65534", "65534\n", "         0       1000          1\n         1     100000      65533\n", true},
		{"65534", "", "         0       1000          1\n", false},
	} {
		got := mayLink(c.owner, func(name string) ([]byte, error) {
			text := c.mapped
			if strings.HasSuffix(name, "overflowuid") {
				text = c.overflow
			}
			if text == "" {
				return nil, os.ErrNotExist
			}
			return []byte(text), nil
		})
		if got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
