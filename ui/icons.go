package ui

import (
	"bytes"
	"fmt"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"

	"multipeer/icons"
)

// Our own icons, drawn with one stroke width.
var (
	iconFile      = newIcon("file", theme.ColorNamePrimary)
	iconFolder    = newIcon("folder", theme.ColorNamePrimary)
	iconPicture   = newIcon("picture", theme.ColorNamePrimary)
	iconEveryone  = newIcon("everyone", theme.ColorNamePrimary)
	iconTransfers = newIcon("transfers", theme.ColorNamePrimary)
	iconRadar     = newIcon("radar", theme.ColorNamePrimary)
	iconVerified  = newIcon("verified", theme.ColorNamePrimary)
	iconBlocked   = newIcon("block", colorBad)
	iconWarning   = newIcon("warning", colorBad)
	iconSearch    = newIcon("search", colorSubtle)
	iconFind      = newIcon("search", theme.ColorNamePrimary)
	iconQR        = newIcon("qr", colorSubtle)
	iconSettings  = newIcon("sliders", colorSubtle)
	iconMore      = newIcon("more", theme.ColorNameForeground)
	iconBack      = newIcon("back", theme.ColorNameForeground)
	iconClose     = newIcon("close", theme.ColorNameForeground)
	iconPause     = newIcon("pause", theme.ColorNameForeground)
	iconPlay      = newIcon("play", theme.ColorNameForeground)
	iconAttach    = newIcon("attach", theme.ColorNameForeground)
	iconGo        = newIcon("send", theme.ColorNameForeground)
	iconSend      = newIcon("send", theme.ColorNameForegroundOnPrimary)
)

// strokeIcon is an SVG whose black strokes take a colour of the theme that is in force when it is drawn. Fyne's own
// themed resources colour fills only.
type strokeIcon struct {
	name  string
	svg   []byte
	color fyne.ThemeColorName
}

func newIcon(name string, color fyne.ThemeColorName) *strokeIcon {
	return &strokeIcon{name, icons.SVG(name), color}
}

func (i *strokeIcon) hex() string {
	s := fyne.CurrentApp().Settings()
	r, g, b, _ := s.Theme().Color(i.color, s.ThemeVariant()).RGBA()
	return fmt.Sprintf("#%02x%02x%02x", r>>8, g>>8, b>>8)
}

// Name changes with the colour: Fyne keeps drawn icons by their name.
func (i *strokeIcon) Name() string { return i.name + i.hex()[1:] + ".svg" }

// Content is fyne.Resource's.
func (i *strokeIcon) Content() []byte {
	return bytes.ReplaceAll(i.svg, []byte("#000000"), []byte(i.hex()))
}
