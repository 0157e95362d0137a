// Package readme runs the instructions in the README.
package readme

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../../..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestReadme_ProgramCompiles compiles and vets the small program.
func TestReadme_ProgramCompiles(t *testing.T) {
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

// TestReadme_NamesOnlyWhatExists checks links to files, make targets, and flags of the command-line tool.
func TestReadme_NamesOnlyWhatExists(t *testing.T) {
	for _, page := range []string{"README.md", "docs/cli.md", "docs/building.md", "docs/testing.md", "CHANGELOG.md", "engine/PROTOCOL.md", "docs/window.md"} {
		text := read(t, page)
		for _, m := range regexp.MustCompile(`\]\(([^)#]+)\)`).FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join("../../..", filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", page, m[1], err)
			}
		}
		makefile := read(t, "Makefile")
		for _, m := range regexp.MustCompile("(?m)(?:^|`)make ([a-z]+)").FindAllStringSubmatch(text, -1) {
			if !strings.Contains(makefile, "\n"+m[1]+":") {
				t.Errorf("%s mentions make %s, which the Makefile lacks", page, m[1])
			}
		}
	}
	cli := filepath.Join(t.TempDir(), "cli")
	build := exec.Command("go", "build", "-o", cli, "multipeer/cmd/multipeer-cli")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, m := range regexp.MustCompile(`(?m)^multipeer-cli (\w+)(.*)$`).FindAllStringSubmatch(regexp.MustCompile(`\n {2,}\[`).ReplaceAllString(read(t, "docs/cli.md"), " ["), -1) {
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

// TestPages_HaveOneAddressOfTheRepository: every page gives the address that FyneApp.toml gives.
func TestPages_HaveOneAddressOfTheRepository(t *testing.T) {
	m := regexp.MustCompile(`(?m)^Website = "(https://[^"]+)"$`).FindStringSubmatch(read(t, "FyneApp.toml"))
	if m == nil {
		t.Fatal("FyneApp.toml names no website")
	}
	host := m[1][:strings.LastIndex(m[1], "/")] // with the owner
	for _, page := range []string{"README.md", "SECURITY.md", "python/README.md", ".github/ISSUE_TEMPLATE/config.yml", "CODE_OF_CONDUCT.md", "packaging/linux/io.github.multipeer.Multipeer.metainfo.xml"} {
		text := read(t, page)
		if !strings.Contains(text, m[1]) {
			t.Errorf("%s does not name %s", page, m[1])
		}
		for _, found := range regexp.MustCompile(regexp.QuoteMeta(host)+`/[\w.-]+`).FindAllString(text, -1) {
			if found != m[1] {
				t.Errorf("%s names %s instead of %s", page, found, m[1])
			}
		}
	}
}

// TestReadme_IsShort: a newcomer reads it in five minutes.
func TestReadme_IsShort(t *testing.T) {
	if n := len(strings.Fields(read(t, "README.md"))); n > 1000 {
		t.Errorf("README.md has %d words", n)
	}
}

// TestParity_NamesOnlyWhatExists: each row of the parity table names existing tests, and each name of ours is exported
// by the engine.
func TestParity_NamesOnlyWhatExists(t *testing.T) {
	tests := map[string]map[string]bool{} // by folder
	exported := map[string]bool{}
	err := filepath.WalkDir("../../..", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(p, ".go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(p)), "../../../")
		ast.Inspect(f, func(n ast.Node) bool {
			if fn, ok := n.(*ast.FuncDecl); ok && strings.HasSuffix(p, "_test.go") {
				if tests[dir] == nil {
					tests[dir] = map[string]bool{}
				}
				tests[dir][fn.Name.Name] = true
			}
			if id, ok := n.(*ast.Ident); ok && dir == "engine" && id.IsExported() {
				exported[id.Name] = true
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	code := regexp.MustCompile("`([^`]+)`")
	for _, line := range strings.Split(read(t, "docs/parity.md"), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) < 5 || strings.Contains(line, "---") || strings.Contains(line, "| tests |") {
			continue
		}
		rows++
		named, ours := code.FindAllStringSubmatch(cells[len(cells)-2], -1), cells[2]
		if len(cells) == 5 { // in this table our names are in the first column
			ours = cells[1]
		}
		if len(named) == 0 {
			t.Errorf("no test in %q", line)
		}
		for _, m := range named {
			if strings.HasPrefix(m[1], "make ") {
				continue
			}
			dir, name, ok := strings.Cut(m[1], " ")
			if !ok {
				dir, name = "engine", m[1]
			}
			if !tests[dir][name] {
				t.Errorf("%s has no %s", dir, name)
			}
		}
		for _, m := range code.FindAllStringSubmatch(ours, -1) {
			if name := regexp.MustCompile(`^[A-Z]\w*`).FindString(m[1]); name != "" && !exported[name] {
				t.Errorf("%s is not in the engine: %s", name, line)
			}
		}
	}
	if rows < 40 {
		t.Errorf("%d rows", rows)
	}
}
