package ui

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/layout"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"
)

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

// flow puts objects into lines from the left, as words in a text. Its height follows from its width.
type flow struct {
	gap   float32
	width float32
}

func newFlow(gap float32, o ...fyne.CanvasObject) *fyne.Container {
	return container.New(&flow{gap: gap}, o...)
}

func (l *flow) arrange(objects []fyne.CanvasObject, width float32, place func(o fyne.CanvasObject, x, y, w, h float32)) (height float32) {
	x, y, tall := float32(0), float32(0), float32(0)
	for _, o := range objects {
		if !o.Visible() {
			continue
		}
		m := o.MinSize()
		w := min(m.Width, max(width, 40))
		if x > 0 && x+w > width {
			x, y, tall = 0, y+tall+l.gap, 0
		}
		if place != nil {
			place(o, x, y, w, m.Height)
		}
		x, tall = x+w+l.gap, max(tall, m.Height)
	}
	return y + tall
}

func (l *flow) MinSize(objects []fyne.CanvasObject) fyne.Size {
	widest := float32(0)
	for _, o := range objects {
		if o.Visible() {
			widest = max(widest, o.MinSize().Width)
		}
	}
	width := l.width
	if width == 0 {
		width = 1e6
	}
	return fyne.NewSize(min(widest, 120), l.arrange(objects, width, nil))
}

func (l *flow) Layout(objects []fyne.CanvasObject, s fyne.Size) {
	l.width = s.Width
	l.arrange(objects, s.Width, func(o fyne.CanvasObject, x, y, w, h float32) {
		o.Resize(fyne.NewSize(w, h))
		o.Move(fyne.NewPos(x, y))
	})
}

// flexible is what has a height for each width.
type flexible interface {
	fyne.CanvasObject
	heightFor(width float32) float32
}

// heightOf is the height of anything at a width.
func heightOf(o fyne.CanvasObject, width float32) float32 {
	if f, ok := o.(flexible); ok {
		return f.heightFor(width)
	}
	if c, ok := o.(*fyne.Container); ok {
		switch l := c.Layout.(type) {
		case *flow:
			return l.arrange(c.Objects, width, nil)
		case *stacked:
			return l.heightFor(c.Objects, width)
		case *beside:
			return l.heightFor(width)
		}
	}
	return o.MinSize().Height
}

// stacked is a column in which each object gets the height that it needs for the width.
type stacked struct {
	gap                      float32
	top, bottom, left, right float32
	width                    float32
}

func newStacked(gap float32, o ...fyne.CanvasObject) *fyne.Container {
	return container.New(&stacked{gap: gap}, o...)
}

func newStackedInset(l stacked, o ...fyne.CanvasObject) *fyne.Container {
	return container.New(&l, o...)
}

func (l *stacked) heightFor(objects []fyne.CanvasObject, width float32) float32 {
	h, n := l.top+l.bottom, 0
	for _, o := range objects {
		if o.Visible() {
			h += heightOf(o, width-l.left-l.right)
			n++
		}
	}
	return h + l.gap*float32(max(0, n-1))
}

func (l *stacked) MinSize(objects []fyne.CanvasObject) fyne.Size {
	w := float32(0)
	for _, o := range objects {
		if o.Visible() {
			w = max(w, o.MinSize().Width)
		}
	}
	width := l.width
	if width == 0 {
		width = max(w+l.left+l.right, 320)
	}
	return fyne.NewSize(w+l.left+l.right, l.heightFor(objects, width))
}

func (l *stacked) Layout(objects []fyne.CanvasObject, s fyne.Size) {
	l.width = s.Width
	y, w := l.top, s.Width-l.left-l.right
	for _, o := range objects {
		if !o.Visible() {
			continue
		}
		h := heightOf(o, w)
		o.Resize(fyne.NewSize(w, h))
		o.Move(fyne.NewPos(l.left, y))
		y += h + l.gap
	}
}

// beside puts one object of fixed width next to the rest with a gap, both centred in height.
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

// used is the width that the fixed one takes.
func (l *beside) used() float32 {
	w := l.fixed.MinSize().Width
	if !l.fixed.Visible() || w == 0 {
		return 0
	}
	return w + l.gap
}

func (l *beside) heightFor(width float32) float32 {
	h := heightOf(l.rest, width-l.used())
	if l.fixed.Visible() {
		h = max(h, l.fixed.MinSize().Height)
	}
	return h
}

func (l *beside) MinSize([]fyne.CanvasObject) fyne.Size {
	f, r := fyne.Size{}, l.rest.MinSize()
	if l.fixed.Visible() {
		f = l.fixed.MinSize()
	}
	return fyne.NewSize(l.used()+r.Width, max(f.Height, r.Height))
}

func (l *beside) Layout(_ []fyne.CanvasObject, s fyne.Size) {
	f := l.fixed.MinSize()
	h := heightOf(l.rest, s.Width-l.used())
	x, at := l.used(), float32(0)
	if l.right {
		x, at = 0, s.Width-f.Width
	}
	l.fixed.Resize(f)
	l.fixed.Move(fyne.NewPos(at, (s.Height-f.Height)/2))
	l.rest.Resize(fyne.NewSize(s.Width-l.used(), h))
	l.rest.Move(fyne.NewPos(x, (s.Height-h)/2))
}

// pane puts a top and a bottom above and below the rest, without a gap. A part that is hidden takes no room.
type pane struct{ top, bottom, rest fyne.CanvasObject }

func newPane(top, bottom, rest fyne.CanvasObject) *fyne.Container {
	l := &pane{top, bottom, rest}
	c := container.New(l)
	for _, o := range []fyne.CanvasObject{rest, top, bottom} {
		if o != nil {
			c.Objects = append(c.Objects, o)
		}
	}
	return c
}

// high is the height that a part takes.
func (l *pane) high(o fyne.CanvasObject) float32 {
	if o == nil || !o.Visible() {
		return 0
	}
	return o.MinSize().Height
}

func (l *pane) MinSize(objects []fyne.CanvasObject) fyne.Size {
	w := float32(0)
	for _, o := range objects {
		if o.Visible() {
			w = max(w, o.MinSize().Width)
		}
	}
	return fyne.NewSize(w, l.high(l.top)+l.high(l.bottom)+l.rest.MinSize().Height)
}

func (l *pane) Layout(_ []fyne.CanvasObject, s fyne.Size) {
	top, bottom := l.high(l.top), l.high(l.bottom)
	place := func(o fyne.CanvasObject, y, h float32) {
		if o != nil {
			o.Resize(fyne.NewSize(s.Width, h))
			o.Move(fyne.NewPos(0, y))
		}
	}
	place(l.top, 0, top)
	place(l.bottom, s.Height-bottom, bottom)
	place(l.rest, top, s.Height-top-bottom)
}

// least gives its object a height at the least, in the middle of which it stands.
type least float32

func (l least) MinSize(o []fyne.CanvasObject) fyne.Size {
	m := o[0].MinSize()
	return fyne.NewSize(m.Width, max(float32(l), m.Height))
}

func (l least) Layout(o []fyne.CanvasObject, s fyne.Size) {
	h := o[0].MinSize().Height
	o[0].Resize(fyne.NewSize(s.Width, h))
	o[0].Move(fyne.NewPos(0, (s.Height-h)/2))
}

// headHeight is that of the top of each page.
const headHeight = 64

// newHead is the top of a page, with a line below.
func newHead(o fyne.CanvasObject) *fyne.Container {
	return column(0, container.New(least(headHeight), inset(o, 0, 0, edge, edge)), widget.NewSeparator())
}

// unshaded is a theme without the shadows that Fyne draws over the ends of what scrolls: where it goes on the bar says.
type unshaded struct{ fyne.Theme }

// Color is fyne.Theme's.
func (t unshaded) Color(n fyne.ThemeColorName, v fyne.ThemeVariant) color.Color {
	if n == theme.ColorNameShadow {
		return color.Transparent
	}
	return t.Theme.Color(n, v)
}

// newScroll makes content scroll up and down, wherever in it the pointer is. The first result is what to show.
func newScroll(content fyne.CanvasObject) (fyne.CanvasObject, *container.Scroll) {
	s := container.NewVScroll(content)
	w := &wheel{to: s}
	w.ExtendBaseWidget(w)
	return container.NewStack(container.NewThemeOverride(s, unshaded{fyne.CurrentApp().Settings().Theme()}), w), s
}

// wheel lies over what scrolls and takes the wheel alone: a field in there, which has a scroller of its own, would swallow it.
type wheel struct {
	widget.BaseWidget
	to fyne.Scrollable
}

var _ fyne.Scrollable = (*wheel)(nil)

// Scrolled is fyne.Scrollable's.
func (w *wheel) Scrolled(e *fyne.ScrollEvent) { w.to.Scrolled(e) }

func (w *wheel) CreateRenderer() fyne.WidgetRenderer {
	return widget.NewSimpleRenderer(canvas.NewRectangle(color.Transparent))
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

// atMost gives its object all the width up to a limit, in the middle.
type atMost float32

func (l atMost) MinSize(o []fyne.CanvasObject) fyne.Size { return o[0].MinSize() }
func (l atMost) Layout(o []fyne.CanvasObject, s fyne.Size) {
	w := min(float32(l), s.Width)
	o[0].Resize(fyne.NewSize(w, s.Height))
	o[0].Move(fyne.NewPos((s.Width-w)/2, 0))
}

// narrowest is the width below which the list and the conversation are two pages, as on a phone.
const (
	narrowest = 600
	sideWidth = 280
)

// shell is the whole window: the list beside the page, or, where there is no room, one of them.
type shell struct {
	narrow  bool
	onPage  bool       // of the two, the page is in front
	changed func(bool) // tells that narrow is another now
	resized func()     // the window has another size
	size    fyne.Size
}

func (l *shell) MinSize(o []fyne.CanvasObject) fyne.Size {
	a, b := o[0].MinSize(), o[1].MinSize()
	return fyne.NewSize(max(a.Width, b.Width, 320), max(a.Height, b.Height))
}

func (l *shell) Layout(o []fyne.CanvasObject, s fyne.Size) {
	if narrow := s.Width < narrowest; narrow != l.narrow {
		l.narrow = narrow
		l.changed(narrow)
	}
	if s != l.size {
		l.size = s
		l.resized()
	}
	show(o[0], !l.narrow || !l.onPage)
	show(o[1], !l.narrow || l.onPage)
	x := float32(sideWidth)
	if l.narrow {
		x = 0
		o[0].Resize(s)
	} else {
		o[0].Resize(fyne.NewSize(x, s.Height))
	}
	o[1].Move(fyne.NewPos(x, 0))
	o[1].Resize(fyne.NewSize(s.Width-x, s.Height))
}
