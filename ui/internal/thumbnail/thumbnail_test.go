package thumbnail

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"fyne.io/fyne/v2"
)

// box is the maximum size of a picture in a card.
var box = fyne.NewSize(448, 340)

// testPicture has a red left half and a blue right half.
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

// exif encodes m as a JPEG with an EXIF orientation.
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

// TestPicture_OnlyOurDecodersRun checks that a file is rejected, whatever its name is, if only decoders that other
// packages register with package image support it.
func TestPicture_OnlyOurDecodersRun(t *testing.T) {
	image.RegisterFormat("hostile", "\x00\x00\x01\x00",
		func(io.Reader) (image.Image, error) { panic("decoded") },
		func(io.Reader) (image.Config, error) { panic("decoded") })
	icon := []byte{0, 0, 1, 0, 1, 0, 16, 16, 0, 0, 1, 0, 32, 0, 0, 0, 0, 0, 22, 0, 0, 0}
	for _, name := range []string{"holiday.jpg", "holiday.png", "holiday.gif", "holiday.webp"} {
		if _, err := Make(t.Context(), put(t, name, icon), box); !errors.Is(err, image.ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPicture_FaultOfADecoderIsAnError checks that a damaged picture does not end the program.
func TestPicture_FaultOfADecoderIsAnError(t *testing.T) {
	whole := formats
	defer func() { formats = whole }()
	fault := func(io.Reader) (image.Config, error) { panic("index out of range") }
	formats = append([]format{{name: "jpeg", magic: "fault", config: fault}}, formats...)
	if th, err := Make(t.Context(), put(t, "p.jpg", []byte("fault")), box); th != nil || err == nil || !strings.Contains(err.Error(), "index out of range") {
		t.Errorf("%v, %v", th, err)
	}
}

func TestThumbnail_FitsAndIsUpright(t *testing.T) {
	var b bytes.Buffer
	if err := png.Encode(&b, testPicture(2000, 500)); err != nil {
		t.Fatal(err)
	}
	th, err := Make(t.Context(), put(t, "wide.png", b.Bytes()), box)
	if err != nil || th.Size.Width > box.Width+0.1 || th.Image.Bounds().Dx() > int(scale*box.Width) {
		t.Fatalf("%v, %v", th, err)
	}
	red := func(m image.Image, x, y int) bool { r, _, bl, _ := m.At(x, y).RGBA(); return r > bl }
	for turn, want := range map[uint16][2]bool{1: {true, true}, 3: {false, false}, 6: {true, false}, 8: {false, true}} { // only the first value is used: whether the left or the top half is red
		th, err := Make(t.Context(), put(t, "p.jpg", exif(t, testPicture(200, 100), turn)), box)
		if err != nil {
			t.Fatal(err)
		}
		m := th.Image.Bounds()
		if tall := m.Dy() > m.Dx(); tall != (turn >= 5) {
			t.Errorf("turn %d is %v", turn, m)
		}
		// The red half is on the left with turn 1, on the right with 3, at the top with 6 and at the bottom with 8.
		x, y := m.Dx()/4, m.Dy()/2
		if turn >= 5 {
			x, y = m.Dx()/2, m.Dy()/4
		}
		if red(th.Image, x, y) != want[0] {
			t.Errorf("turn %d: the first half is wrong", turn)
		}
	}
}

// TestPicture_UnsuitableFilesAreNotShown checks a picture whose header claims too many pixels, a text file, a folder
// and a missing file.
func TestPicture_UnsuitableFilesAreNotShown(t *testing.T) {
	var b bytes.Buffer
	if err := png.Encode(&b, testPicture(10, 10)); err != nil {
		t.Fatal(err)
	}
	bomb := b.Bytes()
	binary.BigEndian.PutUint32(bomb[16:], 60_000) // width and height of IHDR
	binary.BigEndian.PutUint32(bomb[20:], 60_000)
	for name, path := range map[string]string{"bomb": put(t, "bomb.png", bomb), "text": put(t, "text.png", []byte("hello")), "folder": t.TempDir(), "none": "/none.png"} {
		if th, err := Make(t.Context(), path, box); err == nil {
			t.Errorf("%s is shown: %v", name, th.Size)
		}
	}
}

// TestPicture_ManyScansAreNotDecoded checks that a small file cannot take minutes: each scan of a JPEG takes a pass
// over all pixels.
func TestPicture_ManyScansAreNotDecoded(t *testing.T) {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, testPicture(200, 100), nil); err != nil {
		t.Fatal(err)
	}
	whole := b.Bytes()
	if _, err := Make(t.Context(), put(t, "one.jpg", whole), box); err != nil {
		t.Errorf("a picture with one scan: %v", err)
	}
	scan := []byte{0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 63, 0}
	many := append(slices.Clone(whole[:len(whole)-2]), bytes.Repeat(scan, maxScans)...)
	if _, err := Make(t.Context(), put(t, "many.jpg", append(many, 0xFF, 0xD9)), box); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("a picture with many scans: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Make(ctx, put(t, "late.jpg", whole), box); err == nil {
		t.Error("a picture is decoded after the end")
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

// progressive returns a JPEG whose blocks take one or two bits each: a small file that takes much memory.
func progressive(w, h int, sampling ...byte) []byte {
	be := binary.BigEndian.AppendUint16
	segment := func(marker byte, body ...byte) []byte {
		return append(be([]byte{0xFF, marker}, uint16(len(body)+2)), body...)
	}
	b := []byte{0xFF, 0xD8}
	b = append(b, segment(0xDB, append([]byte{0}, bytes.Repeat([]byte{1}, 64)...)...)...)
	frame := append(be(be([]byte{8}, uint16(h)), uint16(w)), byte(len(sampling)))
	scan := []byte{byte(len(sampling))}
	blocks, hMax, vMax := 0, 1, 1
	for i, hv := range sampling {
		frame = append(frame, byte(i+1), hv, 0)
		scan = append(scan, byte(i+1), 0)
		blocks += int(hv>>4) * int(hv&15)
		hMax, vMax = max(hMax, int(hv>>4)), max(vMax, int(hv&15))
	}
	b = append(b, segment(0xC2, frame...)...)
	b = append(b, segment(0xC4, append([]byte{0, 1}, make([]byte, 16)...)...)...) // a single code of one bit: no difference
	b = append(b, segment(0xDA, append(scan, 0, 0, 0)...)...)
	units := ((w + 8*hMax - 1) / (8 * hMax)) * ((h + 8*vMax - 1) / (8 * vMax))
	b = append(b, make([]byte, (units*blocks+7)/8+8)...)
	return append(b, 0xFF, 0xD9)
}

// interlaced returns an empty interlaced PNG.
func interlaced(t *testing.T, w, h int, depth, colour byte, channels int) []byte {
	t.Helper()
	b := []byte("\x89PNG\r\n\x1a\n")
	chunk := func(kind string, body []byte) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
		body = append([]byte(kind), body...)
		b = binary.BigEndian.AppendUint32(append(b, body...), crc32.ChecksumIEEE(body))
	}
	chunk("IHDR", append(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(w)), uint32(h)), depth, colour, 0, 0, 1))
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	for _, p := range [][4]int{{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}} {
		pw, ph := (w-p[0]+p[2]-1)/p[2], (h-p[1]+p[3]-1)/p[3]
		if pw > 0 && ph > 0 {
			_, _ = z.Write(make([]byte, ph*(1+(pw*channels*int(depth)+7)/8)))
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	chunk("IDAT", packed.Bytes())
	chunk("IEND", nil)
	return b
}

// TestPicture_AllKindsTakeBoundedMemory exists because a small file can claim to hold a large picture.
func TestPicture_AllKindsTakeBoundedMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector takes memory of its own")
	}
	var plain, grey bytes.Buffer
	if err := jpeg.Encode(&plain, image.NewRGBA(image.Rect(0, 0, 4000, 4000)), nil); err != nil {
		t.Fatal(err)
	}
	if err := png.Encode(&grey, image.NewGray(image.Rect(0, 0, 3990, 4000))); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		content []byte
		shown   bool
	}{
		{"small.jpg", progressive(800, 600, 0x22, 0x11, 0x11), true},
		{"lone.jpg", progressive(801, 603, 0x42), true},
		{"fine.jpg", progressive(2400, 2400, 0x11, 0x11, 0x11), true},
		{"camera.jpg", plain.Bytes(), true},
		{"grey.png", grey.Bytes(), true},
		{"interlaced.png", interlaced(t, 1000, 1000, 8, 6, 4), true},
		{"50 MP.jpg", progressive(10_000, 5_000, 0x11, 0x11, 0x11), false},
		{"16 MP 444.jpg", progressive(4000, 4000, 0x11, 0x11, 0x11), false},
		{"16 MP CMYK.jpg", progressive(4000, 3990, 0x11, 0x11, 0x11, 0x11), false},
		{"16 MP odd.jpg", progressive(4000, 3990, 0x11, 0x21, 0x21), false},
		{"16 MP.png", interlaced(t, 4000, 4000, 16, 6, 4), false},
		{"13 MP palette.png", interlaced(t, 4000, 3300, 16, 2, 3), false},
		{"long.png", interlaced(t, 20_001, 1, 8, 6, 4), false},
	} {
		path := put(t, c.name, c.content)
		before, after := new(runtime.MemStats), new(runtime.MemStats)
		runtime.ReadMemStats(before)
		th, err := Make(t.Context(), path, box)
		runtime.ReadMemStats(after)
		if (err == nil) != c.shown || err == nil && th.Image.Bounds().Empty() {
			t.Errorf("%s of %d bytes: shown %v, %v", c.name, len(c.content), err == nil, err)
		}
		most := uint64(maxMemory * 5 / 4)
		if !c.shown {
			most = 4 << 20
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > most {
			t.Errorf("%s of %d bytes took %d MB", c.name, len(c.content), took>>20)
		}
	}
}
