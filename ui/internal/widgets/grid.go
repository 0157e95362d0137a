package widgets

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
)

// grid arranges objects of equal width in rows. All cells are as high as the highest object. The rows are centred as a
// block; the last row is aligned left within it.
type grid struct {
	cell, gap float32 // width of a cell; gap between cells
	width     float32 // of the last layout
}

// NewGrid arranges objects in rows of cells of equal width.
func NewGrid(cell, gap float32, o ...fyne.CanvasObject) *fyne.Container {
	return container.New(&grid{cell: cell, gap: gap}, o...)
}

// Columns returns how many columns of a grid fit its current width.
func Columns(c *fyne.Container) int {
	l := c.Layout.(*grid)
	return l.columns(l.width)
}

func (l *grid) columns(width float32) int {
	return max(1, int((width+l.gap)/(l.cell+l.gap)))
}

func (l *grid) shown(objects []fyne.CanvasObject) (shown []fyne.CanvasObject) {
	for _, o := range objects {
		if o.Visible() {
			shown = append(shown, o)
		}
	}
	return shown
}

// rowHeight returns the height of every row.
func (l *grid) rowHeight(objects []fyne.CanvasObject, width float32) (h float32) {
	for _, o := range objects {
		h = max(h, heightOf(o, min(l.cell, width)))
	}
	return h
}

func (l *grid) heightFor(objects []fyne.CanvasObject, width float32) float32 {
	objects = l.shown(objects)
	columns := l.columns(width)
	rows := (len(objects) + columns - 1) / columns
	return float32(rows)*l.rowHeight(objects, width) + float32(max(0, rows-1))*l.gap
}

// MinSize implements fyne.Layout.
func (l *grid) MinSize(objects []fyne.CanvasObject) fyne.Size {
	return fyne.NewSize(l.cell, l.heightFor(objects, max(l.width, l.cell)))
}

// Layout implements fyne.Layout.
func (l *grid) Layout(objects []fyne.CanvasObject, s fyne.Size) {
	l.width = s.Width
	objects = l.shown(objects)
	columns := min(l.columns(s.Width), max(1, len(objects)))
	cell := min(l.cell, s.Width)
	left := (s.Width - float32(columns)*cell - float32(columns-1)*l.gap) / 2
	h := l.rowHeight(objects, s.Width)
	for i, o := range objects {
		x, y := i%columns, i/columns
		o.Resize(fyne.NewSize(cell, h))
		o.Move(fyne.NewPos(left+float32(x)*(cell+l.gap), float32(y)*(h+l.gap)))
	}
}
