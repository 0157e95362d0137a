// Package icons holds the app's icons.
package icons

import (
	"embed"
	"fmt"
)

//go:embed *.svg
var drawings embed.FS

// App is the application icon as PNG, 512 pixels square.
//
//go:embed app.png
var App []byte

// SVG returns a drawing by name: 24 units square, black strokes 1.8 wide. It panics if the name is unknown, because
// that is a programming error.
func SVG(name string) []byte {
	b, err := drawings.ReadFile(name + ".svg")
	if err != nil {
		panic(fmt.Sprintf("icons: %v", err))
	}
	return b
}
