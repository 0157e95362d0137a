package ui

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"

	"multipeer/internal/settings"
)

// Colour names of our own; widgets ask the theme for them as they ask for Fyne's.
const (
	colorSidebar   fyne.ThemeColorName = "sidebar"
	colorCard      fyne.ThemeColorName = "card"
	colorBorder    fyne.ThemeColorName = "border"
	colorBubbleIn  fyne.ThemeColorName = "bubbleIn"
	colorBubbleOut fyne.ThemeColorName = "bubbleOut"
	colorOnBubble  fyne.ThemeColorName = "onBubble"
	colorCode      fyne.ThemeColorName = "code"    // behind code in a bubble that came
	colorCodeOut   fyne.ThemeColorName = "codeOut" // and in our own
	colorSubtle    fyne.ThemeColorName = "subtle"
	colorTrack     fyne.ThemeColorName = "track"
	colorTile      fyne.ThemeColorName = "tile"
	colorGood      fyne.ThemeColorName = "good"
	colorBad       fyne.ThemeColorName = "bad"
	colorBanner    fyne.ThemeColorName = "banner"
	colorLink      fyne.ThemeColorName = "link" // text in the accent colour
	colorDot       fyne.ThemeColorName = "dot"  // of who is connected
)

// palette holds {light, dark}. What is absent falls through to Fyne's default.
var palette = map[fyne.ThemeColorName][2]uint32{
	theme.ColorNameBackground:          {0xFFFFFF, 0x16181D},
	theme.ColorNameForeground:          {0x1A1D24, 0xECEEF2},
	theme.ColorNamePrimary:             {0x2F62EA, 0x5B8CFF},
	theme.ColorNameForegroundOnPrimary: {0xFFFFFF, 0x0D1424},
	theme.ColorNameButton:              {0xEBEEF3, 0x363B47},
	theme.ColorNameSeparator:           {0xE6E8ED, 0x3A3F4A},
	theme.ColorNameInputBackground:     {0xF3F4F7, 0x22252C},
	theme.ColorNameInputBorder:         {0x6E7480, 0x8F96A5}, // more than the 3:1 of WCAG: a thin line is blurred
	theme.ColorNameOverlayBackground:   {0xFFFFFF, 0x22252C},
	theme.ColorNameMenuBackground:      {0xFFFFFF, 0x262A32},
	theme.ColorNameSelection:           {0xDEE8FF, 0x24345C},
	theme.ColorNameFocus:               {0xC9D8FF, 0x34487A},
	theme.ColorNameDisabled:            {0x5F6572, 0x9BA2B0}, // LowImportance text: the default can hardly be read
	theme.ColorNamePlaceHolder:         {0x5F6572, 0x9BA2B0},
	theme.ColorNameScrollBar:           {0xB4BAC6, 0x4A4F5B},
	theme.ColorNameScrollBarBackground: {0xFFFFFF, 0x16181D},
	theme.ColorNameError:               {0xB3261E, 0xFF8A80},
	theme.ColorNameForegroundOnError:   {0xFFFFFF, 0x2A0A08},
	colorSidebar:                       {0xF4F5F8, 0x1C1E24},
	colorCard:                          {0xFFFFFF, 0x20232A},
	colorBorder:                        {0xDFE2E9, 0x31353F},
	colorBubbleIn:                      {0xEFF1F5, 0x282B33},
	colorBubbleOut:                     {0x2F62EA, 0x2F55B5},
	colorOnBubble:                      {0xFFFFFF, 0xF5F8FF},
	colorCode:                          {0xE1E5EC, 0x1D2026},
	colorCodeOut:                       {0x2750C4, 0x25458F},
	colorSubtle:                        {0x5F6572, 0x9BA2B0},
	colorTrack:                         {0xE2E6EE, 0x353943},
	colorTile:                          {0xE9EEFB, 0x29334D},
	colorGood:                          {0x1B7A45, 0x5CCB8D},
	colorBad:                           {0xB3261E, 0xFF8A80},
	colorBanner:                        {0xFFF1D6, 0x3A3020},
	colorLink:                          {0x2555D4, 0x8FB0FF},
	colorDot:                           {0x1FA653, 0x5CCB8D},
}

// contrast takes the place of the palette for who needs the most of it.
var contrast = map[fyne.ThemeColorName][2]uint32{
	theme.ColorNameBackground:          {0xFFFFFF, 0x000000},
	theme.ColorNameForeground:          {0x000000, 0xFFFFFF},
	theme.ColorNamePrimary:             {0x0033A0, 0xFFD400},
	theme.ColorNameForegroundOnPrimary: {0xFFFFFF, 0x000000},
	theme.ColorNameButton:              {0xFFFFFF, 0x000000},
	theme.ColorNameSeparator:           {0x000000, 0xFFFFFF},
	theme.ColorNameInputBackground:     {0xFFFFFF, 0x000000},
	theme.ColorNameInputBorder:         {0x000000, 0xFFFFFF},
	theme.ColorNameOverlayBackground:   {0xFFFFFF, 0x000000},
	theme.ColorNameMenuBackground:      {0xFFFFFF, 0x000000},
	theme.ColorNameSelection:           {0xCFE0FF, 0x00337A},
	theme.ColorNameFocus:               {0x9DBDFF, 0x0A4FB0},
	theme.ColorNameDisabled:            {0x1F1F1F, 0xE6E6E6},
	theme.ColorNamePlaceHolder:         {0x1F1F1F, 0xE6E6E6},
	theme.ColorNameScrollBar:           {0x000000, 0xFFFFFF},
	theme.ColorNameScrollBarBackground: {0xFFFFFF, 0x000000},
	theme.ColorNameError:               {0x8C0009, 0xFFB4AD},
	theme.ColorNameForegroundOnError:   {0xFFFFFF, 0x000000},
	colorSidebar:                       {0xFFFFFF, 0x000000},
	colorCard:                          {0xFFFFFF, 0x000000},
	colorBorder:                        {0x000000, 0xFFFFFF},
	colorBubbleIn:                      {0xE8E8E8, 0x262626},
	colorBubbleOut:                     {0x0033A0, 0x00337A},
	colorOnBubble:                      {0xFFFFFF, 0xFFFFFF},
	colorCode:                          {0xFFFFFF, 0x000000},
	colorCodeOut:                       {0x001F63, 0x001C45},
	colorSubtle:                        {0x1F1F1F, 0xE6E6E6},
	colorTrack:                         {0xBDBDBD, 0x5C5C5C},
	colorTile:                          {0xE8E8E8, 0x262626},
	colorGood:                          {0x00501F, 0x7CFFB0},
	colorBad:                           {0x8C0009, 0xFFB4AD},
	colorBanner:                        {0xFFE9A8, 0x3D3000},
	colorLink:                          {0x0033A0, 0xFFD400},
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

// Theme is the look of Multipeer. The zero value follows the system's light or dark.
type Theme struct {
	Appearance string  // as in settings.Settings
	Scale      float32 // of all text; 0 is 1
	Still      bool    // without what moves
}

// themeOf is the look that somebody has chosen.
func themeOf(s *settings.Settings) Theme { return Theme{s.Appearance, s.TextScale(), s.Still} }

// Color is fyne.Theme's.
func (t Theme) Color(n fyne.ThemeColorName, v fyne.ThemeVariant) color.Color {
	i := 0
	if v == theme.VariantDark && t.Appearance != settings.Light || t.Appearance == settings.Dark {
		i = 1
	}
	if t.Still && n == theme.ColorNamePressed { // the ripple of a button
		return color.Transparent
	}
	if c, ok := overlay[n]; ok {
		return c[i]
	}
	if t.Appearance == settings.Contrast {
		if c, ok := contrast[n]; ok {
			return rgb(c[i])
		}
	}
	if c, ok := palette[n]; ok {
		return rgb(c[i])
	}
	return theme.DefaultTheme().Color(n, fyne.ThemeVariant(1-i)) // VariantDark is 0
}

// Sizes of text, by names of our own, so that they grow with the others.
const (
	sizeTitle   fyne.ThemeSizeName = "title"
	sizeName    fyne.ThemeSizeName = "name"
	sizeCaption fyne.ThemeSizeName = "caption"
	sizeSmall   fyne.ThemeSizeName = "small"
	sizeCode    fyne.ThemeSizeName = "code"
	sizeDigits  fyne.ThemeSizeName = "digits"
	sizeBody                       = theme.SizeNameText
)

// textSizes are for a scale of 1, in Fyne's units.
var textSizes = map[fyne.ThemeSizeName]float32{
	sizeBody: 13.5, sizeTitle: 17, sizeName: 14.5, sizeCaption: 12, sizeSmall: 11, sizeCode: 12.5, sizeDigits: 30,
	theme.SizeNameCaptionText: 12, theme.SizeNameSubHeadingText: 17, theme.SizeNameHeadingText: 22, theme.SizeNameInlineIcon: 18,
}

// Size is fyne.Theme's.
func (t Theme) Size(n fyne.ThemeSizeName) float32 {
	if s, ok := textSizes[n]; ok {
		if t.Scale > 0 {
			s *= t.Scale
		}
		return s
	}
	switch n {
	case theme.SizeNameInputRadius, theme.SizeNameSelectionRadius, theme.SizeNameButtonRadius:
		return 8
	case theme.SizeNameDialogRadius, theme.SizeNameCardRadius, theme.SizeNamePopupRadius:
		return 12
	case theme.SizeNameInputBorder:
		return 1.5 // or between two pixels it would be fainter than it is meant
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

// The grid: every distance is one of these.
const (
	gapTight = 4
	gap      = 8
	gapWide  = 12
	edge     = 16
	edgeWide = 24
)
