package main

import (
	"os"
	"testing"
)

func TestGuards_AreListedAndShown(t *testing.T) {
	if err := os.Chdir("../.."); err != nil {
		t.Fatal(err)
	}
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
