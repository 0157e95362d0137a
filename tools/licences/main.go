// Licences collects the licences of everything that is built into the programs into ui/licences.txt, which the window
// shows. "make licences" runs it.
package main

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const out = "ui/licences.txt"

func main() {
	text, err := Collect(".")
	if err == nil {
		err = os.WriteFile(out, []byte(text), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "licences:", err)
		os.Exit(1)
	}
}

// module is a module that our code imports.
type module struct{ path, version, dir string }

// Modules lists the modules of the window and the command-line tool, on the systems for which they are built.
func Modules(root string) ([]module, error) {
	seen := map[module]bool{}
	for _, goos := range []string{"linux", "windows", "darwin"} {
		c := exec.Command("go", "list", "-tags", "migrated_fynedo", "-deps", "-f", "{{with .Module}}{{.Path}}\t{{.Version}}\t{{.Dir}}{{end}}", ".", "./cmd/multipeer-cli")
		c.Dir, c.Env = root, append(os.Environ(), "GOOS="+goos, "CGO_ENABLED=1") // nothing is compiled
		b, err := c.Output()
		if err != nil {
			return nil, fmt.Errorf("listing modules for %s: %w", goos, err)
		}
		for l := range strings.SplitSeq(string(b), "\n") {
			if f := strings.Split(l, "\t"); len(f) == 3 && f[1] != "" {
				seen[module{f[0], f[1], f[2]}] = true
			}
		}
	}
	var all []module
	for m := range seen {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b module) int { return cmp.Compare(a.path, b.path) })
	return all, nil
}

// Collect returns the text: each licence once, below the modules that use it. A module without a licence is an error.
func Collect(root string) (string, error) {
	modules, err := Modules(root)
	if err != nil {
		return "", err
	}
	under, order := map[string][]string{}, []string{}
	for _, m := range modules {
		files, _ := filepath.Glob(filepath.Join(m.dir, "*"))
		var texts []string
		for _, f := range files {
			name := strings.ToUpper(filepath.Base(f))
			if strings.HasPrefix(name, "LICEN") || strings.HasPrefix(name, "COPYING") || strings.HasPrefix(name, "NOTICE") {
				if b, err := os.ReadFile(f); err == nil {
					texts = append(texts, strings.TrimSpace(strings.ReplaceAll(string(b), "\r\n", "\n")))
				}
			}
		}
		if len(texts) == 0 {
			return "", fmt.Errorf("%s %s has no licence", m.path, m.version)
		}
		text := strings.Join(texts, "\n\n")
		if under[text] == nil {
			order = append(order, text)
		}
		under[text] = append(under[text], m.path+" "+m.version)
	}
	own, err := os.ReadFile(filepath.Join(root, "LICENSE"))
	if err != nil {
		return "", err
	}
	b := &strings.Builder{}
	fmt.Fprintf(b, "Multipeer\n\n%s\n", strings.TrimSpace(string(own)))
	for _, text := range order {
		fmt.Fprintf(b, "\n%s\n\n%s\n\n%s\n", strings.Repeat("=", 60), strings.Join(under[text], "\n"), text)
	}
	return b.String(), nil
}
