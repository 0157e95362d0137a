package web

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// largeBesideSmall creates a folder with a large file, full of the letter A, and a small one. It returns the path of the
// large file, which comes first in the folder.
func largeBesideSmall(t *testing.T, size int) string {
	t.Helper()
	path := filepath.Join(tree(t, map[string]string{"all/b": "x"}), "all", "a")
	if err := os.WriteFile(path, bytes.Repeat([]byte("A"), size), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestLink_ChangedFileIsNoDownload: a file that is rewritten while it is downloaded, alone or in the archive, never
// arrives as a whole, and is not reported as downloaded, even if its size and time are as before.
func TestLink_ChangedFileIsNoDownload(t *testing.T) {
	const size = 40 << 20 // more than sockets hold
	for _, what := range []string{"file/0", "all.zip"} {
		path := largeBesideSmall(t, size)
		l, seen := openLink(t, Options{Paths: []string{filepath.Dir(path)}})
		b := newBrowser(t, l)
		b.open("")
		r, err := b.http.Get(b.base + what)
		if err != nil || r.StatusCode != http.StatusOK {
			t.Fatal(err, r)
		}
		got, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(bytes.Repeat([]byte("B"), size)); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Now(), info.ModTime()); err != nil {
			t.Fatal(err)
		}
		rest, err := io.ReadAll(r.Body)
		_ = r.Body.Close()
		if err == nil {
			t.Errorf("%s: the download of %d bytes looks complete", what, len(got)+len(rest))
		}
		l.Close()
		if sent := of[Sent](seen); len(sent) > 0 {
			t.Errorf("%s: reported as downloaded: %v", what, sent)
		}
	}
}

// TestLink_LostAnswerToTheLastPart: a browser that did not get the answer asks how much arrived, and sends the rest, which
// is nothing. The file is there.
func TestLink_LostAnswerToTheLastPart(t *testing.T) {
	dir := t.TempDir()
	l, _ := openLink(t, Options{Dir: dir, Ask: func(context.Context, Upload) error { return nil }})
	b := newBrowser(t, l)
	b.open("")
	id, _ := b.offer(offeredFile{"a", 5, 0})
	if status, _, _ := b.do("PUT", "put/"+id+"/0?from=0", strings.NewReader("hello")); status != http.StatusOK {
		t.Fatal(status)
	}
	if status, body, _ := b.do("PUT", "put/"+id+"/0?from=5", strings.NewReader("")); status != http.StatusOK {
		t.Errorf("%d %s", status, body)
	}
	if status, _, _ := b.do("PUT", "put/"+id+"/0?from=0", strings.NewReader("HELLO")); status == http.StatusOK {
		t.Error("a complete file is received again")
	}
}

// TestZipNames_AreDifferent: unpackers keep only one of two entries with the same name.
func TestZipNames_AreDifferent(t *testing.T) {
	z := zipNames{}
	for path, want := range map[string]string{`s/a\b.txt`: "", "s/a_b.txt": "", "s/a\xff.txt": "", "s/a\xfe.txt": ""} {
		if got := z.of(path, want); !utf8.ValidString(got) {
			t.Errorf("%q", got)
		}
	}
	if len(z) != 4 {
		t.Errorf("%v", z)
	}
}

// TestZipNames_ManyEqualNames: a folder with many names that all become the same name is shared without delay.
func TestZipNames_ManyEqualNames(t *testing.T) {
	const n = 50_000
	z, seen := zipNames{}, map[string]bool{}
	for range n {
		seen[z.of("s/\xff.txt", "")] = true
	}
	for range 3 {
		seen[z.of("s/_ (7).txt", "")] = true
	}
	if len(seen) != n+3 {
		t.Errorf("%d different names of %d", len(seen), n+3)
	}
}
