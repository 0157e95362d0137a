package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestGuards_AreListedAndShown(t *testing.T) {
	t.Chdir("../..")
	guards, err := find(".")
	if err != nil {
		t.Fatal(err)
	}
	proofs, err := proofs()
	if err != nil {
		t.Fatal(err)
	}
	if len(guards) < 40 {
		t.Errorf("%d guards", len(guards))
	}
	if err := compare(guards, proofs); err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if want, err := withTables(string(text)); err != nil || want != string(text) {
		t.Errorf("%s does not show what limits.go lists: go run ./tools/checkguards -write (%v)", page, err)
	}
}

// TestGuards_TestsExist finds tests that were renamed or removed. It does not run them.
func TestGuards_TestsExist(t *testing.T) {
	proofs, err := proofs()
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range proofs {
		files, err := filepath.Glob(filepath.Join("../..", p.pkg, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, file := range files {
			text, err := os.ReadFile(file)
			found = found || err == nil && bytes.Contains(text, []byte("func "+p.test+"("))
		}
		if !found {
			t.Errorf("%s: there is no %s in %s", name, p.test, p.pkg)
		}
	}
}
