package thumbnail

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"testing"

	"fyne.io/fyne/v2"
)

const previewLimit = 12 << 10

// TestPreview_IsSmallAndHasNoMetadata: also of a picture that compresses badly.
func TestPreview_IsSmallAndHasNoMetadata(t *testing.T) {
	noise := image.NewRGBA(image.Rect(0, 0, 1600, 1200))
	random := rand.NewChaCha8([32]byte{})
	_, _ = random.Read(noise.Pix)
	for name, m := range map[string]image.Image{"plain": testPicture(1600, 1200), "noise": noise} {
		b, err := MakePreview(context.Background(), put(t, "a.jpg", exif(t, m, 6)), previewLimit)
		if err != nil || len(b) > previewLimit {
			t.Fatalf("%s: %d bytes, %v", name, len(b), err)
		}
		if bytes.Contains(b, []byte("Exif")) {
			t.Errorf("%s has metadata", name)
		}
		got, err := DecodePreview(b, fyne.NewSize(240, 180))
		if err != nil || got.Size.Height <= got.Size.Width { // it was turned
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// TestPreview_TransparentPicturesAreOnWhite: JPEG has no transparency.
func TestPreview_TransparentPicturesAreOnWhite(t *testing.T) {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewNRGBA(image.Rect(0, 0, 100, 100))); err != nil {
		t.Fatal(err)
	}
	small, err := MakePreview(context.Background(), put(t, "a.png", b.Bytes()), previewLimit)
	if err != nil {
		t.Fatal(err)
	}
	m, err := jpeg.Decode(bytes.NewReader(small))
	if err != nil {
		t.Fatal(err)
	}
	if r, _, _, _ := m.At(50, 50).RGBA(); r < 0xf000 {
		t.Errorf("the colour is %v", m.At(50, 50))
	}
}

// TestPreview_LargeOnesAreNotDecoded: a few bytes can be a picture of millions of pixels.
func TestPreview_LargeOnesAreNotDecoded(t *testing.T) {
	var large bytes.Buffer
	if err := png.Encode(&large, image.NewPaletted(image.Rect(0, 0, 2000, 2000), color.Palette{color.White})); err != nil {
		t.Fatal(err)
	}
	if large.Len() > previewLimit {
		t.Fatalf("%d bytes", large.Len())
	}
	for _, b := range [][]byte{nil, []byte("no picture"), large.Bytes()} {
		if got, err := DecodePreview(b, fyne.NewSize(240, 180)); err == nil {
			t.Errorf("%d bytes: %v", len(b), got.Size)
		}
	}
}
