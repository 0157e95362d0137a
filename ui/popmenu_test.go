package ui

import (
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
)

// TestMenuByKeysAndMouse: keys go round, Escape closes without an act, a tap outside too, and a taken row acts once, when
// the menu is gone.
func TestMenuByKeysAndMouse(t *testing.T) {
	s := newStage(t, nil)
	s.w.Resize(fyne.NewSize(420, 300))
	var did []string
	open := func() *popMenu {
		s.showMenu([]action{
			{label: "One", do: func() { did = append(did, "one") }},
			{},
			{label: "Two", danger: true, do: func() { did = append(did, "two") }},
		}, fyne.NewPos(1000, 1000))
		return s.menu
	}
	m := open()
	if end := m.pop.Position().Add(m.pop.Size()); end.X > 420-gap || end.Y > 300-gap {
		t.Errorf("the menu ends at %v", end)
	}
	if s.w.Canvas().Focused() != fyne.Focusable(m) {
		t.Fatal("the menu has no keys")
	}
	key := func(names ...fyne.KeyName) {
		for _, n := range names {
			m.TypedKey(&fyne.KeyEvent{Name: n})
		}
	}
	key(fyne.KeyEscape)
	if m.open() || did != nil {
		t.Error("Escape leaves it open, or acts", did)
	}
	m = open()
	test.TapCanvas(s.w.Canvas(), fyne.NewPos(4, 4))
	if m.open() || did != nil {
		t.Error("a tap outside leaves it open, or acts", did)
	}
	for _, keys := range [][]fyne.KeyName{{fyne.KeyUp}, {fyne.KeyDown, fyne.KeyDown}, {fyne.KeyEnd}, {fyne.KeyDown, fyne.KeyUp}} {
		did = nil
		m = open()
		key(fyne.KeyReturn) // nothing is chosen yet
		key(keys...)
		key(fyne.KeyReturn)
		if m.open() || len(did) != 1 || did[0] != "two" {
			t.Errorf("%v: open %v, did %q", keys, m.open(), did)
		}
	}
	did = nil
	m = open()
	test.Tap(m.rows[0])
	if m.open() || len(did) != 1 || did[0] != "one" {
		t.Errorf("open %v, did %q", m.open(), did)
	}
}
