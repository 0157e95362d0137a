package widgets

import (
	"bytes"
	"fmt"
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"

	"multipeer/icons"
)

// The app's own icons, all with the same stroke width.
var (
	IconFile      = newIcon("file", theme.ColorNamePrimary)
	IconFiles     = newIcon("files", theme.ColorNamePrimary)
	IconFolder    = newIcon("folder", theme.ColorNamePrimary)
	IconPicture   = newIcon("picture", theme.ColorNamePrimary)
	IconEveryone  = newIcon("everyone", theme.ColorNamePrimary)
	IconTransfers = newIcon("transfers", theme.ColorNamePrimary)
	IconRadar     = newIcon("radar", theme.ColorNamePrimary)
	IconVerified  = newIcon("verified", theme.ColorNamePrimary)
	IconBlocked   = newIcon("block", ColorBad)
	IconWarning   = newIcon("warning", ColorBad)
	IconSearch    = newIcon("search", ColorSubtle)
	IconFind      = newIcon("search", theme.ColorNamePrimary)
	IconQR        = newIcon("qr", ColorSubtle)
	IconSettings  = newIcon("sliders", ColorSubtle)
	IconMore      = newIcon("more", theme.ColorNameForeground)
	IconBack      = newIcon("back", theme.ColorNameForeground)
	IconClose     = newIcon("close", theme.ColorNameForeground)
	IconFailed    = newIcon("close", ColorBad)
	IconPause     = newIcon("pause", theme.ColorNameForeground)
	IconPlay      = newIcon("play", theme.ColorNameForeground)
	IconAttach    = newIcon("attach", theme.ColorNameForeground)
	IconGo        = newIcon("send", theme.ColorNameForeground)
	IconSend      = newIcon("send", theme.ColorNameForegroundOnPrimary)
	IconDown      = newIcon("down", theme.ColorNameForegroundOnPrimary)
	IconDone      = newIcon("check", ColorGood)
	IconNotice    = newIcon("warning", ColorSubtle)
	IconChecked   = newIcon("check", theme.ColorNameForegroundOnPrimary)
	IconStar      = newIcon("star", theme.ColorNamePrimary)
	IconComputer  = newIcon("computer", theme.ColorNameForeground)
	IconPhone     = newIcon("phone", theme.ColorNameForeground)
	IconTablet    = newIcon("tablet", theme.ColorNameForeground)
	IconServer    = newIcon("server", theme.ColorNameForeground)
)

// strokeIcon is an SVG whose black strokes are drawn in a colour of the current theme. Fyne's own themed resources
// colour only fills.
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
	c := color.NRGBAModel.Convert(s.Theme().Color(i.color, s.ThemeVariant())).(color.NRGBA)
	return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B)
}

// Name depends on the colour, because Fyne caches rendered icons by name.
func (i *strokeIcon) Name() string { return i.name + i.hex()[1:] + ".svg" }

// Content implements fyne.Resource.
func (i *strokeIcon) Content() []byte {
	return bytes.ReplaceAll(i.svg, []byte("#000000"), []byte(i.hex()))
}
