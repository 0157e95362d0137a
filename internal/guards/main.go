// Command guards takes the guards against hostile peers out of the code, one at a time, and runs the test that is said to
// prove each: it has to fail. A guard is a condition with a comment "guard: NAME" on its line; docs/security.md lists
// each with its test. The tree is not touched: the changed file is laid over it for the one run.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// guard is one condition in the code.
type guard struct {
	name, file string
	spots      [][2]int // offsets of the conditions
}

// proof is the test that has to fail without it.
type proof struct{ pkg, test, attack string }

var (
	comment = regexp.MustCompile(`// guard: ([a-z0-9-]+)$`)
	row     = regexp.MustCompile("(?m)^\\|[^|\n]*\\|[^|\n]*\\|([^|\n]*)\\|([^|\n]*)\\|$")
	name    = regexp.MustCompile("`([a-z0-9-]+)`")
	proven  = regexp.MustCompile("`(\\./[a-z0-9/]+) (Test\\w+)(?: ([^`]+))?`")
)

func main() {
	only := flag.String("only", "", "the guards whose name matches this expression")
	list := flag.Bool("list", false, "print the guards and their tests, and run nothing")
	flag.Parse()
	if err := run(regexp.MustCompile(*only), *list); err != nil {
		fmt.Fprintln(os.Stderr, "guards:", err)
		os.Exit(1)
	}
}

func run(only *regexp.Regexp, list bool) error {
	guards, err := find(".")
	if err != nil {
		return err
	}
	proofs, err := table("docs/security.md")
	if err != nil {
		return err
	}
	if err := compare(guards, proofs); err != nil {
		return err
	}
	missing := 0
	for _, g := range guards {
		if !only.MatchString(g.name) {
			continue
		}
		p := proofs[g.name]
		if list {
			fmt.Printf("%-26s %-42s %s %s %s\n", g.name, g.file, p.pkg, p.test, p.attack)
			continue
		}
		began := time.Now()
		verdict, err := without(g, p)
		if err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
		if verdict != "fails" {
			missing++
		}
		fmt.Printf("%-26s %-42s %s %s %s: %s (%.0f s)\n", g.name, g.file, p.pkg, p.test, p.attack, verdict, time.Since(began).Seconds())
	}
	if missing > 0 {
		return fmt.Errorf("%d guards can be removed and no test notices", missing)
	}
	return nil
}

// find reads the guards of all Go files below root.
func find(root string) (out []guard, err error) {
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go") {
			return err
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		if !bytes.Contains(text, []byte("// guard: ")) || strings.Contains(p, "guards") {
			return nil
		}
		files := token.NewFileSet()
		f, err := parser.ParseFile(files, p, text, parser.ParseComments)
		if err != nil {
			return err
		}
		lines := map[int]string{}
		for _, c := range f.Comments {
			for _, l := range c.List {
				if m := comment.FindStringSubmatch(l.Text); m != nil {
					lines[files.Position(l.Pos()).Line] = m[1]
				}
			}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			var conditions []ast.Expr
			switch n := n.(type) {
			case *ast.IfStmt:
				conditions = []ast.Expr{n.Cond}
			case *ast.CaseClause:
				conditions = n.List
			}
			if len(conditions) == 0 {
				return true
			}
			last := files.Position(conditions[len(conditions)-1].End()).Line
			g := lines[last]
			if g == "" {
				return true
			}
			delete(lines, last)
			x := guard{name: g, file: p}
			for _, c := range conditions {
				x.spots = append(x.spots, [2]int{files.Position(c.Pos()).Offset, files.Position(c.End()).Offset})
			}
			out = append(out, x)
			return true
		})
		for line, g := range lines {
			return fmt.Errorf("%s:%d: guard %s stands at no condition", p, line, g)
		}
		return nil
	})
	return out, err
}

// table reads which test proves which guard.
func table(path string) (map[string]proof, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	out := map[string]proof{}
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		p := proven.FindStringSubmatch(m[2])
		for _, n := range name.FindAllStringSubmatch(m[1], -1) {
			if p == nil {
				return nil, fmt.Errorf("%s: no test for the guard %s", path, n[1])
			}
			out[n[1]] = proof{p[1], p[2], p[3]}
		}
	}
	return out, nil
}

// compare wants every guard in the table once, and nothing else there.
func compare(guards []guard, proofs map[string]proof) error {
	var errs []error
	seen := map[string]bool{}
	for _, g := range guards {
		if seen[g.name] {
			errs = append(errs, fmt.Errorf("two guards are called %s", g.name))
		}
		seen[g.name] = true
		if proofs[g.name].test == "" {
			errs = append(errs, fmt.Errorf("the guard %s (%s) is not in docs/security.md", g.name, g.file))
		}
	}
	for n := range proofs {
		if !seen[n] {
			errs = append(errs, fmt.Errorf("docs/security.md lists the guard %s, which is not in the code", n))
		}
	}
	return errors.Join(errs...)
}

// without runs the proof of a guard that is not there.
func without(g guard, p proof) (verdict string, err error) {
	text, err := os.ReadFile(g.file)
	if err != nil {
		return "", err
	}
	slices.Reverse(g.spots)
	for _, s := range g.spots {
		text = slices.Concat(text[:s[0]], []byte("false && ("), text[s[0]:s[1]], []byte(")"), text[s[1]:])
	}
	dir, err := os.MkdirTemp("", "guards")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	changed, overlay := filepath.Join(dir, "changed.go"), filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(changed, text, 0o600); err != nil {
		return "", err
	}
	original, err := filepath.Abs(g.file)
	if err != nil {
		return "", err
	}
	laid, err := json.Marshal(map[string]map[string]string{"Replace": {original: changed}})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(overlay, laid, 0o600); err != nil {
		return "", err
	}
	args := []string{"test", "-overlay", overlay, "-count=1", "-short", "-timeout=3m", "-run", "^" + p.test + "$", p.pkg}
	if p.attack != "" {
		args = append(args, "-attack", regexp.QuoteMeta(p.attack))
	}
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil && bytes.Contains(out, []byte("no tests to run")):
		return "", fmt.Errorf("there is no %s in %s", p.test, p.pkg)
	case err == nil:
		return "PASSES", nil
	case bytes.Contains(out, []byte("[build failed]")), bytes.Contains(out, []byte("[setup failed]")):
		return "", fmt.Errorf("it does not build:\n%s", out)
	}
	return "fails", nil
}
