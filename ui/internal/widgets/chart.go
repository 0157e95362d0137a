package widgets

import (
	"image/color"
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"
)

// Chart shows the rate of the last minute as bars, scaled to the highest one.
type Chart struct {
	widget.BaseWidget
	bars   [60]*canvas.Rectangle
	values [60]float64
}

// NewChart returns an empty chart.
func NewChart() *Chart {
	c := &Chart{}
	for i := range c.bars {
		c.bars[i] = canvas.NewRectangle(color.Transparent)
	}
	c.ExtendBaseWidget(c)
	return c
}

// Busy reports whether anything moved in the last minute.
func (c *Chart) Busy() bool {
	return slices.ContainsFunc(c.values[:], func(v float64) bool { return v > 0 })
}

// Add appends the value of one second. It does not repaint while all values are zero.
func (c *Chart) Add(v float64) {
	idle := v == 0 && !c.Busy()
	copy(c.values[:], c.values[1:])
	c.values[len(c.values)-1] = v
	if !idle {
		c.Refresh()
	}
}

// CreateRenderer implements fyne.Widget.
func (c *Chart) CreateRenderer() fyne.WidgetRenderer { return &chartRenderer{c} }

type chartRenderer struct{ c *Chart }

func (r *chartRenderer) MinSize() fyne.Size { return fyne.NewSize(120, 32) }
func (r *chartRenderer) Layout(s fyne.Size) {
	top := 1.0
	for _, v := range r.c.values {
		top = max(top, v)
	}
	w := s.Width / float32(len(r.c.bars))
	for i, b := range r.c.bars {
		h := s.Height * float32(r.c.values[i]/top)
		b.FillColor = tint(r.c, theme.ColorNamePrimary)
		if h < 1 { // draws the baseline
			h, b.FillColor = 1, tint(r.c, ColorTrack)
		}
		b.Resize(fyne.NewSize(max(1, w-0.5), h))
		b.Move(fyne.NewPos(float32(i)*w, s.Height-h))
	}
}

func (r *chartRenderer) Refresh() {
	r.Layout(r.c.Size())
	canvas.Refresh(r.c)
}

func (r *chartRenderer) Objects() (out []fyne.CanvasObject) {
	for _, b := range r.c.bars {
		out = append(out, b)
	}
	return out
}
func (r *chartRenderer) Destroy() {}
