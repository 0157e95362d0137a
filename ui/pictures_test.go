package ui

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"

	"multipeer/engine"
	"multipeer/engine/enginetest"
	"multipeer/ui/internal/widgets"
)

// plain returns a picture of one colour.
func plain(w, h int, c color.Color) image.Image {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.Draw(m, m.Bounds(), image.NewUniform(c), image.Point{}, draw.Src)
	return m
}

// writePicture writes a picture as PNG.
func writePicture(t *testing.T, path string, m image.Image) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestAlbum_ShowsSeveralPictures sends eight pictures and two other files. Both sides show an album; the receiver opens,
// copies and forwards a picture, and opens a file.
func TestAlbum_ShowsSeveralPictures(t *testing.T) {
	a, l, net := newTestApp(t), newLoop(), enginetest.New(t, time.Millisecond)
	anna, ben := newStation(t, a, l, net, "Anna"), newStation(t, a, l, net, "Ben")
	desk := newFakeDesktop()
	ben.o.Desktop = desk
	l.until(t, "reached", func() bool { return anna.peers[ben.self.ID].Confirmed && ben.peers[anna.self.ID].Confirmed })
	dir := t.TempDir()
	var paths []string
	for i := range 8 {
		paths = append(paths, writePicture(t, filepath.Join(dir, fmt.Sprintf("photo %d.png", i)), plain(60, 40, widgets.RGB(widgets.AvatarColors[i]))))
	}
	for _, name := range []string{"report.pdf", "script.sh"} {
		paths = append(paths, filepath.Join(dir, name))
		if err := os.WriteFile(paths[len(paths)-1], []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	anna.choose(anna.talk(ben.self.ID))
	anna.sending.offer(anna.talk(ben.self.ID), paths)
	l.until(t, "the offer", func() bool { return ben.card(engine.Offered) != nil })
	if ben.card(engine.Offered).pictures.Visible() {
		t.Error("pictures are shown before the user has accepted them")
	}
	test.Tap(ben.card(engine.Offered).rested().accept)
	l.until(t, "the album", func() bool {
		c := ben.card(engine.Delivered)
		return c != nil && c.pictures.Len() == widgets.AlbumMost
	})
	l.until(t, "the sender's album", func() bool {
		c := anna.card(engine.Delivered)
		return c != nil && c.pictures.Len() == widgets.AlbumMost
	})
	c := ben.card(engine.Delivered)
	if n := len(c.files.Objects); n != 2 {
		t.Errorf("%d other files are listed", n)
	}
	opened := func(what string, want string) {
		t.Helper()
		l.until(t, what, func() bool { return len(desk.opened) > 0 })
		if got := <-desk.opened; got != want {
			t.Errorf("%s: %s", what, got)
		}
	}
	test.Tap(c.pictures.Picture(2).(fyne.Tappable))
	opened("a picture", filepath.Join(ben.inbox, "photo 2.png"))
	actions := map[string]func(){}
	for _, action := range ben.transfers.pictureActions(filepath.Join(ben.inbox, "photo 3.png")) {
		actions[action.Label] = action.Do
	}
	actions["Copy picture"]()
	l.until(t, "the copy", func() bool { return len(desk.copied) > 0 })
	copied, err := png.Decode(bytes.NewReader(<-desk.copied))
	if err != nil || copied.Bounds() != image.Rect(0, 0, 60, 40) {
		t.Errorf("the copy has %v, %v", copied.Bounds(), err)
	}
	elsewhere := t.TempDir()
	if err := os.WriteFile(filepath.Join(elsewhere, "photo 3.png"), []byte("my own"), 0o600); err != nil {
		t.Fatal(err)
	}
	desk.picks = []string{elsewhere}
	actions["Save a copy…"]()
	original, err := os.ReadFile(filepath.Join(ben.inbox, "photo 3.png"))
	if err != nil {
		t.Fatal(err)
	}
	l.until(t, "the saved copy", func() bool {
		saved, err := os.ReadFile(filepath.Join(elsewhere, "photo 3 (2).png"))
		return err == nil && bytes.Equal(saved, original)
	})
	if own, _ := os.ReadFile(filepath.Join(elsewhere, "photo 3.png")); string(own) != "my own" {
		t.Errorf("the file that was there is now %q", own)
	}
	c.actions.openFile(filepath.Join(ben.inbox, "report.pdf"))
	opened("a file", filepath.Join(ben.inbox, "report.pdf"))
	actions["Send to…"]()
	if len(ben.sending.paths) != 1 || ben.page != pageEmpty {
		t.Errorf("%q wait to be sent", ben.sending.paths)
	}
}

// TestAlbum_ShowsThePicturesOfAFolder checks which files of a folder are shown, and that a damaged one is left out.
func TestAlbum_ShowsThePicturesOfAFolder(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.png", "a.png", "below/c.png"} {
		writePicture(t, filepath.Join(dir, "lake", name), plain(8, 8, color.Black))
	}
	for _, name := range []string{"lake/damaged.png", "lake/notes.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(dir, "lake", "a.png"), filepath.Join(dir, "lake", "link.png")); err != nil {
		t.Fatal(err)
	}
	a := makeAlbum(t.Context(), []string{filepath.Join(dir, "lake"), filepath.Join(dir, "gone.png")})
	if len(a.shown) != 2 || a.shown[0].Name != "a.png" || a.shown[1].Name != "b.png" || a.more != 0 {
		t.Errorf("%d pictures, %d more: %q", len(a.shown), a.more, a.paths)
	}
}

// TestAlbum_DamagedPicturesTakeLittleTime checks that an album decodes only a limited number of pictures.
func TestAlbum_DamagedPicturesTakeLittleTime(t *testing.T) {
	dir := t.TempDir()
	for i := range mostTried {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("a%02d.png", i)), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	writePicture(t, filepath.Join(dir, "b.png"), plain(8, 8, color.Black))
	if a := makeAlbum(t.Context(), []string{dir}); len(a.shown) != 0 || a.more != 1 {
		t.Errorf("%d pictures, %d more", len(a.shown), a.more)
	}
}

// TestAlbum_BelongsToOneTransfer checks that a later file with the same path does not appear in the album of an earlier
// transfer of this run.
func TestAlbum_BelongsToOneTransfer(t *testing.T) {
	s := newStage(t, nil)
	s.peers3()
	path := writePicture(t, filepath.Join(t.TempDir(), "photo.png"), plain(8, 8, color.Black))
	receive := func(from engine.PeerID) *transferCard {
		tr := s.transferOf(engine.Delivered, true, func(tr *engine.Transfer) {
			file("photo.png")(tr)
			tr.Peer, tr.Saved = from, []string{path}
		})
		s.transfers.take(tr)
		s.choose(s.talk(from))
		var c *transferCard
		s.l.until(t, "the picture", func() bool {
			cards := s.transfers.cardsOf(tr.ID)
			if len(cards) == 0 || cards[0].pictures.Len() == 0 {
				return false
			}
			c = cards[0]
			return true
		})
		return c
	}
	receive(s.ben)
	writePicture(t, path, plain(8, 8, color.White))
	receive(s.eva)
	kept := map[color.Color]bool{}
	for _, a := range s.transfers.pictures.kept {
		kept[color.RGBAModel.Convert(a.shown[0].Image.At(2, 2))] = true
	}
	if len(kept) != 2 {
		t.Errorf("the albums hold %v", kept)
	}
}
