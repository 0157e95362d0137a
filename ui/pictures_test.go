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

// plain is a picture of one colour.
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
	test.Tap(ben.card(engine.Offered).accept)
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
