package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/layout"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"
)

// modal is a question or a list over the window. Escape hides it, and so does the end of what it is about.
type modal struct {
	u       *UI
	pop     *widget.PopUp
	buttons []fyne.CanvasObject
	closed  func()
}

// hidden is what Escape closes: a modal, or a dialog of Fyne's.
type hidden interface{ Hide() }

// newModal makes a modal with a title, a body and buttons, of which the last one is the one that is meant.
func (u *UI) newModal(title string, body fyne.CanvasObject, width float32, buttons ...fyne.CanvasObject) *modal {
	m := &modal{u: u, closed: func() {}, buttons: buttons}
	head := newLine(title, sizeTitle, theme.ColorNameForeground, true)
	foot := append([]fyne.CanvasObject{layout.NewSpacer()}, buttons...)
	room := u.w.Canvas().Size()
	width = min(width, room.Width-2*edge)
	inner := newStackedInset(stacked{gap: edge, top: edgeWide, bottom: edge, left: edgeWide, right: edgeWide, width: width}, head, body, row(gap, foot...))
	m.pop = widget.NewModalPopUp(container.NewStack(newPanel(theme.ColorNameOverlayBackground, colorBorder, 12), inner), u.w.Canvas())
	m.pop.Resize(fyne.NewSize(width, heightOf(inner, width)))
	return m
}

// show opens it.
func (m *modal) show() {
	m.u.dialog = m
	m.pop.Show()
}

// Hide closes it. It is idempotent.
func (m *modal) Hide() {
	if !m.pop.Visible() {
		return
	}
	m.pop.Hide()
	if m.u.dialog == hidden(m) {
		m.u.dialog = nil
	}
	m.closed()
}

// ask asks before something is done; the button says what.
func (u *UI) ask(title, text, yes string, do func()) {
	var m *modal
	m = u.newModal(title, newParagraph(text, sizeBody, theme.ColorNameForeground), 420,
		newButton(tr("Cancel"), widget.MediumImportance, func() { m.Hide() }),
		newButton(yes, widget.HighImportance, func() {
			m.Hide()
			do()
			u.settle()
		}))
	u.trace("ask %q", title)
	m.show()
}

// list shows something long to read, in as much room as there is up to a size.
func (u *UI) list(title string, body fyne.CanvasObject, width, height float32) {
	scroll := container.NewVScroll(body)
	scroll.SetMinSize(fyne.NewSize(0, min(height, u.w.Canvas().Size().Height-180)))
	var m *modal
	m = u.newModal(title, scroll, width, newButton(tr("Close"), widget.MediumImportance, func() { m.Hide() }))
	m.show()
}
