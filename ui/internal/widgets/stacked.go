package widgets

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
)

// Flexible is an object whose height depends on its width.
type Flexible interface {
	fyne.CanvasObject
	HeightFor(width float32) float32
}

// heightOf returns the height of an object at a width.
func heightOf(o fyne.CanvasObject, width float32) float32 {
	if f, ok := o.(Flexible); ok {
		return f.HeightFor(width)
	}
	if c, ok := o.(*fyne.Container); ok {
		switch l := c.Layout.(type) {
		case *flow:
			return l.arrange(c.Objects, width, nil)
		case *Stacked:
			return l.heightFor(c.Objects, width)
		case *beside:
			return l.heightFor(width)
		case *filled:
			return heightOf(c.Objects[1], width)
		case *pairs:
			return l.heightFor(c.Objects, width)
		case *grid:
			return l.heightFor(c.Objects, width)
		}
	}
	return o.MinSize().Height
}

// Stacked is a column that gives each object the height that it needs at the column's width.
type Stacked struct {
	Gap                      float32
	Top, Bottom, Left, Right float32
	width                    float32
}

// NewStacked stacks objects vertically, each as high as it needs at the width of the stack.
func NewStacked(gap float32, o ...fyne.CanvasObject) *fyne.Container {
	return container.New(&Stacked{Gap: gap}, o...)
}

// NewStackedInset is NewStacked with padding around the objects.
func NewStackedInset(l Stacked, o ...fyne.CanvasObject) *fyne.Container {
	return container.New(&l, o...)
}

func (l *Stacked) heightFor(objects []fyne.CanvasObject, width float32) float32 {
	h, n := l.Top+l.Bottom, 0
	for _, o := range objects {
		if o.Visible() {
			h += heightOf(o, width-l.Left-l.Right)
			n++
		}
	}
	return h + l.Gap*float32(max(0, n-1))
}

// MinSize implements fyne.Layout.
func (l *Stacked) MinSize(objects []fyne.CanvasObject) fyne.Size {
	w := float32(0)
	for _, o := range objects {
		if o.Visible() {
			w = max(w, o.MinSize().Width)
		}
	}
	width := l.width
	if width == 0 {
		width = max(w+l.Left+l.Right, 320)
	}
	return fyne.NewSize(w+l.Left+l.Right, l.heightFor(objects, width))
}

// Layout implements fyne.Layout.
func (l *Stacked) Layout(objects []fyne.CanvasObject, s fyne.Size) {
	l.width = s.Width
	y, w := l.Top, s.Width-l.Left-l.Right
	for _, o := range objects {
		if !o.Visible() {
			continue
		}
		h := heightOf(o, w)
		o.Resize(fyne.NewSize(w, h))
		o.Move(fyne.NewPos(l.Left, y))
		y += h + l.Gap
	}
}

// beside places one object of fixed width next to the rest, with a gap, both centred vertically.
type beside struct {
	gap         float32
	right       bool // the fixed object is on the right
	fixed, rest fyne.CanvasObject
}

// NewBeside puts an object of fixed width to the left of the rest.
func NewBeside(gap float32, fixed, rest fyne.CanvasObject) *fyne.Container {
	return container.New(&beside{gap: gap, fixed: fixed, rest: rest}, fixed, rest)
}

// NewBesideRight puts an object of fixed width to the right of the rest.
func NewBesideRight(gap float32, rest, fixed fyne.CanvasObject) *fyne.Container {
	return container.New(&beside{gap: gap, right: true, fixed: fixed, rest: rest}, rest, fixed)
}

// used returns the width that the fixed object takes, including the gap.
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
