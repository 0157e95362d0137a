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

// action is one row of a menu; without a label it is the line between two groups, where there is something in both.
type action struct {
	label  string
	do     func()
	danger bool // it takes something away
}

// popMenu is a menu over the window, for the mouse and for the keyboard. Fyne's own has insets of its own and no colour
// for what is dangerous.
type popMenu struct {
	widget.BaseWidget
	pop    *widget.PopUp
	rows   []*menuRow // without the lines between
	body   *fyne.Container
	chosen int // the row under the pointer, or that the keys have come to; -1 is none
}

var _ fyne.Focusable = (*popMenu)(nil)

// showMenu opens a menu within the window; where there is no room at its place, as near as can be.
func (u *UI) showMenu(actions []action, at fyne.Position) {
	if len(actions) == 0 {
		return
	}
	m := newPopMenu(actions, u.w.Canvas())
	u.menu = m
	room := u.w.Canvas().Size()
	size := m.MinSize()
	if room.Height < size.Height+2*gap {
		size.Height = room.Height - 2*gap
	}
	if at.X < 0 { // from the right
		at.X += 1e4 - size.Width
	}
	m.pop.ShowAtPosition(fyne.NewPos(max(gap, min(at.X, room.Width-size.Width-gap)), max(gap, min(at.Y, room.Height-size.Height-gap))))
	m.pop.Resize(size)
	u.w.Canvas().Focus(m)
}

func newPopMenu(actions []action, over fyne.Canvas) *popMenu {
	m := &popMenu{chosen: -1}
	m.body = container.New(&stacked{top: gapTight, bottom: gapTight, left: gapTight, right: gapTight})
	parted := false
	for _, a := range actions {
		if a.label == "" {
			parted = len(m.rows) > 0
			continue
		}
		if parted {
			rule := newPanel(colorBorder, "", 0)
			rule.rect.SetMinSize(fyne.NewSize(0, 1))
			m.body.Add(inset(rule, gapTight, gapTight, gapWide, gapWide))
			parted = false
		}
		r := newMenuRow(m, len(m.rows), a)
		m.rows = append(m.rows, r)
		m.body.Add(r)
	}
	m.ExtendBaseWidget(m)
	shown, _ := newScroll(m)
	m.pop = widget.NewPopUp(container.NewStack(newPanel(theme.ColorNameOverlayBackground, colorBorder, 12), shown), over)
	return m
}

// MinSize is as wide as the longest label and as tall as all.
func (m *popMenu) MinSize() fyne.Size {
	width := float32(180)
	for _, r := range m.rows {
		width = max(width, r.MinSize().Width+2*gapTight)
	}
	return fyne.NewSize(width, heightOf(m.body, width))
}

func (m *popMenu) CreateRenderer() fyne.WidgetRenderer { return widget.NewSimpleRenderer(m.body) }

// open tells whether it is open.
func (m *popMenu) open() bool { return m.pop.Visible() }

func (m *popMenu) choose(i int) {
	was := m.chosen
	m.chosen = i
	for _, j := range []int{was, i} {
		if j >= 0 {
			m.rows[j].Refresh()
		}
	}
}

// take closes the menu and does what a row says.
func (m *popMenu) take(i int) {
	m.pop.Hide()
	m.rows[i].do()
}

// FocusGained is fyne.Focusable's.
func (m *popMenu) FocusGained() {}

// FocusLost is fyne.Focusable's.
func (m *popMenu) FocusLost() {}

// TypedRune is fyne.Focusable's.
func (m *popMenu) TypedRune(c rune) {
	if c == ' ' && m.chosen >= 0 {
		m.take(m.chosen)
	}
}

// TypedKey goes through the rows, takes one, or closes the menu.
func (m *popMenu) TypedKey(k *fyne.KeyEvent) {
	n := len(m.rows)
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

// menuRow is one action.
type menuRow struct {
	widget.BaseWidget
	action
	menu *popMenu
	i    int
	back *canvas.Rectangle
	text *line
}

var (
	_ fyne.Tappable     = (*menuRow)(nil)
	_ fyne.Accessible   = (*menuRow)(nil)
	_ desktop.Hoverable = (*menuRow)(nil)
)

func newMenuRow(m *popMenu, i int, a action) *menuRow {
	color := theme.ColorNameForeground
	if a.danger {
		color = colorBad
	}
	r := &menuRow{action: a, menu: m, i: i, back: canvas.NewRectangle(nil), text: newLine(a.label, sizeBody, color, false)}
	r.text.fits = true
	r.back.CornerRadius = 8
	r.ExtendBaseWidget(r)
	return r
}

// AccessibilityLabel is the text.
func (r *menuRow) AccessibilityLabel() string { return r.label }

// AccessibilityRole is that of a button.
func (r *menuRow) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleButton }

// Tapped is fyne.Tappable's.
func (r *menuRow) Tapped(*fyne.PointEvent) { r.menu.take(r.i) }

// MouseIn is desktop.Hoverable's.
func (r *menuRow) MouseIn(*desktop.MouseEvent) { r.menu.choose(r.i) }

// MouseMoved is desktop.Hoverable's.
func (r *menuRow) MouseMoved(*desktop.MouseEvent) {}

// MouseOut is desktop.Hoverable's.
func (r *menuRow) MouseOut() { r.menu.choose(-1) }

// Refresh is fyne.Widget's.
func (r *menuRow) Refresh() {
	r.paint()
	r.back.Refresh()
}

func (r *menuRow) paint() {
	r.back.FillColor = color.Transparent
	if r.menu.chosen == r.i {
		r.back.FillColor = tint(r, theme.ColorNameSelection)
	}
}

func (r *menuRow) CreateRenderer() fyne.WidgetRenderer {
	r.paint()
	return widget.NewSimpleRenderer(container.NewStack(r.back, inset(r.text, gap, gap, gapWide, gapWide)))
}
