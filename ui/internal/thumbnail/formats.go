package thumbnail

import (
	"bufio"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"

	"golang.org/x/image/webp"
)

// format is a picture format.
type format struct {
	name   string
	magic  string // the first bytes; a question mark stands for any byte
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error)
}

// formats are the supported picture formats. The functions of package image would also use decoders that other packages
// of the program register. These have no limits, and one of them panics on damaged input.
var formats = []format{
	{"jpeg", "\xff\xd8", jpeg.DecodeConfig, jpeg.Decode},
	{"png", "\x89PNG\r\n\x1a\n", png.DecodeConfig, png.Decode},
	{"gif", "GIF8?a", gif.DecodeConfig, gif.Decode},
	{"webp", "RIFF????WEBPVP8", webp.DecodeConfig, webp.Decode},
}

// formatOf returns the format of a picture, or image.ErrFormat for any other file.
func formatOf(r *bufio.Reader) (format, error) {
	for _, f := range formats {
		if begin, err := r.Peek(len(f.magic)); err == nil && f.matches(begin) {
			return f, nil
		}
	}
	return format{}, image.ErrFormat
}

func (f format) matches(begin []byte) bool {
	for i, b := range begin {
		if f.magic[i] != '?' && f.magic[i] != b {
			return false
		}
	}
	return true
}
