package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestFailures_AreTheLinesThatSayWhy: other output between these lines is not repeated.
func TestFailures_AreTheLinesThatSayWhy(t *testing.T) {
	got := failures([]string{
		"=== RUN   TestStory\n",
		"    story_test.go:42: Ben ended with exit status 2, after:\n",
		"        AT entry 0 0 0 0\n",
		"panic: send on closed channel\n",
		"--- FAIL: TestStory (68.35s)\n",
	})
	want := []string{"    story_test.go:42: Ben ended with exit status 2, after:\n", "panic: send on closed channel\n"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// TestShortened_FindsHelpersToo checks that a test counts if it checks -short itself or through a helper, and that no
// other test counts.
func TestShortened_FindsHelpersToo(t *testing.T) {
	dir := t.TempDir()
	source := `package x

import "testing"

func TestLong(t *testing.T) {
	if testing.Short() {
		t.Skip()
	}
}

func TestByHelper(t *testing.T) { rounds() }

func TestOther(t *testing.T) {}

func rounds() int { return fewer() }

func fewer() int {
	if testing.Short() {
		return 1
	}
	return 10
}
`
	if err := os.WriteFile(filepath.Join(dir, "x_test.go"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := shortened(dir)
	if err != nil || got != "^(TestByHelper|TestLong)$" {
		t.Errorf("%q %v", got, err)
	}
	if _, err := shortened(t.TempDir()); err == nil {
		t.Error("a folder without such tests is no error")
	}
}
