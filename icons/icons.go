// Package icons holds the pictures of the window.
package icons

import _ "embed"

// The icons as SVG, 24 units square, stroke 1.8; App is the program's own as PNG, 512 pixels square.
var (
	//go:embed file.svg
	File []byte
	//go:embed folder.svg
	Folder []byte
	//go:embed everyone.svg
	Everyone []byte
	//go:embed attach.svg
	Attach []byte
	//go:embed qr.svg
	QR []byte
	//go:embed edit.svg
	Edit []byte
	//go:embed radar.svg
	Radar []byte
	//go:embed send.svg
	Send []byte
	//go:embed app.png
	App []byte
)
