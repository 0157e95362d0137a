package ui

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"testing"
)

// testPicture has a red left and a blue right half.
func testPicture(w, h int) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.RGBA{R: 255, A: 255}
			if x >= w/2 {
				c = color.RGBA{B: 255, A: 255}
			}
			m.SetRGBA(x, y, c)
		}
	}
	return m
}

// exif is a JPEG with an orientation.
func exif(t *testing.T, m image.Image, turn uint16) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		t.Fatal(err)
	}
	tiff := []byte("Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01")
	tiff = binary.BigEndian.AppendUint16(tiff, turn)
	tiff = append(tiff, 0, 0, 0, 0, 0, 0)
	seg := append([]byte{0xFF, 0xE1}, binary.BigEndian.AppendUint16(nil, uint16(len(tiff)+2))...)
	return append(append([]byte{0xFF, 0xD8}, append(seg, tiff...)...), b.Bytes()[2:]...)
}

func put(t *testing.T, name string, content []byte) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(p, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestThumbnailsFitAndAreTheRightWayUp(t *testing.T) {
	var b bytes.Buffer
	if err := png.Encode(&b, testPicture(2000, 500)); err != nil {
		t.Fatal(err)
	}
	th, err := makeThumbnail(put(t, "wide.png", b.Bytes()))
	if err != nil || th.size.Width > pictureWidth+0.1 || th.image.Bounds().Dx() > pictureScale*pictureWidth {
		t.Fatalf("%v, %v", th, err)
	}
	red := func(m image.Image, x, y int) bool { r, _, bl, _ := m.At(x, y).RGBA(); return r > bl }
	for turn, want := range map[uint16][2]bool{1: {true, true}, 3: {false, false}, 6: {true, false}, 8: {false, true}} { // left top and right bottom are red
		th, err := makeThumbnail(put(t, "p.jpg", exif(t, testPicture(200, 100), turn)))
		if err != nil {
			t.Fatal(err)
		}
		m := th.image.Bounds()
		if tall := m.Dy() > m.Dx(); tall != (turn >= 5) {
			t.Errorf("turn %d is %v", turn, m)
		}
		// With turn 1 the left is red; with 6 the top is, with 8 the bottom, with 3 the right.
		x, y := m.Dx()/4, m.Dy()/2
		if turn >= 5 {
			x, y = m.Dx()/2, m.Dy()/4
		}
		if red(th.image, x, y) != want[0] {
			t.Errorf("turn %d: the first half is wrong", turn)
		}
	}
}

// TestPicturesThatAreNotShown: too many pixels, by the header alone; text; a folder; nothing.
func TestPicturesThatAreNotShown(t *testing.T) {
	var b bytes.Buffer
	if err := png.Encode(&b, testPicture(10, 10)); err != nil {
		t.Fatal(err)
	}
	bomb := b.Bytes()
	binary.BigEndian.PutUint32(bomb[16:], 60_000) // width and height of IHDR
	binary.BigEndian.PutUint32(bomb[20:], 60_000)
	for name, path := range map[string]string{"bomb": put(t, "bomb.png", bomb), "text": put(t, "text.png", []byte("hello")), "folder": t.TempDir(), "none": "/none.png"} {
		if th, err := makeThumbnail(path); err == nil {
			t.Errorf("%s is shown: %v", name, th.size)
		}
	}
}

func FuzzOrientation(f *testing.F) {
	f.Add([]byte("\xFF\xD8\xFF\xE1\x00\x20Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00"))
	f.Add([]byte("\xFF\xD8\xFF\xE0\x00\x02\xFF\xE1\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if o := orientation(bufio.NewReader(bytes.NewReader(b))); o < 1 || o > 8 {
			t.Errorf("orientation %d", o)
		}
	})
}
