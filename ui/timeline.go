package ui

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"
)

// item is a row of a timeline. Its height follows from the width that it gets.
type item = flexible

// rows are what a timeline shows: any number of them, made when they come into view.
type rows interface {
	count() int
	// row makes row i. While it is in view it is asked for again and again, and has to be the same.
	row(i int) item
}

const (
	itemGap  = gap
	itemEdge = edge
	itemTop  = gapWide // before the first row and after the last
)

// timeline is a scrolling column of rows of any height. Only those in view exist: the place is a row and how far it is
// scrolled past, so that neither the heights of the others nor their number matter.
type timeline struct {
	widget.BaseWidget
	src    rows
	top    int     // the row at the upper edge
	past   float32 // how much of it, with the gap below, is above that edge
	pinned bool    // to the newest row
	view   *fyne.Container
	clip   *container.Clip
	thumb  *scrollThumb
	marked int // the row that a search has led to; -1 for none
	mark   *panel
	placed int            // rows in view
	fresh  int            // rows that came while older ones were read
	newest *widget.Button // goes to them
}

var (
	_ fyne.Scrollable = (*timeline)(nil)
	_ fyne.Draggable  = (*timeline)(nil)
)

func newTimeline() *timeline {
	t := &timeline{view: container.NewWithoutLayout(), pinned: true, marked: -1, mark: newPanel(theme.ColorNameSelection, "", 8)}
	t.clip = container.NewClip(t.view)
	t.thumb = newScrollThumb(t)
	t.newest = newButton("", widget.HighImportance, t.toEnd)
	t.newest.Hide()
	t.ExtendBaseWidget(t)
	return t
}

// show replaces the rows and goes to the newest.
func (t *timeline) show(src rows) {
	t.src, t.top, t.past, t.pinned, t.marked, t.fresh = src, 0, 0, true, -1, 0
	t.fill()
}

// grew tells that n rows were added at the end. Who reads older rows stays there, unless one is their own.
func (t *timeline) grew(n int, own bool) {
	t.pinned = t.pinned || own
	t.fresh += n
	t.fill()
}

// toEnd goes to the newest row.
func (t *timeline) toEnd() {
	t.pinned = true
	t.fill()
}

// shrank tells that n rows at the beginning are gone.
func (t *timeline) shrank(n int) {
	if t.top -= n; t.top < 0 {
		t.top, t.past = 0, 0
	}
	t.fill()
}

// goTo shows a row near the upper edge, and marks it.
func (t *timeline) goTo(i int) {
	t.pinned, t.marked = false, i
	t.top, t.past = max(0, i-1), 0
	t.fill()
}

// remeasure lays the rows out anew after one has changed its height.
func (t *timeline) remeasure() { t.fill() }

func (t *timeline) rowHeight(i int) float32 {
	h := t.src.row(i).heightFor(t.inner()) + itemGap
	if i == 0 {
		h += itemTop
	}
	return h
}

func (t *timeline) inner() float32 { return max(40, t.Size().Width-2*itemEdge) }

// settle brings the place into its bounds.
func (t *timeline) settle(height float32) {
	n := t.src.count()
	t.top = min(max(0, t.top), max(0, n-1))
	for t.past < 0 && t.top > 0 {
		t.top--
		t.past += t.rowHeight(t.top)
	}
	t.past = max(0, t.past)
	for t.top < n-1 && t.past > 0 {
		h := t.rowHeight(t.top)
		if t.past < h {
			break
		}
		t.past -= h
		t.top++
	}
	if !t.pinned { // is there enough below?
		y, i := itemTop-itemGap-t.past, t.top
		for ; i < n && y <= height; i++ {
			y += t.rowHeight(i)
		}
		t.pinned = i == n && y <= height+1
	}
	if t.pinned {
		y, i := height-itemTop+itemGap, n
		for i > 0 && y > 0 {
			i--
			y -= t.rowHeight(i)
		}
		t.top, t.past = i, max(0, -y)
	}
}

// fill places the rows that are in view.
func (t *timeline) fill() {
	size := t.Size()
	if t.src == nil || size.Width < 1 || size.Height < 1 {
		return
	}
	t.settle(size.Height)
	w := t.inner()
	objects := make([]fyne.CanvasObject, 0, len(t.view.Objects))
	y := -t.past
	if t.top == 0 {
		y += itemTop
	}
	i := t.top
	for ; i < t.src.count() && y < size.Height; i++ {
		r := t.src.row(i)
		h := r.heightFor(w)
		if i == t.marked {
			t.mark.Resize(fyne.NewSize(w+2*gap, h+gap))
			t.mark.Move(fyne.NewPos(itemEdge-gap, y-gapTight))
			objects = append(objects, t.mark)
		}
		if s := fyne.NewSize(w, h); r.Size() != s {
			r.Resize(s)
		}
		r.Move(fyne.NewPos(itemEdge, y))
		objects = append(objects, r)
		y += h + itemGap
	}
	t.placed = i - t.top
	t.view.Objects = objects
	t.thumb.update()
	t.offerNewest(size)
	canvas.Refresh(t)
}

// offerNewest shows the way to the newest rows to who reads older ones.
func (t *timeline) offerNewest(size fyne.Size) {
	if t.pinned {
		t.fresh = 0
	}
	if t.fresh == 0 {
		show(t.newest, false)
		return
	}
	if label := "↓ " + trn("{{.N}} new", int64(t.fresh)); t.newest.Text != label {
		t.newest.SetText(label)
	}
	m := t.newest.MinSize()
	t.newest.Resize(m)
	t.newest.Move(fyne.NewPos((size.Width-m.Width)/2, size.Height-m.Height-gapWide))
	show(t.newest, true)
}

// by scrolls: more than zero is towards the newest.
func (t *timeline) by(units float32) {
	if t.src == nil || units < 0 && t.top == 0 && t.past == 0 || units > 0 && t.pinned {
		return
	}
	t.past += units
	t.pinned = false
	t.fill()
}

// toward goes to a part of the whole, 0 to 1.
func (t *timeline) toward(part float32) {
	n := max(1, t.src.count()-t.placed+1)
	at := min(max(part, 0), 1) * float32(n)
	t.top = int(at)
	t.past = 0
	if t.top < t.src.count() {
		t.past = (at - float32(t.top)) * t.rowHeight(t.top)
	}
	t.pinned = part >= 1
	t.fill()
}

// Scrolled is fyne.Scrollable's.
func (t *timeline) Scrolled(e *fyne.ScrollEvent) { t.by(-e.Scrolled.DY) }

// Dragged scrolls by touch.
func (t *timeline) Dragged(e *fyne.DragEvent) {
	if fyne.CurrentDevice().IsMobile() {
		t.by(-e.Dragged.DY)
	}
}

// DragEnd is fyne.Draggable's.
func (t *timeline) DragEnd() {}

// page scrolls by keyboard.
func (t *timeline) page(k fyne.KeyName) bool {
	switch k {
	case fyne.KeyPageUp:
		t.by(-t.Size().Height * 0.9)
	case fyne.KeyPageDown:
		t.by(t.Size().Height * 0.9)
	default:
		return false
	}
	return true
}

func (t *timeline) CreateRenderer() fyne.WidgetRenderer { return &timelineRenderer{t} }

type timelineRenderer struct{ t *timeline }

func (r *timelineRenderer) MinSize() fyne.Size { return fyne.NewSize(200, 80) }
func (r *timelineRenderer) Layout(s fyne.Size) {
	r.t.clip.Resize(s)
	r.t.view.Resize(s)
	r.t.fill()
}

func (r *timelineRenderer) Refresh() {
	for _, o := range r.t.view.Objects {
		o.Refresh()
	}
	r.t.fill()
}

func (r *timelineRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.t.clip, r.t.thumb, r.t.newest}
}
func (r *timelineRenderer) Destroy() {}

// scrollThumb shows how far a timeline is scrolled, and can be dragged.
type scrollThumb struct {
	widget.BaseWidget
	t       *timeline
	rect    *canvas.Rectangle
	grabbed float32 // where the pointer is in it while it is dragged; less than 0 otherwise
	hovered bool
}

var (
	_ fyne.Draggable    = (*scrollThumb)(nil)
	_ desktop.Hoverable = (*scrollThumb)(nil)
)

const (
	thumbWidth = 12
	thumbLeast = 32
)

func newScrollThumb(t *timeline) *scrollThumb {
	s := &scrollThumb{t: t, rect: canvas.NewRectangle(color.Transparent), grabbed: -1}
	s.rect.CornerRadius = 3
	s.ExtendBaseWidget(s)
	return s
}

// update places the thumb for where the timeline is.
func (s *scrollThumb) update() {
	t := s.t
	n, view := t.src.count(), t.Size()
	if n == 0 || t.placed >= n && t.past == 0 && t.pinned {
		s.Hide()
		return
	}
	h := min(view.Height, max(thumbLeast, view.Height*float32(t.placed)/float32(n)))
	part := float32(1)
	if !t.pinned {
		part = min(1, (float32(t.top)+t.past/t.rowHeight(t.top))/float32(max(1, n-t.placed+1)))
	}
	s.Resize(fyne.NewSize(thumbWidth, h))
	s.Move(fyne.NewPos(view.Width-thumbWidth, (view.Height-h)*part))
	s.Show()
}

// Dragged is fyne.Draggable's.
func (s *scrollThumb) Dragged(e *fyne.DragEvent) {
	if room := s.t.Size().Height - s.Size().Height; room > 0 {
		s.t.toward((s.Position().Y + e.Dragged.DY) / room)
	}
}

// DragEnd is fyne.Draggable's.
func (s *scrollThumb) DragEnd() {}

// MouseIn is desktop.Hoverable's.
func (s *scrollThumb) MouseIn(*desktop.MouseEvent) { s.hovered = true; s.Refresh() }

// MouseMoved is desktop.Hoverable's.
func (s *scrollThumb) MouseMoved(*desktop.MouseEvent) {}

// MouseOut is desktop.Hoverable's.
func (s *scrollThumb) MouseOut() { s.hovered = false; s.Refresh() }

func (s *scrollThumb) CreateRenderer() fyne.WidgetRenderer { return &thumbRenderer{s} }

type thumbRenderer struct{ s *scrollThumb }

func (r *thumbRenderer) MinSize() fyne.Size { return fyne.NewSize(thumbWidth, thumbLeast) }
func (r *thumbRenderer) Layout(s fyne.Size) {
	w := r.s.Theme().Size(theme.SizeNameScrollBarSmall) // as Fyne's own bars
	if r.s.hovered {
		w = r.s.Theme().Size(theme.SizeNameScrollBar)
	}
	r.s.rect.FillColor = tint(r.s, theme.ColorNameScrollBar)
	r.s.rect.Resize(fyne.NewSize(w, s.Height))
	r.s.rect.Move(fyne.NewPos(thumbWidth-w, 0))
}

func (r *thumbRenderer) Refresh() {
	r.Layout(r.s.Size())
	canvas.Refresh(r.s)
}
func (r *thumbRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.s.rect} }
func (r *thumbRenderer) Destroy()                     {}
