package x11

import (
	"image"
	"image/color"

	"github.com/jezek/xgb/xproto"
)

// icon is a picture that follows the pointer during a drag.
type icon struct {
	s      *session
	window xproto.Window
	at     point
}

const (
	// beside is how far the picture is from the pointer: the window below the pointer is what takes the drop.
	beside = 12
	// largestIcon is the largest side of the picture in pixels; a larger one is cut.
	largestIcon = 256
)

// newIcon shows a picture. It returns nil for no picture, and on displays with other than 24 bits of colour.
func (s *session) newIcon(picture image.Image) *icon {
	if picture == nil || s.screen.RootDepth != 24 {
		return nil
	}
	size := picture.Bounds().Size()
	w, h := uint16(min(size.X, largestIcon)), uint16(min(size.Y, largestIcon))
	if w == 0 || h == 0 {
		return nil
	}
	pixels, err := xproto.NewPixmapId(s.conn)
	if err != nil {
		return nil
	}
	gc, err := xproto.NewGcontextId(s.conn)
	if err != nil {
		return nil
	}
	window, err := xproto.NewWindowId(s.conn)
	if err != nil {
		return nil
	}
	xproto.CreatePixmap(s.conn, s.screen.RootDepth, pixels, xproto.Drawable(s.root), w, h)
	xproto.CreateGC(s.conn, gc, xproto.Drawable(pixels), 0, nil)
	const rows = 32 // at once: a request has at least 256 KiB
	for y := uint16(0); y < h; y += rows {
		n := min(rows, h-y)
		xproto.PutImage(s.conn, xproto.ImageFormatZPixmap, xproto.Drawable(pixels), gc, w, n, 0, int16(y), 0, s.screen.RootDepth, bgrx(picture, int(y), int(w), int(n)))
	}
	xproto.CreateWindow(s.conn, s.screen.RootDepth, window, s.root, -1000, -1000, w, h, 0, xproto.WindowClassInputOutput, s.screen.RootVisual,
		xproto.CwBackPixmap|xproto.CwOverrideRedirect, []uint32{uint32(pixels), 1})
	xproto.MapWindow(s.conn, window)
	return &icon{s: s, window: window}
}

// bgrx returns n rows of a picture as the X server stores them.
func bgrx(picture image.Image, y, w, n int) []byte {
	out := make([]byte, 0, 4*w*n)
	start := picture.Bounds().Min
	for row := range n {
		for x := range w {
			c := color.RGBAModel.Convert(picture.At(start.X+x, start.Y+y+row)).(color.RGBA)
			out = append(out, c.B, c.G, c.R, 0)
		}
	}
	return out
}

// move moves the picture beside the pointer.
func (i *icon) move(to point) {
	if i == nil || i.at == to {
		return
	}
	i.at = to
	xproto.ConfigureWindow(i.s.conn, i.window, xproto.ConfigWindowX|xproto.ConfigWindowY|xproto.ConfigWindowStackMode,
		[]uint32{uint32(int32(to.x) + beside), uint32(int32(to.y) + beside), xproto.StackModeAbove})
}

func (i *icon) hide() {
	if i != nil {
		xproto.UnmapWindow(i.s.conn, i.window)
	}
}
