package main

import (
	"os"
	"testing"
)

// TestEveryGuardHasItsTest: the table in docs/security.md and the code name the same guards.
func TestEveryGuardHasItsTest(t *testing.T) {
	if err := os.Chdir("../.."); err != nil {
		t.Fatal(err)
	}
	guards, err := find(".")
	if err != nil {
		t.Fatal(err)
	}
	proofs, err := table("docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	if len(guards) < 40 {
		t.Errorf("%d guards", len(guards))
	}
	if err := compare(guards, proofs); err != nil {
		t.Error(err)
	}
}
