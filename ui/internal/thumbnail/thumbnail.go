// Package thumbnail makes small copies of pictures within time and memory limits. A picture may come from a peer, so
// the limits are checked against its header before its pixels are decoded.
package thumbnail

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"fyne.io/fyne/v2"

	"golang.org/x/image/draw"
)

// Limits on pictures. A larger picture gets no thumbnail.
const (
	maxBytes  = 100 << 20
	maxPixels = 16_000_000
	maxSide   = 20_000
	// maxMemory is how many bytes decoding may take.
	maxMemory = 128 << 20
	// scale is how many pixels a thumbnail has per unit, for screens with more than one.
	scale = 1.5
)

// Whole is the box for a copy at a picture's own size.
var Whole = fyne.NewSquareSize(maxSide)

// Thumbnail is a small copy of a picture.
type Thumbnail struct {
	Image image.Image
	Size  fyne.Size // on screen
}

// MayBe reports whether a file name has the extension of a supported picture format.
func MayBe(name string) bool {
	return slices.Contains([]string{".jpg", ".jpeg", ".png", ".gif", ".webp"}, strings.ToLower(filepath.Ext(name)))
}

// limit is how long reading and decoding a picture may take.
const limit = 5 * time.Second

// limitedReader fails when its context ends.
type limitedReader struct {
	ctx context.Context
	r   io.Reader
}

func (l limitedReader) Read(b []byte) (int, error) {
	if err := l.ctx.Err(); err != nil {
		return 0, err
	}
	return l.r.Read(b)
}

// Make returns a thumbnail that fits into box. It fails if it is still reading after limit.
func Make(ctx context.Context, path string, box fyne.Size) (made *Thumbnail, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxBytes {
		return nil, fmt.Errorf("%s is too large for a picture", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return decode(ctx, f, box)
}

func decode(ctx context.Context, f io.ReadSeeker, box fyne.Size) (made *Thumbnail, err error) {
	defer func() { // a panic in a decoder must not end the program, which would decode the picture again at each start
		if fault := recover(); fault != nil {
			made, err = nil, fmt.Errorf("the picture cannot be decoded: %v", fault)
		}
	}()
	in := limitedReader{ctx, f}
	start := bufio.NewReader(in)
	format, err := formatOf(start)
	if err != nil {
		return nil, err
	}
	head, err := format.config(start)
	if err != nil {
		return nil, err
	}
	if head.Width < 1 || head.Height < 1 || head.Width > maxSide || head.Height > maxSide || head.Width*head.Height > maxPixels { // guard: picture-pixels
		return nil, errors.New("the picture has more pixels than are shown")
	}
	if _, err := f.Seek(0, 0); err != nil {
		return nil, err
	}
	each, err := bytesPerPixel(format.name, bufio.NewReader(in))
	if err != nil {
		return nil, err
	}
	if each*float64(head.Width)*float64(head.Height) > maxMemory { // guard: picture-memory
		return nil, errors.New("decoding this picture would take too much memory")
	}
	if _, err := f.Seek(0, 0); err != nil {
		return nil, err
	}
	src, err := format.decode(bufio.NewReader(in))
	if err != nil {
		return nil, err
	}
	turn := 1
	if format.name == "jpeg" {
		if _, err := f.Seek(0, 0); err == nil {
			turn = orientation(bufio.NewReader(in))
		}
	}
	return shrink(src, turn, box), nil
}

// shrink makes a copy that fits into box, in the right orientation, with scale pixels per unit.
func shrink(src image.Image, turn int, box fyne.Size) *Thumbnail {
	b := src.Bounds()
	w, h := float32(b.Dx()), float32(b.Dy())
	if turn >= 5 {
		w, h = h, w
	}
	by := min(1, box.Width/w, box.Height/h)
	size := fyne.NewSize(max(1, w*by), max(1, h*by))
	pw, ph := int(min(w, scale*size.Width)), int(min(h, scale*size.Height))
	if turn >= 5 {
		pw, ph = ph, pw
	}
	small := image.NewRGBA(image.Rect(0, 0, max(1, pw), max(1, ph)))
	draw.ApproxBiLinear.Scale(small, small.Bounds(), src, b, draw.Src, nil)
	return &Thumbnail{turned(small, turn), size}
}

// turned applies an EXIF orientation, 1 to 8.
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
