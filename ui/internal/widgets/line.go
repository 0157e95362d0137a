package widgets

import (
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"
)

// Line is one line of text without a label's padding. It is cut with an ellipsis if it does not fit.
type Line struct {
	widget.BaseWidget
	Text  string
	Color fyne.ThemeColorName
	size  fyne.ThemeSizeName
	drawn *canvas.Text
	// Fits makes the line at least as wide as its text; otherwise it can shrink.
	Fits bool
	// Tail is how many characters at the end are kept when the line is cut, such as a file name's extension.
	Tail int
}

var _ fyne.Accessible = (*Line)(nil)

// NewLine returns a line with a size and a colour of the theme.
func NewLine(text string, size fyne.ThemeSizeName, color fyne.ThemeColorName, bold bool) *Line {
	l := &Line{Text: text, Color: color, size: size, drawn: canvas.NewText(text, nil)}
	l.drawn.TextStyle.Bold = bold
	l.ExtendBaseWidget(l)
	l.paint()
	return l
}

// Caption returns a small line in a subtle colour.
func Caption(text string) *Line { return NewLine(text, SizeCaption, ColorSubtle, false) }

// Heading returns the title of a section.
func Heading(text string) *Line { return NewLine(text, SizeSmall, ColorSubtle, true) }

// Centred centres the text of a line, and returns the line.
func Centred(l *Line) *Line {
	l.drawn.Alignment = fyne.TextAlignCenter
	return l
}

// AccessibilityLabel returns the text.
func (l *Line) AccessibilityLabel() string { return l.Text }

// AccessibilityRole returns the text role.
func (l *Line) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleText }

// SetText changes the text.
func (l *Line) SetText(text string) {
	if text != l.Text {
		l.Text = text
		l.Refresh()
	}
}

// SetColor changes the colour.
func (l *Line) SetColor(c fyne.ThemeColorName) {
	if c != l.Color {
		l.Color = c
		l.Refresh()
	}
}

func (l *Line) paint() {
	l.drawn.Color, l.drawn.TextSize = tint(l, l.Color), l.Theme().Size(l.size)
}

func (l *Line) measure(text string) float32 {
	return fyne.MeasureText(text, l.drawn.TextSize, l.drawn.TextStyle).Width
}

// CreateRenderer implements fyne.Widget.
func (l *Line) CreateRenderer() fyne.WidgetRenderer {
	l.paint()
	return &lineRenderer{l}
}

type lineRenderer struct{ l *Line }

func (r *lineRenderer) MinSize() fyne.Size {
	h := fyne.MeasureText("X", r.l.drawn.TextSize, r.l.drawn.TextStyle).Height
	if r.l.Fits {
		return fyne.NewSize(r.l.measure(r.l.Text), h)
	}
	return fyne.NewSize(min(r.l.measure(r.l.Text), 24), h)
}

func (r *lineRenderer) Layout(s fyne.Size) {
	t := r.l.drawn
	t.Text = r.l.Text
	if s.Width > 0 && r.l.measure(r.l.Text) > s.Width {
		t.Text = cut(r.l.Text, r.l.Tail, func(text string) bool { return r.l.measure(text) <= s.Width })
	}
	t.Resize(s)
	t.Refresh()
}

// cut shortens text with an ellipsis until it fits, and keeps its last tail characters.
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
	return strings.TrimRight(string(runes[:lo]), " …") + end
}

func (r *lineRenderer) Refresh() {
	r.l.paint()
	r.Layout(r.l.Size())
	canvas.Refresh(r.l)
}
func (r *lineRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.l.drawn} }
func (r *lineRenderer) Destroy()                     {}

// Shortened cuts text after n characters.
func Shortened(text string, n int) string {
	if r := []rune(text); len(r) > n {
		return string(r[:n]) + "…"
	}
	return text
}

// Paragraph is text that wraps, without a label's padding. Its height depends on its width.
type Paragraph struct {
	widget.BaseWidget
	Text  string
	Color fyne.ThemeColorName
	size  fyne.ThemeSizeName
	Align fyne.TextAlign
	Bold  bool
	Mono  bool
	Most  int     // the maximum number of lines shown; 0 for all
	width float32 // the width that the lines are wrapped to
	lines []*canvas.Text
}

// NewParagraph returns a paragraph with a size and a colour of the theme.
func NewParagraph(text string, size fyne.ThemeSizeName, color fyne.ThemeColorName) *Paragraph {
	p := &Paragraph{Text: text, size: size, Color: color}
	p.ExtendBaseWidget(p)
	return p
}

// Hint returns a small paragraph in a subtle colour.
func Hint(text string) *Paragraph { return NewParagraph(text, SizeCaption, ColorSubtle) }

// AccessibilityLabel returns the text.
func (p *Paragraph) AccessibilityLabel() string { return p.Text }

// AccessibilityRole returns the text role.
func (p *Paragraph) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleText }

// SetText changes the text.
func (p *Paragraph) SetText(text string) {
	if text != p.Text {
		p.Text, p.width = text, 0
		p.wrap(p.Size().Width)
		p.Refresh()
	}
}

func (p *Paragraph) wrap(width float32) {
	if width == p.width && p.lines != nil {
		return
	}
	p.width, p.lines = width, nil
	size := p.Theme().Size(p.size)
	style := fyne.TextStyle{Bold: p.Bold, Monospace: p.Mono}
	measure := measured(size, style)
	lines := wrapText(p.Text, max(40, width), measure)
	if p.Most > 0 && len(lines) > p.Most {
		rest := strings.Join(lines[p.Most-1:], " ")
		lines = append(lines[:p.Most-1], cut(rest, 0, func(text string) bool { return measure(text) <= max(40, width) }))
	}
	for _, l := range lines {
		t := canvas.NewText(l, tint(p, p.Color))
		t.TextSize, t.Alignment = size, p.Align
		t.TextStyle = style
		p.lines = append(p.lines, t)
	}
}

// HeightFor returns the height at a width.
func (p *Paragraph) HeightFor(width float32) float32 {
	p.wrap(width)
	return p.lineHeight() * float32(len(p.lines))
}

func (p *Paragraph) lineHeight() float32 {
	return fyne.MeasureText("Xg", p.Theme().Size(p.size), fyne.TextStyle{}).Height
}

// Resize wraps the text again, so that MinSize returns the height at this width.
func (p *Paragraph) Resize(s fyne.Size) {
	if s.Width > 0 && s.Width != p.width {
		p.wrap(s.Width)
	}
	p.BaseWidget.Resize(s)
}

// CreateRenderer implements fyne.Widget.
func (p *Paragraph) CreateRenderer() fyne.WidgetRenderer {
	if p.lines == nil {
		p.wrap(max(p.width, p.Size().Width, 200))
	}
	return &paragraphRenderer{p}
}

type paragraphRenderer struct{ p *Paragraph }

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
		t.Color = tint(r.p, r.p.Color)
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

// wrapText breaks text into lines that fit a width: at spaces and hyphens, and inside words that are longer than a
// line.
func wrapText(text string, width float32, measure func(string) float32) (lines []string) {
	for paragraph := range strings.SplitSeq(strings.ReplaceAll(text, "\t", "    "), "\n") {
		rest := []rune(strings.TrimRight(paragraph, " "))
		for {
			// A line holds at most one character per unit of width. This limit avoids measuring the rest of a long text
			// for each line, which would take quadratic time.
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

// LinkText is text that can be tapped.
type LinkText struct {
	Line
	tapped func()
}

var (
	_ fyne.Tappable  = (*LinkText)(nil)
	_ fyne.Focusable = (*LinkText)(nil)
)

// NewLinkText returns a link that runs tapped.
func NewLinkText(text string, tapped func()) *LinkText {
	l := &LinkText{tapped: tapped}
	l.Text = text
	l.Color = ColorLink
	l.size = SizeCaption
	l.drawn = canvas.NewText(text, nil)
	l.Fits = true
	l.drawn.TextStyle.Bold = true
	l.ExtendBaseWidget(l)
	l.paint()
	return l
}

// AccessibilityRole returns the link role.
func (l *LinkText) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleLink }

// Tapped implements fyne.Tappable.
func (l *LinkText) Tapped(*fyne.PointEvent) { l.tapped() }

// FocusGained underlines the text.
func (l *LinkText) FocusGained() { l.drawn.TextStyle.Underline = true; l.Refresh() }

// FocusLost implements fyne.Focusable.
func (l *LinkText) FocusLost() { l.drawn.TextStyle.Underline = false; l.Refresh() }

// TypedRune implements fyne.Focusable.
func (l *LinkText) TypedRune(r rune) {
	if r == ' ' {
		l.tapped()
	}
}

// TypedKey implements fyne.Focusable.
func (l *LinkText) TypedKey(k *fyne.KeyEvent) {
	if k.Name == fyne.KeyReturn || k.Name == fyne.KeyEnter {
		l.tapped()
	}
}
