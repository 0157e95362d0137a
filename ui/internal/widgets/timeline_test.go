package widgets

import (
	"fmt"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
)

// textsInView returns the text of the bubbles in view.
func textsInView(tl *Timeline) (out []string) {
	for _, o := range tl.view.Objects {
		if b, ok := o.(*Bubble); ok {
			out = append(out, b.Text)
		}
	}
	return out
}

// rowList is a source of rows for a timeline.
type rowList []Item

func (l rowList) Count() int     { return len(l) }
func (l rowList) Row(i int) Item { return l[i] }

func numbered(t *testing.T, n int) (l rowList) {
	t.Helper()
	newTestApp(t)
	for i := range n {
		l = append(l, NewBubble(Said{Text: fmt.Sprint("message ", i), Stamp: "12:00", Out: i%2 == 0}))
	}
	return l
}

func newTestTimeline(t *testing.T, src rows) *Timeline {
	t.Helper()
	tl := NewTimeline(func(n int) string { return fmt.Sprint(n, " new") })
	w := test.NewTempWindow(t, tl)
	w.SetPadded(false)
	w.Resize(fyne.NewSize(600, 500))
	tl.ShowRows(src)
	return tl
}

func firstText(tl *Timeline) string { return textsInView(tl)[0] }
func lastText(tl *Timeline) string  { s := textsInView(tl); return s[len(s)-1] }

func TestTimeline_ShowsTheNewestAndKeepsItsPlace(t *testing.T) {
	rows := numbered(t, 1000)
	src := &growing{rows[:999]}
	tl := newTestTimeline(t, src)
	if lastText(tl) != "message 998" || !tl.pinned || len(textsInView(tl)) > 15 {
		t.Errorf("at first: %q", textsInView(tl))
	}
	tl.Scrolled(&fyne.ScrollEvent{Scrolled: fyne.NewDelta(0, 300)})
	before, at := firstText(tl), tl.view.Objects[0].Position().Y
	src.rowList = rows
	tl.Grew(1, false)
	if firstText(tl) != before || tl.view.Objects[0].Position().Y != at {
		t.Errorf("a new row moved %q to %q", before, firstText(tl))
	}
	if !tl.Newest.Visible() || tl.Newest.Text != "1 new" {
		t.Errorf("no way to the newest: %v %q", tl.Newest.Visible(), tl.Newest.Text)
	}
	test.Tap(tl.Newest)
	if lastText(tl) != "message 999" || tl.Newest.Visible() {
		t.Errorf("after the tap: %q", lastText(tl))
	}
	tl.Scrolled(&fyne.ScrollEvent{Scrolled: fyne.NewDelta(0, 300)})
	tl.Grew(0, true)
	if lastText(tl) != "message 999" {
		t.Error("an own row is not followed")
	}
	for range 2000 {
		tl.Scrolled(&fyne.ScrollEvent{Scrolled: fyne.NewDelta(0, 200)})
	}
	if firstText(tl) != "message 0" || tl.view.Objects[0].Position().Y != itemTop {
		t.Errorf("the beginning: %q at %v", firstText(tl), tl.view.Objects[0].Position())
	}
	if !tl.Page(fyne.KeyPageDown) || firstText(tl) == "message 0" || tl.Page(fyne.KeyA) {
		t.Error("the keyboard does not scroll")
	}
	tl.toward(1)
	if lastText(tl) != "message 999" || !tl.pinned {
		t.Errorf("dragged to the end: %q", lastText(tl))
	}
	tl.toward(0.5)
	if f := firstText(tl); f < "message 49" || f > "message 51" {
		t.Errorf("dragged to the middle: %q", f)
	}
	tl.GoTo(700)
	if s := textsInView(tl); s[0] != "message 699" || s[1] != "message 700" {
		t.Errorf("went to 700: %q", s[:2])
	}
	tl.Shrank(600)
	if tl.top != 99 {
		t.Errorf("600 rows went, and the place is %d", tl.top)
	}
}

// growing is a source of rows that can change.
type growing struct{ rowList }

func TestTimeline_ShortOneBeginsAtTheTopWithoutAThumb(t *testing.T) {
	tl := newTestTimeline(t, numbered(t, 3))
	if y := tl.view.Objects[0].Position().Y; y != itemTop {
		t.Errorf("begins at %v", y)
	}
	if tl.thumb.Visible() {
		t.Error("a thumb where nothing scrolls")
	}
	tl.Scrolled(&fyne.ScrollEvent{Scrolled: fyne.NewDelta(0, -500)})
	if y := tl.view.Objects[0].Position().Y; y != itemTop {
		t.Errorf("scrolled away to %v", y)
	}
	empty := newTestTimeline(t, rowList{})
	empty.Scrolled(&fyne.ScrollEvent{Scrolled: fyne.NewDelta(0, 10)})
	empty.toward(0.5)
}

// TestTimeline_RowsKeepTheirPlaceOnResize checks that the message that the user is reading stays in view when the
// window is resized.
func TestTimeline_RowsKeepTheirPlaceOnResize(t *testing.T) {
	tl := newTestTimeline(t, numbered(t, 500))
	tl.GoTo(250)
	before := firstText(tl)
	tl.Resize(fyne.NewSize(300, 400))
	if firstText(tl) != before {
		t.Errorf("%q became %q", before, firstText(tl))
	}
	tl.ToEnd()
	tl.Resize(fyne.NewSize(500, 450))
	if lastText(tl) != "message 499" {
		t.Errorf("the newest is not followed: %q", lastText(tl))
	}
}
