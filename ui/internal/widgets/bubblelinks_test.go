package widgets

import (
	"regexp"
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
)

// findLinks finds strings that begin with http:// or https://, up to the next space.
func findLinks(text string) (found [][2]int) {
	for _, at := range regexp.MustCompile(`https?://[^\s]+`).FindAllStringIndex(text, -1) {
		found = append(found, [2]int{at[0], at[1]})
	}
	return found
}

// TestBubble_LinksAreTapped taps each part of several links, one of them longer than a line, and the text around them.
func TestBubble_LinksAreTapped(t *testing.T) {
	newTestApp(t)
	long := "https://example.org/" + strings.Repeat("path/", 30) + "end"
	for _, text := range []string{
		"https://a.example",
		"before https://a.example after",
		"two: https://a.example https://b.example, the same word twice: https https",
		"tab\tand " + long + " and\n\nhttps://a.example\nlast",
		"```\nhttps://in.code\n```\n" + long,
	} {
		opened := ""
		b := NewBubble(Said{Text: text, Links: Links{Find: findLinks, Open: func(link string) { opened = link }}})
		b.Resize(fyne.NewSize(300, b.HeightFor(300)))
		var shown strings.Builder
		links := map[string]string{}
		for _, l := range b.lines {
			shown.WriteString(l.text.Text)
			middle := l.text.Position().AddXY(l.text.Size().Width/2, l.text.Size().Height/2)
			opened = ""
			b.Tapped(&fyne.PointEvent{Position: middle})
			if opened != l.link {
				t.Errorf("%q opens %q instead of %q", l.text.Text, opened, l.link)
			}
			b.MouseMoved(&desktop.MouseEvent{PointEvent: fyne.PointEvent{Position: middle}})
			if hand := b.Cursor() == desktop.PointerCursor; hand != (l.link != "") {
				t.Errorf("the pointer over %q is a hand: %v", l.text.Text, hand)
			}
			if l.link != "" {
				links[l.link] += l.text.Text
			}
		}
		for link, parts := range links {
			if link != parts {
				t.Errorf("the link %q is shown as %q", link, parts)
			}
		}
		want := 0
		for _, part := range Blocks(text) {
			if !part.Code {
				want += len(findLinks(part.Text))
			}
		}
		if len(links) != want {
			t.Errorf("%q has %d links, want %d", text, len(links), want)
		}
		if plain := strings.NewReplacer(" ", "", "\n", "", "\t", "", "```", ""); plain.Replace(shown.String()) != plain.Replace(text) {
			t.Errorf("%q is shown as %q", text, shown.String())
		}
	}
}
