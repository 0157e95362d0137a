package ui

import (
	"fyne.io/fyne/v2"

	"multipeer/ui/internal/widgets"
)

// stop is a row or a tile that the arrow keys reach. shown is its object on the canvas.
type stop struct {
	shown fyne.Focusable
	row   *widgets.TapRow
}

// stops are the rows of a list or the tiles of a grid, in order. Together they are one tab stop: the one that has the
// focus or is selected, otherwise the first. From there the arrow keys reach the others.
type stops struct {
	canvas  fyne.Canvas
	all     func() []stop
	columns func() int // of a grid; nil for a list
	scroll  *widgets.Scroll
}

// arrange makes Tab reach only the current stop.
func (s *stops) arrange() {
	all := s.all()
	focused := s.canvas.Focused()
	at := 0
	for i, r := range all {
		if r.row.Selected {
			at = i
		}
		if focused == r.shown {
			at = i
			break
		}
	}
	for i, r := range all {
		r.row.Skip(i != at)
		r.row.OnFocus = func() { reveal(s.scroll, r.shown.(fyne.CanvasObject)) }
		r.row.OnMove = func(right, down int) {
			if s.columns == nil {
				s.move(i + down)
				return
			}
			s.move(i + right + down*s.columns())
		}
	}
}

// move moves the focus to the stop with an index, if there is one.
func (s *stops) move(to int) {
	all := s.all()
	if to < 0 || to >= len(all) {
		return
	}
	all[to].row.Skip(false)
	s.canvas.Focus(all[to].shown)
	s.arrange()
}

// reveal scrolls an object into view.
func reveal(scroll *widgets.Scroll, o fyne.CanvasObject) {
	d := fyne.CurrentApp().Driver()
	top := d.AbsolutePositionForObject(o).Y - d.AbsolutePositionForObject(scroll).Y
	bottom := top + o.Size().Height
	offset := scroll.Offset
	switch {
	case top < 0:
		offset.Y += top
	case bottom > scroll.Size().Height:
		offset.Y += bottom - scroll.Size().Height
	default:
		return
	}
	scroll.ScrollToOffset(offset)
}

// covers reports whether an object covers a position in the window.
func covers(o fyne.CanvasObject, at fyne.Position) bool {
	p := fyne.CurrentApp().Driver().AbsolutePositionForObject(o)
	return at.X >= p.X && at.Y >= p.Y && at.X < p.X+o.Size().Width && at.Y < p.Y+o.Size().Height
}
