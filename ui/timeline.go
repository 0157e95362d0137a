package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/widget"
)

// item is a row of a timeline. Its height follows from the width that it gets.
type item interface {
	fyne.CanvasObject
	heightFor(width float32) float32
}

const (
	// shown is how many rows are on screen at first; earlier ones come on request. A list widget would paint hover
	// and selection over the rows and needs seconds for their heights.
	shown = 200
	// kept is how many rows of a conversation stay in memory.
	kept     = 5000
	itemGap  = 6
	itemEdge = 20
)

// timeline is the scrolling middle of a conversation.
type timeline struct {
	widget.BaseWidget
	rows    *fyne.Container
	stack   *stack
	scroll  *container.Scroll
	items   []item
	limit   int
	earlier *widget.Button
	pinned  bool // to the newest row
}

func newTimeline() *timeline {
	t := &timeline{stack: &stack{}, limit: shown}
	t.rows = container.New(t.stack)
	t.scroll = container.NewVScroll(t.rows)
	t.scroll.OnScrolled = func(fyne.Position) { t.pinned = t.atEnd() }
	t.earlier = widget.NewButton("Show earlier", func() {
		t.limit += shown
		t.rebuild()
	})
	t.earlier.Importance = widget.LowImportance
	t.ExtendBaseWidget(t)
	return t
}

// show replaces the rows and goes to the newest.
func (t *timeline) show(items []item) {
	t.items, t.limit = items, shown
	t.rebuild()
	t.toEnd()
}

// toEnd scrolls to the newest row, and stays there when the size changes. The rows take their new size first, since
// the scroll measures by that.
func (t *timeline) toEnd() {
	t.rows.Resize(t.rows.MinSize().Max(t.scroll.Size()))
	t.scroll.ScrollToBottom()
	t.pinned = true
}

func (t *timeline) rebuild() {
	from := max(0, len(t.items)-t.limit)
	objects := make([]fyne.CanvasObject, 0, len(t.items)-from+1)
	if from > 0 {
		objects = append(objects, t.earlier)
	}
	for _, i := range t.items[from:] {
		objects = append(objects, i)
	}
	t.rows.Objects = objects
	t.rows.Refresh()
}

// grew shows a row that was added to items. Who reads older rows stays there, unless the row is their own.
func (t *timeline) grew(items []item, own bool) {
	t.items = items
	follow := own || t.pinned || t.atEnd()
	t.rebuild()
	if follow {
		t.toEnd()
	}
}

func (t *timeline) atEnd() bool {
	return t.scroll.Offset.Y >= t.rows.MinSize().Height-t.scroll.Size().Height-60
}

// remeasure lays the rows out anew after one has changed its height.
func (t *timeline) remeasure() {
	follow := t.pinned || t.atEnd()
	t.rows.Refresh()
	if follow {
		t.toEnd()
	}
}

func (t *timeline) CreateRenderer() fyne.WidgetRenderer {
	return widget.NewSimpleRenderer(container.New(measured{t}, t.scroll))
}

// measured tells the stack its width before the scroll asks for its height.
type measured struct{ t *timeline }

func (m measured) MinSize(o []fyne.CanvasObject) fyne.Size { return fyne.NewSize(200, 80) }
func (m measured) Layout(o []fyne.CanvasObject, s fyne.Size) {
	follow := m.t.pinned || m.t.atEnd()
	m.t.stack.width = s.Width
	o[0].Resize(s)
	if follow {
		m.t.toEnd()
	}
}

// stack is a column of items.
type stack struct{ width float32 }

func (l *stack) heightOf(o fyne.CanvasObject) float32 {
	if i, ok := o.(item); ok {
		return i.heightFor(l.width - 2*itemEdge)
	}
	return o.MinSize().Height
}

func (l *stack) MinSize(objects []fyne.CanvasObject) fyne.Size {
	h := float32(2 * 12)
	for _, o := range objects {
		h += l.heightOf(o) + itemGap
	}
	return fyne.NewSize(120, h)
}

func (l *stack) Layout(objects []fyne.CanvasObject, s fyne.Size) {
	y := float32(12)
	for _, o := range objects {
		h := l.heightOf(o)
		o.Resize(fyne.NewSize(l.width-2*itemEdge, h))
		o.Move(fyne.NewPos(itemEdge, y))
		y += h + itemGap
	}
}
