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
	iconFile     = &strokeIcon{"file", icons.File, theme.ColorNamePrimary}
	iconFolder   = &strokeIcon{"folder", icons.Folder, theme.ColorNamePrimary}
	iconEveryone = &strokeIcon{"everyone", icons.Everyone, theme.ColorNamePrimary}
	iconRadar    = &strokeIcon{"radar", icons.Radar, theme.ColorNamePrimary}
	iconAttach   = &strokeIcon{"attach", icons.Attach, theme.ColorNameForeground}
	iconEdit     = &strokeIcon{"edit", icons.Edit, colorSubtle}
	iconQR       = &strokeIcon{"qr", icons.QR, colorSubtle}
	iconGo       = &strokeIcon{"go", icons.Send, theme.ColorNameForeground}
	iconSend     = &strokeIcon{"send", icons.Send, theme.ColorNameForegroundOnPrimary}
)

// strokeIcon is an SVG whose black strokes take a colour of the theme that is in force when it is drawn. Fyne's own
// themed resources colour fills only.
type strokeIcon struct {
	name  string
	svg   []byte
	color fyne.ThemeColorName
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
