package widgets

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"
)

// unshaded is a theme without the shadows that Fyne draws at the ends of a scroll area. The scroll bar already shows
// whether there is more.
type unshaded struct{ fyne.Theme }

// Color implements fyne.Theme.
func (t unshaded) Color(n fyne.ThemeColorName, v fyne.ThemeVariant) color.Color {
	if n == theme.ColorNameShadow {
		return color.Transparent
	}
	return t.Theme.Color(n, v)
}

// NewScroll makes content scroll vertically wherever the pointer is over it. The first result is the object to show.
func NewScroll(content fyne.CanvasObject) (fyne.CanvasObject, *container.Scroll) {
	s := container.NewVScroll(content)
	w := &wheel{to: s}
	w.ExtendBaseWidget(w)
	return container.NewStack(container.NewThemeOverride(s, unshaded{fyne.CurrentApp().Settings().Theme()}), w), s
}

// wheel lies over the scroll area and takes only the scroll wheel. A field has its own scroller, which would swallow
// the wheel events.
type wheel struct {
	widget.BaseWidget
	to fyne.Scrollable
}

var _ fyne.Scrollable = (*wheel)(nil)

// Scrolled implements fyne.Scrollable.
func (w *wheel) Scrolled(e *fyne.ScrollEvent) { w.to.Scrolled(e) }

func (w *wheel) CreateRenderer() fyne.WidgetRenderer {
	return widget.NewSimpleRenderer(canvas.NewRectangle(color.Transparent))
}
