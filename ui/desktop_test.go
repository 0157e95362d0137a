package ui

import (
	"net/url"
	"testing"
)

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
