package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestRename_NothingElseKnowsTheModulesName: after the tool has changed the path in go.mod, everything compiles.
func TestRename_NothingElseKnowsTheModulesName(t *testing.T) {
	if testing.Short() {
		t.Skip("it compiles everything once more")
	}
	copied := filepath.Join(t.TempDir(), "checkout")
	list, err := exec.Command("git", "-C", "../..", "ls-files", "-z", "--", "*.go", "*go.mod", "*go.sum", "README.md", "bridge", "icons", "ui", "packaging").Output()
	if err != nil {
		t.Skip("not a checkout:", err)
	}
	for _, name := range strings.Split(strings.TrimRight(string(list), "\x00"), "\x00") {
		text, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(copied, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := rename(copied, "example.org/x/multipeer"); err != nil {
		t.Fatal(err)
	}
	if got, err := current(copied); err != nil || got != "example.org/x/multipeer" {
		t.Fatal(got, err)
	}
	c := exec.Command("go", "vet", "-tags", "migrated_fynedo", "./bridge/...", "./cmd/...", "./engine/...", "./examples/...", "./internal/...", "./tools/...", "./transfer/...", "./ui/...")
	c.Dir = copied
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestNamesPackage_KnowsTheProtocolFromAPath(t *testing.T) {
	for text, is := range map[string]bool{"multipeer/engine": true, "multipeer/engine/...": true, "multipeer/1": false, "multipeer": false, "multipeer: link": false} {
		if got := namesPackage("../..", text, "multipeer"); got != is {
			t.Errorf("%q: %v", text, got)
		}
	}
}
