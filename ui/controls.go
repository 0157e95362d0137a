package ui

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"
)

// focusable is what own controls share: a ring for the keyboard's focus.
type focusable struct {
	widget.BaseWidget
	focused bool
}

// FocusGained is fyne.Focusable's.
func (f *focusable) FocusGained() { f.focused = true; f.Refresh() }

// FocusLost is fyne.Focusable's.
func (f *focusable) FocusLost() { f.focused = false; f.Refresh() }

// toggle is a switch that is on or off.
type toggle struct {
	focusable
	name    string // for screen readers
	on      bool
	changed func(bool)
	track   *canvas.Rectangle
	knob    *canvas.Circle
	mark    *canvas.Line // that it is on, for who does not see the colour
}

var (
	_ fyne.Tappable   = (*toggle)(nil)
	_ fyne.Focusable  = (*toggle)(nil)
	_ fyne.Accessible = (*toggle)(nil)
)

func newToggle(name string, on bool, changed func(bool)) *toggle {
	t := &toggle{name: name, on: on, changed: changed, track: canvas.NewRectangle(color.Transparent), knob: canvas.NewCircle(color.White), mark: canvas.NewLine(color.White)}
	t.track.CornerRadius, t.mark.StrokeWidth = 11, 2
	t.ExtendBaseWidget(t)
	return t
}

// AccessibilityLabel is the name with the state.
func (t *toggle) AccessibilityLabel() string {
	if t.on {
		return t.name + ": " + tr("on")
	}
	return t.name + ": " + tr("off")
}

// AccessibilityRole is that of a button.
func (t *toggle) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleButton }

// Tapped is fyne.Tappable's.
func (t *toggle) Tapped(*fyne.PointEvent) {
	t.on = !t.on
	t.Refresh()
	t.changed(t.on)
}

// TypedRune is fyne.Focusable's.
func (t *toggle) TypedRune(r rune) {
	if r == ' ' {
		t.Tapped(nil)
	}
}

// TypedKey is fyne.Focusable's.
func (t *toggle) TypedKey(k *fyne.KeyEvent) {
	if k.Name == fyne.KeyReturn || k.Name == fyne.KeyEnter {
		t.Tapped(nil)
	}
}

func (t *toggle) set(on bool) {
	if t.on != on {
		t.on = on
		t.Refresh()
	}
}

func (t *toggle) CreateRenderer() fyne.WidgetRenderer { return &toggleRenderer{t} }

type toggleRenderer struct{ t *toggle }

func (r *toggleRenderer) MinSize() fyne.Size { return fyne.NewSize(40, 24) }
func (r *toggleRenderer) Layout(s fyne.Size) {
	t := r.t
	at := fyne.NewPos(s.Width-40, (s.Height-22)/2)
	t.track.Resize(fyne.NewSize(40, 22))
	t.track.Move(at)
	t.track.StrokeWidth = 1
	t.knob.Resize(fyne.NewSquareSize(16))
	t.knob.FillColor = color.White
	if t.on {
		t.track.FillColor, t.track.StrokeColor = tint(t, theme.ColorNamePrimary), tint(t, theme.ColorNamePrimary)
		t.knob.FillColor = tint(t, theme.ColorNameForegroundOnPrimary)
		t.knob.Move(at.AddXY(21, 3))
	} else {
		t.track.FillColor, t.track.StrokeColor = tint(t, colorTrack), tint(t, colorSubtle)
		t.knob.FillColor = tint(t, colorSubtle)
		t.knob.Move(at.AddXY(3, 3))
	}
	t.mark.Hidden = !t.on
	t.mark.StrokeColor = tint(t, theme.ColorNameForegroundOnPrimary)
	t.mark.Position1, t.mark.Position2 = at.AddXY(12, 7), at.AddXY(12, 15)
	if t.focused {
		t.track.StrokeColor, t.track.StrokeWidth = tint(t, theme.ColorNameForeground), 2
	}
}

func (r *toggleRenderer) Refresh() {
	r.Layout(r.t.Size())
	canvas.Refresh(r.t)
}

func (r *toggleRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.t.track, r.t.knob, r.t.mark}
}
func (r *toggleRenderer) Destroy() {}

// segments is a choice of few, side by side; where there is no room they go on in the next line.
type segments struct {
	focusable
	labels  []string
	texts   []*canvas.Text
	backs   []*canvas.Rectangle
	chosen  int
	changed func(int) // may be nil
	width   float32
}

var (
	_ fyne.Tappable   = (*segments)(nil)
	_ fyne.Focusable  = (*segments)(nil)
	_ fyne.Accessible = (*segments)(nil)
)

func newSegments(labels []string, chosen int, changed func(int)) *segments {
	s := &segments{labels: labels, chosen: chosen, changed: changed}
	for _, l := range labels {
		s.texts = append(s.texts, canvas.NewText(l, nil))
		r := canvas.NewRectangle(color.Transparent)
		r.CornerRadius = 8
		s.backs = append(s.backs, r)
	}
	s.ExtendBaseWidget(s)
	return s
}

// AccessibilityLabel is the choice that is made.
func (s *segments) AccessibilityLabel() string { return s.labels[s.chosen] }

// AccessibilityRole is that of a button.
func (s *segments) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleButton }

func (s *segments) choose(i int) {
	if i < 0 || i >= len(s.labels) || i == s.chosen {
		return
	}
	s.chosen = i
	s.Refresh()
	if s.changed != nil {
		s.changed(i)
	}
}

// Tapped is fyne.Tappable's.
func (s *segments) Tapped(e *fyne.PointEvent) {
	for i, b := range s.backs {
		if p, m := b.Position(), b.Size(); e.Position.X >= p.X && e.Position.X < p.X+m.Width && e.Position.Y >= p.Y && e.Position.Y < p.Y+m.Height {
			s.choose(i)
		}
	}
}

// TypedRune is fyne.Focusable's.
func (s *segments) TypedRune(rune) {}

// TypedKey is fyne.Focusable's.
func (s *segments) TypedKey(k *fyne.KeyEvent) {
	switch k.Name {
	case fyne.KeyLeft:
		s.choose(s.chosen - 1)
	case fyne.KeyRight:
		s.choose(s.chosen + 1)
	}
}

func (s *segments) arrange(width float32, place func(i int, x, y, w, h float32)) float32 {
	size := s.Theme().Size(sizeCaption)
	h := fyne.MeasureText("X", size, fyne.TextStyle{}).Height + 2*6
	x, y := float32(0), float32(0)
	for i, l := range s.labels {
		w := fyne.MeasureText(l, size, fyne.TextStyle{Bold: true}).Width + 2*gapWide
		if x > 0 && x+w > width {
			x, y = 0, y+h+gap
		}
		place(i, x, y, w, h)
		x += w + gap
	}
	return y + h
}

func (s *segments) heightFor(width float32) float32 {
	return s.arrange(width, func(int, float32, float32, float32, float32) {})
}

func (s *segments) CreateRenderer() fyne.WidgetRenderer {
	r := &segmentsRenderer{s}
	r.paint()
	return r
}

type segmentsRenderer struct{ s *segments }

func (r *segmentsRenderer) MinSize() fyne.Size {
	w := r.s.width
	if w == 0 {
		w = 1e6
	}
	return fyne.NewSize(60, r.s.heightFor(w))
}

func (r *segmentsRenderer) Layout(size fyne.Size) {
	s := r.s
	s.width = size.Width
	s.arrange(size.Width, func(i int, x, y, w, h float32) {
		s.backs[i].Move(fyne.NewPos(x, y))
		s.backs[i].Resize(fyne.NewSize(w, h))
		s.texts[i].Move(fyne.NewPos(x, y))
		s.texts[i].Resize(fyne.NewSize(w, h))
	})
}

func (r *segmentsRenderer) paint() {
	s := r.s
	for i, t := range s.texts {
		t.TextSize, t.Alignment = s.Theme().Size(sizeCaption), fyne.TextAlignCenter
		t.TextStyle.Bold = i == s.chosen
		b := s.backs[i]
		b.StrokeWidth = s.Theme().Size(theme.SizeNameInputBorder)
		if i == s.chosen {
			t.Color, b.FillColor, b.StrokeColor = tint(s, theme.ColorNameForeground), tint(s, theme.ColorNameSelection), tint(s, theme.ColorNamePrimary)
			if s.focused {
				b.StrokeWidth = 2
			}
		} else {
			t.Color, b.FillColor, b.StrokeColor = tint(s, theme.ColorNameForeground), tint(s, colorCard), tint(s, theme.ColorNameInputBorder)
		}
	}
}

func (r *segmentsRenderer) Refresh() {
	r.paint()
	r.Layout(r.s.Size())
	canvas.Refresh(r.s)
}

func (r *segmentsRenderer) Objects() (out []fyne.CanvasObject) {
	for i := range r.s.texts {
		out = append(out, r.s.backs[i], r.s.texts[i])
	}
	return out
}
func (r *segmentsRenderer) Destroy() {}

// swatches is a choice of colours.
type swatches struct {
	focusable
	discs   []*canvas.Circle
	ring    *canvas.Circle
	chosen  int
	changed func(int)
}

const swatchSize = 24

func newSwatches(colors []color.NRGBA, chosen int, changed func(int)) *swatches {
	s := &swatches{chosen: chosen, changed: changed, ring: canvas.NewCircle(color.Transparent)}
	for _, c := range colors {
		s.discs = append(s.discs, canvas.NewCircle(c))
	}
	s.ExtendBaseWidget(s)
	return s
}

var (
	_ fyne.Tappable  = (*swatches)(nil)
	_ fyne.Focusable = (*swatches)(nil)
)

func (s *swatches) choose(i int) {
	if i >= 0 && i < len(s.discs) && i != s.chosen {
		s.chosen = i
		s.Refresh()
		s.changed(i)
	}
}

// Tapped is fyne.Tappable's.
func (s *swatches) Tapped(e *fyne.PointEvent) { s.choose(int(e.Position.X / (swatchSize + gap))) }

// TypedRune is fyne.Focusable's.
func (s *swatches) TypedRune(rune) {}

// TypedKey is fyne.Focusable's.
func (s *swatches) TypedKey(k *fyne.KeyEvent) {
	switch k.Name {
	case fyne.KeyLeft:
		s.choose(s.chosen - 1)
	case fyne.KeyRight:
		s.choose(s.chosen + 1)
	}
}

func (s *swatches) CreateRenderer() fyne.WidgetRenderer { return &swatchesRenderer{s} }

type swatchesRenderer struct{ s *swatches }

func (r *swatchesRenderer) MinSize() fyne.Size {
	return fyne.NewSize(float32(len(r.s.discs))*(swatchSize+gap)-gap, swatchSize+4)
}

func (r *swatchesRenderer) Layout(s fyne.Size) {
	for i, d := range r.s.discs {
		d.StrokeWidth, d.StrokeColor = 1, tint(r.s, theme.ColorNameInputBorder)
		d.Resize(fyne.NewSquareSize(swatchSize - 4))
		d.Move(fyne.NewPos(float32(i)*(swatchSize+gap)+2, (s.Height-swatchSize)/2+2))
	}
	r.s.ring.StrokeWidth, r.s.ring.StrokeColor = 2, tint(r.s, theme.ColorNamePrimary)
	if r.s.focused {
		r.s.ring.StrokeColor = tint(r.s, theme.ColorNameForeground)
	}
	r.s.ring.Resize(fyne.NewSquareSize(swatchSize + 2))
	r.s.ring.Move(fyne.NewPos(float32(r.s.chosen)*(swatchSize+gap)-1, (s.Height-swatchSize)/2-1))
}

func (r *swatchesRenderer) Refresh() {
	r.Layout(r.s.Size())
	canvas.Refresh(r.s)
}

func (r *swatchesRenderer) Objects() (out []fyne.CanvasObject) {
	for _, d := range r.s.discs {
		out = append(out, d)
	}
	return append(out, r.s.ring)
}
func (r *swatchesRenderer) Destroy() {}
