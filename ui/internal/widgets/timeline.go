package widgets

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"
)

// Item is a row of a timeline. Its height depends on its width.
type Item = Flexible

// rows is the source of a timeline: any number of rows, created when they come into view.
type rows interface {
	Count() int
	// Row returns row i. It is called repeatedly while the row is in view, and must return the same item.
	Row(i int) Item
}

const (
	ItemGap  = Gap
	itemEdge = Edge
	itemTop  = GapWide // above the first row and below the last
)

// Shifting is a row that is notified when it appears or moves without the user's doing.
type Shifting interface{ Shifted() }

// Timeline is a scrolling column of rows of any height. Only the rows in view exist: the scroll position is a row and
// an offset into it, so neither the number nor the heights of the other rows matter.
type Timeline struct {
	widget.BaseWidget
	src    rows
	top    int     // the row at the upper edge
	past   float32 // how much of that row, including the gap below it, is above that edge
	pinned bool    // follows the newest row
	view   *fyne.Container
	clip   *container.Clip
	thumb  *ScrollThumb
	marked int // the row that a search result leads to; -1 for none
	mark   *panel
	placed int                    // number of rows in view
	fresh  int                    // number of rows that arrived while the user was reading older ones
	Newest *widget.Button         // scrolls to the fresh rows
	label  func(fresh int) string // the text of Newest
}

var (
	_ fyne.Scrollable = (*Timeline)(nil)
	_ fyne.Draggable  = (*Timeline)(nil)
)

// NewTimeline returns a timeline without rows. label returns the text of the button that jumps to the new rows.
func NewTimeline(label func(fresh int) string) *Timeline {
	t := &Timeline{label: label, view: container.NewWithoutLayout(), pinned: true, marked: -1, mark: NewPanel(theme.ColorNameSelection, "", 8)}
	t.clip = container.NewClip(t.view)
	t.thumb = newScrollThumb(t)
	t.Newest = NewButton("", widget.HighImportance, t.ToEnd)
	t.Newest.Icon = IconDown
	t.Newest.Hide()
	t.ExtendBaseWidget(t)
	return t
}

// ShowRows replaces the rows and scrolls to the newest.
func (t *Timeline) ShowRows(src rows) {
	t.src = src
	t.top = 0
	t.past = 0
	t.pinned = true
	t.marked = -1
	t.fresh = 0
	t.Clear()
	t.fill()
}

// Grew updates the timeline after the source has gained n rows at the end. A timeline that shows older rows stays
// where it is, unless one of the new rows is the user's own.
func (t *Timeline) Grew(n int, own bool) {
	t.pinned = t.pinned || own
	t.fresh += n
	t.refill()
}

// ToEnd scrolls to the newest row.
func (t *Timeline) ToEnd() {
	t.pinned = true
	t.fill()
}

// InView returns the rows in view, and the highlight of a search result.
func (t *Timeline) InView() []fyne.CanvasObject { return t.view.Objects }

// AtStart reports whether the oldest row is in view.
func (t *Timeline) AtStart() bool { return t.top == 0 }

// ToStart scrolls to the oldest row.
func (t *Timeline) ToStart() {
	t.top, t.past, t.pinned = 0, 0, false
	t.fill()
}

// From gives a timeline its first rows and positions it at the oldest, without laying anything out. It does nothing if
// the timeline already has rows.
func (t *Timeline) From(src rows) {
	if t.src == nil {
		t.src, t.pinned = src, false
	}
}

// Clear forgets which rows are in view, so that the next ones do not count as shifted: the user has asked for them.
func (t *Timeline) Clear() { t.view.Objects = nil }

// Shrank updates the timeline after the source has lost n rows at the start.
func (t *Timeline) Shrank(n int) {
	if t.top -= n; t.top < 0 {
		t.top, t.past = 0, 0
	}
	t.refill()
}

// GoTo scrolls row i near the top, and highlights it.
func (t *Timeline) GoTo(i int) {
	t.pinned, t.marked = false, i
	t.top, t.past = max(0, i-1), 0
	t.fill()
}

// Remeasure lays the rows out again after a height has changed.
func (t *Timeline) Remeasure() { t.refill() }

// refill is fill after a change that the user did not make. It notifies the rows that have appeared or moved.
func (t *Timeline) refill() {
	before := map[fyne.CanvasObject]fyne.Position{}
	for _, o := range t.view.Objects {
		before[o] = o.Position()
	}
	t.fill()
	if len(before) == 0 {
		return
	}
	for _, o := range t.view.Objects {
		s, shifting := o.(Shifting)
		if was, there := before[o]; shifting && (!there || was != o.Position()) {
			s.Shifted()
		}
	}
}

// Moved notifies the rows in view that the timeline itself has moved without the user's doing.
func (t *Timeline) Moved() {
	for _, o := range t.view.Objects {
		if s, shifting := o.(Shifting); shifting {
			s.Shifted()
		}
	}
}

// WithEndInView returns the rows whose lower edge is in view, from top to bottom.
func (t *Timeline) WithEndInView() (items []Item) {
	for _, o := range t.view.Objects {
		end := o.Position().Y + o.Size().Height
		if it, row := o.(Item); row && end > 0 && end <= t.Size().Height {
			items = append(items, it)
		}
	}
	return items
}

func (t *Timeline) rowHeight(i int) float32 {
	h := t.src.Row(i).HeightFor(t.inner()) + ItemGap
	if i == 0 {
		h += itemTop
	}
	return h
}

func (t *Timeline) inner() float32 { return max(40, t.Size().Width-2*itemEdge) }

// settle keeps the scroll position within its bounds.
func (t *Timeline) settle(height float32) {
	n := t.src.Count()
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
	if !t.pinned { // pin it to the newest row if the end is in view
		y, i := itemTop-ItemGap-t.past, t.top
		for ; i < n && y <= height; i++ {
			y += t.rowHeight(i)
		}
		t.pinned = i == n && y <= height+1
	}
	if t.pinned {
		y, i := height-itemTop+ItemGap, n
		for i > 0 && y > 0 {
			i--
			y -= t.rowHeight(i)
		}
		t.top, t.past = i, max(0, -y)
	}
}

// fill places the rows that are in view.
func (t *Timeline) fill() {
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
	for ; i < t.src.Count() && y < size.Height; i++ {
		r := t.src.Row(i)
		h := r.HeightFor(w)
		if i == t.marked {
			t.mark.Resize(fyne.NewSize(w+2*Gap, h+Gap))
			t.mark.Move(fyne.NewPos(itemEdge-Gap, y-GapTight))
			objects = append(objects, t.mark)
		}
		if s := fyne.NewSize(w, h); r.Size() != s {
			r.Resize(s)
		}
		r.Move(fyne.NewPos(itemEdge, y))
		objects = append(objects, r)
		y += h + ItemGap
	}
	t.placed = i - t.top
	t.view.Objects = objects
	t.thumb.update()
	t.offerNewest(size)
	canvas.Refresh(t)
}

// offerNewest shows the button that scrolls to the new rows while the user is reading older ones.
func (t *Timeline) offerNewest(size fyne.Size) {
	if t.pinned {
		t.fresh = 0
	}
	if t.fresh == 0 {
		Show(t.Newest, false)
		return
	}
	if text := t.label(t.fresh); t.Newest.Text != text {
		t.Newest.SetText(text)
	}
	m := t.Newest.MinSize()
	t.Newest.Resize(m)
	t.Newest.Move(fyne.NewPos((size.Width-m.Width)/2, size.Height-m.Height-GapWide))
	Show(t.Newest, true)
}

// by scrolls; a positive value scrolls towards the newest row.
func (t *Timeline) by(units float32) {
	if t.src == nil || units < 0 && t.top == 0 && t.past == 0 || units > 0 && t.pinned {
		return
	}
	t.past += units
	t.pinned = false
	t.fill()
}

// toward scrolls to a fraction of all rows, 0 to 1.
func (t *Timeline) toward(part float32) {
	n := max(1, t.src.Count()-t.placed+1)
	at := min(max(part, 0), 1) * float32(n)
	t.top = int(at)
	t.past = 0
	if t.top < t.src.Count() {
		t.past = (at - float32(t.top)) * t.rowHeight(t.top)
	}
	t.pinned = part >= 1
	t.fill()
}

// Scrolled implements fyne.Scrollable.
func (t *Timeline) Scrolled(e *fyne.ScrollEvent) { t.by(-e.Scrolled.DY) }

// Dragged implements fyne.Draggable: a drag scrolls on a touch screen.
func (t *Timeline) Dragged(e *fyne.DragEvent) {
	if fyne.CurrentDevice().IsMobile() {
		t.by(-e.Dragged.DY)
	}
}

// DragEnd implements fyne.Draggable.
func (t *Timeline) DragEnd() {}

// Page scrolls by keyboard. It reports whether the key is a scrolling key.
func (t *Timeline) Page(k fyne.KeyName) bool {
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

// CreateRenderer implements fyne.Widget.
func (t *Timeline) CreateRenderer() fyne.WidgetRenderer { return &timelineRenderer{t} }

type timelineRenderer struct{ t *Timeline }

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
	return []fyne.CanvasObject{r.t.clip, r.t.thumb, r.t.Newest}
}
func (r *timelineRenderer) Destroy() {}

// ScrollThumb shows how far a timeline is scrolled. It can be dragged.
type ScrollThumb struct {
	widget.BaseWidget
	t       *Timeline
	rect    *canvas.Rectangle
	grabbed float32 // where the pointer holds the thumb during a drag; negative otherwise
	hovered bool
}

var (
	_ fyne.Draggable    = (*ScrollThumb)(nil)
	_ desktop.Hoverable = (*ScrollThumb)(nil)
)

const (
	thumbWidth = 12
	thumbLeast = 32
)

func newScrollThumb(t *Timeline) *ScrollThumb {
	s := &ScrollThumb{t: t, rect: canvas.NewRectangle(color.Transparent), grabbed: -1}
	s.rect.CornerRadius = 3
	s.ExtendBaseWidget(s)
	return s
}

// update places the thumb for the current scroll position.
func (s *ScrollThumb) update() {
	t := s.t
	n, view := t.src.Count(), t.Size()
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

// Dragged implements fyne.Draggable.
func (s *ScrollThumb) Dragged(e *fyne.DragEvent) {
	if room := s.t.Size().Height - s.Size().Height; room > 0 {
		s.t.toward((s.Position().Y + e.Dragged.DY) / room)
	}
}

// DragEnd implements fyne.Draggable.
func (s *ScrollThumb) DragEnd() {}

// MouseIn implements desktop.Hoverable.
func (s *ScrollThumb) MouseIn(*desktop.MouseEvent) { s.hovered = true; s.Refresh() }

// MouseMoved implements desktop.Hoverable.
func (s *ScrollThumb) MouseMoved(*desktop.MouseEvent) {}

// MouseOut implements desktop.Hoverable.
func (s *ScrollThumb) MouseOut() { s.hovered = false; s.Refresh() }

// CreateRenderer implements fyne.Widget.
func (s *ScrollThumb) CreateRenderer() fyne.WidgetRenderer { return &thumbRenderer{s} }

type thumbRenderer struct{ s *ScrollThumb }

func (r *thumbRenderer) MinSize() fyne.Size { return fyne.NewSize(thumbWidth, thumbLeast) }
func (r *thumbRenderer) Layout(s fyne.Size) {
	w := r.s.Theme().Size(theme.SizeNameScrollBarSmall) // the same width as Fyne's own scroll bars
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
