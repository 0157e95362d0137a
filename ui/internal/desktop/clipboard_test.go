package desktop

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestClipboardPaths checks which text is recognized as the paths that a file manager copies.
func TestClipboardPaths(t *testing.T) {
	dir := t.TempDir()
	odd := filepath.Join(dir, "a+b 100% ü.txt")
	if err := os.WriteFile(odd, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]int{
		odd: 1, "file://" + strings.NewReplacer(" ", "%20", "%", "%25", "ü", "%C3%BC").Replace(odd): 1, "copy\nfile://" + dir + "\n" + odd: 2,
		"hello": 0, odd + "\nhello": 0, "relative.txt": 0, "file://elsewhere" + odd: 0, "": 0, "http://x/" + odd: 0, `\\\\host\\share`: 0, "//host/share": 0,
	} {
		if got := ClipboardPaths(text); len(got) != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}
