package widgets

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"
)

// The app's own colour names. Widgets look them up in the theme like Fyne's names.
const (
	ColorSidebar   fyne.ThemeColorName = "sidebar"
	ColorCard      fyne.ThemeColorName = "card"
	ColorCardOut   fyne.ThemeColorName = "cardOut" // of what the user sends
	ColorBorder    fyne.ThemeColorName = "border"
	ColorBubbleIn  fyne.ThemeColorName = "bubbleIn"
	ColorBubbleOut fyne.ThemeColorName = "bubbleOut"
	ColorOnBubble  fyne.ThemeColorName = "onBubble"
	ColorCode      fyne.ThemeColorName = "code"    // background of code in a received message
	ColorCodeOut   fyne.ThemeColorName = "codeOut" // background of code in a sent message
	ColorSubtle    fyne.ThemeColorName = "subtle"
	ColorTrack     fyne.ThemeColorName = "track"
	ColorTile      fyne.ThemeColorName = "tile"
	ColorGood      fyne.ThemeColorName = "good"
	ColorBad       fyne.ThemeColorName = "bad"
	ColorBanner    fyne.ThemeColorName = "banner"
	ColorLink      fyne.ThemeColorName = "link" // text in the accent colour
	ColorDot       fyne.ThemeColorName = "dot"  // the dot of a connected peer
)

// palette holds {light, dark}. Colours that are not listed fall back to Fyne's default.
var palette = map[fyne.ThemeColorName][2]uint32{
	theme.ColorNameBackground:          {0xFFFFFF, 0x16181D},
	theme.ColorNameForeground:          {0x1A1D24, 0xECEEF2},
	theme.ColorNamePrimary:             {0x2F62EA, 0x5B8CFF},
	theme.ColorNameForegroundOnPrimary: {0xFFFFFF, 0x0D1424},
	theme.ColorNameButton:              {0xEBEEF3, 0x363B47},
	theme.ColorNameSeparator:           {0xE6E8ED, 0x3A3F4A},
	theme.ColorNameInputBackground:     {0xECEEF3, 0x262A32},
	theme.ColorNameInputBorder:         {0xD5D9E2, 0x3A3F4A}, // subtle: the fill shows the field, and a ring shows the focus
	theme.ColorNameOverlayBackground:   {0xFFFFFF, 0x22252C},
	theme.ColorNameMenuBackground:      {0xFFFFFF, 0x262A32},
	theme.ColorNameSelection:           {0xDEE8FF, 0x24345C},
	theme.ColorNameFocus:               {0xC9D8FF, 0x34487A},
	theme.ColorNameDisabled:            {0x5F6572, 0x9BA2B0}, // LowImportance text; Fyne's default is hardly readable
	theme.ColorNamePlaceHolder:         {0x5F6572, 0x9BA2B0},
	theme.ColorNameScrollBar:           {0xB4BAC6, 0x4A4F5B},
	theme.ColorNameScrollBarBackground: {0xFFFFFF, 0x16181D},
	theme.ColorNameError:               {0xB3261E, 0xFF8A80},
	theme.ColorNameForegroundOnError:   {0xFFFFFF, 0x2A0A08},
	ColorSidebar:                       {0xF4F5F8, 0x1C1E24},
	ColorCard:                          {0xFFFFFF, 0x20232A},
	ColorCardOut:                       {0xF1F5FF, 0x232B3D},
	ColorBorder:                        {0xDFE2E9, 0x31353F},
	ColorBubbleIn:                      {0xEFF1F5, 0x282B33},
	ColorBubbleOut:                     {0x2F62EA, 0x2F55B5},
	ColorOnBubble:                      {0xFFFFFF, 0xF5F8FF},
	ColorCode:                          {0xE1E5EC, 0x1D2026},
	ColorCodeOut:                       {0x2750C4, 0x25458F},
	ColorSubtle:                        {0x5F6572, 0x9BA2B0},
	ColorTrack:                         {0xE2E6EE, 0x353943},
	ColorTile:                          {0xE9EEFB, 0x29334D},
	ColorGood:                          {0x1B7A45, 0x5CCB8D},
	ColorBad:                           {0xB3261E, 0xFF8A80},
	ColorBanner:                        {0xFFF1D6, 0x3A3020},
	ColorLink:                          {0x2555D4, 0x8FB0FF},
	ColorDot:                           {0x1FA653, 0x5CCB8D},
}

// contrast replaces the palette in high-contrast mode.
var contrast = map[fyne.ThemeColorName][2]uint32{
	theme.ColorNameBackground:          {0xFFFFFF, 0x000000},
	theme.ColorNameForeground:          {0x000000, 0xFFFFFF},
	theme.ColorNamePrimary:             {0x0033A0, 0xFFD400},
	theme.ColorNameForegroundOnPrimary: {0xFFFFFF, 0x000000},
	theme.ColorNameButton:              {0x5A95F4, 0x2455AB}, // Fyne's buttons have no border, and grey ones look disabled
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
	ColorSidebar:                       {0xFFFFFF, 0x000000},
	ColorCard:                          {0xFFFFFF, 0x000000},
	ColorCardOut:                       {0xFFFFFF, 0x000000},
	ColorBorder:                        {0x000000, 0xFFFFFF},
	ColorBubbleIn:                      {0xE8E8E8, 0x262626},
	ColorBubbleOut:                     {0x0033A0, 0x00337A},
	ColorOnBubble:                      {0xFFFFFF, 0xFFFFFF},
	ColorCode:                          {0xFFFFFF, 0x000000},
	ColorCodeOut:                       {0x001F63, 0x001C45},
	ColorSubtle:                        {0x1F1F1F, 0xE6E6E6},
	ColorTrack:                         {0xBDBDBD, 0x5C5C5C},
	ColorTile:                          {0xE8E8E8, 0x262626},
	ColorGood:                          {0x00501F, 0x7CFFB0},
	ColorBad:                           {0x8C0009, 0xFFB4AD},
	ColorBanner:                        {0xFFE9A8, 0x3D3000},
	ColorLink:                          {0x0033A0, 0xFFD400},
}

// overlay holds the translucent colours: {light, dark} with alpha.
var overlay = map[fyne.ThemeColorName][2]color.NRGBA{
	theme.ColorNameHover:   {{A: 13}, {R: 255, G: 255, B: 255, A: 15}},
	theme.ColorNamePressed: {{A: 26}, {R: 255, G: 255, B: 255, A: 28}},
	theme.ColorNameShadow:  {{A: 30}, {A: 90}},
}

// RGB returns the colour of a number in the form 0xRRGGBB.
func RGB(hex uint32) color.NRGBA {
	return color.NRGBA{R: uint8(hex >> 16), G: uint8(hex >> 8), B: uint8(hex), A: 255}
}

// Look is a choice of colour scheme.
type Look int

// The looks. The zero value follows the system's light or dark mode.
const (
	LookSystem Look = iota
	LookLight
	LookDark
	LookContrast
)

// Theme is Multipeer's theme. The zero value follows the system's light or dark mode.
type Theme struct {
	Look  Look
	Scale float32 // factor for all text; 0 means 1
	Still bool    // reduced motion
	Touch bool    // larger controls, for fingers
}

// Color implements fyne.Theme.
func (t Theme) Color(n fyne.ThemeColorName, v fyne.ThemeVariant) color.Color {
	i := 0
	if v == theme.VariantDark && t.Look != LookLight || t.Look == LookDark {
		i = 1
	}
	if t.Still && n == theme.ColorNamePressed { // the ripple of a button
		return color.Transparent
	}
	if c, ok := overlay[n]; ok {
		return c[i]
	}
	if t.Look == LookContrast {
		if c, ok := contrast[n]; ok {
			return RGB(c[i])
		}
	}
	if c, ok := palette[n]; ok {
		return RGB(c[i])
	}
	return theme.DefaultTheme().Color(n, fyne.ThemeVariant(1-i)) // VariantDark is 0
}

// The app's own names for text sizes, so that all of them follow the text size setting.
const (
	SizeTitle   fyne.ThemeSizeName = "title"
	SizeName    fyne.ThemeSizeName = "name"
	SizeCaption fyne.ThemeSizeName = "caption"
	SizeSmall   fyne.ThemeSizeName = "small"
	SizeCode    fyne.ThemeSizeName = "code"
	SizeDigits  fyne.ThemeSizeName = "digits"
	SizeBody                       = theme.SizeNameText
)

// textSizes are the sizes at a scale of 1, in Fyne's units.
var textSizes = map[fyne.ThemeSizeName]float32{
	SizeBody: 13.5, SizeTitle: 17, SizeName: 14.5, SizeCaption: 12, SizeSmall: 11, SizeCode: 12.5, SizeDigits: 30,
	theme.SizeNameCaptionText: 12, theme.SizeNameSubHeadingText: 17, theme.SizeNameHeadingText: 22, theme.SizeNameInlineIcon: 18,
}

// Size implements fyne.Theme.
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
		if t.Look == LookContrast {
			return 1.5 // a thinner line between two pixels looks too faint
		}
		return 1
	case theme.SizeNameInnerPadding:
		if t.Touch {
			return 12 // buttons and fields become 40 high
		}
	case theme.SizeNameScrollBar:
		return 8
	case theme.SizeNameScrollBarSmall:
		return 4
	}
	return theme.DefaultTheme().Size(n)
}

// Font implements fyne.Theme.
func (Theme) Font(s fyne.TextStyle) fyne.Resource { return theme.DefaultTheme().Font(s) }

// Icon implements fyne.Theme.
func (Theme) Icon(n fyne.ThemeIconName) fyne.Resource { return theme.DefaultTheme().Icon(n) }

// themed is any widget; it knows which theme applies to it.
type themed interface{ Theme() fyne.Theme }

// tint returns a colour from the theme of w. Call it in Refresh, so that the widget follows a change of theme.
func tint(w themed, n fyne.ThemeColorName) color.Color {
	return w.Theme().Color(n, fyne.CurrentApp().Settings().ThemeVariant())
}

// highContrast reports whether w is drawn in high contrast, where a fill alone does not show a state.
func highContrast(w themed) bool {
	t, ok := w.Theme().(Theme)
	return ok && t.Look == LookContrast
}

// The grid: every distance is one of these values.
const (
	GapTight = 4
	Gap      = 8
	GapWide  = 12
	Edge     = 16
	EdgeWide = 24
)
