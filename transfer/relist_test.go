package transfer

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestRelist_DamagedEntriesAreAnError: what a disk returns after a crash is not trusted.
func TestRelist_DamagedEntriesAreAnError(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "src")
	if err := os.MkdirAll(filepath.Join(dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "sub", "file"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := NewListing([]string{dir}, ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Fill(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	whole := l.Encoded()
	for n := range whole {
		_, err := Relist([]string{dir}, Earlier{Folders: true, Entries: whole[:n]}, ListOptions{})
		if err != nil && !errors.Is(err, errDamaged) {
			t.Errorf("the first %d bytes: %v", n, err)
		}
		for _, b := range []byte{0, 0x7f, 0xff} {
			changed := append([]byte{}, whole...)
			changed[n] = b
			again, err := Relist([]string{dir}, Earlier{Folders: true, Entries: changed}, ListOptions{})
			if err != nil {
				continue
			}
			if _, err := again.Fill(t.Context(), nil); err != nil {
				t.Errorf("byte %d is %d: %v", n, b, err)
			}
		}
	}
}

// TestRelist_FileThatIsAFolderNow: an offer of a file does not become one of a folder while it waits.
func TestRelist_FileThatIsAFolderNow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := NewListing([]string{path}, ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(path)
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	again, err := Relist([]string{path}, Earlier{Resolved: l.Resolved()}, ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sum, err := again.Fill(t.Context(), nil)
	if err != nil || sum.LeftOut != 1 || sum.Folders != 0 {
		t.Errorf("%+v, %v", sum, err)
	}
}
