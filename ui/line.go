package ui

import (
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"
)

// line is one line of text without the padding of a label. It is cut with an ellipsis where it does not fit.
type line struct {
	widget.BaseWidget
	full  string
	color fyne.ThemeColorName
	size  fyne.ThemeSizeName
	text  *canvas.Text
	// fits makes the line as wide as its text at the least; otherwise it shrinks.
	fits bool
	// tail is how many characters at the end stay when the line is cut: the extension of a file's name.
	tail int
}

var _ fyne.Accessible = (*line)(nil)

func newLine(text string, size fyne.ThemeSizeName, color fyne.ThemeColorName, bold bool) *line {
	l := &line{full: text, color: color, size: size, text: canvas.NewText(text, nil)}
	l.text.TextStyle.Bold = bold
	l.ExtendBaseWidget(l)
	l.paint()
	return l
}

func caption(text string) *line { return newLine(text, sizeCaption, colorSubtle, false) }

// heading names a part of a page.
func heading(text string) *line { return newLine(text, sizeSmall, colorSubtle, true) }

func centred(l *line) *line {
	l.text.Alignment = fyne.TextAlignCenter
	return l
}

// AccessibilityLabel is the text.
func (l *line) AccessibilityLabel() string { return l.full }

// AccessibilityRole is that of text.
func (l *line) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleText }

func (l *line) set(text string) {
	if text != l.full {
		l.full = text
		l.Refresh()
	}
}

func (l *line) setColor(c fyne.ThemeColorName) {
	if c != l.color {
		l.color = c
		l.Refresh()
	}
}

func (l *line) paint() {
	l.text.Color, l.text.TextSize = tint(l, l.color), l.Theme().Size(l.size)
}

func (l *line) measure(text string) float32 {
	return fyne.MeasureText(text, l.text.TextSize, l.text.TextStyle).Width
}

func (l *line) CreateRenderer() fyne.WidgetRenderer {
	l.paint()
	return &lineRenderer{l}
}

type lineRenderer struct{ l *line }

func (r *lineRenderer) MinSize() fyne.Size {
	h := fyne.MeasureText("X", r.l.text.TextSize, r.l.text.TextStyle).Height
	if r.l.fits {
		return fyne.NewSize(r.l.measure(r.l.full), h)
	}
	return fyne.NewSize(min(r.l.measure(r.l.full), 24), h)
}

func (r *lineRenderer) Layout(s fyne.Size) {
	t := r.l.text
	t.Text = r.l.full
	if s.Width > 0 && r.l.measure(r.l.full) > s.Width {
		t.Text = cut(r.l.full, r.l.tail, func(text string) bool { return r.l.measure(text) <= s.Width })
	}
	t.Resize(s)
	t.Refresh()
}

// cut shortens a text until it fits, with an ellipsis before its last characters.
func cut(text string, tail int, fits func(string) bool) string {
	runes := []rune(text)
	end := "…" + string(runes[len(runes)-min(tail, len(runes)/2):])
	lo, hi := 0, len(runes)
	for lo < hi {
		mid := (lo + hi + 1) / 2
		if fits(string(runes[:mid]) + end) {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	return strings.TrimSpace(string(runes[:lo])) + end
}

func (r *lineRenderer) Refresh() {
	r.l.paint()
	r.Layout(r.l.Size())
	canvas.Refresh(r.l)
}
func (r *lineRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.l.text} }
func (r *lineRenderer) Destroy()                     {}

// shortened cuts a text after so many characters.
func shortened(text string, n int) string {
	if r := []rune(text); len(r) > n {
		return string(r[:n]) + "…"
	}
	return text
}

// paragraph is text that wraps, without the padding of a label. Its height follows from its width.
type paragraph struct {
	widget.BaseWidget
	full  string
	color fyne.ThemeColorName
	size  fyne.ThemeSizeName
	align fyne.TextAlign
	width float32 // that the lines are made for
	lines []*canvas.Text
}

func newParagraph(text string, size fyne.ThemeSizeName, color fyne.ThemeColorName) *paragraph {
	p := &paragraph{full: text, size: size, color: color}
	p.ExtendBaseWidget(p)
	return p
}

// hint is a paragraph in a low voice.
func hint(text string) *paragraph { return newParagraph(text, sizeCaption, colorSubtle) }

// AccessibilityLabel is the text.
func (p *paragraph) AccessibilityLabel() string { return p.full }

// AccessibilityRole is that of text.
func (p *paragraph) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleText }

func (p *paragraph) set(text string) {
	if text != p.full {
		p.full, p.width = text, 0
		p.wrap(p.Size().Width)
		p.Refresh()
	}
}

func (p *paragraph) wrap(width float32) {
	if width == p.width && p.lines != nil {
		return
	}
	p.width, p.lines = width, nil
	size := p.Theme().Size(p.size)
	for _, l := range wrapText(p.full, max(40, width), measured(size, fyne.TextStyle{})) {
		t := canvas.NewText(l, tint(p, p.color))
		t.TextSize, t.Alignment = size, p.align
		p.lines = append(p.lines, t)
	}
}

// heightFor is the height at a width.
func (p *paragraph) heightFor(width float32) float32 {
	p.wrap(width)
	return p.lineHeight() * float32(len(p.lines))
}

func (p *paragraph) lineHeight() float32 {
	return fyne.MeasureText("Xg", p.Theme().Size(p.size), fyne.TextStyle{}).Height
}

// Resize wraps anew, so that MinSize tells the height at this width.
func (p *paragraph) Resize(s fyne.Size) {
	if s.Width > 0 && s.Width != p.width {
		p.wrap(s.Width)
	}
	p.BaseWidget.Resize(s)
}

func (p *paragraph) CreateRenderer() fyne.WidgetRenderer {
	if p.lines == nil {
		p.wrap(max(p.width, p.Size().Width, 200))
	}
	return &paragraphRenderer{p}
}

type paragraphRenderer struct{ p *paragraph }

func (r *paragraphRenderer) MinSize() fyne.Size {
	return fyne.NewSize(40, r.p.lineHeight()*float32(len(r.p.lines)))
}

func (r *paragraphRenderer) Layout(s fyne.Size) {
	h := r.p.lineHeight()
	for i, t := range r.p.lines {
		t.Move(fyne.NewPos(0, float32(i)*h))
		t.Resize(fyne.NewSize(s.Width, h))
	}
}

func (r *paragraphRenderer) Refresh() {
	size := r.p.Theme().Size(r.p.size)
	if len(r.p.lines) > 0 && r.p.lines[0].TextSize != size {
		width := r.p.width
		r.p.width = 0
		r.p.wrap(width)
	}
	for _, t := range r.p.lines {
		t.Color = tint(r.p, r.p.color)
	}
	r.Layout(r.p.Size())
	canvas.Refresh(r.p)
}

func (r *paragraphRenderer) Objects() []fyne.CanvasObject {
	out := make([]fyne.CanvasObject, len(r.p.lines))
	for i, t := range r.p.lines {
		out[i] = t
	}
	return out
}
func (r *paragraphRenderer) Destroy() {}

func measured(size float32, style fyne.TextStyle) func(string) float32 {
	return func(s string) float32 { return fyne.MeasureText(s, size, style).Width }
}

// wrapText breaks a text for a width: at spaces, and inside words that are longer than a line.
func wrapText(text string, width float32, measure func(string) float32) (lines []string) {
	for paragraph := range strings.SplitSeq(strings.ReplaceAll(text, "\t", "    "), "\n") {
		rest := []rune(strings.TrimRight(paragraph, " "))
		for {
			// No line holds more characters than it has units: a long text is not measured as a whole for each of its
			// lines, which would take a time that grows with its square.
			hi := min(len(rest), int(width)+1)
			if hi == len(rest) && measure(string(rest)) <= width {
				break
			}
			lo := 1
			for lo < hi {
				mid := (lo + hi + 1) / 2
				if measure(string(rest[:mid])) <= width {
					lo = mid
				} else {
					hi = mid - 1
				}
			}
			at := lo
			for i := lo; i > 0; i-- {
				if rest[i-1] == ' ' || rest[i-1] == '-' && i < lo {
					at = i
					break
				}
			}
			lines = append(lines, strings.TrimRight(string(rest[:at]), " "))
			for rest = rest[at:]; len(rest) > 0 && rest[0] == ' '; {
				rest = rest[1:]
			}
		}
		lines = append(lines, string(rest))
	}
	return lines
}

// linkText is a word that can be tapped.
type linkText struct {
	line
	tapped func()
}

var (
	_ fyne.Tappable  = (*linkText)(nil)
	_ fyne.Focusable = (*linkText)(nil)
)

func newLinkText(text string, tapped func()) *linkText {
	l := &linkText{tapped: tapped}
	l.full, l.color, l.size, l.text, l.fits = text, colorLink, sizeCaption, canvas.NewText(text, nil), true
	l.text.TextStyle.Bold = true
	l.ExtendBaseWidget(l)
	l.paint()
	return l
}

// AccessibilityRole is that of a link.
func (l *linkText) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleLink }

// Tapped is fyne.Tappable's.
func (l *linkText) Tapped(*fyne.PointEvent) { l.tapped() }

// FocusGained underlines.
func (l *linkText) FocusGained() { l.text.TextStyle.Underline = true; l.Refresh() }

// FocusLost is fyne.Focusable's.
func (l *linkText) FocusLost() { l.text.TextStyle.Underline = false; l.Refresh() }

// TypedRune is fyne.Focusable's.
func (l *linkText) TypedRune(r rune) {
	if r == ' ' {
		l.tapped()
	}
}

// TypedKey is fyne.Focusable's.
func (l *linkText) TypedKey(k *fyne.KeyEvent) {
	if k.Name == fyne.KeyReturn || k.Name == fyne.KeyEnter {
		l.tapped()
	}
}
