package ui

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"image"
	_ "image/gif" // formats that are shown
	_ "image/jpeg"
	_ "image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"fyne.io/fyne/v2"

	"golang.org/x/image/draw"
	_ "golang.org/x/image/webp"

	"multipeer/engine"
)

// Limits on pictures: what is larger is shown as a file. A picture is only looked at once it is on this disk, accepted
// and verified; its header is read before its pixels.
const (
	maxPictureBytes  = 100 << 20
	maxPicturePixels = 50_000_000
	maxPictureSide   = 20_000
	pictureWidth     = cardWidth - 2*cardPadX
	pictureHeight    = 340
	// pictureScale is for screens with more pixels than units.
	pictureScale = 1.5
	// maxThumbnails is how many stay in memory: each takes 1.4 MB at most.
	maxThumbnails = 20
)

// thumbnail is a small copy of a picture.
type thumbnail struct {
	image image.Image
	size  fyne.Size // on screen
}

// pictures keeps thumbnails by path, and makes one at a time.
type pictures struct {
	kept  map[string]*thumbnail
	order []string
	busy  bool
	queue []func()
}

func newPictures() *pictures { return &pictures{kept: map[string]*thumbnail{}} }

// mayPicture tells a name that looks like that of a picture.
func mayPicture(name string) bool {
	return slices.Contains([]string{".jpg", ".jpeg", ".png", ".gif", ".webp"}, strings.ToLower(filepath.Ext(name)))
}

// addPicture puts a thumbnail into the card of a picture that was received or sent.
func (u *UI) addPicture(c *transferCard, t engine.Transfer) {
	paths := t.Paths
	if t.Incoming {
		if paths = t.Saved; t.State != engine.Delivered {
			return
		}
	}
	if len(paths) != 1 || t.Items != 1 || !mayPicture(paths[0]) || u.bind == nil {
		return
	}
	p := u.pictures
	if th := p.kept[paths[0]]; th != nil {
		c.setPicture(th)
		return
	}
	if len(p.queue) >= 100 {
		return
	}
	p.queue = append(p.queue, func() {
		background(u.bind, func(context.Context) (*thumbnail, error) { return makeThumbnail(paths[0]) }, func(th *thumbnail, err error) {
			p.busy = false
			if err == nil {
				p.keep(paths[0], th)
				for _, c := range append(u.cardsOf(t.ID), c) {
					c.setPicture(th)
				}
				u.dirty.resized = true
				u.trace("picture %q", filepath.Base(paths[0]))
			}
			p.next()
		})
	})
	p.next()
}

func (p *pictures) next() {
	if p.busy || len(p.queue) == 0 {
		return
	}
	next := p.queue[0]
	p.queue, p.busy = p.queue[1:], true
	next()
}

func (p *pictures) keep(path string, th *thumbnail) {
	p.kept[path] = th
	if p.order = append(p.order, path); len(p.order) > maxThumbnails {
		delete(p.kept, p.order[0])
		p.order = p.order[1:]
	}
}

// makeThumbnail reads a picture within the limits.
func makeThumbnail(path string) (*thumbnail, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxPictureBytes {
		return nil, fmt.Errorf("%s is too large for a picture", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head, _, err := image.DecodeConfig(bufio.NewReader(f))
	if err != nil {
		return nil, err
	}
	if head.Width < 1 || head.Height < 1 || head.Width > maxPictureSide || head.Height > maxPictureSide || head.Width*head.Height > maxPicturePixels {
		return nil, errors.New("more pixels than are shown")
	}
	if _, err := f.Seek(0, 0); err != nil {
		return nil, err
	}
	src, kind, err := image.Decode(bufio.NewReader(f))
	if err != nil {
		return nil, err
	}
	turn := 1
	if kind == "jpeg" {
		if _, err := f.Seek(0, 0); err == nil {
			turn = orientation(bufio.NewReader(f))
		}
	}
	return shrink(src, turn), nil
}

// shrink makes a copy that fits into a card, sharp on a screen with twice the pixels, and the right way up.
func shrink(src image.Image, turn int) *thumbnail {
	b := src.Bounds()
	w, h := float32(b.Dx()), float32(b.Dy())
	if turn >= 5 {
		w, h = h, w
	}
	scale := min(1, pictureWidth/w, pictureHeight/h)
	size := fyne.NewSize(max(1, w*scale), max(1, h*scale))
	pw, ph := int(min(w, pictureScale*size.Width)), int(min(h, pictureScale*size.Height))
	if turn >= 5 {
		pw, ph = ph, pw
	}
	small := image.NewRGBA(image.Rect(0, 0, max(1, pw), max(1, ph)))
	draw.ApproxBiLinear.Scale(small, small.Bounds(), src, b, draw.Src, nil)
	return &thumbnail{turned(small, turn), size}
}

// turned applies an orientation of EXIF, 1 to 8.
func turned(m *image.RGBA, turn int) image.Image {
	if turn < 2 || turn > 8 {
		return m
	}
	w, h := m.Bounds().Dx(), m.Bounds().Dy()
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	if turn >= 5 {
		out = image.NewRGBA(image.Rect(0, 0, h, w))
	}
	for y := range h {
		for x := range w {
			var tx, ty int
			switch turn {
			case 2:
				tx, ty = w-1-x, y
			case 3:
				tx, ty = w-1-x, h-1-y
			case 4:
				tx, ty = x, h-1-y
			case 5:
				tx, ty = y, x
			case 6:
				tx, ty = h-1-y, x
			case 7:
				tx, ty = h-1-y, w-1-x
			case 8:
				tx, ty = y, w-1-x
			}
			out.SetRGBA(tx, ty, m.RGBAAt(x, y))
		}
	}
	return out
}
