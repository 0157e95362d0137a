// Package icons holds the pictures of the window.
package icons

import (
	"embed"
	"fmt"
)

//go:embed *.svg
var drawings embed.FS

// App is the program's own icon as PNG, 512 pixels square.
//
//go:embed app.png
var App []byte

// SVG returns a drawing by its name: 24 units square, black strokes 1.8 wide. A name that does not exist is a mistake of
// the program, and it panics.
func SVG(name string) []byte {
	b, err := drawings.ReadFile(name + ".svg")
	if err != nil {
		panic(fmt.Sprintf("icons: %v", err))
	}
	return b
}
