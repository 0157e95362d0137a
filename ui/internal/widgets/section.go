package widgets

import (
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"
)

// Section returns a card with a heading.
func Section(name string, rows ...fyne.CanvasObject) fyne.CanvasObject {
	body := NewStackedInset(Stacked{Gap: GapWide, Top: Edge, Bottom: Edge, Left: Edge, Right: Edge}, rows...)
	return NewStacked(Gap, Heading(strings.ToUpper(name)), newFramed(body))
}

// framed is a card that is as high as its content.
type framed struct {
	widget.BaseWidget
	body *fyne.Container
}

func newFramed(body *fyne.Container) *framed {
	f := &framed{body: body}
	f.ExtendBaseWidget(f)
	return f
}

// HeightFor implements Flexible.
func (f *framed) HeightFor(width float32) float32 { return heightOf(f.body, width) }

func (f *framed) CreateRenderer() fyne.WidgetRenderer {
	return widget.NewSimpleRenderer(container.NewStack(NewPanel(ColorCard, ColorBorder, 12), f.body))
}

// Setting returns a row with a name, an explanation and a control. A toggle is next to the text; any other control is
// below it.
func Setting(name, about string, control fyne.CanvasObject) *fyne.Container {
	words := NewStacked(2, NewParagraph(name, SizeBody, theme.ColorNameForeground))
	if about != "" {
		words.Add(Hint(about))
	}
	switch c := control.(type) {
	case *Toggle:
		return NewBesideRight(Edge, words, c)
	case nil:
		return words
	}
	return NewStacked(Gap, words, control)
}
