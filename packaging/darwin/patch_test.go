package darwin

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// template has the format that Fyne's tool writes: the closing tag of the outer dict is in the first column.
const template = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple Computer//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>CFBundleName</key>
	<string>Multipeer</string>
	<key>LSMinimumSystemVersion</key>
	<string>10.11</string>
</dict>
</plist>
`

// TestPlistIsCompleted checks that the entries are added once, and that the file stays valid XML.
func TestPlistIsCompleted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "Info.plist")
	if err := os.WriteFile(path, []byte(template), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if out, err := exec.Command("sh", "patch-plist.sh", path).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"NSLocalNetworkUsageDescription", "NSBonjourServices", "_multipeer._udp", "CFBundleDocumentTypes", "CFBundleURLSchemes", "<string>12.0</string>"} {
			if strings.Count(string(b), want) != 1 {
				t.Errorf("%q occurs %d times", want, strings.Count(string(b), want))
			}
		}
		for d := xml.NewDecoder(strings.NewReader(string(b))); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
	if left, _ := filepath.Glob(path + "*"); len(left) != 1 {
		t.Errorf("left behind: %q", left)
	}
}
