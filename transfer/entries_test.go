package transfer

import (
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
)

// TestListing_EntriesCanBeOpened checks that everything listed can be read, what is left out is named, and a file that
// was replaced by a link that leads out is refused.
func TestListing_EntriesCanBeOpened(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("it needs symbolic links")
	}
	home := t.TempDir()
	top := filepath.Join(home, "album")
	if err := os.MkdirAll(filepath.Join(top, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"album/a": "one", "album/b": "two", "secret": "secret"} {
		if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("a", filepath.Join(top, "link")); err != nil {
		t.Fatal(err)
	}
	l, err := NewListing([]string{top}, ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Fill(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for e, err := range l.Entries(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		got[e.Path] = e.Err == nil
		if e.Folder || e.Err != nil {
			continue
		}
		f, info, err := l.Open(e.Path)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(f)
		_ = f.Close()
		if err != nil || int64(len(b)) != e.Size || info.Size() != e.Size {
			t.Errorf("%s: %q, %v", e.Path, b, err)
		}
	}
	want := map[string]bool{"album": true, "album/a": true, "album/b": true, "album/empty": true, "album/link": false}
	if !maps.Equal(got, want) {
		t.Errorf("listed %v", got)
	}
	for range l.Entries(t.Context()) {
		break
	}
	if err := os.Remove(filepath.Join(top, "a")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../secret", filepath.Join(top, "a")); err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(map[string]bool{"album/a": true, "album/../secret": true, "secret": true, "album/link": true})) {
		if f, _, err := l.Open(name); err == nil {
			_ = f.Close()
			t.Errorf("%s was opened", name)
		}
	}
}
