package widgets

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"
)

// ThinBar is a progress bar 4 units high. Its text is a separate widget.
type ThinBar struct {
	widget.BaseWidget
	track, fill *canvas.Rectangle
	part        float64 // 0..1
}

const barHeight = 4

// NewThinBar returns an empty bar.
func NewThinBar() *ThinBar {
	b := &ThinBar{track: canvas.NewRectangle(color.Transparent), fill: canvas.NewRectangle(color.Transparent)}
	b.track.CornerRadius, b.fill.CornerRadius = barHeight/2, barHeight/2
	b.ExtendBaseWidget(b)
	return b
}

// Set shows progress. It skips changes of less than a pixel, because every refresh repaints the window.
func (b *ThinBar) Set(part float64) {
	part = min(1, max(0, part))
	if d := part - b.part; d != 0 && (d < 0 || d > 0.002 || part == 1) {
		b.part = part
		b.Refresh()
	}
}

// CreateRenderer implements fyne.Widget.
func (b *ThinBar) CreateRenderer() fyne.WidgetRenderer {
	r := &thinBarRenderer{b}
	r.paint()
	return r
}

type thinBarRenderer struct{ b *ThinBar }

func (r *thinBarRenderer) MinSize() fyne.Size { return fyne.NewSize(40, barHeight) }
func (r *thinBarRenderer) Layout(s fyne.Size) {
	y := (s.Height - barHeight) / 2
	r.b.track.Move(fyne.NewPos(0, y))
	r.b.track.Resize(fyne.NewSize(s.Width, barHeight))
	r.b.fill.Move(fyne.NewPos(0, y))
	r.b.fill.Resize(fyne.NewSize(s.Width*float32(r.b.part), barHeight))
}

func (r *thinBarRenderer) paint() {
	r.b.track.FillColor, r.b.fill.FillColor = tint(r.b, ColorTrack), tint(r.b, theme.ColorNamePrimary)
	r.b.fill.Hidden = r.b.part == 0
}

func (r *thinBarRenderer) Refresh() {
	r.paint()
	r.Layout(r.b.Size())
	canvas.Refresh(r.b)
}

func (r *thinBarRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.b.track, r.b.fill}
}
func (r *thinBarRenderer) Destroy() {}
