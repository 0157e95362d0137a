package widgets

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"
)

// TapRow is a row that can be hovered, tapped, selected and reached by the keyboard.
type TapRow struct {
	widget.BaseWidget
	Label    func() string // for screen readers
	Content  fyne.CanvasObject
	back     *canvas.Rectangle
	Selected bool
	Outlined bool // a selected row has an outline
	hovered  bool
	focused  bool
	tapped   func()
	OnMenu   func(at fyne.Position) // opens the context menu; nil for none
	OnFocus  func()                 // runs when the row gains the focus; nil for none
	OnMove   func(right, down int)  // moves the focus to another row; nil for none
	skipped  bool
}

var (
	_ fyne.Tappable          = (*TapRow)(nil)
	_ fyne.SecondaryTappable = (*TapRow)(nil)
	_ fyne.Focusable         = (*TapRow)(nil)
	_ fyne.Accessible        = (*TapRow)(nil)
	_ desktop.Hoverable      = (*TapRow)(nil)
	_ fyne.Disableable       = (*TapRow)(nil)
)

// NewTapRow returns a row around its content.
func NewTapRow(content fyne.CanvasObject, tapped func()) *TapRow {
	r := &TapRow{Content: content, back: canvas.NewRectangle(color.Transparent), tapped: tapped, Label: func() string { return "" }}
	r.back.CornerRadius = 8
	r.ExtendBaseWidget(r)
	return r
}

// AccessibilityLabel returns the row's label.
func (r *TapRow) AccessibilityLabel() string { return r.Label() }

// AccessibilityRole returns the button role.
func (r *TapRow) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleButton }

// Tapped implements fyne.Tappable.
func (r *TapRow) Tapped(*fyne.PointEvent) { r.tapped() }

// TappedSecondary implements fyne.SecondaryTappable.
func (r *TapRow) TappedSecondary(e *fyne.PointEvent) {
	if r.OnMenu != nil {
		r.OnMenu(e.AbsolutePosition)
	}
}

// MouseIn implements desktop.Hoverable. Under X11 it is also called during a drag, and shows where the drop will go.
func (r *TapRow) MouseIn(*desktop.MouseEvent) { r.hovered = true; r.Refresh() }

// MouseMoved implements desktop.Hoverable.
func (r *TapRow) MouseMoved(*desktop.MouseEvent) {}

// MouseOut implements desktop.Hoverable.
func (r *TapRow) MouseOut() { r.hovered = false; r.Refresh() }

// FocusGained implements fyne.Focusable.
func (r *TapRow) FocusGained() {
	r.focused = true
	r.Refresh()
	if r.OnFocus != nil {
		r.OnFocus()
	}
}

// Skip makes Tab skip the row, because the arrow keys reach it from another one.
func (r *TapRow) Skip(on bool) { r.skipped = on }

// Disabled implements fyne.Disableable: Fyne's Tab skips disabled widgets. A row can always be tapped.
func (r *TapRow) Disabled() bool { return r.skipped }

// Enable implements fyne.Disableable.
func (r *TapRow) Enable() { r.skipped = false }

// Disable implements fyne.Disableable.
func (r *TapRow) Disable() { r.skipped = true }

// FocusLost implements fyne.Focusable.
func (r *TapRow) FocusLost() { r.focused = false; r.Refresh() }

// TypedRune implements fyne.Focusable.
func (r *TapRow) TypedRune(c rune) {
	if c == ' ' {
		r.tapped()
	}
}

// TypedKey implements fyne.Focusable.
func (r *TapRow) TypedKey(k *fyne.KeyEvent) {
	switch k.Name {
	case fyne.KeyReturn, fyne.KeyEnter:
		r.tapped()
	case fyne.KeyUp:
		r.move(0, -1)
	case fyne.KeyDown:
		r.move(0, 1)
	case fyne.KeyLeft:
		r.move(-1, 0)
	case fyne.KeyRight:
		r.move(1, 0)
	case desktop.KeyMenu:
		if r.OnMenu != nil {
			r.OnMenu(fyne.CurrentApp().Driver().AbsolutePositionForObject(r).AddXY(Edge, r.Size().Height))
		}
	}
}

func (r *TapRow) move(right, down int) {
	if r.OnMove != nil {
		r.OnMove(right, down)
	}
}

// HeightFor implements Flexible.
func (r *TapRow) HeightFor(width float32) float32 { return heightOf(r.Content, width-2*Gap) + 2*Gap }

// Choose sets whether the row is selected.
func (r *TapRow) Choose(on bool) {
	if on != r.Selected {
		r.Selected = on
		r.Refresh()
	}
}

func (r *TapRow) paint() {
	switch {
	case r.Selected:
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
	if r.focused || r.Selected && (r.Outlined || highContrast(r)) {
		r.back.StrokeColor, r.back.StrokeWidth = tint(r, theme.ColorNamePrimary), 2
	}
}

// Refresh implements fyne.Widget.
func (r *TapRow) Refresh() {
	r.paint()
	r.back.Refresh()
}

// CreateRenderer implements fyne.Widget.
func (r *TapRow) CreateRenderer() fyne.WidgetRenderer {
	r.paint()
	return widget.NewSimpleRenderer(container.NewStack(r.back, Inset(r.Content, Gap, Gap, Gap, Gap)))
}
