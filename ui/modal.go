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
	u        *UI
	pop      *widget.PopUp
	inner    *fyne.Container
	wide     float32           // where there is room
	scroll   *container.Scroll // of a list; nil for none
	gutter   *fyne.Container   // what scrolls, with room for the bar where there is one
	tall     float32           // of that, where there is room
	buttons  []fyne.CanvasObject
	closed   func()
	declined func() // when it is answered with no
}

// hidden is what Escape closes: a modal, or a dialog of Fyne's.
type hidden interface{ Hide() }

// newModal makes a modal with a title, a body and buttons, of which the last one is the one that is meant.
func (u *UI) newModal(title string, body fyne.CanvasObject, width float32, buttons ...fyne.CanvasObject) *modal {
	m := &modal{u: u, closed: func() {}, buttons: buttons}
	head := newLine(title, sizeTitle, theme.ColorNameForeground, true)
	foot := append([]fyne.CanvasObject{layout.NewSpacer()}, buttons...)
	m.wide = width
	m.inner = newStackedInset(stacked{gap: edge, top: edgeWide, bottom: edge, left: edgeWide, right: edgeWide}, head, body, row(gap, foot...))
	m.pop = widget.NewModalPopUp(m.inner, u.w.Canvas())
	m.fit()
	return m
}

// modalRest is how much of the height is not for the body of a modal that scrolls.
const modalRest = 176

// fit gives the modal the size that the window has room for.
func (m *modal) fit() {
	room := m.u.w.Canvas().Size()
	width := min(m.wide, room.Width-2*edge)
	m.inner.Layout.(*stacked).width = width
	if m.scroll != nil {
		beside := float32(0)
		if m.tall > room.Height-modalRest {
			beside = gapWide
		}
		m.gutter.Layout = layout.NewCustomPaddedLayout(0, 0, 0, beside)
		m.gutter.Refresh()
		m.scroll.SetMinSize(fyne.NewSize(0, min(m.tall, room.Height-modalRest)))
	}
	m.pop.Resize(fyne.NewSize(width, heightOf(m.inner, width)))
}

// show opens it, in place of what is open.
func (m *modal) show() {
	if m.u.dialog != nil {
		m.u.dialog.Hide()
	}
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
func (u *UI) ask(title, text, yes string, do func()) *modal {
	return u.question(title, text, yes, widget.HighImportance, do)
}

// warn asks before something is done that cannot be taken back lightly.
func (u *UI) warn(title, text, yes string, do func()) *modal {
	return u.question(title, text, yes, widget.DangerImportance, do)
}

func (u *UI) question(title, text, yes string, importance widget.Importance, do func()) *modal {
	var m *modal
	said := false
	m = u.newModal(title, newParagraph(text, sizeBody, theme.ColorNameForeground), 420,
		newButton(tr("Cancel"), widget.MediumImportance, func() { m.Hide() }),
		newButton(yes, importance, func() {
			said = true
			m.Hide()
			do()
			u.settle()
		}))
	m.closed = func() {
		if !said && m.declined != nil {
			m.declined()
		}
	}
	u.trace("ask %q", title)
	m.show()
	return m
}

// list shows something long to read, in as much room as there is up to a size.
func (u *UI) list(title string, body fyne.CanvasObject, width, height float32) {
	room := u.w.Canvas().Size()
	tall := min(height, heightOf(body, min(width, room.Width-2*edge)-2*edgeWide))
	gutter := inset(body, 0, 0, 0, 0)
	shown, scroll := newScroll(gutter)
	var m *modal
	m = u.newModal(title, shown, width, newButton(tr("Close"), widget.MediumImportance, func() { m.Hide() }))
	m.scroll, m.gutter, m.tall = scroll, gutter, tall
	m.fit()
	m.show()
}
