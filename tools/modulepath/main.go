// Command modulepath changes the path of the module, which go.mod names, everywhere in a checkout:
//
//	go run ./tools/modulepath -to example.org/multipeer
//
// A path without a dot works only in a checkout: "go get" needs a path that begins with a host name.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

func main() {
	root := flag.String("root", ".", "folder of the checkout")
	to := flag.String("to", "", "the new path, such as example.org/multipeer")
	flag.Parse()
	if !strings.Contains(*to, ".") {
		fmt.Fprintln(os.Stderr, "modulepath: -to needs a path whose first part is a host, such as example.org/multipeer")
		os.Exit(2)
	}
	if err := rename(*root, *to); err != nil {
		fmt.Fprintln(os.Stderr, "modulepath:", err)
		os.Exit(1)
	}
}

// current returns the path that go.mod names.
func current(root string) (string, error) {
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return "", err
	}
	m := regexp.MustCompile(`(?m)^module (\S+)$`).FindSubmatch(text)
	if m == nil {
		return "", fmt.Errorf("go.mod names no module")
	}
	return string(m[1]), nil
}

// rename changes every file that names a package of the module.
func rename(root, to string) error {
	from, err := current(root)
	if err != nil {
		return err
	}
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || path == filepath.Join(root, "build")):
			return filepath.SkipDir
		case d.IsDir():
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		changed, err := changedFile(root, path, text, from, to)
		if err != nil || bytes.Equal(changed, text) {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return os.WriteFile(path, changed, info.Mode())
	})
}

func changedFile(root, path string, text []byte, from, to string) ([]byte, error) {
	switch {
	case filepath.Ext(path) == ".go":
		return changedGo(root, path, text, from, to)
	case filepath.Base(path) == "go.mod":
		path := regexp.MustCompile(`(?m)^(module |\t|require |replace )` + regexp.QuoteMeta(from) + `([ /\n])`)
		return path.ReplaceAll(text, []byte("${1}"+to+"${2}")), nil
	case filepath.Ext(path) == ".md":
		text = bytes.ReplaceAll(text, []byte(`"`+from+`/engine"`), []byte(`"`+to+`/engine"`))
		text = bytes.ReplaceAll(text, []byte("-require "+from+"@"), []byte("-require "+to+"@"))
		return bytes.ReplaceAll(text, []byte("-replace "+from+"="), []byte("-replace "+to+"=")), nil
	}
	return text, nil
}

// changedGo replaces the module's path in the imports of a file, and in the strings that name a package: the rest of
// such a string is an existing folder.
func changedGo(root, path string, text []byte, from, to string) ([]byte, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, text, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	type edit struct{ at, old int }
	var edits []edit
	ast.Inspect(file, func(n ast.Node) bool {
		l, ok := n.(*ast.BasicLit)
		if !ok || l.Kind != token.STRING {
			return true
		}
		value, err := strconv.Unquote(l.Value)
		if err != nil || !namesPackage(root, value, from) {
			return true
		}
		edits = append(edits, edit{files.Position(l.Pos()).Offset + 1, len(from)})
		return true
	})
	slices.Reverse(edits)
	for _, e := range edits {
		text = slices.Concat(text[:e.at], []byte(to), text[e.at+e.old:])
	}
	return text, nil
}

func namesPackage(root, text, module string) bool {
	dir, below := strings.CutPrefix(text, module+"/")
	if !below {
		return false
	}
	info, err := os.Stat(filepath.Join(root, filepath.FromSlash(strings.TrimSuffix(dir, "/..."))))
	return err == nil && info.IsDir()
}
