package ui

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strings"
	"testing"

	"fyne.io/fyne/v2"
)

// box is a rectangle in the window.
type box struct{ x, y, w, h float32 }

func (b box) String() string {
	round := func(f float32) int { return int(math.Round(float64(f))) }
	return fmt.Sprintf("%d,%d %dx%d", round(b.x), round(b.y), round(b.w), round(b.h))
}

// within returns the part of b that is inside o.
func (b box) within(o box) box {
	x, y := max(b.x, o.x), max(b.y, o.y)
	return box{x, y, max(0, min(b.x+b.w, o.x+o.w)-x), max(0, min(b.y+b.h, o.y+o.h)-y)}
}

// shownText is a string in the window: where it is drawn, and which part of the window can show it.
type shownText struct {
	text  string
	ink   box
	room  box // the box of the text object
	clip  box
	layer int // 0 for the window, higher for overlays
}

// outline describes what a window shows: a line for each widget with its type, its box and its text.
type outline struct {
	lines []string
	texts []shownText
}

// node is an element of Fyne's markup.
type node struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Content  string     `xml:",chardata"`
	Children []node     `xml:",any"`
}

func (n node) attr(name string) string {
	for _, a := range n.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// kind returns the type of a widget without its package.
func (n node) kind() string {
	_, name, _ := strings.Cut(n.attr("type"), ".")
	return name
}

// outlineOf reads the markup of a window.
func outlineOf(t *testing.T, markup string) *outline {
	t.Helper()
	o := &outline{}
	d := xml.NewDecoder(strings.NewReader(markup))
	d.Strict = false // attributes such as bold have no value
	for {
		var root node
		if err := d.Decode(&root); errors.Is(err, io.EOF) {
			return o
		} else if err != nil {
			t.Fatal(err)
		}
		all := box{}
		_, _ = fmt.Sscanf(root.attr("size"), "%gx%g", &all.w, &all.h)
		for i, c := range root.Children {
			if i > 0 {
				o.lines = append(o.lines, "over it:")
			}
			o.add(c, all, all, 0, i)
		}
	}
}

// add adds n to the outline. parent is the box of its parent; clip is the box in which n is visible.
func (o *outline) add(n node, parent, clip box, depth, layer int) {
	at := box{x: parent.x, y: parent.y}
	var dx, dy float32
	_, _ = fmt.Sscanf(n.attr("pos"), "%g,%g", &dx, &dy)
	at.x += dx
	at.y += dy
	_, _ = fmt.Sscanf(n.attr("size"), "%gx%g", &at.w, &at.h)
	if n.XMLName.Local == "content" || n.attr("size") == "" {
		at = parent
	}
	switch n.XMLName.Local {
	case "text":
		if text := strings.TrimSpace(n.Content); text != "" {
			o.lines = append(o.lines, strings.Repeat("  ", depth)+fmt.Sprintf("%q %v", ended.ReplaceAllString(text, " · 12:00"), at))
			o.texts = append(o.texts, shownText{text, inkOf(n, at), at, clip, layer})
		}
		return
	case "image":
		o.lines = append(o.lines, strings.Repeat("  ", depth)+fmt.Sprintf("image %s %v", n.attr("rsc"), at))
		return
	case "widget":
		kind := n.kind()
		if kind == "Clip" || kind == "Scroll" {
			clip = clip.within(at)
		}
		line := strings.Repeat("  ", depth) + fmt.Sprintf("%s %v", strings.ToLower(kind[:1])+kind[1:], at)
		o.lines = append(o.lines, line)
		before := len(o.lines)
		for _, c := range n.Children {
			o.add(c, at, clip, depth+1, layer)
		}
		if len(o.lines) == before+1 && strings.HasPrefix(strings.TrimSpace(o.lines[before]), `"`) { // put the widget's only text on its line
			text := strings.TrimSpace(o.lines[before])
			o.lines = append(o.lines[:before-1], line+" "+text[:strings.LastIndex(text, `"`)+1])
		}
		return
	}
	for _, c := range n.Children {
		o.add(c, at, clip, depth, layer)
	}
}

// inkOf returns where text is drawn in its box.
func inkOf(n node, at box) box {
	size := float32(14)
	_, _ = fmt.Sscanf(n.attr("textSize"), "%g", &size)
	style := fyne.TextStyle{Bold: n.attr("bold") != "", Monospace: n.attr("monospace") != "", Italic: n.attr("italic") != ""}
	m := fyne.MeasureText(n.Content, size, style)
	ink := box{at.x, at.y, m.Width, min(m.Height, at.h)}
	switch n.attr("alignment") {
	case "center":
		ink.x += (at.w - m.Width) / 2
	case "trailing":
		ink.x += at.w - m.Width
	}
	return ink
}

// faults lists the strings that are cut off at a side, do not fit into their box, or overlap.
func (o *outline) faults() (out []string) {
	const tolerance = 1.5 // for rounding
	fault := func(format string, a ...any) { out = append(out, fmt.Sprintf(format, a...)) }
	for i, a := range o.texts {
		seen := a.ink.within(a.clip)
		if seen.h < a.ink.h/2 { // scrolled out of sight
			continue
		}
		if seen.w < a.ink.w-tolerance {
			fault("%q at %v is cut off by %v", a.text, a.ink, a.clip)
		}
		if a.ink.w > a.room.w+tolerance {
			fault("%q needs %.0f of the %.0f that its box has", a.text, a.ink.w, a.room.w)
		}
		for _, b := range o.texts[i+1:] {
			if both := seen.within(b.ink.within(b.clip)); a.layer == b.layer && both.w > tolerance && both.h > 3 {
				fault("%q at %v lies over %q at %v", a.text, a.ink, b.text, b.ink)
			}
		}
	}
	return out
}

func TestOutline_FindsFaults(t *testing.T) {
	newTestApp(t)
	for markup, want := range map[string]string{
		`<canvas size="300x100"><content><text size="200x20">fine</text><text pos="0,30" size="200x20">fine too</text></content></canvas>`:              "",
		`<canvas size="300x100"><content><text pos="280,0" size="200x20">over the edge</text></content></canvas>`:                                       "cut off",
		`<canvas size="300x100"><content><text size="20x20">longer than its box</text></content></canvas>`:                                              "needs",
		`<canvas size="300x100"><content><text size="200x20">one</text><text pos="4,4" size="200x20">two</text></content></canvas>`:                     "lies over",
		`<canvas size="300x100"><content><widget type="*x.Clip" size="50x100"><text pos="40,0" size="90x20">clipped</text></widget></content></canvas>`: "cut off",
		`<canvas size="300x100"><content><widget type="*x.Clip" size="50x100"><text pos="0,200" size="90x20">below</text></widget></content></canvas>`:  "",
	} {
		got := strings.Join(outlineOf(t, markup).faults(), "\n")
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q", markup, got)
		}
	}
}

// ended is the time at the end of a card's status: in these tests, transfers end now.
var ended = regexp.MustCompile(` · \d\d:\d\d$`)
