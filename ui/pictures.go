package ui

import (
	"context"
	"path/filepath"

	"fyne.io/fyne/v2"

	"multipeer/engine"
	"multipeer/ui/internal/thumbnail"
	"multipeer/ui/internal/widgets"
)

// pictureRoom is the room for a picture in a card. A picture is decoded only after the transfer is accepted, complete
// and verified.
var pictureRoom = fyne.NewSize(widgets.CardWidth-2*widgets.CardPadX, 340)

// maxThumbnails is how many thumbnails stay in memory. Each takes at most 1.4 MB.
const maxThumbnails = 20

// pictures caches thumbnails by path, and makes one at a time.
type pictures struct {
	kept  map[string]*thumbnail.Thumbnail // nil for those that cannot be shown
	order []string
	busy  bool
	queue []func()
}

func newPictures() *pictures { return &pictures{kept: map[string]*thumbnail.Thumbnail{}} }

// addPicture adds a thumbnail to the card of a picture that was received or sent.
func (ts *transfers) addPicture(c *transferCard, t engine.Transfer) {
	paths := t.Paths
	if t.Incoming {
		paths = t.Saved
		if t.State != engine.Delivered {
			return
		}
	}
	if len(paths) != 1 || t.Items != 1 || !thumbnail.MayBe(paths[0]) || ts.u.bind == nil {
		return
	}
	p := ts.pictures
	if th, known := p.kept[paths[0]]; known {
		if th != nil {
			c.setPicture(th)
		}
		return
	}
	if len(p.queue) >= 100 {
		return
	}
	p.queue = append(p.queue, func() {
		background(ts.u.bind, func(ctx context.Context) (*thumbnail.Thumbnail, error) {
			return thumbnail.Make(ctx, paths[0], pictureRoom)
		}, func(th *thumbnail.Thumbnail, err error) {
			p.busy = false
			p.keep(paths[0], th) // nil if it cannot be shown
			if err == nil {
				for _, c := range append(ts.cardsOf(t.ID), c) {
					c.setPicture(th)
				}
				ts.u.dirty.resized = true
				ts.u.trace("picture %q", filepath.Base(paths[0]))
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

func (p *pictures) keep(path string, th *thumbnail.Thumbnail) {
	p.kept[path] = th
	if p.order = append(p.order, path); len(p.order) > maxThumbnails {
		delete(p.kept, p.order[0])
		p.order = p.order[1:]
	}
}
