package widgets

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"
)

// panel is a coloured rectangle to put behind other objects.
type panel struct {
	widget.BaseWidget
	fill, stroke fyne.ThemeColorName // stroke may be empty
	ring         bool                // the stroke shows the focus
	rect         *canvas.Rectangle
}

// focusWidth is the width of the stroke that shows the focus.
const focusWidth = 2

// NewPanel returns a panel with rounded corners.
func NewPanel(fill, stroke fyne.ThemeColorName, radius float32) *panel {
	p := &panel{fill: fill, stroke: stroke, rect: canvas.NewRectangle(color.Transparent)}
	p.rect.CornerRadius = radius
	p.ExtendBaseWidget(p)
	p.paint()
	return p
}

func (p *panel) paint() {
	p.rect.FillColor = tint(p, p.fill)
	switch {
	case p.ring:
		p.rect.StrokeColor, p.rect.StrokeWidth = tint(p, theme.ColorNamePrimary), focusWidth
	case p.stroke != "":
		p.rect.StrokeColor, p.rect.StrokeWidth = tint(p, p.stroke), 1
	}
}

func (p *panel) Refresh() {
	p.paint()
	p.rect.Refresh()
}

func (p *panel) CreateRenderer() fyne.WidgetRenderer {
	p.paint()
	return widget.NewSimpleRenderer(p.rect)
}

// NewFilled puts a panel behind content whose height depends on its width.
func NewFilled(fill fyne.ThemeColorName, radius float32, content *fyne.Container) *fyne.Container {
	return container.New(&filled{}, NewPanel(fill, "", radius), content)
}

// filled gives both of its objects all the space.
type filled struct{}

// MinSize implements fyne.Layout.
func (filled) MinSize(o []fyne.CanvasObject) fyne.Size { return o[1].MinSize() }

// Layout implements fyne.Layout.
func (filled) Layout(o []fyne.CanvasObject, s fyne.Size) {
	for _, object := range o {
		object.Resize(s)
		object.Move(fyne.NewPos(0, 0))
	}
}
