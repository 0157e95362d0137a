package widgets

import (
	"strings"
	"testing"

	"fyne.io/fyne/v2"
)

func TestBubble_LongMessageGrowsDownwards(t *testing.T) {
	newTestApp(t)
	b := NewBubble(Said{Text: "one word and another and another and another and another and anotherverylongwordthatdoesnotfitintoonelineatall", Stamp: "14:00", Out: true})
	wide, narrow := b.HeightFor(900), b.HeightFor(200)
	if narrow <= wide {
		t.Errorf("height %v at 200 units, %v at 900", narrow, wide)
	}
	for _, line := range b.lines {
		if w := fyne.MeasureText(line.text.Text, 13.5, fyne.TextStyle{}).Width; w > b.maxText(200)+0.5 {
			t.Errorf("%q is %v wide", line.text.Text, w)
		}
	}
	var words []string
	for _, line := range b.lines {
		words = append(words, line.text.Text)
	}
	if got := strings.ReplaceAll(strings.Join(words, ""), " ", ""); got != strings.ReplaceAll(b.Text, " ", "") {
		t.Errorf("wrapping lost text: %q", got)
	}
}
