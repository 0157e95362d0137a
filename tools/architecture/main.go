// Command architecture draws docs/architecture.svg from the code: each package that is in the programs, and an arrow
// for each import between them.
package main

import (
	"bytes"
	"cmp"
	"fmt"
	"go/build"
	"html"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// modulePath returns the path that go.mod names.
func modulePath(root string) (string, error) {
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return "", err
	}
	path, _, _ := strings.Cut(strings.TrimPrefix(string(text), "module "), "\n")
	return path, nil
}

// node is a package.
type node struct {
	name    string // relative to the module's root; the root itself is main.go
	about   string // the first sentence of its comment
	imports []string
	layer   int
	x       float64 // its horizontal centre
}

// programs are the main packages; the others follow from their imports.
var programs = []string{".", "cmd/multipeer-cli"}

// collect follows the imports of the programs.
func collect(root string) (map[string]*node, error) {
	module, err := modulePath(root)
	if err != nil {
		return nil, err
	}
	nodes := map[string]*node{}
	ctx := build.Default
	ctx.CgoEnabled, ctx.GOOS, ctx.GOARCH = true, "linux", "amd64" // the same on every machine
	ctx.BuildTags = []string{"migrated_fynedo"}
	todo := slices.Clone(programs)
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		if nodes[name] != nil {
			continue
		}
		p, err := ctx.ImportDir(filepath.Join(root, name), 0)
		if err != nil {
			return nil, err
		}
		r := &node{name: name, about: p.Doc}
		for _, i := range p.Imports {
			if below, ok := strings.CutPrefix(i, module+"/"); ok {
				r.imports = append(r.imports, below)
			}
		}
		nodes[name] = r
		todo = append(todo, r.imports...)
	}
	return nodes, nil
}

// reaches reports whether there is a path from a to b without the direct arrow between them.
func reaches(nodes map[string]*node, a, b string) bool {
	for _, i := range nodes[a].imports {
		if i != b && (slices.Contains(nodes[i].imports, b) || reaches(nodes, i, b)) {
			return true
		}
	}
	return false
}

// arrange gives each node a layer below all nodes that import it, and a place in that layer near them.
func arrange(nodes map[string]*node) [][]*node {
	for changed := true; changed; {
		changed = false
		for _, r := range nodes {
			for _, i := range r.imports {
				if below := nodes[i]; below.layer <= r.layer {
					below.layer, changed = r.layer+1, true
				}
			}
		}
	}
	var layers [][]*node
	names := slices.Sorted(maps.Keys(nodes)) // a fixed order: floating-point sums depend on it, and so do ties
	for _, name := range names {
		r := nodes[name]
		for len(layers) <= r.layer {
			layers = append(layers, nil)
		}
		layers[r.layer] = append(layers[r.layer], r)
	}
	for _, l := range layers {
		near := map[*node]float64{}
		for _, r := range l {
			sum, n := 0.0, 0.0
			for _, name := range names {
				o := nodes[name]
				if o.layer < r.layer && slices.Contains(o.imports, r.name) {
					sum, n = sum+o.x, n+1
				}
			}
			if n > 0 {
				near[r] = sum / n
			}
		}
		slices.SortStableFunc(l, func(a, b *node) int { return cmp.Compare(near[a], near[b]) })
		for i, r := range l {
			r.x = (float64(i) + 0.5) * width / float64(len(l))
		}
	}
	return layers
}

// Sizes of the picture, in CSS pixels.
const (
	width, boxW, boxH = 1160.0, 176.0, 46.0
	rowH              = 104.0
	margin            = 16.0
)

func draw(nodes map[string]*node) []byte {
	layers := arrange(nodes)
	y := func(r *node) float64 { return margin + float64(r.layer)*rowH }
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" font-family="sans-serif" font-size="13">`+"\n", width, 2*margin+float64(len(layers)-1)*rowH+boxH)
	b.WriteString("<!-- made by tools/architecture; make architecture -->\n")
	b.WriteString(`<rect width="100%" height="100%" fill="#ffffff"/>` + "\n")
	b.WriteString(`<defs><marker id="a" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" fill="#5f6572"/></marker></defs>` + "\n")
	for _, l := range layers {
		for _, r := range l {
			for _, i := range slices.Sorted(slices.Values(r.imports)) {
				if reaches(nodes, r.name, i) { // another path already implies this arrow
					continue
				}
				to := nodes[i]
				fmt.Fprintf(&b, `<path d="M%.0f %.0fC%.0f %.0f %.0f %.0f %.0f %.0f" fill="none" stroke="#9aa1ad" marker-end="url(#a)"/>`+"\n",
					r.x, y(r)+boxH, r.x, y(r)+boxH+32, to.x, y(to)-32, to.x, y(to))
			}
		}
	}
	for _, l := range layers {
		for _, r := range l {
			fill := "#eef3ff"
			if strings.Contains(r.name, "internal/") {
				fill = "#f4f5f8"
			}
			name := r.name
			if name == "." {
				name = "main.go"
			}
			fmt.Fprintf(&b, `<g><title>%s</title><rect x="%.0f" y="%.0f" width="%.0f" height="%.0f" rx="8" fill="%s" stroke="#2f62ea"/>`, html.EscapeString(r.about), r.x-boxW/2, y(r), boxW, boxH, fill)
			fmt.Fprintf(&b, `<text x="%.0f" y="%.0f" text-anchor="middle" font-weight="bold" fill="#1a1d24">%s</text>`, r.x, y(r)+20, html.EscapeString(path.Base(name)))
			fmt.Fprintf(&b, `<text x="%.0f" y="%.0f" text-anchor="middle" font-size="11" fill="#5f6572">%s</text></g>`+"\n", r.x, y(r)+36, html.EscapeString(name))
		}
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// picture is the output file, relative to the module's root.
const picture = "docs/architecture.svg"

func main() {
	nodes, err := collect(".")
	if err == nil {
		err = os.WriteFile(picture, draw(nodes), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "architecture:", err)
		os.Exit(1)
	}
}
