package ui

import (
	"flag"
	"path/filepath"
	"slices"
	"testing"

	"multipeer/internal/singleinstance"
)

// TestLaunched_RefusesEmptyArguments exists because an empty argument would mean the working folder.
func TestLaunched_RefusesEmptyArguments(t *testing.T) {
	launched := func(args ...string) (singleinstance.Launch, error) {
		f := flag.NewFlagSet("", flag.ContinueOnError)
		f.String("profile", "", "")
		f.String("name", "", "")
		if err := f.Parse(args); err != nil {
			t.Fatal(err)
		}
		return Launched(f)
	}
	for _, args := range [][]string{{""}, {"a", ""}, {"", "multipeer:x"}, {"-profile", "", "a"}, {"-profile="}} {
		if l, err := launched(args...); err == nil {
			t.Errorf("%q: %+v", args, l)
		}
	}
	want, err := filepath.Abs("a")
	if err != nil {
		t.Fatal(err)
	}
	if l, err := launched("-name", "", "a", "multipeer:x"); err != nil || !slices.Equal(l.Paths, []string{want}) || l.Link != "multipeer:x" {
		t.Errorf("%+v, %v", l, err)
	}
}
