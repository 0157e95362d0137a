package ui

import (
	"image/color"
	"math"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/theme"

	"multipeer/internal/settings"
)

// TestContrast: text must be readable on what it stands on, in each look. WCAG 2.1 asks for 4.5:1 (AA).
func TestContrast(t *testing.T) {
	test.AssertAllColorNamesDefined(t, Theme{}, "multipeer")
	for _, c := range []struct{ text, on fyne.ThemeColorName }{
		{theme.ColorNameForeground, theme.ColorNameBackground},
		{theme.ColorNameForeground, colorSidebar},
		{theme.ColorNameForeground, colorCard},
		{theme.ColorNameForeground, colorBubbleIn},
		{theme.ColorNameForeground, theme.ColorNameSelection},
		{theme.ColorNameForeground, theme.ColorNameButton},
		{theme.ColorNameForeground, colorBanner},
		{theme.ColorNameForegroundOnPrimary, theme.ColorNamePrimary},
		{theme.ColorNamePlaceHolder, theme.ColorNameInputBackground},
		{theme.ColorNameDisabled, colorSidebar},
		{colorOnBubble, colorBubbleOut},
		{colorOnBubble, colorCodeOut},
		{theme.ColorNameForeground, colorCode},
		{theme.ColorNameForeground, theme.ColorNameMenuBackground},
		{theme.ColorNameForeground, theme.ColorNameOverlayBackground},
		{theme.ColorNameForeground, theme.ColorNameInputBackground},
		{colorLink, theme.ColorNameBackground},
		{theme.ColorNameForegroundOnError, theme.ColorNameError},
		{colorLink, colorCard},
		{colorSubtle, theme.ColorNameOverlayBackground},
		{colorSubtle, theme.ColorNameBackground},
		{colorSubtle, colorSidebar},
		{colorSubtle, colorCard},
		{colorSubtle, theme.ColorNameSelection},
		{colorGood, colorCard},
		{colorBad, colorCard},
		{colorBad, theme.ColorNameBackground},
		{colorBad, colorSidebar},
		{colorBad, theme.ColorNameSelection},
	} {
		for _, appearance := range []string{settings.Light, settings.Dark, settings.Contrast} {
			for name, v := range map[string]fyne.ThemeVariant{"light": theme.VariantLight, "dark": theme.VariantDark} {
				th, want := Theme{Appearance: appearance}, 4.5
				if appearance == settings.Contrast {
					want = 7 // AAA
				}
				x, y := luminance(th.Color(c.text, v)), luminance(th.Color(c.on, v))
				if r := (max(x, y) + 0.05) / (min(x, y) + 0.05); r < want {
					t.Errorf("%s on %s, %s %s: %.2f", c.text, c.on, appearance, name, r)
				}
			}
		}
	}
	for _, on := range []fyne.ThemeColorName{theme.ColorNameBackground, colorSidebar, colorCard, theme.ColorNameInputBackground} { // what shows where a control is: 3:1
		for i, v := range []fyne.ThemeVariant{theme.VariantLight, theme.VariantDark} {
			th := Theme{Appearance: []string{settings.Light, settings.Dark}[i]}
			x, y := luminance(th.Color(theme.ColorNameInputBorder, v)), luminance(th.Color(on, v))
			if r := (max(x, y) + 0.05) / (min(x, y) + 0.05); r < 3.5 {
				t.Errorf("the border of a field on %s, %s: %.2f", on, th.Appearance, r)
			}
		}
	}
	for i, c := range avatarColors {
		if r := 1.05 / (luminance(rgb(c)) + 0.05); r < 4.5 {
			t.Errorf("white on the colour %d of avatars: %.2f", i, r)
		}
	}
}

func luminance(c color.Color) float64 {
	linear := func(c uint32) float64 {
		s := float64(c) / 0xffff
		if s <= 0.04045 {
			return s / 12.92
		}
		return math.Pow((s+0.055)/1.055, 2.4)
	}
	r, g, b, _ := c.RGBA()
	return 0.2126*linear(r) + 0.7152*linear(g) + 0.0722*linear(b)
}

// TestTheSystemsVariantIsFollowedUnlessOneWasChosen: and text grows with its setting.
func TestTheSystemsVariantIsFollowedUnlessOneWasChosen(t *testing.T) {
	dark, light := rgb(palette[theme.ColorNameBackground][1]), rgb(palette[theme.ColorNameBackground][0])
	for _, c := range []struct {
		appearance string
		system     fyne.ThemeVariant
		want       color.NRGBA
	}{
		{settings.System, theme.VariantDark, dark},
		{settings.System, theme.VariantLight, light},
		{settings.Dark, theme.VariantLight, dark},
		{settings.Light, theme.VariantDark, light},
	} {
		if got := (Theme{Appearance: c.appearance}).Color(theme.ColorNameBackground, c.system); got != c.want {
			t.Errorf("%q in %v: %v", c.appearance, c.system, got)
		}
	}
	for n := range textSizes {
		if small, large := (Theme{}).Size(n), (Theme{Scale: 1.5}).Size(n); large != small*1.5 {
			t.Errorf("%s is %v, and %v when text is half as large again", n, small, large)
		}
	}
}
