package ui

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
	"multipeer/engine/enginetest"
	"multipeer/ui/internal/widgets"
)

// TestPaste_LongTextIsOfferedAsAFile checks that text that is too long for the field is offered as a file, and that
// nothing is lost.
func TestPaste_LongTextIsOfferedAsAFile(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("LocalAppData", t.TempDir())
	l, net, a := newLoop(), enginetest.New(t, 0), newTestApp(t)
	me, ben := newStation(t, a, l, net, "Me"), newStation(t, a, l, net, "Ben")
	l.until(t, "they find each other", func() bool { _, ok := me.peers[ben.self.ID]; return ok })
	tk := me.talk(ben.self.ID)
	me.choose(tk)
	clipboard := a.Clipboard()
	for name, c := range map[string]struct {
		text  string
		taken bool
	}{
		"a word": {"word", true}, "16 KiB in a line": {strings.Repeat("word ", widgets.MaxFieldText/5), true}, "299 lines": {strings.Repeat("line\n", widgets.MaxFieldLines-1), true},
		"300 lines": {strings.Repeat("line\n", widgets.MaxFieldLines), false}, "one byte too many": {strings.Repeat("x", widgets.MaxFieldText+1), false},
		"1 MB in a line": {strings.Repeat("word ", 200_000), false}, "1 MB in a word": {strings.Repeat("x", 1_000_000), false},
		"10,000 lines": {strings.Repeat("line\n", 10_000), false}, "5 MB": {strings.Repeat("word ", 1_000_000), false},
	} {
		me.composer.entry.SetText("")
		clipboard.SetContent(c.text)
		began := time.Now()
		me.composer.entry.TypedShortcut(&fyne.ShortcutPaste{Clipboard: clipboard})
		if took := time.Since(began); took > time.Second && !raceEnabled {
			t.Errorf("%s took %v", name, took)
		}
		if want := map[bool]string{true: c.text}[c.taken]; me.composer.entry.Text != want {
			t.Errorf("%s: the field has %d bytes, want %d", name, len(me.composer.entry.Text), len(want))
		}
		asked := me.dialogs.open != nil
		if asked == c.taken {
			t.Errorf("%s: asked %v", name, asked)
		}
		if asked {
			me.dialogs.open.(*widgets.Modal).Hide()
		}
	}
	// Text in the field reduces the room for a paste, and a paste replaces selected text.
	me.composer.entry.SetText(strings.Repeat("x", widgets.MaxFieldText-3))
	clipboard.SetContent("four")
	me.composer.entry.TypedShortcut(&fyne.ShortcutPaste{Clipboard: clipboard})
	if len(me.composer.entry.Text) != widgets.MaxFieldText-3 || me.dialogs.open == nil {
		t.Error("a full field takes more")
	}
	me.dialogs.open.(*widgets.Modal).Hide()
	me.composer.entry.TypedShortcut(&fyne.ShortcutSelectAll{})
	me.composer.entry.TypedShortcut(&fyne.ShortcutPaste{Clipboard: clipboard})
	if me.composer.entry.Text != "four" {
		t.Errorf("what is selected is not replaced: %d bytes", len(me.composer.entry.Text))
	}
	// Other fields refuse the text and say so.
	clipboard.SetContent(strings.Repeat("x", 1_000_000))
	began := time.Now()
	me.side.search.TypedShortcut(&fyne.ShortcutPaste{Clipboard: clipboard})
	if me.side.search.Text != "" || time.Since(began) > time.Second && !raceEnabled {
		t.Errorf("the search has %d bytes after %v", len(me.side.search.Text), time.Since(began))
	}
	// The offered file has the complete text.
	text := strings.Repeat("ä word\n", 20_000)
	clipboard.SetContent(text)
	me.composer.entry.TypedShortcut(&fyne.ShortcutPaste{Clipboard: clipboard})
	buttons := me.dialogs.open.(*widgets.Modal).Buttons
	for _, b := range buttons {
		if labelOf(b) == "Send" {
			test.Tap(b.(*widget.Button))
		}
	}
	var offered engine.Transfer
	l.until(t, "it is offered", func() bool {
		for _, tr := range me.transfers.all {
			offered = tr
		}
		return len(offered.Paths) == 1
	})
	got, err := os.ReadFile(offered.Paths[0])
	if err != nil || string(got) != text || !strings.HasPrefix(filepath.Base(offered.Paths[0]), "Pasted text ") {
		t.Errorf("%s has %d bytes, want %d: %v", offered.Paths[0], len(got), len(text), err)
	}
}
