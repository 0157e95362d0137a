package ui

import "testing"

// TestOnlyPagesAreLinks exists because other schemes start programs on some systems.
func TestOnlyPagesAreLinks(t *testing.T) {
	for text, want := range map[string]int{"see https://a.example/b, and http://c.d.": 2, "file:///x javascript:x": 0, "https://": 0} {
		if got := webLink.FindAllString(text, -1); len(got) != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}
