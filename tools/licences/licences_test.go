package main

import (
	"os"
	"strings"
	"testing"
)

// TestEveryModuleIsNamed: the list is up to date; make licences updates it.
func TestEveryModuleIsNamed(t *testing.T) {
	b, err := os.ReadFile("../../" + out)
	if err != nil {
		t.Fatal(err)
	}
	modules, err := Modules("../..")
	if err != nil || len(modules) < 20 {
		t.Fatal(len(modules), err)
	}
	for _, m := range modules {
		if !strings.Contains(string(b), "\n"+m.path+" "+m.version+"\n") {
			t.Errorf("%s does not name %s %s: run make licences", out, m.path, m.version)
		}
	}
}
