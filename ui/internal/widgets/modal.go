package widgets

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/layout"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"
)

// Modal is a dialog over the window. Escape closes it. The program closes it when its subject is gone, such as a link
// that was used.
type Modal struct {
	over     fyne.Canvas
	head     *Paragraph
	pop      *widget.PopUp
	inner    *fyne.Container
	wide     float32         // preferred width
	scroll   *Scroll         // of a list; nil for none
	gutter   *fyne.Container // the scrolled content, with room for the scroll bar if there is one
	tall     float32         // preferred height of the scrolled content
	Buttons  []fyne.CanvasObject
	Opens    func() // runs before the modal is shown
	Hides    func() // runs when the modal is closed, before Closed
	Closed   func()
	Declined func()      // runs when the user declines a question
	Ready    func() bool // reports whether a press on the yes button of a question counts; nil accepts every press
}

// NewModal returns a modal with a title, a body and buttons. The last button is the primary one.
func NewModal(over fyne.Canvas, title string, body fyne.CanvasObject, width float32, buttons ...fyne.CanvasObject) *Modal {
	m := &Modal{over: over, Opens: func() {}, Hides: func() {}, Closed: func() {}, Buttons: buttons}
	m.head = NewParagraph(title, SizeTitle, theme.ColorNameForeground)
	m.head.Bold = true
	foot := append([]fyne.CanvasObject{layout.NewSpacer()}, buttons...)
	m.wide = width
	m.inner = NewStackedInset(Stacked{Gap: Edge, Top: EdgeWide, Bottom: Edge, Left: EdgeWide, Right: EdgeWide}, m.head, body, Row(Gap, foot...))
	m.pop = widget.NewModalPopUp(container.New(&filled{}, NewPanel(theme.ColorNameOverlayBackground, ColorBorder, 12), m.inner), over)
	m.Fit()
	return m
}

// NewQuestion returns a modal that runs do if the user presses the yes button; otherwise it runs Declined.
func NewQuestion(over fyne.Canvas, title, text, cancel, yes string, importance widget.Importance, do func()) *Modal {
	var m *Modal
	said := false
	m = NewModal(over, title, NewParagraph(text, SizeBody, theme.ColorNameForeground), 420,
		NewButton(cancel, widget.MediumImportance, func() { m.Hide() }),
		NewButton(yes, importance, func() {
			if m.Ready != nil && !m.Ready() {
				return
			}
			said = true
			m.Hide()
			do()
		}))
	m.Closed = func() {
		if !said && m.Declined != nil {
			m.Declined()
		}
	}
	return m
}

// NewListModal returns a modal with a scrolling body. It takes the space available, up to the given size.
func NewListModal(over fyne.Canvas, title string, body fyne.CanvasObject, width, height float32, closeLabel string) *Modal {
	tall := min(height, heightOf(body, min(width, over.Size().Width-2*Edge)-2*EdgeWide))
	gutter := Inset(body, 0, 0, 0, 0)
	shown, scroll := NewScroll(gutter)
	var m *Modal
	m = NewModal(over, title, shown, width, NewButton(closeLabel, widget.MediumImportance, func() { m.Hide() }))
	m.scroll, m.gutter, m.tall = scroll, gutter, tall
	m.Fit()
	return m
}

// SetTitle changes the title. Call ShowAgain afterwards if the modal is open.
func (m *Modal) SetTitle(title string) { m.head.SetText(title) }

// modalRest is the height that a scrolling modal needs for everything except its body.
const modalRest = 176

// Fit fits the modal into the window.
func (m *Modal) Fit() {
	room := m.over.Size()
	width := min(m.wide, room.Width-2*Edge)
	m.inner.Layout.(*Stacked).width = width
	if m.scroll != nil {
		beside := float32(0)
		if m.tall > room.Height-modalRest {
			beside = GapWide
		}
		m.gutter.Layout = layout.NewCustomPaddedLayout(0, 0, 0, beside)
		m.gutter.Refresh()
		m.scroll.SetMinSize(fyne.NewSize(0, min(m.tall, room.Height-modalRest)))
	}
	m.pop.Resize(fyne.NewSize(width, heightOf(m.inner, width)))
}

// ShowAgain centres an open modal again after the size of the window or its content has changed.
func (m *Modal) ShowAgain() {
	m.pop.Hide()
	m.Fit()
	m.pop.Show()
}

// Place returns the position and the size of the modal.
func (m *Modal) Place() (fyne.Position, fyne.Size) { return m.pop.Position(), m.pop.Size() }

// Show opens the modal.
func (m *Modal) Show() {
	m.Opens()
	m.pop.Show()
}

// Hide closes the modal. It is idempotent.
func (m *Modal) Hide() {
	if !m.pop.Visible() {
		return
	}
	m.pop.Hide()
	m.Hides()
	m.Closed()
}
