package main

import (
	"slices"
	"testing"
)

// TestFailures_AreTheLinesThatSayWhy: the output of a program in between is not repeated.
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
