package ui

import (
	"image"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/storage"
	"fyne.io/fyne/v2/test"

	"multipeer/engine"
	"multipeer/engine/enginetest"
	"multipeer/internal/history"
)

// middleOf returns the position of an object's middle in the window.
func middleOf(o fyne.CanvasObject) fyne.Position {
	return fyne.CurrentApp().Driver().AbsolutePositionForObject(o).AddXY(o.Size().Width/2, o.Size().Height/2)
}

// TestHome_SendsToTheChosenDevices drops a file between the tiles, chooses two of three devices, and sends.
func TestHome_SendsToTheChosenDevices(t *testing.T) {
	a, l, net := newTestApp(t), newLoop(), enginetest.New(t, time.Millisecond)
	ben, eva, dora := newStation(t, a, l, net, "Ben"), newStation(t, a, l, net, "Eva"), newStation(t, a, l, net, "Dora")
	anna := newStation(t, a, l, net, "Anna") // created last, because the test driver knows positions only in the last window
	l.until(t, "all are nearby", func() bool {
		return len(anna.home.tiles.order) == 3 && anna.peers[ben.self.ID].Confirmed && anna.peers[dora.self.ID].Confirmed
	})
	file := filepath.Join(t.TempDir(), "report.pdf")
	if err := os.WriteFile(file, []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	tiles := anna.home.tiles.tiles
	if tiles[ben.self.ID].Content().Checkable || !anna.home.devices.Visible() || anna.home.nobody.Visible() {
		t.Error("tiles can be checked before anything waits, or are not shown")
	}
	anna.sending.dropped(fyne.NewPos(600, 500), []fyne.URI{storage.NewFileURI(file)})
	l.until(t, "the size", func() bool { return anna.home.tray.text.Text == "1 item ready to send · 10 bytes" })
	if !anna.home.tray.send.Disabled() || anna.home.tray.send.Text != "Choose a device to send to" {
		t.Errorf("nothing is chosen, and the button says %q", anna.home.tray.send.Text)
	}
	anna.side.reordered = time.Time{}                                                         // as if the devices had come a while ago
	for _, id := range []engine.PeerID{ben.self.ID, eva.self.ID, dora.self.ID, eva.self.ID} { // the last tap deselects Eva
		test.Tap(tiles[id])
	}
	for id, want := range map[engine.PeerID]bool{ben.self.ID: true, eva.self.ID: false, dora.self.ID: true} {
		if got := tiles[id].Content(); got.Checked != want || !got.Checkable {
			t.Errorf("%s: %+v", got.Name, got)
		}
	}
	if got := anna.home.tray.send.Text; got != "Send to 2 devices" {
		t.Errorf("the button says %q", got)
	}
	test.Tap(anna.home.tray.send)
	l.until(t, "both are asked", func() bool { return ben.card(engine.Offered) != nil && dora.card(engine.Offered) != nil })
	if len(eva.transfers.all) != 0 || len(anna.sending.paths) != 0 || len(anna.sending.chosen) != 0 || anna.page != pageTransfers {
		t.Errorf("Eva has %d transfers, %q wait, page %d", len(eva.transfers.all), anna.sending.paths, anna.page)
	}
}

// TestHome_DropOnATileSendsToIt drops a file on a tile while another tile is selected for waiting files.
func TestHome_DropOnATileSendsToIt(t *testing.T) {
	a, l, net := newTestApp(t), newLoop(), enginetest.New(t, time.Millisecond)
	ben, eva := newStation(t, a, l, net, "Ben"), newStation(t, a, l, net, "Eva")
	anna := newStation(t, a, l, net, "Anna")
	l.until(t, "both are nearby", func() bool { return len(anna.home.tiles.order) == 2 && anna.peers[ben.self.ID].Confirmed })
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	anna.side.reordered = time.Time{} // as if the devices had come a while ago
	anna.sending.dropped(middleOf(anna.home.tiles.tiles[ben.self.ID]), []fyne.URI{storage.NewFileURI(file)})
	l.until(t, "Ben is asked", func() bool { return ben.card(engine.Offered) != nil })
	if anna.current != anna.talk(ben.self.ID) || len(eva.transfers.all) != 0 {
		t.Error("the file did not go to the tile that it was dropped on")
	}
}

// TestHome_TilesShowTheirDevices checks states, rings, favourites and order.
func TestHome_TilesShowTheirDevices(t *testing.T) {
	s := newStage(t, nil)
	s.peers3()
	s.settle()
	if want := []engine.PeerID{s.ben, s.dora, s.eva}; !slices.Equal(s.home.tiles.order, want) {
		t.Errorf("in order %v", s.home.tiles.order)
	}
	ben := s.home.tiles.tiles[s.ben]
	if c := ben.Content(); c.Name != "Ben's phone" || c.Status != "Verified" || c.Kind == nil || c.Moves || c.Warning {
		t.Errorf("%+v", c)
	}
	if c := s.home.tiles.tiles[s.dora].Content(); c.Status != "Unreachable" || c.Kind != nil {
		t.Errorf("%+v", c)
	}
	s.transfers.take(s.transferOf(engine.Moving, false, nil))
	s.settle()
	if c := ben.Content(); !c.Moves || c.Part != 0.25 {
		t.Errorf("a quarter is sent: %+v", c)
	}
	s.apply([]engine.Event{&engine.Invitation{ID: "1", Peer: s.peers[s.eva]}})
	s.choose(nil) // shows the home page
	s.settle()
	if c := s.home.tiles.tiles[s.eva].Content(); c.Status != "Wants to connect" {
		t.Errorf("%+v", c)
	}
	for _, action := range s.talkActions(s.talk(s.eva)) {
		if action.Label == "Add to favourites" {
			action.Do()
		}
	}
	s.settle()
	if s.home.tiles.order[0] != s.eva || !s.home.tiles.tiles[s.eva].Content().Favourite || s.side.order[0] != s.eva {
		t.Errorf("a favourite is not first: %v", s.home.tiles.order)
	}
	s.apply([]engine.Event{engine.PeerLost{Peer: engine.Peer{ID: s.eva, Name: "Eva"}}})
	s.settle()
	if slices.Contains(s.home.tiles.order, s.eva) || s.side.order[0] != s.ben {
		t.Errorf("a device that has left is still on the page, or first in the list: %v, %v", s.home.tiles.order, s.side.order)
	}
}

// TestHome_NarrowWindowBeginsWithTiles checks the first page at the width of a phone.
func TestHome_NarrowWindowBeginsWithTiles(t *testing.T) {
	s := newStage(t, nil)
	s.peers3()
	s.settle()
	s.w.Resize(fyne.NewSize(420, 800)) // the resize alone must show the tiles
	s.l.until(t, "tiles", func() bool { return len(s.side.tiles.order) == 3 })
	if len(s.side.tiles.order) != 3 || !s.side.tiles.box.Visible() || len(s.side.list.Objects) != 0 {
		t.Errorf("%d tiles and %d rows", len(s.side.tiles.order), len(s.side.list.Objects))
	}
	if id, ok := s.sending.target(middleOf(s.side.tiles.tiles[s.eva])); !ok || id != s.eva {
		t.Errorf("a drop on a tile hits %v, %v", id, ok)
	}
	s.sending.wait([]string{"/x/photo.jpg"})
	s.settle()
	test.Tap(s.side.tiles.tiles[s.eva])
	if !s.side.tray.box.Visible() || s.side.tray.send.Text != "Send to Eva" || s.side.tray.send.Disabled() {
		t.Errorf("the tray says %q", s.side.tray.send.Text)
	}
	s.w.Resize(fyne.NewSize(1280, 800))
	s.settle()
	if len(s.side.tiles.order) != 0 || len(s.side.list.Objects) != 3 || !s.home.tiles.tiles[s.eva].Content().Checked || s.side.tray.box.Visible() {
		t.Error("in a wide window the list has no rows, or the choice is lost")
	}
}

// TestHome_ArrowsMoveBetweenTiles checks that the tiles are a single tab stop, and that all arrow keys work.
func TestHome_ArrowsMoveBetweenTiles(t *testing.T) {
	s := newStage(t, nil)
	for i := range 30 {
		s.apply([]engine.Event{engine.PeerChanged{Peer: engine.Peer{ID: idOf(t, byte(20+i)), Name: string(rune('A' + i)), State: engine.Found, Confirmed: true}}})
	}
	s.settle()
	all, columns := s.home.tiles.stops.all(), s.home.tiles.stops.columns()
	if columns < 4 {
		t.Fatalf("%d columns", columns)
	}
	s.w.Canvas().Focus(all[0].shown)
	at := 0
	for _, k := range []struct {
		key fyne.KeyName
		by  int
	}{{fyne.KeyRight, 1}, {fyne.KeyRight, 1}, {fyne.KeyDown, columns}, {fyne.KeyLeft, -1}, {fyne.KeyUp, -columns}, {fyne.KeyUp, 0}, {fyne.KeyDown, columns}, {fyne.KeyDown, columns}} {
		at += k.by
		s.w.Canvas().Focused().TypedKey(&fyne.KeyEvent{Name: k.key})
		if s.w.Canvas().Focused() != all[at].shown {
			t.Fatalf("after %s the focus is not on tile %d", k.key, at)
		}
	}
	open := 0
	for _, r := range all {
		if !r.row.Disabled() {
			open++
		}
	}
	if open != 1 {
		t.Errorf("Tab stops at %d tiles", open)
	}
}

// TestTray_ShowsPicturesOfWhatWaits checks the thumbnails and the total size of the waiting files.
func TestTray_ShowsPicturesOfWhatWaits(t *testing.T) {
	s := newStage(t, nil)
	s.peers3()
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "a.png"))
	if err != nil {
		t.Fatal(err)
	}
	if err := png.Encode(f, image.NewGray(image.Rect(0, 0, 80, 40))); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(dir, "folder")
	for _, name := range []string{"one", "sub/two"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(folder, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), make([]byte, 1_000_000), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.sending.wait([]string{f.Name(), folder, filepath.Join(dir, "gone")})
	s.l.until(t, "the picture", func() bool { return len(s.home.tray.pictures.Objects) == 1 })
	if got := s.home.tray.text.Text; got != "3 items ready to send · 2.0 MB" {
		t.Errorf("%q", got)
	}
	s.sending.cancel()
	if s.home.tray.box.Visible() || len(s.sending.paths) != 0 {
		t.Error("what was cancelled still waits")
	}
}

// TestConnect_OpensForDevicesThatAreNotListed checks the dialog, and the shortcut that focuses its field.
func TestConnect_OpensForDevicesThatAreNotListed(t *testing.T) {
	s := newStage(t, nil)
	address := &desktop.CustomShortcut{KeyName: fyne.KeyL, Modifier: fyne.KeyModifierShortcutDefault}
	s.shortcut(address)
	if s.dialogs.open != nil || s.w.Canvas().Focused() != fyne.Focusable(s.connecting.page.field) {
		t.Error("the field on the page is not focused")
	}
	s.peers3()
	s.settle()
	s.shortcut(address)
	if s.connecting.open == nil || s.w.Canvas().Focused() != fyne.Focusable(s.connecting.open.field) {
		t.Fatal("the dialog is closed, or its field not focused")
	}
	s.connecting.open.field.SetText("no address")
	s.connecting.open.field.OnSubmitted("no address")
	s.l.until(t, "the reason", func() bool { return s.toast.Box.Visible() })
	if s.connecting.open.field.Disabled() || s.connecting.open.field.Text != "no address" {
		t.Error("the text cannot be corrected")
	}
	s.connecting.open.field.OnEscape()
	if s.connecting.open != nil || s.dialogs.open != nil {
		t.Error("Escape does not close the dialog")
	}
}

// TestClipboard_GoesToTheLastDevice sends the clipboard using only the keyboard.
func TestClipboard_GoesToTheLastDevice(t *testing.T) {
	s := newStage(t, nil)
	keys := &desktop.CustomShortcut{KeyName: fyne.KeyC, Modifier: fyne.KeyModifierShortcutDefault | fyne.KeyModifierShift}
	s.shortcut(keys)
	if s.current != nil || !s.toast.Box.Visible() {
		t.Error("without a device, nothing is said")
	}
	s.conversation()
	if err := s.e.SetTrust(s.ben, engine.TrustSeen); err != nil {
		t.Fatal(err)
	}
	// Since then, Eva has sent something, and the user has sent something to a stranger.
	s.add(s.talk(s.eva), history.Row{Kind: history.Text, Text: "newer", At: time.Now()}, nil)
	s.add(s.talk(s.dora), history.Row{Kind: history.Text, Own: true, Text: "newest", At: time.Now()}, nil)
	s.choose(nil)
	fyne.CurrentApp().Clipboard().SetContent("from the clipboard")
	s.shortcut(keys)
	if t0 := s.current; t0 != s.talk(s.ben) || t0.data(t0.first+uint64(t0.Count())-1).Text != "from the clipboard" {
		t.Error("the text did not go to Ben")
	}
}

// TestTransfers_AreFiltered checks each choice of the filter, and the search.
func TestTransfers_AreFiltered(t *testing.T) {
	s := newStage(t, nil)
	s.allTransfers()
	s.showTransfers()
	all := len(s.moves.shown)
	for choice, want := range map[int]int{0: 7, 1: 3, 2: 4, 3: 2} {
		s.moves.filter.Choose(choice)
		if got := len(s.moves.shown); got != want {
			t.Errorf("choice %d shows %d of %d", choice, got, all)
		}
	}
	s.moves.filter.Choose(0)
	for sought, want := range map[string]int{"SONG": 1, "ben": 7, "nothing like it": 0, "": 7} {
		s.moves.search.SetText(sought)
		if got := len(s.moves.shown); got != want || s.moves.none.Visible() != (want == 0) {
			t.Errorf("%q finds %d", sought, got)
		}
	}
	s.moves.search.SetText("nothing like it")
	if s.moves.empty.Text != "No matching transfers." {
		t.Errorf("it says %q", s.moves.empty.Text)
	}
}
