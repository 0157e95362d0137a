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

// Action is one row of a menu. Without a label it is a separator, which is drawn only between two non-empty groups.
type Action struct {
	Label  string
	Do     func()
	Danger bool // the action is destructive
}

// PopMenu is a menu over the window, for mouse and keyboard. Fyne's own menu has fixed insets and no colour for
// destructive actions.
type PopMenu struct {
	widget.BaseWidget
	pop    *widget.PopUp
	Rows   []*MenuRow // without separators
	body   *fyne.Container
	chosen int // the row under the pointer or selected by keyboard; -1 for none
}

var _ fyne.Focusable = (*PopMenu)(nil)

// OpenMenu opens a menu at a position, moved as needed to fit into the canvas, and focuses it. If at.X is negative,
// at.X+1e4 is the position of the menu's right edge.
func OpenMenu(actions []Action, over fyne.Canvas, at fyne.Position) *PopMenu {
	m := newPopMenu(actions, over)
	space := over.Size()
	size := m.MinSize()
	if space.Height < size.Height+2*Gap {
		size.Height = space.Height - 2*Gap
	}
	if at.X < 0 {
		at.X += 1e4 - size.Width
	}
	m.pop.ShowAtPosition(fyne.NewPos(max(Gap, min(at.X, space.Width-size.Width-Gap)), max(Gap, min(at.Y, space.Height-size.Height-Gap))))
	m.pop.Resize(size)
	over.Focus(m)
	return m
}

func newPopMenu(actions []Action, over fyne.Canvas) *PopMenu {
	m := &PopMenu{chosen: -1}
	m.body = container.New(&Stacked{Top: GapTight, Bottom: GapTight, Left: GapTight, Right: GapTight})
	parted := false
	for _, a := range actions {
		if a.Label == "" {
			parted = len(m.Rows) > 0
			continue
		}
		if parted {
			rule := NewPanel(ColorBorder, "", 0)
			rule.rect.SetMinSize(fyne.NewSize(0, 1))
			m.body.Add(Inset(rule, GapTight, GapTight, GapWide, GapWide))
			parted = false
		}
		r := newMenuRow(m, len(m.Rows), a)
		m.Rows = append(m.Rows, r)
		m.body.Add(r)
	}
	m.ExtendBaseWidget(m)
	shown, _ := NewScroll(m)
	m.pop = widget.NewPopUp(container.NewStack(NewPanel(theme.ColorNameOverlayBackground, ColorBorder, 12), shown), over)
	return m
}

// MinSize is as wide as the longest label and as tall as all rows.
func (m *PopMenu) MinSize() fyne.Size {
	width := float32(180)
	for _, r := range m.Rows {
		width = max(width, r.MinSize().Width+2*GapTight)
	}
	return fyne.NewSize(width, heightOf(m.body, width))
}

// CreateRenderer implements fyne.Widget.
func (m *PopMenu) CreateRenderer() fyne.WidgetRenderer { return widget.NewSimpleRenderer(m.body) }

// IsOpen reports whether the menu is open.
func (m *PopMenu) IsOpen() bool { return m.pop.Visible() }

// Close closes the menu without running an action.
func (m *PopMenu) Close() { m.pop.Hide() }

func (m *PopMenu) choose(i int) {
	was := m.chosen
	m.chosen = i
	for _, j := range []int{was, i} {
		if j >= 0 {
			m.Rows[j].Refresh()
		}
	}
}

// take closes the menu and runs the action of a row.
func (m *PopMenu) take(i int) {
	m.pop.Hide()
	m.Rows[i].Do()
}

// FocusGained implements fyne.Focusable.
func (m *PopMenu) FocusGained() {}

// FocusLost implements fyne.Focusable.
func (m *PopMenu) FocusLost() {}

// TypedRune implements fyne.Focusable.
func (m *PopMenu) TypedRune(c rune) {
	if c == ' ' && m.chosen >= 0 {
		m.take(m.chosen)
	}
}

// TypedKey moves the selection, runs the selected action, or closes the menu.
func (m *PopMenu) TypedKey(k *fyne.KeyEvent) {
	n := len(m.Rows)
	switch k.Name {
	case fyne.KeyDown:
		m.choose((m.chosen + 1) % n)
	case fyne.KeyUp:
		m.choose((max(m.chosen, 0) + n - 1) % n)
	case fyne.KeyHome:
		m.choose(0)
	case fyne.KeyEnd:
		m.choose(n - 1)
	case fyne.KeyReturn, fyne.KeyEnter:
		if m.chosen >= 0 {
			m.take(m.chosen)
		}
	case fyne.KeyEscape:
		m.pop.Hide()
	}
}

// MenuRow is one action.
type MenuRow struct {
	widget.BaseWidget
	Action
	menu *PopMenu
	i    int
	back *canvas.Rectangle
	text *Line
}

var (
	_ fyne.Tappable     = (*MenuRow)(nil)
	_ fyne.Accessible   = (*MenuRow)(nil)
	_ desktop.Hoverable = (*MenuRow)(nil)
)

func newMenuRow(m *PopMenu, i int, a Action) *MenuRow {
	color := theme.ColorNameForeground
	if a.Danger {
		color = ColorBad
	}
	r := &MenuRow{Action: a, menu: m, i: i, back: canvas.NewRectangle(nil), text: NewLine(a.Label, SizeBody, color, false)}
	r.text.Fits = true
	r.back.CornerRadius = 8
	r.ExtendBaseWidget(r)
	return r
}

// AccessibilityLabel returns the label.
func (r *MenuRow) AccessibilityLabel() string { return r.Label }

// AccessibilityRole returns the button role.
func (r *MenuRow) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleButton }

// Tapped implements fyne.Tappable.
func (r *MenuRow) Tapped(*fyne.PointEvent) { r.menu.take(r.i) }

// MouseIn implements desktop.Hoverable.
func (r *MenuRow) MouseIn(*desktop.MouseEvent) { r.menu.choose(r.i) }

// MouseMoved implements desktop.Hoverable.
func (r *MenuRow) MouseMoved(*desktop.MouseEvent) {}

// MouseOut implements desktop.Hoverable.
func (r *MenuRow) MouseOut() { r.menu.choose(-1) }

// Refresh implements fyne.Widget.
func (r *MenuRow) Refresh() {
	r.paint()
	r.back.Refresh()
}

func (r *MenuRow) paint() {
	r.back.FillColor = color.Transparent
	if r.menu.chosen == r.i {
		r.back.FillColor = tint(r, theme.ColorNameSelection)
	}
}

// CreateRenderer implements fyne.Widget.
func (r *MenuRow) CreateRenderer() fyne.WidgetRenderer {
	r.paint()
	return widget.NewSimpleRenderer(container.NewStack(r.back, Inset(r.text, Gap, Gap, GapWide, GapWide)))
}
