package ui

import (
	"image/color"
	"strings"
	"unicode/utf8"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/layout"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
)

// panel is a tinted rectangle to stack under other things.
type panel struct {
	widget.BaseWidget
	fill, stroke fyne.ThemeColorName // stroke may be empty
	rect         *canvas.Rectangle
}

func newPanel(fill, stroke fyne.ThemeColorName, radius float32) *panel {
	p := &panel{fill: fill, stroke: stroke, rect: canvas.NewRectangle(color.Transparent)}
	p.rect.CornerRadius = radius
	p.ExtendBaseWidget(p)
	p.paint()
	return p
}

func (p *panel) paint() {
	p.rect.FillColor = tint(p, p.fill)
	if p.stroke != "" {
		p.rect.StrokeColor, p.rect.StrokeWidth = tint(p, p.stroke), 1
	}
}

func (p *panel) Refresh() {
	p.paint()
	p.rect.Refresh()
}

func (p *panel) CreateRenderer() fyne.WidgetRenderer {
	p.paint()
	return widget.NewSimpleRenderer(p.rect)
}

// line is one line of text without the padding of a label. It is cut with an ellipsis where it does not fit.
type line struct {
	widget.BaseWidget
	full  string
	color fyne.ThemeColorName
	text  *canvas.Text
	// fits makes the line as wide as its text at the least; otherwise it shrinks.
	fits bool
	// tail is how many characters at the end stay when the line is cut: the extension of a file's name.
	tail int
}

func newLine(text string, size float32, color fyne.ThemeColorName, bold bool) *line {
	l := &line{full: text, color: color, text: canvas.NewText(text, nil)}
	l.text.TextSize, l.text.TextStyle.Bold = size, bold
	l.ExtendBaseWidget(l)
	l.text.Color = tint(l, color)
	return l
}

func caption(text string) *line { return newLine(text, sizeCaption, colorSubtle, false) }

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

func (l *line) width() float32 {
	return fyne.MeasureText(l.full, l.text.TextSize, l.text.TextStyle).Width
}

func (l *line) CreateRenderer() fyne.WidgetRenderer { return &lineRenderer{l} }

type lineRenderer struct{ l *line }

func (r *lineRenderer) MinSize() fyne.Size {
	h := fyne.MeasureText("X", r.l.text.TextSize, r.l.text.TextStyle).Height
	if r.l.fits || r.l.text.Alignment == fyne.TextAlignCenter {
		return fyne.NewSize(r.l.width(), h)
	}
	return fyne.NewSize(min(r.l.width(), 24), h)
}

func (r *lineRenderer) Layout(s fyne.Size) {
	t := r.l.text
	t.Text = r.l.full
	if w := r.l.width(); w > s.Width && s.Width > 0 {
		runes := []rune(r.l.full)
		end := "…" + string(runes[len(runes)-min(r.l.tail, len(runes)/2):])
		lo, hi := 0, len(runes)
		for lo < hi { // the longest start that fits with the ellipsis and what follows
			mid := (lo + hi + 1) / 2
			if fyne.MeasureText(string(runes[:mid])+end, t.TextSize, t.TextStyle).Width <= s.Width {
				lo = mid
			} else {
				hi = mid - 1
			}
		}
		t.Text = strings.TrimSpace(string(runes[:lo])) + end
	}
	t.Resize(s)
	t.Refresh()
}

func (r *lineRenderer) Refresh() {
	r.l.text.Color = tint(r.l, r.l.color)
	r.Layout(r.l.Size())
	canvas.Refresh(r.l)
}
func (r *lineRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.l.text} }
func (r *lineRenderer) Destroy()                     {}

// avatar is a disc with an initial. The colour follows from the key, so a device keeps it when it is renamed.
type avatar struct {
	widget.BaseWidget
	size   float32
	disc   *canvas.Circle
	letter *canvas.Text
	dot    *canvas.Circle
	ring   *canvas.Circle
	state  fyne.ThemeColorName // of the dot; empty hides it
	on     fyne.ThemeColorName // what the avatar stands on
}

var avatarColors = []uint32{0x2F62EA, 0xC84B25, 0x0F7F76, 0x7E34C9, 0x9A6410, 0xB92E6C, 0x3C6E3A, 0x44546F}

func newAvatar(size float32) *avatar {
	a := &avatar{size: size, disc: canvas.NewCircle(rgb(0x7A8292)), letter: canvas.NewText("", color.White), dot: canvas.NewCircle(nil), ring: canvas.NewCircle(nil), on: colorSidebar}
	a.letter.TextStyle.Bold, a.letter.TextSize, a.letter.Alignment = true, size*0.42, fyne.TextAlignCenter
	a.ExtendBaseWidget(a)
	return a
}

// set shows a peer; state is the colour of its dot.
func (a *avatar) set(id engine.PeerID, name string, state fyne.ThemeColorName) {
	fill := rgb(avatarColors[int(id[0])%len(avatarColors)])
	r, _ := utf8.DecodeRuneInString(name)
	letter := strings.ToUpper(string(r))
	if a.letter.Text == letter && a.disc.FillColor == fill && a.state == state {
		return
	}
	a.disc.FillColor, a.letter.Text, a.state = fill, letter, state
	a.Refresh()
}

// standOn tells what is behind the avatar, which the ring round its dot shows.
func (a *avatar) standOn(c fyne.ThemeColorName) {
	if a.on != c {
		a.on = c
		a.Refresh()
	}
}

func (a *avatar) CreateRenderer() fyne.WidgetRenderer {
	r := &avatarRenderer{a}
	r.paint()
	return r
}

type avatarRenderer struct{ a *avatar }

func (r *avatarRenderer) MinSize() fyne.Size { return fyne.NewSquareSize(r.a.size) }
func (r *avatarRenderer) Layout(s fyne.Size) {
	a := r.a
	at := fyne.NewPos((s.Width-a.size)/2, (s.Height-a.size)/2)
	a.disc.Move(at)
	a.disc.Resize(fyne.NewSquareSize(a.size))
	h := a.letter.MinSize().Height
	a.letter.Move(at.AddXY(0, (a.size-h)/2))
	a.letter.Resize(fyne.NewSize(a.size, h))
	d := max(8, a.size*0.28)
	a.ring.Resize(fyne.NewSquareSize(d + 4))
	a.ring.Move(at.AddXY(a.size-d-1, a.size-d-1))
	a.dot.Resize(fyne.NewSquareSize(d))
	a.dot.Move(at.AddXY(a.size-d+1, a.size-d+1))
}

func (r *avatarRenderer) paint() {
	a := r.a
	a.dot.Hidden, a.ring.Hidden = a.state == "", a.state == ""
	if a.state != "" {
		a.dot.FillColor, a.ring.FillColor = tint(a, a.state), tint(a, a.on)
	}
}

func (r *avatarRenderer) Refresh() {
	r.paint()
	r.Layout(r.a.Size())
	canvas.Refresh(r.a)
}

func (r *avatarRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.a.disc, r.a.letter, r.a.ring, r.a.dot}
}
func (r *avatarRenderer) Destroy() {}

// thinBar is progress as a line 5 units high; the words stand beside it.
type thinBar struct {
	widget.BaseWidget
	track, fill *canvas.Rectangle
	part        float64 // 0..1
}

func newThinBar() *thinBar {
	b := &thinBar{track: canvas.NewRectangle(color.Transparent), fill: canvas.NewRectangle(color.Transparent)}
	b.track.CornerRadius, b.fill.CornerRadius = 2.5, 2.5
	b.ExtendBaseWidget(b)
	return b
}

func (b *thinBar) set(part float64) {
	if part = min(1, max(0, part)); part != b.part { // every refresh repaints the window
		b.part = part
		b.Refresh()
	}
}

func (b *thinBar) CreateRenderer() fyne.WidgetRenderer {
	r := &thinBarRenderer{b}
	r.paint()
	return r
}

type thinBarRenderer struct{ b *thinBar }

func (r *thinBarRenderer) MinSize() fyne.Size { return fyne.NewSize(40, 5) }
func (r *thinBarRenderer) Layout(s fyne.Size) {
	y := (s.Height - 5) / 2
	r.b.track.Move(fyne.NewPos(0, y))
	r.b.track.Resize(fyne.NewSize(s.Width, 5))
	r.b.fill.Move(fyne.NewPos(0, y))
	r.b.fill.Resize(fyne.NewSize(s.Width*float32(r.b.part), 5))
}

func (r *thinBarRenderer) paint() {
	r.b.track.FillColor, r.b.fill.FillColor = tint(r.b, colorTrack), tint(r.b, theme.ColorNamePrimary)
	r.b.fill.Hidden = r.b.part == 0
}

func (r *thinBarRenderer) Refresh() {
	r.paint()
	r.Layout(r.b.Size())
	canvas.Refresh(r.b)
}

func (r *thinBarRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.b.track, r.b.fill}
}
func (r *thinBarRenderer) Destroy() {}

// tapRow is a row that can be hovered, tapped and selected.
type tapRow struct {
	widget.BaseWidget
	content  fyne.CanvasObject
	back     *canvas.Rectangle
	selected bool
	hovered  bool
	tapped   func()
	menu     func(at fyne.Position) // of the second button; nil for none
}

var (
	_ fyne.Tappable          = (*tapRow)(nil)
	_ fyne.SecondaryTappable = (*tapRow)(nil)
	_ desktop.Hoverable      = (*tapRow)(nil)
)

func newTapRow(content fyne.CanvasObject, tapped func()) *tapRow {
	r := &tapRow{content: content, back: canvas.NewRectangle(color.Transparent), tapped: tapped}
	r.back.CornerRadius = 10
	r.ExtendBaseWidget(r)
	return r
}

func (r *tapRow) Tapped(*fyne.PointEvent) { r.tapped() }
func (r *tapRow) TappedSecondary(e *fyne.PointEvent) {
	if r.menu != nil {
		r.menu(e.AbsolutePosition)
	}
}

func (r *tapRow) MouseIn(*desktop.MouseEvent)    { r.hovered = true; r.Refresh() }
func (r *tapRow) MouseMoved(*desktop.MouseEvent) {}
func (r *tapRow) MouseOut()                      { r.hovered = false; r.Refresh() }

func (r *tapRow) choose(on bool) {
	if on != r.selected {
		r.selected = on
		r.Refresh()
	}
}

func (r *tapRow) paint() {
	switch {
	case r.selected:
		r.back.FillColor = tint(r, theme.ColorNameSelection)
	case r.hovered:
		r.back.FillColor = tint(r, theme.ColorNameHover)
	default:
		r.back.FillColor = color.Transparent
	}
}

func (r *tapRow) Refresh() {
	r.paint()
	r.back.Refresh()
}

func (r *tapRow) CreateRenderer() fyne.WidgetRenderer {
	r.paint()
	return widget.NewSimpleRenderer(container.NewStack(r.back, inset(r.content, 7, 7, 10, 10)))
}

// inset puts distances around o: top, bottom, left, right.
func inset(o fyne.CanvasObject, top, bottom, left, right float32) *fyne.Container {
	return container.New(layout.NewCustomPaddedLayout(top, bottom, left, right), o)
}

// column and row stack objects with a fixed gap.
func column(gap float32, o ...fyne.CanvasObject) *fyne.Container {
	return container.New(layout.NewCustomPaddedVBoxLayout(gap), o...)
}

func row(gap float32, o ...fyne.CanvasObject) *fyne.Container {
	return container.New(layout.NewCustomPaddedHBoxLayout(gap), o...)
}

// beside puts left before the rest with a gap, both centred in height.
type beside struct {
	gap         float32
	right       bool // the fixed one stands at the right
	fixed, rest fyne.CanvasObject
}

func newBeside(gap float32, fixed, rest fyne.CanvasObject) *fyne.Container {
	return container.New(&beside{gap: gap, fixed: fixed, rest: rest}, fixed, rest)
}

func newBesideRight(gap float32, rest, fixed fyne.CanvasObject) *fyne.Container {
	return container.New(&beside{gap: gap, right: true, fixed: fixed, rest: rest}, rest, fixed)
}

func (l *beside) used() float32 {
	if !l.fixed.Visible() {
		return 0
	}
	return l.fixed.MinSize().Width + l.gap
}

func (l *beside) MinSize([]fyne.CanvasObject) fyne.Size {
	f, r := fyne.Size{}, l.rest.MinSize()
	if l.fixed.Visible() {
		f = l.fixed.MinSize()
	}
	return fyne.NewSize(l.used()+r.Width, max(f.Height, r.Height))
}

func (l *beside) Layout(_ []fyne.CanvasObject, s fyne.Size) {
	f, h := l.fixed.MinSize(), l.rest.MinSize().Height
	x, at := l.used(), float32(0)
	if l.right {
		x, at = 0, s.Width-f.Width
	}
	l.fixed.Resize(f)
	l.fixed.Move(fyne.NewPos(at, (s.Height-f.Height)/2))
	l.rest.Resize(fyne.NewSize(s.Width-l.used(), h))
	l.rest.Move(fyne.NewPos(x, (s.Height-h)/2))
}

// sidebar gives the first object a fixed width and the second the rest.
type sidebar float32

func (l sidebar) MinSize(o []fyne.CanvasObject) fyne.Size {
	a, b := o[0].MinSize(), o[1].MinSize()
	return fyne.NewSize(float32(l)+b.Width, max(a.Height, b.Height))
}

func (l sidebar) Layout(o []fyne.CanvasObject, s fyne.Size) {
	o[0].Resize(fyne.NewSize(float32(l), s.Height))
	o[1].Move(fyne.NewPos(float32(l), 0))
	o[1].Resize(fyne.NewSize(s.Width-float32(l), s.Height))
}

// iconButton is a quiet button with an icon alone.
func iconButton(icon fyne.Resource, tapped func()) *widget.Button {
	b := widget.NewButtonWithIcon("", icon, tapped)
	b.Importance = widget.LowImportance
	return b
}

// tile is an icon on a rounded square.
func newTile(icon *widget.Icon) fyne.CanvasObject {
	return container.New(fixed(fyne.NewSquareSize(42)), newPanel(colorTile, "", 10), inset(icon, 10, 10, 10, 10))
}

// fixed gives its objects one size.
type fixed fyne.Size

func (l fixed) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.Size(l) }
func (l fixed) Layout(o []fyne.CanvasObject, _ fyne.Size) {
	for _, c := range o {
		c.Resize(fyne.Size(l))
		c.Move(fyne.NewPos(0, 0))
	}
}
