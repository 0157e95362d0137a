package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestPictureIsTheCode: the picture in docs matches the current imports, and the page names every package in it.
func TestPictureIsTheCode(t *testing.T) {
	const root = "../.."
	packages, err := collect(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(packages) < 12 {
		t.Errorf("only %d packages", len(packages))
	}
	kept, err := os.ReadFile(filepath.Join(root, picture))
	if err != nil {
		t.Fatal(err)
	}
	kept = bytes.ReplaceAll(kept, []byte("\r\n"), []byte("\n"))
	for range 50 { // the result must not depend on map order
		if !bytes.Equal(kept, draw(packages)) {
			t.Fatalf("%s is not what the code says: make architecture", picture)
		}
	}
	page, err := os.ReadFile(filepath.Join(root, "docs/architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	for name := range packages {
		if name == "." {
			name = "main.go"
		}
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("docs/architecture.md does not mention %s", name)
		}
	}
}

// TestPagesNameFilesThatExist: each Go file that the pages for developers name is in the repository. A name may leave
// out the first folders.
func TestPagesNameFilesThatExist(t *testing.T) {
	const root = "../.."
	var files []string
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(p, ".go") {
			rel, _ := filepath.Rel(root, p)
			files = append(files, "/"+filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil || len(files) < 50 {
		t.Fatal(len(files), err)
	}
	named := regexp.MustCompile("`([A-Za-z0-9_/.-]+\\.go)`")
	found := 0
	for _, page := range []string{"docs/architecture.md", "CONTRIBUTING.md", "docs/security.md", "docs/testing.md"} {
		text, err := os.ReadFile(filepath.Join(root, page))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range named.FindAllStringSubmatch(string(text), -1) {
			found++
			if !slices.ContainsFunc(files, func(f string) bool { return strings.HasSuffix(f, "/"+m[1]) }) {
				t.Errorf("%s names %s, which does not exist", page, m[1])
			}
		}
	}
	if found < 50 {
		t.Errorf("only %d names were found", found)
	}
}
