// Command checkguards removes the guards against hostile peers from the code, one at a time, and runs the test that is
// supposed to prove each: it has to fail. A guard is a condition with a comment "guard: NAME" on its line; limits.go
// lists each with its test, and docs/security.md shows that list. The source tree is not modified: the changed file is
// overlaid for that run. With -write it updates the page instead.
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

// proof is the test that has to fail without the guard. attack is the case of a test that runs attacks.
type proof struct{ pkg, test, attack string }

// limit is a row of the page. A row without what or most continues the row above it.
type limit struct {
	what, most, guard string
	proof             proof
}

// section is the table under a heading of the page.
type section struct {
	heading string
	limits  []limit
}

// page shows the list.
const page = "docs/security.md"

var comment = regexp.MustCompile(`// guard: ([a-z0-9-]+)$`)

func main() {
	only := flag.String("only", "", "the guards whose name matches this expression")
	list := flag.Bool("list", false, "print the guards and their tests, and run nothing")
	write := flag.Bool("write", false, "update "+page+", and run nothing")
	flag.Parse()
	err := error(nil)
	if *write {
		err = update()
	} else {
		err = run(regexp.MustCompile(*only), *list)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "checkguards:", err)
		os.Exit(1)
	}
}

// update writes the tables into the page.
func update() error {
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	changed, err := withTables(string(text))
	if err != nil {
		return err
	}
	return os.WriteFile(page, []byte(changed), 0o644)
}

// withTables returns a page with its tables replaced: each comes below the heading of its section and ends with an
// empty line.
func withTables(text string) (string, error) {
	const head = "| what | limit | guard | proof |\n| --- | --- | --- | --- |\n"
	for _, s := range limits {
		from := strings.Index(text, "### "+s.heading+"\n")
		if from < 0 {
			return "", fmt.Errorf("%s has no heading %q", page, s.heading)
		}
		at := strings.Index(text[from:], head)
		if at < 0 {
			return "", fmt.Errorf("%s has no table under %q", page, s.heading)
		}
		at += from + len(head)
		end := strings.Index(text[at:]+"\n", "\n\n") + 1
		var rows strings.Builder
		for _, l := range s.limits {
			fmt.Fprintf(&rows, "|%s|%s|%s|%s|\n", cell(l.what, ""), cell(l.most, ""), cell(l.guard, "`"), cell(l.proof.String(), "`"))
		}
		text = text[:at] + rows.String() + text[at+end:]
	}
	return text, nil
}

func cell(text, quote string) string {
	if text == "" {
		return " "
	}
	return " " + quote + text + quote + " "
}

func (p proof) String() string { return strings.TrimRight(p.pkg+" "+p.test+" "+p.attack, " ") }

func run(only *regexp.Regexp, list bool) error {
	guards, err := find(".")
	if err != nil {
		return err
	}
	proofs, err := proofs()
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
		return fmt.Errorf("%d guards can be removed without any test noticing", missing)
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
		if !bytes.Contains(text, []byte("// guard: ")) || strings.Contains(p, "checkguards") {
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
			return fmt.Errorf("%s:%d: guard %s is not at a condition", p, line, g)
		}
		return nil
	})
	return out, err
}

// proofs returns which test proves which guard.
func proofs() (map[string]proof, error) {
	out := map[string]proof{}
	for _, s := range limits {
		for _, l := range s.limits {
			switch {
			case l.guard == "":
			case l.proof.test == "":
				return nil, fmt.Errorf("limits.go lists no test for the guard %s", l.guard)
			case out[l.guard].test != "":
				return nil, fmt.Errorf("limits.go lists the guard %s twice", l.guard)
			default:
				out[l.guard] = l.proof
			}
		}
	}
	return out, nil
}

// compare checks that limits.go lists every guard once, and nothing else.
func compare(guards []guard, proofs map[string]proof) error {
	var errs []error
	seen := map[string]bool{}
	for _, g := range guards {
		if seen[g.name] {
			errs = append(errs, fmt.Errorf("two guards are called %s", g.name))
		}
		seen[g.name] = true
		if proofs[g.name].test == "" {
			errs = append(errs, fmt.Errorf("the guard %s (%s) is not in limits.go", g.name, g.file))
		}
	}
	for n := range proofs {
		if !seen[n] {
			errs = append(errs, fmt.Errorf("limits.go lists the guard %s, which is not in the code", n))
		}
	}
	return errors.Join(errs...)
}

// without runs the proof of a guard with the guard removed.
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
		return "", fmt.Errorf("the code does not build without the guard:\n%s", out)
	}
	return "fails", nil
}
