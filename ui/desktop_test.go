package ui

import (
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestLoginEntry: it is written, read and taken away, and a path with what a shell would read is quoted.
func TestLoginEntry(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("it would change this user's registry")
	}
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", "")
	s := &system{}
	for range 2 {
		if on, err := s.Login(); on || err != nil {
			t.Fatalf("at first: %v, %v", on, err)
		}
		if err := s.SetLogin(false); err != nil {
			t.Fatal(err)
		}
		if err := s.SetLogin(true); err != nil {
			t.Skip(err) // a program of go run
		}
		if on, err := s.Login(); !on || err != nil {
			t.Errorf("afterwards: %v, %v", on, err)
		}
		exe, _ := program()
		found := false
		_ = filepath.WalkDir(os.Getenv("HOME"), func(p string, d os.DirEntry, _ error) error {
			if b, err := os.ReadFile(p); err == nil && strings.Contains(string(b), filepath.Base(exe)) && strings.Contains(string(b), "-hidden") {
				found = true
			}
			return nil
		})
		if !found {
			t.Error("the entry does not start this program")
		}
		if err := s.SetLogin(false); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNoOtherSchemesAreOpened: they start programs on some systems.
func TestNoOtherSchemesAreOpened(t *testing.T) {
	s := &system{app: newTestApp(t)}
	for _, l := range []string{"file:///etc/passwd", "javascript:alert(1)", "ms-msdt:x", "smb://x/y"} {
		u, err := url.Parse(l)
		if err != nil {
			t.Fatal(err)
		}
		if s.OpenLink(u) == nil {
			t.Errorf("%s is opened", l)
		}
	}
	for text, want := range map[string]int{"see https://a.example/b, and http://c.d.": 2, "file:///x javascript:x": 0, "https://": 0} {
		if got := webLink.FindAllString(text, -1); len(got) != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}
