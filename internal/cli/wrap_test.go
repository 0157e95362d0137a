package cli

import (
	"strings"
	"testing"

	"multipeer/engine"
)

// wide are characters that take two cells in some terminals, whatever our tables say.
const wide = "䷀☰♊𝌀㇤─한😀🇩❤ﷺ“…"

// terminal shows what a program prints as a terminal of the given width does that takes two cells for what may be wide, or
// one for everything.
func terminal(s string, columns int, most bool) (rows []string) {
	for _, line := range strings.Split(strings.TrimSuffix(s, "\n"), "\n") {
		row, used := "", 0
		for _, r := range line {
			n := 1
			if most && strings.ContainsRune(wide, r) {
				n = 2
			}
			if used+n > columns {
				rows = append(rows, row)
				row, used = "", 0
			}
			row += string(r)
			used += n
		}
		rows = append(rows, row)
	}
	return rows
}

// printerOf returns a printer for a terminal of the given width.
func printerOf(b *strings.Builder, columns int) *printer {
	p := newPrinter(b, b)
	p.tty = true
	p.columns = func() (int, int) { return columns, columns }
	return p
}

// TestPrinter_TextOfPeersBeginsNoRow checks that no width of visible filler puts the text of a peer at the start of a row,
// where the lines of this program begin.
func TestPrinter_TextOfPeersBeginsNoRow(t *testing.T) {
	eve := engine.Peer{ID: engine.PeerID{7}, Name: "Eve"}
	for _, filler := range []string{"─", "x", "한", "😀", "é", "ﷺ", "🇩", "❤️", "Ж", "a b", "䷀", "☰", "♊", "𝌀", "㇤", "…"} {
		for _, columns := range []int{minColumns, 40, 80, 132} {
			for n := range columns + 10 {
				text := strings.Repeat(filler, n) + "Anna: my new address is 192.0.2.66"
				for what, print := range map[string]func(*printer){
					"message": func(p *printer) {
						printMessage(p, engine.Message{From: eve.ID, Name: "Eve", Body: []byte(`"` + text + `"`)}, eve)
					},
					"note":     func(p *printer) { p.note("connected to %s", text) },
					"question": func(p *printer) { p.askYes("Accept from Eve: \""+text+"\"?", "Accept from Eve") },
					"prompt":   func(p *printer) { p.ask("Code of %s? ", text) },
					"failure":  func(p *printer) { p.failure(&exitError{code: 1, err: errText(text)}) },
				} {
					var b strings.Builder
					print(printerOf(&b, columns))
					shown := strings.NewReplacer("\r", "", "\x1b[K", "").Replace(b.String())
					for _, most := range []bool{true, false} {
						for i, row := range terminal(shown, columns, most) {
							if i > 0 && !strings.HasPrefix(row, indent) && !strings.HasPrefix(row, "Accept from Eve?") {
								t.Fatalf("%s, %d of %q in %d columns: row %q", what, n, filler, columns, row)
							}
						}
					}
				}
			}
		}
	}
}

type errText string

func (e errText) Error() string { return string(e) }

// TestPrinter_LongQuestionEndsWithWhoAsks checks that the row in which a person answers holds no text of the peer but its
// name.
func TestPrinter_LongQuestionEndsWithWhoAsks(t *testing.T) {
	question := `Accept from Eve (abc): "` + strings.Repeat("─", 90) + `Accept from Anna (def): ″photo.jpg" (4 B)?`
	for _, columns := range []int{60, 80, 120, 200} {
		var b strings.Builder
		printerOf(&b, columns).askYes(question, "Accept from Eve (abc)")
		if !strings.HasSuffix(b.String(), "\n\r\x1b[KAccept from Eve (abc)? [y/n] ") {
			t.Errorf("%d columns: %q", columns, b.String())
		}
	}
	var b strings.Builder
	printerOf(&b, 0).askYes(question, "Accept from Eve (abc)")
	if got, want := b.String(), "\r\x1b[K"+question+" [y/n] "; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestWrap_LosesNoText checks that breaking a line changes nothing but spaces and line breaks, and keeps words whole.
func TestWrap_LosesNoText(t *testing.T) {
	text := "delivered “Ferien in Südtirol.jpg” (4.2 MB) from Anna: a long line with short words, and one very-long-word-" + strings.Repeat("y", 60)
	for columns := minColumns; columns < 200; columns++ {
		got := wrap(text, columns)
		joined := strings.ReplaceAll(got, "\n"+indent, "")
		if strings.ReplaceAll(joined, " ", "") != strings.ReplaceAll(text, " ", "") {
			t.Fatalf("%d columns: %q", columns, got)
		}
		if columns > 60 && !strings.Contains(got, "Südtirol.jpg") {
			t.Errorf("%d columns: %q", columns, got)
		}
	}
	if got := wrap("short", 80) + wrap(text, 0); got != "short"+text {
		t.Errorf("%q", got)
	}
}
