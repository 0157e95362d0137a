package ui

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"
)

// Colour names of our own; widgets ask the theme for them as they ask for Fyne's.
const (
	colorSidebar   fyne.ThemeColorName = "sidebar"
	colorCard      fyne.ThemeColorName = "card"
	colorBorder    fyne.ThemeColorName = "border"
	colorBubbleIn  fyne.ThemeColorName = "bubbleIn"
	colorBubbleOut fyne.ThemeColorName = "bubbleOut"
	colorOnBubble  fyne.ThemeColorName = "onBubble"
	colorSubtle    fyne.ThemeColorName = "subtle"
	colorTrack     fyne.ThemeColorName = "track"
	colorTile      fyne.ThemeColorName = "tile"
	colorGood      fyne.ThemeColorName = "good"
	colorBad       fyne.ThemeColorName = "bad"
	colorBanner    fyne.ThemeColorName = "banner"
)

// palette holds {light, dark}. What is absent falls through to Fyne's default.
var palette = map[fyne.ThemeColorName][2]uint32{
	theme.ColorNameBackground:          {0xFFFFFF, 0x16181D},
	theme.ColorNameForeground:          {0x1A1D24, 0xECEEF2},
	theme.ColorNamePrimary:             {0x2F62EA, 0x5B8CFF},
	theme.ColorNameForegroundOnPrimary: {0xFFFFFF, 0x0D1424},
	theme.ColorNameButton:              {0xEBEEF3, 0x2A2E37},
	theme.ColorNameSeparator:           {0xE6E8ED, 0x2A2D35},
	theme.ColorNameInputBackground:     {0xF3F4F7, 0x22252C},
	theme.ColorNameInputBorder:         {0xDFE2E9, 0x353943},
	theme.ColorNameOverlayBackground:   {0xFFFFFF, 0x22252C},
	theme.ColorNameMenuBackground:      {0xFFFFFF, 0x262A32},
	theme.ColorNameSelection:           {0xDEE8FF, 0x24345C},
	theme.ColorNameDisabled:            {0x5F6572, 0x9BA2B0}, // LowImportance text: the default can hardly be read
	theme.ColorNamePlaceHolder:         {0x5F6572, 0x9BA2B0},
	theme.ColorNameScrollBar:           {0xB4BAC6, 0x4A4F5B},
	theme.ColorNameError:               {0xB3261E, 0xFF8A80},
	colorSidebar:                       {0xF4F5F8, 0x1C1E24},
	colorCard:                          {0xFFFFFF, 0x20232A},
	colorBorder:                        {0xDFE2E9, 0x31353F},
	colorBubbleIn:                      {0xEFF1F5, 0x282B33},
	colorBubbleOut:                     {0x2F62EA, 0x2F55B5},
	colorOnBubble:                      {0xFFFFFF, 0xF5F8FF},
	colorSubtle:                        {0x5F6572, 0x9BA2B0},
	colorTrack:                         {0xE2E6EE, 0x353943},
	colorTile:                          {0xE9EEFB, 0x29334D},
	colorGood:                          {0x1B7A45, 0x5CCB8D},
	colorBad:                           {0xB3261E, 0xFF8A80},
	colorBanner:                        {0xFFF1D6, 0x3A3020},
}

// overlay holds the colours that have to be seen through: {light, dark} with alpha.
var overlay = map[fyne.ThemeColorName][2]color.NRGBA{
	theme.ColorNameHover:   {{A: 13}, {R: 255, G: 255, B: 255, A: 15}},
	theme.ColorNamePressed: {{A: 26}, {R: 255, G: 255, B: 255, A: 28}},
	theme.ColorNameShadow:  {{A: 30}, {A: 90}},
}

func rgb(hex uint32) color.NRGBA {
	return color.NRGBA{R: uint8(hex >> 16), G: uint8(hex >> 8), B: uint8(hex), A: 255}
}

// Theme is the look of Multipeer, light and dark. The zero value is ready to use.
type Theme struct{}

// Color is fyne.Theme's.
func (Theme) Color(n fyne.ThemeColorName, v fyne.ThemeVariant) color.Color {
	i := 0
	if v == theme.VariantDark {
		i = 1
	}
	if c, ok := overlay[n]; ok {
		return c[i]
	}
	if c, ok := palette[n]; ok {
		return rgb(c[i])
	}
	return theme.DefaultTheme().Color(n, v)
}

// Size is fyne.Theme's.
func (Theme) Size(n fyne.ThemeSizeName) float32 {
	switch n {
	case theme.SizeNameText:
		return 13.5
	case theme.SizeNameInputRadius, theme.SizeNameSelectionRadius, theme.SizeNameButtonRadius:
		return 9
	case theme.SizeNameDialogRadius, theme.SizeNameCardRadius:
		return 14
	case theme.SizeNameScrollBar:
		return 8
	case theme.SizeNameScrollBarSmall:
		return 4
	}
	return theme.DefaultTheme().Size(n)
}

// Font is fyne.Theme's.
func (Theme) Font(s fyne.TextStyle) fyne.Resource { return theme.DefaultTheme().Font(s) }

// Icon is fyne.Theme's.
func (Theme) Icon(n fyne.ThemeIconName) fyne.Resource { return theme.DefaultTheme().Icon(n) }

// themed is any widget: it knows the theme that applies to it.
type themed interface{ Theme() fyne.Theme }

// tint asks the theme of w for a colour. Called in Refresh, so that a change of theme is followed.
func tint(w themed, n fyne.ThemeColorName) color.Color {
	return w.Theme().Color(n, fyne.CurrentApp().Settings().ThemeVariant())
}

// Sizes of text.
const (
	sizeTitle   = 17
	sizeBody    = 13.5
	sizeCaption = 11.5
	sizeSmall   = 10.5
)
