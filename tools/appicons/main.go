// Command appicons writes the application icon in the sizes that desktops look for, below a folder such as
// /usr/share/icons/hicolor (Icon Theme Specification).
package main

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"

	"multipeer/icons"

	"golang.org/x/image/draw"
)

var sizes = []int{16, 22, 24, 32, 48, 64, 128, 256, 512}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: appicons DIR")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "appicons:", err)
		os.Exit(1)
	}
}

func write(dir string) error {
	whole, err := png.Decode(bytes.NewReader(icons.App))
	if err != nil {
		return err
	}
	for _, size := range sizes {
		small := image.NewNRGBA(image.Rect(0, 0, size, size))
		draw.CatmullRom.Scale(small, small.Bounds(), whole, whole.Bounds(), draw.Src, nil)
		folder := filepath.Join(dir, fmt.Sprintf("%dx%d", size, size), "apps")
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
		var out bytes.Buffer
		if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, small); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, "multipeer.png"), out.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}
