package thumbnail

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// bytesPerPixel estimates how much memory decoding a picture takes, from its format and header.
func bytesPerPixel(kind string, r *bufio.Reader) (float64, error) {
	switch kind {
	case "jpeg":
		return jpegCost(r)
	case "png":
		return pngCost(r)
	case "gif":
		return 1, nil // a palette, and only the first frame
	case "webp":
		return 12, nil // lossless, with its transforms; lossy takes less
	}
	return 0, fmt.Errorf("%s pictures are not shown", kind)
}

// jpegCost reads up to the frame header (ITU T.81, B.2.2). Each sample takes a byte. While a progressive picture is
// decoded, all coefficients are in memory too, at four bytes each. Four components are converted to four bytes per
// pixel; three may be.
func jpegCost(r *bufio.Reader) (float64, error) {
	const coefficient = 4
	var marker [2]byte
	if _, err := io.ReadFull(r, marker[:]); err != nil {
		return 0, err
	}
	for {
		c, err := r.ReadByte()
		if err != nil {
			return 0, err
		}
		if c != 0xFF { // decoders also skip bytes between segments
			continue
		}
		for c == 0xFF {
			if c, err = r.ReadByte(); err != nil {
				return 0, err
			}
		}
		if c == 0 || c == 1 || c >= 0xD0 && c <= 0xD8 { // these markers have no length
			continue
		}
		if _, err := io.ReadFull(r, marker[:]); err != nil {
			return 0, err
		}
		n := int(binary.BigEndian.Uint16(marker[:])) - 2
		if n < 0 {
			return 0, errors.New("the JPEG is damaged")
		}
		if c < 0xC0 || c > 0xC2 {
			if c == 0xD9 || c == 0xDA {
				return 0, errors.New("the JPEG has no frame header")
			}
			if _, err := r.Discard(n); err != nil {
				return 0, err
			}
			continue
		}
		frame := make([]byte, n)
		if _, err := io.ReadFull(r, frame); err != nil {
			return 0, err
		}
		if n < 6 || n < 6+3*int(frame[5]) || frame[5] == 0 {
			return 0, errors.New("the JPEG is damaged")
		}
		samples, most := 0, 1 // in each block of pixels
		for i := range int(frame[5]) {
			hv := frame[6+3*i+1]
			h, v := int(hv>>4), int(hv&15)
			samples, most = samples+h*v, max(most, h*v)
		}
		components := int(frame[5])
		perPixel := float64(samples) / float64(most)
		if components == 1 { // the sampling factors of a single component have no meaning
			perPixel = 1
		}
		cost := perPixel
		if components >= 3 {
			cost += 4
		}
		if c == 0xC2 {
			cost += coefficient * perPixel
		}
		return cost, checkScans(r)
	}
}

// maxScans limits the scans of a JPEG. Each scan takes a pass over all pixels, but only a few bytes of the file.
// Encoders use about ten.
const maxScans = 64

// checkScans counts the scans in the rest of a JPEG (ITU T.81, B.2.3).
func checkScans(r *bufio.Reader) error {
	scans, marker := 0, false
	for {
		c, err := r.ReadByte()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if marker && c == 0xDA {
			scans++
		}
		if scans > maxScans { // guard: picture-scans
			return errors.New("decoding this picture would take too long")
		}
		marker = c == 0xFF
	}
}

// pngCost reads the IHDR chunk (PNG, 11.2.1). Go decodes each pass of an interlaced picture into a separate image; the
// last pass has half of the pixels.
func pngCost(r *bufio.Reader) (float64, error) {
	var head [8 + 8 + 13]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, err
	}
	depth, colour, interlaced := head[24], head[25], head[28] != 0
	channels := map[byte]float64{0: 4, 2: 4, 3: 1, 4: 4, 6: 4}[colour] // greyscale becomes NRGBA if it has alpha or a transparent colour
	if channels == 0 {
		return 0, errors.New("the PNG is damaged")
	}
	cost := channels
	if depth == 16 {
		cost *= 2
	}
	if interlaced {
		cost *= 2
	}
	return cost, nil
}
