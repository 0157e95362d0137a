package ui

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
	"multipeer/engine/enginetest"
	"multipeer/internal/settings"
	"multipeer/ui/internal/widgets"
)

// find walks the tree of visible widgets and returns the first match.
func find[T fyne.CanvasObject](root fyne.CanvasObject, is func(T) bool) (found T, ok bool) {
	var walk func(o fyne.CanvasObject)
	walk = func(o fyne.CanvasObject) {
		if ok || o == nil || !o.Visible() {
			return
		}
		if v, fits := o.(T); fits && is(v) {
			found, ok = v, true
			return
		}
		switch o := o.(type) {
		case *fyne.Container:
			for _, c := range o.Objects {
				walk(c)
			}
		case fyne.Widget:
			for _, c := range test.WidgetRenderer(o).Objects() {
				walk(c)
			}
		}
	}
	walk(root)
	return found, ok
}

func (s *stage) toggleOf(name string) *widgets.Toggle {
	s.t.Helper()
	tg, ok := find(s.prefs.box, func(t *widgets.Toggle) bool { return t.Name == name })
	if !ok {
		s.t.Fatalf("no switch %q", name)
	}
	return tg
}

func (s *stage) segmentsWith(label string) (*widgets.Segments, int) {
	s.t.Helper()
	at := 0
	sg, ok := find(s.prefs.box, func(g *widgets.Segments) bool {
		for i, l := range g.Labels {
			if l == label {
				at = i
				return true
			}
		}
		return false
	})
	if !ok {
		s.t.Fatalf("no choice %q", label)
	}
	return sg, at
}

// TestSettings_AreKeptAndTakeEffect checks that the settings are saved and take effect.
func TestSettings_AreKeptAndTakeEffect(t *testing.T) {
	dir := t.TempDir()
	set, err := settings.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := newStage(t, set)
	s.desk.hasFileManager = true
	s.peers3()
	s.showSettings()
	test.Tap(s.toggleOf("Notifications"))
	test.Tap(s.toggleOf("Save chat history"))
	s.dialogs.open.Hide() // answers no, so it stays on
	if !s.toggleOf("Save chat history").On || set.NoHistory {
		t.Error("a no was taken for a yes")
	}
	test.Tap(s.toggleOf("Save chat history"))
	s.tap("", "Forget")
	if _, ok := find(s.prefs.box, func(b *widget.Button) bool { return b.Text == "Restart now" }); !ok {
		t.Error("nothing says that a new start is needed")
	}
	test.Tap(s.toggleOf("Start when you log in"))
	if !s.desk.login {
		t.Error("it does not start at login")
	}
	test.Tap(s.toggleOf("Show in the file manager"))
	if !s.desk.listed {
		t.Error("it is not in the file manager")
	}
	g, i := s.segmentsWith("Dark")
	g.Choose(i)
	g, i = s.segmentsWith("Largest")
	g.Choose(i)
	g, i = s.segmentsWith("No one")
	g.Choose(i)
	if th := s.o.App.Settings().Theme().(widgets.Theme); th.Look != widgets.LookDark || th.Scale != 1.5 {
		t.Errorf("the theme is %+v", th)
	}
	isPort := func(f *widgets.Field) bool { return strings.HasPrefix(f.PlaceHolder, "Automatic (") }
	if _, shown := find(s.prefs.box, isPort); shown {
		t.Error("the port is not folded away")
	}
	advanced, _ := find(s.prefs.box, func(b *widget.Button) bool { return b.Text == "Advanced…" })
	test.Tap(advanced)
	port, _ := find(s.prefs.box, isPort)
	port.SetText("99999")
	port.OnSubmitted(port.Text)
	if !strings.Contains(s.toast.Text.Text, "1 to 65535") {
		t.Errorf("a bad port: %q", s.toast.Text.Text)
	}
	port.SetText(" 4242 ")
	port.OnSubmitted(port.Text)
	sw, _ := find(s.prefs.box, func(*widgets.Swatches) bool { return true })
	sw.Choose(4)
	if s.side.face.Fill() != sw.Color(4) {
		t.Error("the colour is not shown")
	}
	if got := s.e.Self().Info; got["color"] != fmt.Sprint(set.Colour) || got["kind"] == "" {
		t.Errorf("others get %v", got)
	}
	kept, err := settings.Load(dir)
	if err != nil || !kept.Quiet || !kept.NoHistory || kept.Appearance != settings.Dark || kept.TextSize != 4 || kept.Port != 4242 || kept.Colour != set.Colour || set.Colour == 0 {
		t.Errorf("kept %+v, %v", kept, err)
	}
	cfg := Configure(engine.Config{}, kept)
	if cfg.Port != 4242 || cfg.Accept != Acceptance(kept) {
		t.Errorf("the next start has %+v", cfg)
	}
}

func (s *stage) chooseLanguage(name string) {
	s.t.Helper()
	choice, ok := find(s.prefs.box, func(c *widget.Select) bool { return slices.Contains(c.Options, name) })
	if !ok {
		s.t.Fatal("no choice of the language")
	}
	choice.SetSelected(name)
}

// TestLanguage_ChangesAtOnce checks that text that is already on screen changes too.
func TestLanguage_ChangesAtOnce(t *testing.T) {
	s := newStage(t, nil)
	t.Cleanup(func() { _ = speak("en") })
	s.showSettings()
	s.chooseLanguage("Suomi")
	if s.page != pageSettings {
		t.Errorf("the page is %d", s.page)
	}
	if got := s.side.transfers.name.Text; got != "Siirrot" {
		t.Errorf("Transfers is called %q", got)
	}
	if got := size(1_500_000); got != "1,5 MB" {
		t.Errorf("a size is %q", got)
	}
	s.chooseLanguage("English")
	if got := s.side.transfers.name.Text; got != "Transfers" {
		t.Errorf("back in English it is called %q", got)
	}
}

// TestViews_HaveRoomInEachLanguage checks that every view fits a phone's screen in each language, at the normal and the
// largest text size.
func TestViews_HaveRoomInEachLanguage(t *testing.T) {
	t.Cleanup(func() { _ = speak("en") })
	for _, l := range languages {
		for _, scale := range []int{0, 4} {
			if err := speak(l.tag); err != nil {
				t.Fatal(err)
			}
			for _, v := range views {
				s := newStage(t, &settings.Settings{TextSize: scale})
				s.w.Resize(fyne.NewSize(420, 800))
				if v.name == "search" {
					continue
				}
				v.set(s)
				s.settle()
				if need := s.root.MinSize(); need.Width > 420 || need.Height > 800 {
					t.Errorf("%s at size %d: %s needs %v", l.tag, scale, v.name, need)
				}
			}
		}
	}
}

func TestRename_ReachesOtherPeers(t *testing.T) {
	a, l, net := newTestApp(t), newLoop(), enginetest.New(t, time.Millisecond)
	anna, ben := newStation(t, a, l, net, "Anna"), newStation(t, a, l, net, "Ben")
	l.until(t, "both in the list", func() bool { return len(ben.side.order) == 1 })
	anna.showSettings()
	anna.prefs.name.SetText("\u200b")
	anna.prefs.name.OnSubmitted("\u200b")
	if !anna.toast.Box.Visible() || !strings.Contains(anna.toast.Text.Text, "visible") {
		t.Errorf("an invisible name: %q", anna.toast.Text.Text)
	}
	anna.prefs.name.OnSubmitted(" Annabelle ")
	l.until(t, "the new name", func() bool {
		r := ben.side.rows[anna.node.Self().ID]
		return r != nil && r.name.Text == "Annabelle" && anna.side.name.Text == "Annabelle"
	})
}

// TestWindow_NarrowOneHasTwoPages checks that a narrow window shows the list or the page, and switches between them.
func TestWindow_NarrowOneHasTwoPages(t *testing.T) {
	s := newStage(t, nil)
	s.conversation()
	front := func(list, page bool) {
		t.Helper()
		if s.side.box.Visible() != list || s.root.Objects[1].Visible() != page {
			t.Errorf("list %v, page %v", s.side.box.Visible(), s.root.Objects[1].Visible())
		}
	}
	front(true, true)
	s.w.Resize(fyne.NewSize(420, 800))
	front(false, true)
	if !s.header.back.Visible() {
		t.Fatal("no way back")
	}
	test.Tap(s.header.back)
	front(true, false)
	if s.current != nil {
		t.Error("someone is chosen behind the list")
	}
	test.Tap(s.side.rows[s.eva])
	front(false, true)
	s.w.Canvas().OnTypedKey()(&fyne.KeyEvent{Name: fyne.KeyEscape})
	front(true, false)
	s.showSettings()
	front(false, true)
	test.Tap(s.prefs.back)
	front(true, false)
	s.w.Resize(fyne.NewSize(900, 600))
	front(true, true)
}

// TestShortcuts_ReachEverything checks that the shortcuts work.
func TestShortcuts_ReachEverything(t *testing.T) {
	s := newStage(t, nil)
	s.peers3()
	for _, k := range s.keys() {
		if k.does != "" && keyLabel(k.shortcut) == "" {
			t.Errorf("%q has no key", k.does)
		}
	}
	press := func(does string) {
		t.Helper()
		for _, k := range s.keys() {
			if k.does == does {
				if !s.shortcut(&k.shortcut) {
					t.Errorf("%s did nothing", does)
				}
				return
			}
		}
		t.Fatalf("no key for %q", does)
	}
	press("Next conversation")
	if s.current == nil || s.current.id != s.ben {
		t.Error("the first one is not next to everyone")
	}
	press("Previous conversation")
	if s.current == nil || !s.current.everyone() {
		t.Error("not back")
	}
	press("Transfers")
	press("Settings")
	if s.page != pageSettings {
		t.Error("no settings")
	}
	press("Search")
	if s.w.Canvas().Focused() != fyne.Focusable(s.side.search) {
		t.Error("no search")
	}
	// Shortcuts also work inside a field, and a row reacts to Enter and the menu key.
	s.w.Canvas().Focus(s.side.search)
	for _, k := range s.keys() {
		if k.does == "Transfers" {
			sc := k.shortcut
			s.side.search.TypedShortcut(&sc)
		}
	}
	if s.page != pageTransfers {
		t.Error("a field keeps the shortcut to itself")
	}
	s.w.Canvas().Focus(s.side.rows[s.eva])
	s.side.rows[s.eva].TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
	if s.current == nil || s.current.id != s.eva {
		t.Error("Enter does not choose a row")
	}
	s.side.rows[s.eva].TypedKey(&fyne.KeyEvent{Name: "Menu"})
	if s.menu == nil || !s.menu.Visible() {
		t.Error("no menu by key")
	}
}

// TestScreenReader_EveryControlHasAName checks that every control has a name.
func TestScreenReader_EveryControlHasAName(t *testing.T) {
	s := newStage(t, nil)
	s.allTransfers()
	for _, show := range []func(){s.showSettings, s.showTransfers, func() { s.choose(s.talk(s.ben)) }} {
		show()
		s.settle()
		find(fyne.CanvasObject(s.root), func(o fyne.CanvasObject) bool {
			if _, usable := o.(fyne.Tappable); !usable || !o.Visible() {
				return false
			}
			switch o.(type) {
			case *widgets.Field, *widgets.ScrollThumb, *widgets.Swatches:
				return false // Fyne names entries by their text
			}
			if a, ok := o.(fyne.Accessible); ok && a.AccessibilityLabel() == "" {
				t.Errorf("%T has no name for who cannot see it", o)
			}
			return false
		})
	}
}

// TestDialog_StaysCentred checks that a dialog is centred, even after the window is resized.
func TestDialog_StaysCentred(t *testing.T) {
	s := newStage(t, nil)
	m := s.dialogs.ask("Title", "Some words to be read.", "Yes", func() {})
	for _, size := range []fyne.Size{{Width: 420, Height: 800}, {Width: 900, Height: 600}} {
		s.w.Resize(size)
		s.l.until(t, "shown again", func() bool { return len(s.l.queue) == 0 })
		at, is := m.Place()
		if d := at.X*2 + is.Width - size.Width; d < -2 || d > 2 || is.Width > size.Width-2*widgets.Edge {
			t.Errorf("at %v, %v wide, in a window of %v", at.X, is.Width, size.Width)
		}
	}
	if s.dialogs.open != hidden(m) {
		t.Error("the question is gone")
	}
}

// TestSettings_ScrollWhereverThePointerIs includes fields, which have their own scroller.
func TestSettings_ScrollWhereverThePointerIs(t *testing.T) {
	s := newStage(t, nil)
	s.w.Resize(fyne.NewSize(420, 500))
	s.showSettings()
	c, space := s.w.Canvas(), s.prefs.scroll.Size()
	at := fyne.CurrentApp().Driver().AbsolutePositionForObject(s.prefs.scroll)
	for range 60 {
		test.Scroll(c, at.AddXY(space.Width/2, space.Height/2), 0, -40)
	}
	if end := s.prefs.scroll.Content.Size().Height - space.Height; s.prefs.scroll.Offset.Y != end {
		t.Errorf("it stands at %v of %v", s.prefs.scroll.Offset.Y, end)
	}
}

// TestSettings_GroupsLeadToTheirSettings uses the list next to the settings by tapping, by arrow keys and by scrolling.
func TestSettings_GroupsLeadToTheirSettings(t *testing.T) {
	s := newStage(t, nil)
	s.w.Resize(fyne.NewSize(900, 500))
	s.showSettings()
	g, c := s.prefs.groups, s.w.Canvas()
	marked := func() (names []string) {
		for i, r := range g.rows {
			if r.Selected {
				names = append(names, g.groups[i].name)
			}
		}
		return names
	}
	at := func(name string) int {
		return slices.IndexFunc(g.groups, func(g settingsGroup) bool { return g.name == name })
	}
	top := func(name string) float32 {
		d := fyne.CurrentApp().Driver()
		return d.AbsolutePositionForObject(g.groups[at(name)].card).Y - d.AbsolutePositionForObject(s.prefs.scroll).Y
	}
	test.Tap(g.rows[at("Appearance")])
	if y := top("Appearance"); y < 0 || y > 2*widgets.Edge || !slices.Equal(marked(), []string{"Appearance"}) {
		t.Errorf("after a tap the group is at %v, and %q are marked", y, marked())
	}
	looks, dark := s.segmentsWith("Dark")
	looks.Choose(dark) // rebuilds the page
	g = s.prefs.groups
	if y := top("Appearance"); y < 0 || y > 2*widgets.Edge || !slices.Equal(marked(), []string{"Appearance"}) {
		t.Errorf("after a new theme the group is at %v, and %q are marked", y, marked())
	}
	test.Tap(g.rows[at("About")]) // this group is too short to reach the top
	if y := top("About"); y < 0 || y > s.prefs.scroll.Size().Height || !slices.Equal(marked(), []string{"About"}) {
		t.Errorf("after a tap the last group is at %v, and %q are marked", y, marked())
	}
	over := fyne.CurrentApp().Driver().AbsolutePositionForObject(s.prefs.scroll).AddXY(100, 100)
	for range 100 {
		test.Scroll(c, over, 0, 100)
	}
	if s.prefs.scroll.Offset.Y != 0 || !slices.Equal(marked(), []string{"This device"}) {
		t.Errorf("at the top (%v), %q are marked", s.prefs.scroll.Offset.Y, marked())
	}
	c.Focus(g.rows[0])
	for range 3 {
		c.Focused().TypedKey(&fyne.KeyEvent{Name: fyne.KeyDown})
	}
	c.Focused().TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
	if !slices.Equal(marked(), []string{g.groups[3].name}) {
		t.Errorf("after three arrows and Enter, %q are marked", marked())
	}
	enabled := 0
	for _, r := range g.rows {
		if !r.Disabled() {
			enabled++
		}
	}
	if enabled != 1 {
		t.Errorf("Tab stops at %d groups", enabled)
	}
	s.w.Resize(fyne.NewSize(420, 800))
	if g.box.Visible() {
		t.Error("a narrow window shows the groups")
	}
}
