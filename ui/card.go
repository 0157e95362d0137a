package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/widget"
)

const (
	cardWidth = 480
	cardWide  = 720
)

// card is the frame of everything in a timeline that is more than words.
type card struct {
	widget.BaseWidget
	out  bool
	wide bool            // in the middle, and wider, where no conversation has sides
	body *fyne.Container // a column of stacked
}

const (
	cardPadX = edge
	cardPadY = gapWide
)

func (c *card) init(self fyne.Widget, out bool, body *fyne.Container) {
	c.out, c.body = out, body
	c.ExtendBaseWidget(self)
}

// outer is the width of the card where so much is there.
func (c *card) outer(width float32) float32 {
	if c.wide {
		return min(cardWide, width)
	}
	return min(cardWidth, width)
}

func (c *card) heightFor(width float32) float32 {
	return heightOf(c.body, c.outer(width)-2*cardPadX) + 2*cardPadY
}

func (c *card) CreateRenderer() fyne.WidgetRenderer {
	back := newPanel(colorCard, colorBorder, 12)
	return widget.NewSimpleRenderer(container.New(cardLayout{c}, back, c.body))
}

// cardLayout puts the card at the side of who sent it.
type cardLayout struct{ c *card }

func (l cardLayout) MinSize(o []fyne.CanvasObject) fyne.Size {
	return fyne.NewSize(200, o[1].MinSize().Height+2*cardPadY)
}

func (l cardLayout) Layout(o []fyne.CanvasObject, s fyne.Size) {
	w, x := l.c.outer(s.Width), float32(0)
	switch {
	case l.c.wide:
		x = (s.Width - w) / 2
	case l.c.out:
		x = s.Width - w
	}
	o[0].Resize(fyne.NewSize(w, s.Height))
	o[0].Move(fyne.NewPos(x, 0))
	o[1].Resize(fyne.NewSize(w-2*cardPadX, s.Height-2*cardPadY))
	o[1].Move(fyne.NewPos(x+cardPadX, cardPadY))
}

// show makes an object visible or not, without a repaint when nothing changes.
func show(o fyne.CanvasObject, on bool) {
	if on == o.Visible() {
		return
	}
	if on {
		o.Show()
	} else {
		o.Hide()
	}
}

func newButton(label string, importance widget.Importance, tapped func()) *widget.Button {
	b := widget.NewButton(label, tapped)
	b.Importance = importance
	return b
}

// iconButton is a quiet button with an icon alone; name is for who cannot see it.
func iconButton(icon fyne.Resource, name string, tapped func()) *quietButton {
	b := &quietButton{name: name}
	b.Icon, b.OnTapped, b.Importance = icon, tapped, widget.LowImportance
	b.ExtendBaseWidget(b)
	return b
}

// quietButton is a button with an icon and a name that only screen readers and tests see.
type quietButton struct {
	widget.Button
	name string
}

// AccessibilityLabel is the name.
func (b *quietButton) AccessibilityLabel() string { return b.name }
