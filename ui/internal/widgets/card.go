package widgets

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/widget"
)

const (
	CardWidth = 480
	cardWide  = 720
	// cardSide is the least space beside a card, on the side of the other device: it shows who has sent the card.
	cardSide = 40
)

// Card is the frame of every timeline row that is not just text.
type Card struct {
	widget.BaseWidget
	out  bool
	Wide bool            // centred and wider, on pages that do not separate sent from received
	Body *fyne.Container // a column with a stacked layout
}

const (
	CardPadX = Edge
	cardPadY = GapWide
)

// Init prepares the card of self with body as its content. out puts it on the side of the user's own messages.
func (c *Card) Init(self fyne.Widget, out bool, body *fyne.Container) {
	c.out, c.Body = out, body
	c.ExtendBaseWidget(self)
}

// outer returns the width of the card: less than its usual width if less is available.
func (c *Card) outer(width float32) float32 {
	if c.Wide {
		return min(cardWide, width)
	}
	return min(CardWidth, width-cardSide)
}

// HeightFor implements Flexible.
func (c *Card) HeightFor(width float32) float32 {
	return heightOf(c.Body, c.outer(width)-2*CardPadX) + 2*cardPadY
}

// CreateRenderer implements fyne.Widget.
func (c *Card) CreateRenderer() fyne.WidgetRenderer {
	fill := ColorCard
	if c.out {
		fill = ColorCardOut
	}
	back := NewPanel(fill, ColorBorder, 12)
	return widget.NewSimpleRenderer(container.New(cardLayout{c}, back, c.Body))
}

// cardLayout aligns the card to the sender's side.
type cardLayout struct{ c *Card }

func (l cardLayout) MinSize(o []fyne.CanvasObject) fyne.Size {
	return fyne.NewSize(200, o[1].MinSize().Height+2*cardPadY)
}

func (l cardLayout) Layout(o []fyne.CanvasObject, s fyne.Size) {
	w, x := l.c.outer(s.Width), float32(0)
	switch {
	case l.c.Wide:
		x = (s.Width - w) / 2
	case l.c.out:
		x = s.Width - w
	}
	o[0].Resize(fyne.NewSize(w, s.Height))
	o[0].Move(fyne.NewPos(x, 0))
	o[1].Resize(fyne.NewSize(w-2*CardPadX, s.Height-2*cardPadY))
	o[1].Move(fyne.NewPos(x+CardPadX, cardPadY))
}

// Show shows or hides an object. It does not repaint if nothing changes.
func Show(o fyne.CanvasObject, on bool) {
	if on == o.Visible() {
		return
	}
	if on {
		o.Show()
	} else {
		o.Hide()
	}
}

// NewButton returns a button with a label.
func NewButton(label string, importance widget.Importance, tapped func()) *widget.Button {
	b := widget.NewButton(label, tapped)
	b.Importance = importance
	return b
}

// NewIconButton returns a low-importance button with only an icon; name is for screen readers.
func NewIconButton(icon fyne.Resource, name string, tapped func()) *QuietButton {
	b := &QuietButton{name: name}
	b.Icon, b.OnTapped, b.Importance = icon, tapped, widget.LowImportance
	b.ExtendBaseWidget(b)
	return b
}

// QuietButton is a button with an icon and a name that only screen readers and tests see.
type QuietButton struct {
	widget.Button
	name string
}

// AccessibilityLabel returns the name.
func (b *QuietButton) AccessibilityLabel() string { return b.name }
