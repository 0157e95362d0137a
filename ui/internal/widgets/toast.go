package widgets

import (
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"
)

// Toast is a temporary message over the bottom of the window, usually an error. It overlays the page and does not
// change the layout.
type Toast struct {
	Box   *fyne.Container
	Text  *Paragraph
	until time.Time
	more  *widget.Button
	do    func()
}

const toastTime = 12 * time.Second

// NewToast returns a hidden toast; closeName names its button for screen readers. The caller must stack Box over the
// page. left returns how much space to leave free on the left.
func NewToast(closeName string, left func() float32) *Toast {
	t := &Toast{Text: NewParagraph("", SizeBody, theme.ColorNameForeground)}
	closeButton := NewIconButton(IconClose, closeName, func() { t.hide() })
	t.more = NewButton("", widget.MediumImportance, func() {
		t.hide()
		t.do()
	})
	t.more.Hide()
	body := NewStackedInset(Stacked{Top: Gap, Bottom: Gap, Left: Edge, Right: Gap}, NewBesideRight(Gap, t.Text, Row(Gap, t.more, closeButton)))
	t.Box = container.New(floating{bottom: true, left: left}, container.NewStack(NewPanel(ColorBanner, ColorBorder, 12), body))
	t.Box.Hide()
	return t
}

// NewOverTop returns content in a card that overlays the top of the space. left returns how much space to leave free on
// the left.
func NewOverTop(content fyne.CanvasObject, left func() float32) *fyne.Container {
	body := NewStackedInset(Stacked{Top: GapWide, Bottom: GapWide, Left: Edge, Right: Edge}, content)
	return container.New(floating{left: left}, container.NewStack(NewPanel(ColorCard, theme.ColorNamePrimary, 12), body))
}

// floating places its only object over the top or the bottom of the space, centred horizontally.
type floating struct {
	bottom bool
	left   func() float32 // nil for nothing
}

const floatingWidth = 560

// MinSize implements fyne.Layout. The object takes no space.
func (floating) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.Size{} }

// Layout implements fyne.Layout.
func (f floating) Layout(o []fyne.CanvasObject, space fyne.Size) {
	left := float32(0)
	if f.left != nil {
		left = f.left()
	}
	w := min(floatingWidth, space.Width-left-2*Edge)
	h := heightOf(o[0], w)
	y := float32(HeadHeight + Gap) // the page header stays visible
	if f.bottom {
		y = space.Height - h - toastBottom
	}
	o[0].Resize(fyne.NewSize(w, h))
	o[0].Move(fyne.NewPos(left+(space.Width-left-w)/2, y))
}

// toastBottom keeps the toast clear of the message field.
const toastBottom = 72

// Show shows text for a few seconds.
func (t *Toast) Show(text string) { t.show(text, "", nil) }

// ShowMore shows text with a button for a few seconds.
func (t *Toast) ShowMore(text, label string, do func()) { t.show(text, label, do) }

func (t *Toast) show(text, label string, do func()) {
	t.Text.SetText(text)
	t.do = do
	t.more.SetText(label)
	Show(t.more, do != nil)
	t.until = time.Now().Add(toastTime)
	t.Box.Show()
	t.Box.Refresh()
}

func (t *Toast) hide() { t.Box.Hide() }

// Age hides the toast when its time is over.
func (t *Toast) Age() {
	if t.Box.Visible() && time.Now().After(t.until) {
		t.hide()
	}
}
