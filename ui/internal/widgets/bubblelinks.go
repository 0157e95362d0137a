package widgets

import (
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
)

// Links finds and opens the links in messages.
type Links struct {
	Find func(text string) [][2]int // the start and the end of each link, in bytes
	Open func(link string)
}

// segment is a part of a line: text, or a part of a link.
type segment struct {
	text string
	link string // the complete link; empty for text
}

// splitLines splits wrapped lines at the links of the original text. Wrapping only drops spaces at the ends of lines.
func splitLines(text string, lines []string, links [][2]int) [][]segment {
	out := make([][]segment, len(lines))
	from := 0
	for i, line := range lines {
		at := strings.Index(text[from:], line)
		if at < 0 || len(links) == 0 { // a line with an ellipsis is not part of the text
			out[i] = []segment{{text: line}}
			continue
		}
		at += from
		from = at + len(line)
		out[i] = segmentsOf(text, at, from, links)
	}
	return out
}

// segmentsOf splits text[from:to] at links.
func segmentsOf(text string, from, to int, links [][2]int) (out []segment) {
	for _, l := range links {
		start, end := max(l[0], from), min(l[1], to)
		if start >= end {
			continue
		}
		if start > from {
			out = append(out, segment{text: text[from:start]})
		}
		out = append(out, segment{text[start:end], text[l[0]:l[1]]})
		from = end
	}
	if from < to || len(out) == 0 {
		out = append(out, segment{text: text[from:to]})
	}
	return out
}

var (
	_ fyne.Tappable      = (*Bubble)(nil)
	_ desktop.Hoverable  = (*Bubble)(nil)
	_ desktop.Cursorable = (*Bubble)(nil)
)

// linkAt returns the link at a position in the bubble, or "".
func (b *Bubble) linkAt(at fyne.Position) string {
	for _, l := range b.lines {
		p, s := l.text.Position(), l.text.Size()
		if l.link != "" && at.X >= p.X && at.X < p.X+s.Width && at.Y >= p.Y && at.Y < p.Y+s.Height {
			return l.link
		}
	}
	return ""
}

// Tapped opens the link at the pointer.
func (b *Bubble) Tapped(e *fyne.PointEvent) {
	if link := b.linkAt(e.Position); link != "" {
		b.Links.Open(link)
	}
}

// MouseIn implements desktop.Hoverable.
func (b *Bubble) MouseIn(e *desktop.MouseEvent) { b.pointed = b.linkAt(e.Position) != "" }

// MouseMoved implements desktop.Hoverable.
func (b *Bubble) MouseMoved(e *desktop.MouseEvent) { b.pointed = b.linkAt(e.Position) != "" }

// MouseOut implements desktop.Hoverable.
func (b *Bubble) MouseOut() { b.pointed = false }

// Cursor implements desktop.Cursorable.
func (b *Bubble) Cursor() desktop.Cursor {
	if b.pointed {
		return desktop.PointerCursor
	}
	return desktop.DefaultCursor
}
