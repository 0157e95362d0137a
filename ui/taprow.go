package ui

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"
)

// tapRow is a row that can be hovered, tapped, selected and reached by the keyboard.
type tapRow struct {
	widget.BaseWidget
	label    func() string // for screen readers
	content  fyne.CanvasObject
	back     *canvas.Rectangle
	selected bool
	hovered  bool
	focused  bool
	tapped   func()
	menu     func(at fyne.Position) // of the second button; nil for none
}

var (
	_ fyne.Tappable          = (*tapRow)(nil)
	_ fyne.SecondaryTappable = (*tapRow)(nil)
	_ fyne.Focusable         = (*tapRow)(nil)
	_ fyne.Accessible        = (*tapRow)(nil)
	_ desktop.Hoverable      = (*tapRow)(nil)
)

func newTapRow(content fyne.CanvasObject, tapped func()) *tapRow {
	r := &tapRow{content: content, back: canvas.NewRectangle(color.Transparent), tapped: tapped, label: func() string { return "" }}
	r.back.CornerRadius = 8
	r.ExtendBaseWidget(r)
	return r
}

// AccessibilityLabel says what the row is about.
func (r *tapRow) AccessibilityLabel() string { return r.label() }

// AccessibilityRole is that of a button.
func (r *tapRow) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleButton }

// Tapped is fyne.Tappable's.
func (r *tapRow) Tapped(*fyne.PointEvent) { r.tapped() }

// TappedSecondary is fyne.SecondaryTappable's.
func (r *tapRow) TappedSecondary(e *fyne.PointEvent) {
	if r.menu != nil {
		r.menu(e.AbsolutePosition)
	}
}

// MouseIn is desktop.Hoverable's. Under X11 it comes during a drag, too, and shows where a drop goes.
func (r *tapRow) MouseIn(*desktop.MouseEvent) { r.hovered = true; r.Refresh() }

// MouseMoved is desktop.Hoverable's.
func (r *tapRow) MouseMoved(*desktop.MouseEvent) {}

// MouseOut is desktop.Hoverable's.
func (r *tapRow) MouseOut() { r.hovered = false; r.Refresh() }

// FocusGained is fyne.Focusable's.
func (r *tapRow) FocusGained() { r.focused = true; r.Refresh() }

// FocusLost is fyne.Focusable's.
func (r *tapRow) FocusLost() { r.focused = false; r.Refresh() }

// TypedRune is fyne.Focusable's.
func (r *tapRow) TypedRune(c rune) {
	if c == ' ' {
		r.tapped()
	}
}

// TypedKey is fyne.Focusable's.
func (r *tapRow) TypedKey(k *fyne.KeyEvent) {
	switch k.Name {
	case fyne.KeyReturn, fyne.KeyEnter:
		r.tapped()
	case desktop.KeyMenu:
		if r.menu != nil {
			r.menu(fyne.CurrentApp().Driver().AbsolutePositionForObject(r).AddXY(edge, r.Size().Height))
		}
	}
}

func (r *tapRow) choose(on bool) {
	if on != r.selected {
		r.selected = on
		r.Refresh()
	}
}

func (r *tapRow) paint() {
	switch {
	case r.selected:
		r.back.FillColor = tint(r, theme.ColorNameSelection)
	case r.hovered:
		r.back.FillColor = tint(r, theme.ColorNameHover)
	default:
		r.back.FillColor = color.Transparent
	}
	r.back.StrokeWidth = 0
	if r.focused || r.hovered {
		r.back.StrokeColor, r.back.StrokeWidth = tint(r, theme.ColorNameFocus), 1
	}
	if r.focused {
		r.back.StrokeColor, r.back.StrokeWidth = tint(r, theme.ColorNamePrimary), 2
	}
}

// Refresh is fyne.Widget's.
func (r *tapRow) Refresh() {
	r.paint()
	r.back.Refresh()
}

func (r *tapRow) CreateRenderer() fyne.WidgetRenderer {
	r.paint()
	return widget.NewSimpleRenderer(container.NewStack(r.back, inset(r.content, gap, gap, gap, gap)))
}
