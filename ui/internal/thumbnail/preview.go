package thumbnail

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/jpeg"

	"fyne.io/fyne/v2"

	"golang.org/x/image/draw"
)

// previewSide is the maximum width and height, in pixels, of the preview of an offer.
const previewSide = 360

var errPreview = errors.New("the preview is too large")

// MakePreview returns a small JPEG of a picture, of at most limit bytes. It has none of the picture's metadata, such as
// the place where it was taken.
func MakePreview(ctx context.Context, path string, limit int) ([]byte, error) {
	for side := float32(previewSide); side >= previewSide/4; side /= 2 {
		t, err := Make(ctx, path, fyne.NewSquareSize(side/scale))
		if err != nil {
			return nil, err
		}
		onWhite := image.NewRGBA(t.Image.Bounds())
		draw.Draw(onWhite, onWhite.Bounds(), image.NewUniform(color.White), image.Point{}, draw.Src)
		draw.Draw(onWhite, onWhite.Bounds(), t.Image, t.Image.Bounds().Min, draw.Over)
		for _, quality := range []int{80, 60, 40} {
			var b bytes.Buffer
			if err := jpeg.Encode(&b, onWhite, &jpeg.Options{Quality: quality}); err != nil {
				return nil, err
			}
			if b.Len() <= limit {
				return b.Bytes(), nil
			}
		}
	}
	return nil, errPreview
}

// DecodePreview decodes a preview that a peer has made. It may have previewSide pixels in each direction: decoding it
// takes little time and memory.
func DecodePreview(b []byte, box fyne.Size) (*Thumbnail, error) {
	start := bufio.NewReader(bytes.NewReader(b))
	format, err := formatOf(start)
	if err != nil {
		return nil, err
	}
	head, err := format.config(start)
	if err != nil {
		return nil, err
	}
	if head.Width > previewSide || head.Height > previewSide { // guard: preview-pixels
		return nil, errPreview
	}
	return decode(context.Background(), bytes.NewReader(b), box)
}
