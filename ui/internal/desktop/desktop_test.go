package desktop

import (
	"net/url"
	"testing"

	"fyne.io/fyne/v2/test"
)

// TestOpenLink_RefusesOtherSchemes exists because other schemes start programs on some systems.
func TestOpenLink_RefusesOtherSchemes(t *testing.T) {
	s := New(test.NewTempApp(t), nil, nil)
	for _, l := range []string{"file:///etc/passwd", "javascript:alert(1)", "ms-msdt:x", "smb://x/y"} {
		u, err := url.Parse(l)
		if err != nil {
			t.Fatal(err)
		}
		if s.OpenLink(u) == nil {
			t.Errorf("%s is opened", l)
		}
	}
}

func TestMayOpen_RefusesPrograms(t *testing.T) {
	for _, p := range []string{"a.exe", "b.SH", "x.desktop.inert", "script.ps1", "page.html", "noextension"} {
		if MayOpen(p) {
			t.Errorf("%s may be opened", p)
		}
	}
	if !MayOpen("photo.jpg") || !MayOpen(t.TempDir()) {
		t.Error("a picture or a folder may not be opened")
	}
}
