package ui

import (
	"encoding/json"
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
	"testing"
)

// keysInCode returns the strings that the code translates. The value is true for a string with a count.
func keysInCode(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 20 {
		t.Fatal(len(files), err)
	}
	below, err := filepath.Glob("internal/*/*.go")
	if err != nil || len(below) < 10 {
		t.Fatal(len(below), err)
	}
	files = append(files, below...)
	keys := map[string]bool{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") || name == "words.go" {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			fn, ok := call.Fun.(*ast.Ident)
			if !ok || fn.Name != "tr" && fn.Name != "trn" {
				return true
			}
			lit, ok := call.Args[0].(*ast.BasicLit)
			if !ok {
				t.Errorf("%s: a key of a translation is not a constant: a peer's text could become a template", name)
				return true
			}
			key, _ := strconv.Unquote(lit.Value)
			if counts, known := keys[key]; known && counts != (fn.Name == "trn") {
				t.Errorf("%q is translated with a number and without", key)
			}
			keys[key] = fn.Name == "trn"
			return true
		})
	}
	return keys
}

func load(t *testing.T, tag string) map[string]any {
	t.Helper()
	b, err := fs.ReadFile(translations, "translations/"+tag+".json")
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatalf("%s: %v", tag, err)
	}
	return m
}

var placeholder = regexp.MustCompile(`\{\{\.\w+\}\}`)

func holders(s string) []string {
	all := placeholder.FindAllString(s, -1)
	slices.Sort(all)
	return slices.Compact(all)
}

// TestTranslations_CoverEveryText checks that each language has exactly the strings of the code, with the same
// placeholders.
func TestTranslations_CoverEveryText(t *testing.T) {
	keys := keysInCode(t)
	if out := os.Getenv("MULTIPEER_KEYS"); out != "" { // for translators
		b, _ := json.MarshalIndent(keys, "", "  ")
		_ = os.WriteFile(out, b, 0o644)
	}
	for _, l := range languages {
		m := load(t, l.tag)
		for key, counts := range keys {
			v, ok := m[key]
			if !ok {
				t.Errorf("%s lacks %q", l.tag, key)
				continue
			}
			delete(m, key)
			forms := map[string]any{"other": v}
			if counts {
				if forms, ok = v.(map[string]any); !ok || forms["other"] == nil {
					t.Errorf("%s: %q needs the forms that the language has for numbers, other at least", l.tag, key)
					continue
				}
				if l.tag != "zh-Hans" && forms["one"] == nil {
					t.Errorf("%s: %q lacks its singular", l.tag, key)
				}
			}
			for form, text := range forms {
				s, ok := text.(string)
				if !ok || strings.TrimSpace(s) == "" {
					t.Errorf("%s: %q is empty", l.tag, key)
				}
				want, got := holders(key), holders(s)
				if form != "other" { // a singular may spell out the number
					want, got = without(want, "{{.N}}"), without(got, "{{.N}}")
				}
				if !slices.Equal(want, got) {
					t.Errorf("%s: %q has %v, and its translation %q %v", l.tag, key, want, s, got)
				}
			}
		}
		for key := range m {
			if !slices.Contains(fyneKeys(t), key) {
				t.Errorf("%s translates %q, which the code does not use", l.tag, key)
			}
		}
	}
}

func without(s []string, what string) []string {
	return slices.DeleteFunc(slices.Clone(s), func(e string) bool { return e == what })
}

// fyneKeys are the strings of Fyne's own dialogs and menus, which Fyne does not translate into all of the app's
// languages.
func fyneKeys(*testing.T) []string {
	return []string{
		"Cancel", "Cannot open directory", "Clear", "Close", "Computer", "Confirm", "Copy", "Create Folder", "Cut", "Error", "Favourites", "File", "Files", "Folder",
		"Home", "Information", "New Folder", "No", "Open", "OK", "Parent folder", "Paste", "Quit", "Redo", "Save", "Select all", "Show Hidden Files", "Undo", "Yes",
	}
}
