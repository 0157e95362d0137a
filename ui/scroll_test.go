package ui

import (
	"fmt"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"

	"multipeer/internal/history"
	"multipeer/ui/internal/widgets"
)

// shownRows returns the text of the bubbles in view.
func shownRows(tl *widgets.Timeline) (out []string) {
	for _, o := range tl.InView() {
		if d, ok := o.(*dayItem); ok {
			o = d.item
		}
		if b, ok := o.(*widgets.Bubble); ok {
			out = append(out, b.Text)
		}
	}
	return out
}

func last(tl *widgets.Timeline) string { s := shownRows(tl); return s[len(s)-1] }

// fillHistory adds n messages of various lengths to a conversation.
func fillHistory(h *history.Store, talk string, n int) {
	texts := []string{"Yes", "A line of a conversation of a common length", "Something longer, which takes more than one line in a window of an ordinary width, since people do write like that now and then, don't they?", "```\ncode := 1\nmore := 2\n```"}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range n {
		h.Append(talk, history.Row{Kind: history.Text, Own: i%3 == 0, Text: fmt.Sprintf("%d %s", i, texts[i%len(texts)]), State: map[bool]history.State{true: history.Delivered}[i%3 == 0], At: at.Add(time.Duration(i) * 97 * time.Second)})
	}
}

// BenchmarkScroll100000 measures the time on the main thread of one step of the scroll wheel, in a conversation of
// 100,000 rows on disk. It also reports the slowest percent.
func BenchmarkScroll100000(b *testing.B) {
	a := test.NewApp()
	defer a.Quit()
	a.Settings().SetTheme(widgets.Theme{})
	h, err := history.Open(b.TempDir() + "/h")
	if err != nil {
		b.Fatal(err)
	}
	defer h.Close()
	u := &UI{o: Options{History: h}, talks: nil}
	t := &talk{u: u, key: "ben", live: map[uint64]widgets.Item{}}
	fillHistory(h, "ben", 100_000)
	t.forget()
	tl := widgets.NewTimeline(newRows)
	w := test.NewWindow(tl)
	w.SetPadded(false)
	w.Resize(fyne.NewSize(1000, 720))
	tl.ShowRows(t)
	var all []time.Duration
	for b.Loop() {
		began := time.Now()
		tl.Scrolled(&fyne.ScrollEvent{Scrolled: fyne.NewDelta(0, 120)})
		if tl.AtStart() {
			tl.ToEnd()
		}
		all = append(all, time.Since(began))
	}
	if n := len(shownRows(tl)); n < 5 {
		b.Fatalf("%d rows in view", n)
	}
	report(b, all)
}
