package widgets

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/layout"
	"fyne.io/fyne/v2/widget"
)

// Inset adds padding around o.
func Inset(o fyne.CanvasObject, top, bottom, left, right float32) *fyne.Container {
	return container.New(layout.NewCustomPaddedLayout(top, bottom, left, right), o)
}

// Column stacks objects vertically, with a fixed gap.
func Column(gap float32, o ...fyne.CanvasObject) *fyne.Container {
	return container.New(layout.NewCustomPaddedVBoxLayout(gap), o...)
}

// Row puts objects side by side, with a fixed gap.
func Row(gap float32, o ...fyne.CanvasObject) *fyne.Container {
	return container.New(layout.NewCustomPaddedHBoxLayout(gap), o...)
}

// flow arranges objects in lines from the left, like words in text. Its height depends on its width.
type flow struct {
	gap   float32
	width float32
}

// NewFlow arranges objects in lines from the left, like words in text.
func NewFlow(gap float32, o ...fyne.CanvasObject) *fyne.Container {
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

// pairs arranges objects of equal width in two columns, or in one if the widest does not fit into half of the width.
type pairs struct {
	gap   float32
	width float32 // of the last layout
}

// NewPairs arranges objects of equal width in two columns, or in one if they are too wide for two.
func NewPairs(gap float32, o ...fyne.CanvasObject) *fyne.Container {
	return container.New(&pairs{gap: gap}, o...)
}

// cell returns the number of columns and the size of an object at a width.
func (l *pairs) cell(objects []fyne.CanvasObject, width float32) (columns int, cell fyne.Size) {
	for _, o := range objects {
		cell = cell.Max(o.MinSize())
	}
	if half := (width - l.gap) / 2; cell.Width <= half {
		return 2, fyne.NewSize(half, cell.Height)
	}
	return 1, fyne.NewSize(width, cell.Height)
}

func (l *pairs) heightFor(objects []fyne.CanvasObject, width float32) float32 {
	columns, cell := l.cell(objects, width)
	rows := (len(objects) + columns - 1) / columns
	return float32(rows)*(cell.Height+l.gap) - l.gap
}

// MinSize implements fyne.Layout.
func (l *pairs) MinSize(objects []fyne.CanvasObject) fyne.Size {
	widest := float32(0)
	for _, o := range objects {
		widest = max(widest, o.MinSize().Width)
	}
	return fyne.NewSize(widest, l.heightFor(objects, max(l.width, widest)))
}

// Layout implements fyne.Layout.
func (l *pairs) Layout(objects []fyne.CanvasObject, s fyne.Size) {
	l.width = s.Width
	columns, cell := l.cell(objects, s.Width)
	for i, o := range objects {
		o.Resize(cell)
		o.Move(fyne.NewPos(float32(i%columns)*(cell.Width+l.gap), float32(i/columns)*(cell.Height+l.gap)))
	}
}

// pane places top above and bottom below rest, without gaps. A hidden part takes no space.
type pane struct{ top, bottom, rest fyne.CanvasObject }

// NewPane places top above and bottom below rest. top and bottom may be nil.
func NewPane(top, bottom, rest fyne.CanvasObject) *fyne.Container {
	l := &pane{top, bottom, rest}
	c := container.New(l)
	for _, o := range []fyne.CanvasObject{rest, top, bottom} {
		if o != nil {
			c.Objects = append(c.Objects, o)
		}
	}
	return c
}

// high returns the height that a part takes.
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

// Least gives its object a minimum height and centres it vertically.
type Least float32

// MinSize implements fyne.Layout.
func (l Least) MinSize(o []fyne.CanvasObject) fyne.Size {
	m := o[0].MinSize()
	return fyne.NewSize(m.Width, max(float32(l), m.Height))
}

// Layout implements fyne.Layout.
func (l Least) Layout(o []fyne.CanvasObject, s fyne.Size) {
	h := o[0].MinSize().Height
	o[0].Resize(fyne.NewSize(s.Width, h))
	o[0].Move(fyne.NewPos(0, (s.Height-h)/2))
}

// HeadHeight is the height of a page header.
const HeadHeight = 64

// NewHead returns a page header with a line below it.
func NewHead(o fyne.CanvasObject) *fyne.Container {
	return Column(0, container.New(Least(HeadHeight), Inset(o, 0, 0, Edge, Edge)), widget.NewSeparator())
}

// Fixed gives all of its objects the same size.
type Fixed fyne.Size

// MinSize implements fyne.Layout.
func (l Fixed) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.Size(l) }

// Layout implements fyne.Layout.
func (l Fixed) Layout(o []fyne.CanvasObject, _ fyne.Size) {
	for _, c := range o {
		c.Resize(fyne.Size(l))
		c.Move(fyne.NewPos(0, 0))
	}
}

// Middle centres its object, at most this wide and as high as the object needs.
type Middle float32

// MinSize implements fyne.Layout.
func (l Middle) MinSize(o []fyne.CanvasObject) fyne.Size { return fyne.NewSize(280, 240) }

// Layout implements fyne.Layout.
func (l Middle) Layout(o []fyne.CanvasObject, s fyne.Size) {
	w := min(float32(l), s.Width-2*Edge)
	h := heightOf(o[0], w)
	o[0].Resize(fyne.NewSize(w, h))
	o[0].Move(fyne.NewPos((s.Width-w)/2, max(Edge, (s.Height-h)/2)))
}
