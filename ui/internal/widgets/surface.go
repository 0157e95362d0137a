package widgets

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
)

// NewSurface returns one rounded surface around content that includes a field. The field draws no surface of its own,
// and a ring around the shared one shows its focus.
func NewSurface(field *Field, content func(field fyne.CanvasObject) fyne.CanvasObject) *fyne.Container {
	p := NewPanel(theme.ColorNameInputBackground, theme.ColorNameInputBorder, surfaceRadius)
	field.OnFocus = func(on bool) {
		p.ring = on
		p.Refresh()
	}
	return container.NewStack(p, content(container.NewThemeOverride(field, bare{})))
}

// surfaceRadius is the corner radius of a surface.
const surfaceRadius = 18

// bare is the app's theme without the background and border of entries.
type bare struct{}

func (bare) Color(n fyne.ThemeColorName, v fyne.ThemeVariant) color.Color {
	if n == theme.ColorNameInputBackground || n == theme.ColorNameInputBorder {
		return color.Transparent
	}
	return current().Color(n, v)
}

func (bare) Size(n fyne.ThemeSizeName) float32 {
	if n == theme.SizeNameInputBorder {
		return 0
	}
	return current().Size(n)
}

func (bare) Font(s fyne.TextStyle) fyne.Resource     { return current().Font(s) }
func (bare) Icon(n fyne.ThemeIconName) fyne.Resource { return current().Icon(n) }
func current() fyne.Theme                            { return fyne.CurrentApp().Settings().Theme() }
