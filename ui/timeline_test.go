package ui

import (
	"fmt"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"

	"multipeer/internal/history"
)

// shownRows lists the texts in view with where each begins.
func shownRows(tl *timeline) (out []string) {
	for _, o := range tl.view.Objects {
		if d, ok := o.(*dayItem); ok {
			o = d.item
		}
		if b, ok := o.(*bubble); ok {
			out = append(out, b.text)
		}
	}
	return out
}

func numbered(t *testing.T, n int) (l list) {
	t.Helper()
	newTestApp(t)
	for i := range n {
		l = append(l, newBubble(said{text: fmt.Sprint("message ", i), stamp: "12:00", out: i%2 == 0}))
	}
	return l
}

func newTestTimeline(t *testing.T, src rows) *timeline {
	t.Helper()
	tl := newTimeline()
	w := test.NewTempWindow(t, tl)
	w.SetPadded(false)
	w.Resize(fyne.NewSize(600, 500))
	tl.show(src)
	return tl
}

func first(tl *timeline) string { return shownRows(tl)[0] }
func last(tl *timeline) string  { s := shownRows(tl); return s[len(s)-1] }

func TestTimelineShowsTheNewestAndStaysWhereOneReads(t *testing.T) {
	rows := numbered(t, 1000)
	src := &growing{rows[:999]}
	tl := newTestTimeline(t, src)
	if last(tl) != "message 998" || !tl.pinned || len(shownRows(tl)) > 15 {
		t.Errorf("at first: %q", shownRows(tl))
	}
	tl.Scrolled(&fyne.ScrollEvent{Scrolled: fyne.NewDelta(0, 300)})
	before, at := first(tl), tl.view.Objects[0].Position().Y
	src.list = rows
	tl.grew(1, false)
	if first(tl) != before || tl.view.Objects[0].Position().Y != at {
		t.Errorf("a new row moved %q to %q", before, first(tl))
	}
	if !tl.newest.Visible() || tl.newest.Text != "↓ 1 new" {
		t.Errorf("no way to the newest: %v %q", tl.newest.Visible(), tl.newest.Text)
	}
	test.Tap(tl.newest)
	if last(tl) != "message 999" || tl.newest.Visible() {
		t.Errorf("after the tap: %q", last(tl))
	}
	tl.Scrolled(&fyne.ScrollEvent{Scrolled: fyne.NewDelta(0, 300)})
	tl.grew(0, true)
	if last(tl) != "message 999" {
		t.Error("an own row is not followed")
	}
	for range 2000 {
		tl.Scrolled(&fyne.ScrollEvent{Scrolled: fyne.NewDelta(0, 200)})
	}
	if first(tl) != "message 0" || tl.view.Objects[0].Position().Y != itemTop {
		t.Errorf("the beginning: %q at %v", first(tl), tl.view.Objects[0].Position())
	}
	if !tl.page(fyne.KeyPageDown) || first(tl) == "message 0" || tl.page(fyne.KeyA) {
		t.Error("the keyboard does not scroll")
	}
	tl.toward(1)
	if last(tl) != "message 999" || !tl.pinned {
		t.Errorf("dragged to the end: %q", last(tl))
	}
	tl.toward(0.5)
	if f := first(tl); f < "message 49" || f > "message 51" {
		t.Errorf("dragged to the middle: %q", f)
	}
	tl.goTo(700)
	if s := shownRows(tl); s[0] != "message 699" || s[1] != "message 700" {
		t.Errorf("went to 700: %q", s[:2])
	}
	tl.shrank(600)
	if tl.top != 99 {
		t.Errorf("600 rows went, and the place is %d", tl.top)
	}
}

// growing is a list that changes.
type growing struct{ list }

func TestShortTimelineBeginsAtTheTopAndHasNoThumb(t *testing.T) {
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
	empty := newTestTimeline(t, list{})
	empty.Scrolled(&fyne.ScrollEvent{Scrolled: fyne.NewDelta(0, 10)})
	empty.toward(0.5)
}

// TestRowsKeepTheirPlaceWhenTheWindowIsResized: who reads an old message still sees it.
func TestRowsKeepTheirPlaceWhenTheWindowIsResized(t *testing.T) {
	tl := newTestTimeline(t, numbered(t, 500))
	tl.goTo(250)
	before := first(tl)
	tl.Resize(fyne.NewSize(300, 400))
	if first(tl) != before {
		t.Errorf("%q became %q", before, first(tl))
	}
	tl.toEnd()
	tl.Resize(fyne.NewSize(500, 450))
	if last(tl) != "message 499" {
		t.Errorf("the newest is not followed: %q", last(tl))
	}
}

// fillHistory puts n messages of all lengths into the conversation with Ben.
func fillHistory(h *history.Store, talk string, n int) {
	texts := []string{"Yes", "A line of a conversation of a common length", "Something longer, which takes more than one line in a window of an ordinary width, since people do write like that now and then, don't they?", "```\ncode := 1\nmore := 2\n```"}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range n {
		h.Append(talk, history.Row{Kind: history.Text, Own: i%3 == 0, Text: fmt.Sprintf("%d %s", i, texts[i%len(texts)]), State: map[bool]history.State{true: history.Delivered}[i%3 == 0], At: at.Add(time.Duration(i) * 97 * time.Second)})
	}
}

// BenchmarkScroll100000 is one step of the wheel in a conversation of 100,000 rows on disk, drawn by software: what it
// takes on the main thread, and the slowest in a hundred.
func BenchmarkScroll100000(b *testing.B) {
	a := test.NewApp()
	defer a.Quit()
	a.Settings().SetTheme(Theme{})
	h, err := history.Open(b.TempDir() + "/h")
	if err != nil {
		b.Fatal(err)
	}
	defer h.Close()
	u := &UI{o: Options{History: h}, talks: nil}
	t := &talk{u: u, key: "ben", live: map[uint64]item{}}
	fillHistory(h, "ben", 100_000)
	t.forget()
	tl := newTimeline()
	w := test.NewWindow(tl)
	w.SetPadded(false)
	w.Resize(fyne.NewSize(1000, 720))
	tl.show(t)
	var all []time.Duration
	for b.Loop() {
		began := time.Now()
		tl.Scrolled(&fyne.ScrollEvent{Scrolled: fyne.NewDelta(0, 120)})
		if tl.top == 0 {
			tl.toEnd()
		}
		all = append(all, time.Since(began))
	}
	if n := len(shownRows(tl)); n < 5 {
		b.Fatalf("%d rows in view", n)
	}
	report(b, all)
}
