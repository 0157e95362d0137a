package transfer

import (
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// filesOf returns the content of the files of a tree.
func filesOf(tree map[string]string) map[string]string {
	out := map[string]string{}
	for p, entry := range tree {
		if _, content, _ := strings.Cut(entry, " "); content != "/" {
			out[p] = content
		}
	}
	return out
}

// TestReplace_KeepsThePermissions: a private file stays private, and nothing becomes executable.
func TestReplace_KeepsThePermissions(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no such permissions there")
	}
	for name, c := range map[string]struct{ sent, own, want fs.FileMode }{
		"private":    {0o644, 0o600, 0o600},
		"executable": {0o755, 0o755, 0o644},
		"read-only":  {0o644, 0o444, 0o444},
		"shared":     {0o600, 0o664, 0o664},
	} {
		for _, in := range []string{".", "d"} {
			src, dst := t.TempDir(), t.TempDir()
			for dir, mode := range map[string]fs.FileMode{src: c.sent, dst: c.own} {
				p := filepath.Join(dir, in, "f")
				write(t, p, "content of "+dir)
				if err := os.Chmod(p, mode); err != nil {
					t.Fatal(err)
				}
			}
			what := filepath.Join(src, "d")
			if in == "." {
				what = filepath.Join(src, "f")
			}
			_, _, sendErr, recvErr := run(t, t.Context(), []string{what}, ReceiveOptions{Dir: dst, ID: "x", Reserve: -1, Existing: Replace})
			if sendErr != nil || recvErr != nil {
				t.Fatal(sendErr, recvErr)
			}
			info, err := os.Stat(filepath.Join(dst, in, "f"))
			if err != nil || info.Mode().Perm() != c.want {
				t.Errorf("%s in %s: %v, %v; want %v", name, in, info.Mode(), err, c.want)
			}
			if got := visible(t, dst); !strings.HasSuffix(got[path.Join(in, "f")], "content of "+src) {
				t.Errorf("%s in %s: %q", name, in, got)
			}
		}
	}
}

// TestReplace_NumberedNamesReplaceNothing: entries whose names differ only in case, or only in what is not portable, get
// numbers. A file of the user that happens to have such a name was never offered, so it stays.
func TestReplace_NumberedNamesReplaceNothing(t *testing.T) {
	for name, c := range map[string]struct{ sent, own, want map[string]string }{
		"file": {
			sent: map[string]string{"A.txt": "theirs A", "a.txt": "theirs a"},
			own:  map[string]string{"A.txt": "old", "a (2).txt": "my own"},
			want: map[string]string{"A.txt": "theirs A", "a (2).txt": "my own", "a (2) (2).txt": "theirs a"},
		},
		"file in a folder": {
			sent: map[string]string{"d/P.jpg": "theirs P", "d/p.jpg": "theirs p"},
			own:  map[string]string{"d/P.jpg": "old", "d/p (2).jpg": "my own"},
			want: map[string]string{"d/P.jpg": "theirs P", "d/p (2).jpg": "my own", "d/p (2) (2).jpg": "theirs p"},
		},
		"file that is not portable": {
			sent: map[string]string{"d/a:b": "theirs :", "d/a?b": "theirs ?"},
			own:  map[string]string{"d/a_b": "my own", "d/a_b (2)": "mine too"},
			want: map[string]string{"d/a_b": "my own", "d/a_b (2)": "mine too", "d/a_b (2) (2)": "theirs ?", "d/a_b (3)": "theirs :"},
		},
		"file at the top that is not portable": {
			sent: map[string]string{"report:final.txt": "theirs", ".bashrc": "theirs, too"},
			own:  map[string]string{"report_final.txt": "my own", "_bashrc": "mine too"},
			want: map[string]string{"report_final.txt": "my own", "report_final (2).txt": "theirs", "_bashrc": "mine too", "_bashrc (2)": "theirs, too"},
		},
		"file in a folder that is not portable": {
			sent: map[string]string{"d:/f": "theirs"},
			own:  map[string]string{"d_/f": "my own"},
			want: map[string]string{"d_/f": "my own", "d_/f (2)": "theirs"},
		},
		"folder": {
			sent: map[string]string{"d/S/f": "theirs S", "d/s/f": "theirs s"},
			own:  map[string]string{"d/S/f": "old", "d/s (2)/f": "my own"},
			want: map[string]string{"d/S/f": "theirs S", "d/s (2)/f": "my own", "d/s (2)/f (2)": "theirs s"},
		},
		"folder at the top": {
			sent: map[string]string{"S/f": "theirs S", "s/f": "theirs s"},
			own:  map[string]string{"S/f": "old", "s (2)/f": "my own"},
			want: map[string]string{"S/f": "theirs S", "s (2)/f": "my own", "s (2)/f (2)": "theirs s"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			src, dst := t.TempDir(), t.TempDir()
			tops := map[string]bool{}
			for p, content := range c.sent {
				write(t, filepath.Join(src, p), content)
				tops[filepath.Join(src, strings.Split(p, "/")[0])] = true
			}
			if got := visible(t, src); !maps.Equal(filesOf(got), c.sent) {
				t.Skip("the disk does not distinguish these names")
			}
			for p, content := range c.own {
				write(t, filepath.Join(dst, p), content)
			}
			_, _, sendErr, recvErr := run(t, t.Context(), slices.Sorted(maps.Keys(tops)), ReceiveOptions{Dir: dst, ID: "x", Reserve: -1, Existing: Replace})
			if sendErr != nil || recvErr != nil {
				t.Fatal(sendErr, recvErr)
			}
			if got := filesOf(visible(t, dst)); !maps.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
