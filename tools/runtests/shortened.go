package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
)

// shortened returns a pattern for the tests of a folder that do less with -short. The quick groups run all other tests
// in full.
func shortened(folder string) (string, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		return "", err
	}
	names := map[*ast.FuncDecl]map[string]bool{} // what each function refers to
	asks := map[string]bool{}                    // the functions that check -short themselves or through a helper
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			return "", err
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
				names[fn] = namesIn(fn)
			}
		}
	}
	for again := true; again; {
		again = false
		for fn, refers := range names {
			if asks[fn.Name.Name] {
				continue
			}
			for name := range refers {
				if name == "testing.Short" || asks[name] {
					asks[fn.Name.Name], again = true, true
				}
			}
		}
	}
	var tests []string
	for name := range asks {
		if strings.HasPrefix(name, "Test") {
			tests = append(tests, name)
		}
	}
	if len(tests) == 0 {
		return "", fmt.Errorf("%s: no test does less with -short", folder)
	}
	slices.Sort(tests)
	return "^(" + strings.Join(tests, "|") + ")$", nil
}

// namesIn returns the names that a function uses, with the package before a dot.
func namesIn(fn *ast.FuncDecl) map[string]bool {
	names := map[string]bool{}
	ast.Inspect(fn, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if pkg, ok := n.X.(*ast.Ident); ok {
				names[pkg.Name+"."+n.Sel.Name] = true
			}
		case *ast.Ident:
			names[n.Name] = true
		}
		return true
	})
	return names
}
