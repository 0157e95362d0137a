package widgets

import (
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/theme"
)

// TestPopMenu_ByKeysAndMouse checks that the arrow keys wrap around, that Escape or a tap outside closes the menu
// without running an action, and that choosing a row closes the menu and runs its action once.
func TestPopMenu_ByKeysAndMouse(t *testing.T) {
	newTestApp(t)
	w := test.NewTempWindow(t, NewPanel(theme.ColorNameBackground, "", 0))
	w.Resize(fyne.NewSize(420, 300))
	var did []string
	open := func() *PopMenu {
		return OpenMenu([]Action{
			{Label: "One", Do: func() { did = append(did, "one") }},
			{},
			{Label: "Two", Danger: true, Do: func() { did = append(did, "two") }},
		}, w.Canvas(), fyne.NewPos(1000, 1000))
	}
	m := open()
	if end := m.pop.Position().Add(m.pop.Size()); end.X > 420-Gap || end.Y > 300-Gap {
		t.Errorf("the menu ends at %v", end)
	}
	if w.Canvas().Focused() != fyne.Focusable(m) {
		t.Fatal("the menu has no keys")
	}
	key := func(names ...fyne.KeyName) {
		for _, n := range names {
			m.TypedKey(&fyne.KeyEvent{Name: n})
		}
	}
	key(fyne.KeyEscape)
	if m.IsOpen() || did != nil {
		t.Error("Escape leaves it open, or acts", did)
	}
	m = open()
	test.TapCanvas(w.Canvas(), fyne.NewPos(4, 4))
	if m.IsOpen() || did != nil {
		t.Error("a tap outside leaves it open, or acts", did)
	}
	for _, keys := range [][]fyne.KeyName{{fyne.KeyUp}, {fyne.KeyDown, fyne.KeyDown}, {fyne.KeyEnd}, {fyne.KeyDown, fyne.KeyUp}} {
		did = nil
		m = open()
		key(fyne.KeyReturn) // no row is selected yet
		key(keys...)
		key(fyne.KeyReturn)
		if m.IsOpen() || len(did) != 1 || did[0] != "two" {
			t.Errorf("%v: open %v, did %q", keys, m.IsOpen(), did)
		}
	}
	did = nil
	m = open()
	test.Tap(m.Rows[0])
	if m.IsOpen() || len(did) != 1 || did[0] != "one" {
		t.Errorf("open %v, did %q", m.IsOpen(), did)
	}
}
