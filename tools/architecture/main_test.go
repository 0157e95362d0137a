package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPictureIsTheCode: the picture in docs matches the current imports, and the page names every package in it.
func TestPictureIsTheCode(t *testing.T) {
	const root = "../.."
	rooms, err := collect(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(rooms) < 12 {
		t.Errorf("only %d rooms", len(rooms))
	}
	kept, err := os.ReadFile(filepath.Join(root, picture))
	if err != nil {
		t.Fatal(err)
	}
	kept = bytes.ReplaceAll(kept, []byte("\r\n"), []byte("\n"))
	for range 50 { // the result must not depend on map order
		if !bytes.Equal(kept, draw(rooms)) {
			t.Fatalf("%s is not what the code says: make architecture", picture)
		}
	}
	page, err := os.ReadFile(filepath.Join(root, "docs/architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	for name := range rooms {
		if name == "." {
			name = "main.go"
		}
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("docs/architecture.md does not tell of %s", name)
		}
	}
}
