package widgets

import (
	"fmt"
	"image/color"
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/widget"
)

// Scroll is a scroll area without the shadows that Fyne draws at its ends: the scroll bar already shows whether there
// is more. Hiding them by a theme override would load all fonts again for this area alone.
type Scroll struct{ container.Scroll }

// NewScroll returns an object that scrolls content vertically wherever the pointer is over it, and its scroll area.
func NewScroll(content fyne.CanvasObject) (fyne.CanvasObject, *Scroll) {
	s := &Scroll{}
	s.Content, s.Direction = content, container.ScrollVerticalOnly
	s.ExtendBaseWidget(s)
	w := &wheel{to: s}
	w.ExtendBaseWidget(w)
	return container.NewStack(s, w), s
}

// CreateRenderer implements fyne.Widget.
func (s *Scroll) CreateRenderer() fyne.WidgetRenderer { return unshaded{s.Scroll.CreateRenderer()} }

// unshaded is the renderer of a scroll area without its shadows.
type unshaded struct{ fyne.WidgetRenderer }

// Objects implements fyne.WidgetRenderer.
func (u unshaded) Objects() []fyne.CanvasObject {
	return slices.DeleteFunc(slices.Clone(u.WidgetRenderer.Objects()), func(o fyne.CanvasObject) bool {
		return fmt.Sprintf("%T", o) == "*widget.Shadow" // the type is in an internal package of Fyne
	})
}

// wheel lies over the scroll area and takes only wheel events. Otherwise the scroller of a field below the pointer
// would swallow them.
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
