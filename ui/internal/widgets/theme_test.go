package widgets

import (
	"image/color"
	"math"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"
)

// TestTheme_TextHasEnoughContrast checks that text is readable on its background in each theme. WCAG 2.1 requires 4.5:1
// (AA).
func TestTheme_TextHasEnoughContrast(t *testing.T) {
	test.AssertAllColorNamesDefined(t, Theme{}, "multipeer")
	for _, c := range []struct{ text, on fyne.ThemeColorName }{
		{theme.ColorNameForeground, theme.ColorNameBackground},
		{theme.ColorNameForeground, ColorSidebar},
		{theme.ColorNameForeground, ColorCard},
		{theme.ColorNameForeground, ColorCardOut},
		{theme.ColorNameForeground, ColorBubbleIn},
		{theme.ColorNameForeground, theme.ColorNameSelection},
		{theme.ColorNameForeground, theme.ColorNameButton},
		{theme.ColorNameForeground, ColorBanner},
		{theme.ColorNameForegroundOnPrimary, theme.ColorNamePrimary},
		{theme.ColorNamePlaceHolder, theme.ColorNameInputBackground},
		{theme.ColorNameDisabled, ColorSidebar},
		{ColorOnBubble, ColorBubbleOut},
		{ColorOnBubble, ColorCodeOut},
		{theme.ColorNameForeground, ColorCode},
		{theme.ColorNameForeground, theme.ColorNameMenuBackground},
		{theme.ColorNameForeground, theme.ColorNameOverlayBackground},
		{theme.ColorNameForeground, theme.ColorNameInputBackground},
		{ColorLink, theme.ColorNameBackground},
		{theme.ColorNameForegroundOnError, theme.ColorNameError},
		{ColorLink, ColorCard},
		{ColorLink, ColorCardOut},
		{ColorSubtle, theme.ColorNameOverlayBackground},
		{ColorSubtle, theme.ColorNameBackground},
		{ColorSubtle, ColorSidebar},
		{ColorSubtle, ColorCard},
		{ColorSubtle, ColorCardOut},
		{ColorSubtle, theme.ColorNameSelection},
		{ColorGood, ColorCard},
		{ColorBad, ColorCard},
		{ColorBad, ColorCardOut},
		{ColorBad, theme.ColorNameBackground},
		{ColorBad, ColorSidebar},
		{ColorBad, theme.ColorNameSelection},
	} {
		for _, look := range []Look{LookLight, LookDark, LookContrast} {
			for name, v := range map[string]fyne.ThemeVariant{"light": theme.VariantLight, "dark": theme.VariantDark} {
				th, want := Theme{Look: look}, 4.5
				if look == LookContrast {
					want = 7 // AAA
				}
				x, y := luminance(th.Color(c.text, v)), luminance(th.Color(c.on, v))
				if r := (max(x, y) + 0.05) / (min(x, y) + 0.05); r < want {
					t.Errorf("%s on %s, look %d %s: %.2f", c.text, c.on, look, name, r)
				}
			}
		}
	}
	for _, on := range []fyne.ThemeColorName{theme.ColorNameBackground, ColorSidebar, ColorCard, theme.ColorNameInputBackground} { // what shows a control needs 3:1: its focus, and in high contrast its border
		for i, v := range []fyne.ThemeVariant{theme.VariantLight, theme.VariantDark} {
			for look, border := range map[Look]fyne.ThemeColorName{[]Look{LookLight, LookDark}[i]: theme.ColorNamePrimary, LookContrast: theme.ColorNameInputBorder} {
				th := Theme{Look: look}
				x, y := luminance(th.Color(border, v)), luminance(th.Color(on, v))
				if r := (max(x, y) + 0.05) / (min(x, y) + 0.05); r < 3.5 {
					t.Errorf("%s on %s, look %d: %.2f", border, on, look, r)
				}
			}
		}
	}
	for i, c := range AvatarColors {
		if r := 1.05 / (luminance(RGB(c)) + 0.05); r < 4.5 {
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

// TestTheme_FollowsTheSystemUnlessOneWasChosen also checks that all text sizes follow the scale.
func TestTheme_FollowsTheSystemUnlessOneWasChosen(t *testing.T) {
	dark, light := RGB(palette[theme.ColorNameBackground][1]), RGB(palette[theme.ColorNameBackground][0])
	for _, c := range []struct {
		look   Look
		system fyne.ThemeVariant
		want   color.NRGBA
	}{
		{LookSystem, theme.VariantDark, dark},
		{LookSystem, theme.VariantLight, light},
		{LookDark, theme.VariantLight, dark},
		{LookLight, theme.VariantDark, light},
	} {
		if got := (Theme{Look: c.look}).Color(theme.ColorNameBackground, c.system); got != c.want {
			t.Errorf("look %d in %v: %v", c.look, c.system, got)
		}
	}
	for n := range textSizes {
		if small, large := (Theme{}).Size(n), (Theme{Scale: 1.5}).Size(n); large != small*1.5 {
			t.Errorf("%s is %v, and %v when text is half as large again", n, small, large)
		}
	}
}

// TestTheme_TouchTargets checks that buttons are large enough for a pointer, and on phones for a finger, at each text
// size.
func TestTheme_TouchTargets(t *testing.T) {
	a := test.NewTempApp(t)
	for _, scale := range []float32{0.875, 1, 1.125, 1.25, 1.5} {
		for touch, least := range map[bool]float32{false: 32, true: 40} {
			a.Settings().SetTheme(Theme{Scale: scale, Touch: touch})
			for _, o := range []fyne.CanvasObject{NewButton("Accept", widget.HighImportance, nil), NewIconButton(IconMore, "More", nil), NewField("Message")} {
				if got := o.MinSize(); got.Height < least {
					t.Errorf("%T at scale %v, touch %v: %v", o, scale, touch, got)
				}
			}
		}
	}
}
