package ui

import (
	"bytes"
	"context"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"fyne.io/fyne/v2"

	"multipeer/engine"
	"multipeer/transfer"
	"multipeer/ui/internal/desktop"
	"multipeer/ui/internal/thumbnail"
	"multipeer/ui/internal/widgets"
)

// The maximum sizes of a single picture in a card, and of each of several. A received picture is decoded only after its
// transfer is accepted, complete and verified.
var (
	pictureBox = fyne.NewSize(widgets.CardWidth-2*widgets.CardPadX, 340)
	squareBox  = fyne.NewSquareSize(200)
)

const (
	maxAlbums   = 12   // how many albums are cached; each takes at most 2.2 MB
	mostListed  = 1000 // how many entries of a folder are searched for pictures
	mostWaiting = 100  // how many albums may wait to be made
	mostTried   = 20   // how many pictures of an album are decoded; some may be damaged
	albumTime   = 10 * time.Second
)

// album is the pictures of a transfer.
type album struct {
	paths []string // of the pictures that are shown
	shown []widgets.AlbumPicture
	more  int // number of pictures that are not shown
}

// pictures caches the albums of transfers, and makes one at a time.
type pictures struct {
	kept  map[string]*album // by the ID and the paths of the transfer; an empty album if it has no picture
	order []string
	busy  bool
	queue []func()
}

func newPictures() *pictures { return &pictures{kept: map[string]*album{}} }

// addPicture adds thumbnails to the card of a transfer that contains pictures.
func (ts *transfers) addPicture(c *transferCard, t engine.Transfer) {
	paths := t.Paths
	if t.Incoming {
		paths = t.Saved
		if t.State != engine.Delivered {
			return
		}
	}
	if len(paths) == 0 || ts.u.bind == nil || t.Folders == 0 && !anyPicture(paths) {
		return
	}
	p, key := ts.pictures, string(t.ID)+"\x00"+strings.Join(paths, "\x00")
	if a, known := p.kept[key]; known {
		ts.setAlbum(c, a)
		return
	}
	if len(p.queue) >= mostWaiting {
		return
	}
	p.queue = append(p.queue, func() {
		background(ts.u.bind, func(ctx context.Context) (*album, error) {
			return makeAlbum(ctx, paths), nil
		}, func(a *album, _ error) {
			p.busy = false
			if a != nil {
				p.keep(key, a)
				for _, c := range append(ts.cardsOf(t.ID), c) {
					ts.setAlbum(c, a)
				}
				ts.u.dirty.resized = true
				for _, path := range a.paths {
					ts.u.trace("picture %q", filepath.Base(path))
				}
			}
			p.next()
		})
	})
	p.next()
}

func anyPicture(paths []string) bool {
	for _, p := range paths {
		if thumbnail.MayBe(p) {
			return true
		}
	}
	return false
}

func (p *pictures) next() {
	if p.busy || len(p.queue) == 0 {
		return
	}
	next := p.queue[0]
	p.queue, p.busy = p.queue[1:], true
	next()
}

func (p *pictures) keep(key string, a *album) {
	p.kept[key] = a
	if p.order = append(p.order, key); len(p.order) > maxAlbums {
		delete(p.kept, p.order[0])
		p.order = p.order[1:]
	}
}

// makeAlbum makes thumbnails of the first pictures among paths, including those in folders.
func makeAlbum(ctx context.Context, paths []string) *album {
	ctx, cancel := context.WithTimeout(ctx, albumTime)
	defer cancel()
	var found []string
	for _, path := range paths {
		info, err := os.Lstat(path)
		switch {
		case err != nil:
		case info.IsDir():
			found = append(found, picturesIn(path)...)
		case thumbnail.MayBe(path):
			found = append(found, path)
		}
	}
	box := pictureBox
	if len(found) > 1 {
		box = squareBox
	}
	a := &album{}
	for i, path := range found {
		if len(a.shown) == widgets.AlbumMost || i == mostTried || ctx.Err() != nil {
			a.more = len(found) - i
			break
		}
		if th, err := thumbnail.Make(ctx, path, box); err == nil {
			a.paths = append(a.paths, path)
			a.shown = append(a.shown, widgets.AlbumPicture{Name: filepath.Base(path), Image: th.Image, Size: th.Size})
		}
	}
	return a
}

// picturesIn lists the pictures in a folder, but not in its subfolders.
func picturesIn(dir string) (found []string) {
	f, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer f.Close()
	entries, _ := f.ReadDir(mostListed)
	for _, e := range entries {
		if e.Type().IsRegular() && thumbnail.MayBe(e.Name()) {
			found = append(found, filepath.Join(dir, e.Name()))
		}
	}
	slices.Sort(found)
	return found
}

// setAlbum shows an album on a card. A tap opens a picture.
func (ts *transfers) setAlbum(c *transferCard, a *album) {
	c.pictures.Set(a.shown, a.more, func(i int) { ts.openPicture(a.paths[i]) }, func(i int, at fyne.Position) {
		ts.u.showMenu(ts.pictureActions(a.paths[i]), at)
	}, func(i int) { ts.dragOut(a.paths[i:i+1], a.shown[i].Image) })
	c.Refresh()
}

// openPicture opens a picture with the system's default program.
func (ts *transfers) openPicture(path string) {
	if desktop.MayOpen(path) {
		ts.inBackground(func(context.Context) error { return ts.u.o.Desktop.Open(path) })
	}
}

// pictureActions returns the menu of a picture.
func (ts *transfers) pictureActions(path string) []widgets.Action {
	u := ts.u
	return []widgets.Action{
		{Label: tr("Open"), Do: func() { ts.openPicture(path) }},
		{Label: tr("Show in folder"), Do: func() { ts.inBackground(func(context.Context) error { return u.o.Desktop.Reveal(path) }) }},
		{Label: tr("Save a copy…"), Do: func() {
			u.dialogs.pick(true, func(paths []string) { ts.saveCopy(path, paths[0]) })
		}},
		{Label: tr("Copy file"), Do: func() { ts.copyFiles([]string{path}) }},
		{Label: tr("Copy picture"), Do: func() { ts.inBackground(func(ctx context.Context) error { return ts.copyPicture(ctx, path) }) }},
		{},
		{Label: tr("Send to…"), Do: func() { u.sending.wait([]string{path}); u.settle() }},
	}
}

// saveCopy copies a received file into a folder, without overwriting anything.
func (ts *transfers) saveCopy(path, dir string) {
	background(ts.u.bind, func(ctx context.Context) (string, error) { return copyInto(ctx, path, dir) }, func(name string, err error) {
		if err == nil {
			ts.u.say(tr("{{.Name}} was saved to {{.Folder}}.", "Name", widgets.Shortened(engine.CleanLine(name), shownName), "Folder", widgets.Shortened(filepath.Base(dir), shownName)))
			ts.u.settle()
		}
		ts.u.fail(err, "", true)
	})
}

// copyInto copies a file into a folder with the rules for received files: under a free name, and completely or not at
// all. It returns the name.
func copyInto(ctx context.Context, path, dir string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	in, err := transfer.OpenIntake(transfer.IntakeOptions{Dir: dir})
	if err != nil {
		return "", err
	}
	defer in.Close()
	name, err := in.Receive(ctx, transfer.Part{Path: filepath.Base(path), Size: info.Size(), ModTime: info.ModTime()}, f)
	if err != nil {
		return "", err
	}
	_, err = in.Finish()
	return name, err
}

// inBackground runs do, which may block, on another goroutine, and shows its error.
func (ts *transfers) inBackground(do func(context.Context) error) {
	background(ts.u.bind, func(ctx context.Context) (struct{}, error) { return struct{}{}, do(ctx) }, func(_ struct{}, err error) {
		ts.u.fail(err, "", true)
	})
}

// copyPicture copies a picture to the clipboard as PNG, in the right orientation.
func (ts *transfers) copyPicture(ctx context.Context, path string) error {
	whole, err := thumbnail.Make(ctx, path, thumbnail.Whole)
	if err != nil {
		return fmt.Errorf("%s cannot be copied: %w", filepath.Base(path), err)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, whole.Image); err != nil {
		return err
	}
	return ts.u.o.Desktop.SetClipboardPicture(ctx, b.Bytes())
}
