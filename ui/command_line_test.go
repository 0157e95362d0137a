package ui

import (
	"slices"
	"strings"
	"testing"
)

func TestCommandLine_ReadsFlagsAndFiles(t *testing.T) {
	c, err := ReadCommandLine([]string{"--profile", t.TempDir(), "-name", "Anna", "--peer", "10.0.0.1:1,10.0.0.2:2", "--hidden", "/a/file"}, nil, "1")
	if err != nil || c.Name != "Anna" || !c.Hidden || c.Done || c.Service != "multipeer" || !slices.Equal(c.Peers, []string{"10.0.0.1:1", "10.0.0.2:2"}) || !slices.Equal(c.Launch.Paths, []string{"/a/file"}) {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestCommandLine_HelpAndVersionEndThere(t *testing.T) {
	for args, want := range map[string]string{"--help": "--into DIR", "-h": "multipeer [flags]", "--version": "multipeer version 1.2.3, x"} {
		var out strings.Builder
		c, err := ReadCommandLine([]string{args}, &out, "1.2.3, x")
		if err != nil || !c.Done || !strings.Contains(out.String(), want) {
			t.Errorf("%s: %v, %v, %s", args, c.Done, err, out.String())
		}
	}
	for _, args := range []string{"--nonsense", "--into="} {
		if _, err := ReadCommandLine([]string{args}, nil, "1"); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", args, err)
		}
	}
}
