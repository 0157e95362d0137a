// Package readme runs what the README tells people.
package readme

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestProgramOfTheReadme compiles and vets the small program.
func TestProgramOfTheReadme(t *testing.T) {
	m := regexp.MustCompile("(?ms)^```go\n(.*?)^```").FindStringSubmatch(read(t, "README.md"))
	if m == nil {
		t.Fatal("the README has no program")
	}
	file := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(file, []byte(m[1]), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"build", "-o", filepath.Join(t.TempDir(), "program"), file}, {"vet", file}} {
		c := exec.Command("go", args...)
		c.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("go %s: %v: %s", args[0], err, out)
		}
	}
}

// TestNothingIsPromisedThatIsNotThere checks links to files, make targets, and flags of the terminal program.
func TestNothingIsPromisedThatIsNotThere(t *testing.T) {
	for _, page := range []string{"README.md", "docs/cli.md", "docs/building.md", "docs/testing.md", "CHANGELOG.md", "engine/PROTOCOL.md"} {
		text := read(t, page)
		for _, m := range regexp.MustCompile(`\]\(([^)#]+)\)`).FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join("../..", filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", page, m[1], err)
			}
		}
		makefile := read(t, "Makefile")
		for _, m := range regexp.MustCompile("(?m)(?:^|`)make ([a-z]+)").FindAllStringSubmatch(text, -1) {
			if !strings.Contains(makefile, "\n"+m[1]+":") {
				t.Errorf("%s tells of make %s, which the Makefile lacks", page, m[1])
			}
		}
	}
	cli := filepath.Join(t.TempDir(), "cli")
	build := exec.Command("go", "build", "-o", cli, "multipeer/cmd/multipeer-cli")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, m := range regexp.MustCompile(`(?m)^multipeer-cli (\w+)(.*)$`).FindAllStringSubmatch(read(t, "docs/cli.md"), -1) {
		help, err := exec.Command(cli, m[1], "--help").CombinedOutput()
		if err != nil {
			t.Errorf("multipeer-cli %s: %v", m[1], err)
		}
		for _, flag := range regexp.MustCompile(`--[a-z-]+`).FindAllString(m[2], -1) {
			if !strings.Contains(string(help), flag) {
				t.Errorf("multipeer-cli %s has no %s", m[1], flag)
			}
		}
	}
}
