package widgets

import (
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
)

// Toast is a temporary message at the top of the window, usually an error.
type Toast struct {
	w     fyne.Window
	Box   *fyne.Container
	Text  *Paragraph
	until time.Time
	body  *fyne.Container
}

const toastTime = 12 * time.Second

// NewToast returns a hidden toast; closeName names its button for screen readers.
func NewToast(w fyne.Window, closeName string) *Toast {
	t := &Toast{w: w, Text: NewParagraph("", SizeBody, theme.ColorNameForeground)}
	closeButton := NewIconButton(IconClose, closeName, func() { t.hide() })
	t.body = NewStackedInset(Stacked{Top: Gap, Bottom: Gap, Left: Edge, Right: Gap}, NewBesideRight(Gap, t.Text, closeButton))
	t.Box = container.NewStack(NewPanel(ColorBanner, "", 0), t.body)
	t.Box.Hide()
	return t
}

// Show shows a text for a while.
func (t *Toast) Show(text string) {
	t.Text.SetText(text)
	t.until = time.Now().Add(toastTime)
	t.body.Layout.(*Stacked).width = t.w.Canvas().Size().Width // otherwise its height would be that of a narrower one
	t.Box.Show()
	t.w.Content().Refresh()
}

func (t *Toast) hide() {
	t.Box.Hide()
	t.w.Content().Refresh()
}

// Age hides the toast when its time is over.
func (t *Toast) Age() {
	if t.Box.Visible() && time.Now().After(t.until) {
		t.hide()
	}
}
