package widgets

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"
)

// focusable is the base of this package's controls. It tracks the keyboard focus, which the controls show as a ring.
type focusable struct {
	widget.BaseWidget
	focused bool
}

// FocusGained implements fyne.Focusable.
func (f *focusable) FocusGained() { f.focused = true; f.Refresh() }

// FocusLost implements fyne.Focusable.
func (f *focusable) FocusLost() { f.focused = false; f.Refresh() }

// Toggle is an on/off switch.
type Toggle struct {
	focusable
	Name    string // for screen readers
	states  ToggleStates
	On      bool
	changed func(bool)
	track   *canvas.Rectangle
	knob    *canvas.Circle
	mark    *canvas.Line // shows that it is on without relying on colour
}

// ToggleStates are the words for the two states of a toggle, for screen readers.
type ToggleStates struct{ On, Off string }

var (
	_ fyne.Tappable   = (*Toggle)(nil)
	_ fyne.Focusable  = (*Toggle)(nil)
	_ fyne.Accessible = (*Toggle)(nil)
)

// NewToggle returns a switch. changed runs after each change by the user.
func NewToggle(name string, states ToggleStates, on bool, changed func(bool)) *Toggle {
	t := &Toggle{Name: name, states: states, On: on, changed: changed, track: canvas.NewRectangle(color.Transparent), knob: canvas.NewCircle(color.White), mark: canvas.NewLine(color.White)}
	t.track.CornerRadius, t.mark.StrokeWidth = 11, 2
	t.ExtendBaseWidget(t)
	return t
}

// AccessibilityLabel returns the name with the state.
func (t *Toggle) AccessibilityLabel() string {
	if t.On {
		return t.Name + ": " + t.states.On
	}
	return t.Name + ": " + t.states.Off
}

// AccessibilityRole returns the button role.
func (t *Toggle) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleButton }

// Tapped implements fyne.Tappable.
func (t *Toggle) Tapped(*fyne.PointEvent) {
	t.On = !t.On
	t.Refresh()
	t.changed(t.On)
}

// TypedRune implements fyne.Focusable.
func (t *Toggle) TypedRune(r rune) {
	if r == ' ' {
		t.Tapped(nil)
	}
}

// TypedKey implements fyne.Focusable.
func (t *Toggle) TypedKey(k *fyne.KeyEvent) {
	if k.Name == fyne.KeyReturn || k.Name == fyne.KeyEnter {
		t.Tapped(nil)
	}
}

// Set changes the state without calling changed.
func (t *Toggle) Set(on bool) {
	if t.On != on {
		t.On = on
		t.Refresh()
	}
}

// CreateRenderer implements fyne.Widget.
func (t *Toggle) CreateRenderer() fyne.WidgetRenderer { return &toggleRenderer{t} }

type toggleRenderer struct{ t *Toggle }

func (r *toggleRenderer) MinSize() fyne.Size { return fyne.NewSize(40, 24) }
func (r *toggleRenderer) Layout(s fyne.Size) {
	t := r.t
	at := fyne.NewPos(s.Width-40, (s.Height-22)/2)
	t.track.Resize(fyne.NewSize(40, 22))
	t.track.Move(at)
	t.track.StrokeWidth = 1
	t.knob.Resize(fyne.NewSquareSize(16))
	t.knob.FillColor = color.White
	if t.On {
		t.track.FillColor, t.track.StrokeColor = tint(t, theme.ColorNamePrimary), tint(t, theme.ColorNamePrimary)
		t.knob.FillColor = tint(t, theme.ColorNameForegroundOnPrimary)
		t.knob.Move(at.AddXY(21, 3))
	} else {
		t.track.FillColor, t.track.StrokeColor = tint(t, ColorTrack), tint(t, ColorSubtle)
		t.knob.FillColor = tint(t, ColorSubtle)
		t.knob.Move(at.AddXY(3, 3))
	}
	t.mark.Hidden = !t.On
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

// Segments is a choice between a few options, side by side on one track. Options that do not fit wrap to the next line,
// on a track of its own.
type Segments struct {
	focusable
	Labels  []string
	texts   []*canvas.Text
	backs   []*canvas.Rectangle
	tracks  []*canvas.Rectangle // one for each option; those that no line needs are hidden
	Chosen  int
	changed func(int) // may be nil
	width   float32
}

var (
	_ fyne.Tappable   = (*Segments)(nil)
	_ fyne.Focusable  = (*Segments)(nil)
	_ fyne.Accessible = (*Segments)(nil)
)

// NewSegments returns a choice between labels. changed runs after each change.
func NewSegments(labels []string, chosen int, changed func(int)) *Segments {
	s := &Segments{Labels: labels, Chosen: chosen, changed: changed}
	for _, l := range labels {
		s.texts = append(s.texts, canvas.NewText(l, nil))
		back, track := canvas.NewRectangle(color.Transparent), canvas.NewRectangle(color.Transparent)
		back.CornerRadius, track.CornerRadius = 6, 8
		s.backs, s.tracks = append(s.backs, back), append(s.tracks, track)
	}
	s.ExtendBaseWidget(s)
	return s
}

// AccessibilityLabel returns the chosen option.
func (s *Segments) AccessibilityLabel() string { return s.Labels[s.Chosen] }

// AccessibilityRole returns the button role.
func (s *Segments) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleButton }

// Choose chooses the option at an index.
func (s *Segments) Choose(i int) {
	if i < 0 || i >= len(s.Labels) || i == s.Chosen {
		return
	}
	s.Chosen = i
	s.Refresh()
	if s.changed != nil {
		s.changed(i)
	}
}

// Tapped implements fyne.Tappable.
func (s *Segments) Tapped(e *fyne.PointEvent) {
	for i, b := range s.backs {
		if p, m := b.Position(), b.Size(); e.Position.X >= p.X && e.Position.X < p.X+m.Width && e.Position.Y >= p.Y && e.Position.Y < p.Y+m.Height {
			s.Choose(i)
		}
	}
}

// TypedRune implements fyne.Focusable.
func (s *Segments) TypedRune(rune) {}

// TypedKey implements fyne.Focusable.
func (s *Segments) TypedKey(k *fyne.KeyEvent) {
	switch k.Name {
	case fyne.KeyLeft:
		s.Choose(s.Chosen - 1)
	case fyne.KeyRight:
		s.Choose(s.Chosen + 1)
	}
}

func (s *Segments) arrange(width float32, place func(i int, x, y, w, h float32)) float32 {
	size := s.Theme().Size(SizeCaption)
	h := fyne.MeasureText("X", size, fyne.TextStyle{}).Height + 2*6
	x, y := float32(trackRim), float32(trackRim)
	for i, l := range s.Labels {
		w := fyne.MeasureText(l, size, fyne.TextStyle{Bold: true}).Width + 2*GapWide
		if x > trackRim && x+w+trackRim > width {
			x, y = trackRim, y+h+2*trackRim+Gap
		}
		place(i, x, y, w, h)
		x += w
	}
	return y + h + trackRim
}

// trackRim is the visible width of the track around an option.
const trackRim = 2

// HeightFor implements Flexible.
func (s *Segments) HeightFor(width float32) float32 {
	return s.arrange(width, func(int, float32, float32, float32, float32) {})
}

// CreateRenderer implements fyne.Widget.
func (s *Segments) CreateRenderer() fyne.WidgetRenderer {
	r := &segmentsRenderer{s}
	r.paint()
	return r
}

type segmentsRenderer struct{ s *Segments }

func (r *segmentsRenderer) MinSize() fyne.Size {
	w := r.s.width
	if w == 0 {
		w = 1e6
	}
	return fyne.NewSize(60, r.s.HeightFor(w))
}

func (r *segmentsRenderer) Layout(size fyne.Size) {
	s := r.s
	s.width = size.Width
	line, top := -1, float32(-1)
	for _, t := range s.tracks {
		t.Hidden = true
	}
	s.arrange(size.Width, func(i int, x, y, w, h float32) {
		if y != top {
			line, top = line+1, y
		}
		track := s.tracks[line]
		track.Hidden = false
		track.Move(fyne.NewPos(0, y-trackRim))
		track.Resize(fyne.NewSize(x+w+trackRim, h+2*trackRim))
		s.backs[i].Move(fyne.NewPos(x, y))
		s.backs[i].Resize(fyne.NewSize(w, h))
		s.texts[i].Move(fyne.NewPos(x, y))
		s.texts[i].Resize(fyne.NewSize(w, h))
	})
}

func (r *segmentsRenderer) paint() {
	s := r.s
	for i, t := range s.texts {
		t.TextSize, t.Alignment = s.Theme().Size(SizeCaption), fyne.TextAlignCenter
		t.TextStyle.Bold = i == s.Chosen
		t.Color = tint(s, theme.ColorNameForeground)
		border := s.Theme().Size(theme.SizeNameInputBorder)
		track, b := s.tracks[i], s.backs[i]
		track.FillColor, track.StrokeColor, track.StrokeWidth = tint(s, theme.ColorNameInputBackground), tint(s, theme.ColorNameInputBorder), border
		b.FillColor, b.StrokeColor, b.StrokeWidth = color.Transparent, color.Transparent, border
		if i == s.Chosen {
			b.FillColor, b.StrokeColor = tint(s, ColorCard), tint(s, theme.ColorNamePrimary)
			if s.focused {
				b.StrokeWidth = 2
			}
		}
	}
}

func (r *segmentsRenderer) Refresh() {
	r.paint()
	r.Layout(r.s.Size())
	canvas.Refresh(r.s)
}

func (r *segmentsRenderer) Objects() (out []fyne.CanvasObject) {
	for _, t := range r.s.tracks {
		out = append(out, t)
	}
	for i := range r.s.texts {
		out = append(out, r.s.backs[i], r.s.texts[i])
	}
	return out
}
func (r *segmentsRenderer) Destroy() {}

// Swatches is a choice of colours.
type Swatches struct {
	focusable
	discs   []*canvas.Circle
	ring    *canvas.Circle
	chosen  int
	changed func(int)
}

const swatchSize = 24

// NewSwatches returns a choice between colours. changed runs after each change.
func NewSwatches(colors []color.NRGBA, chosen int, changed func(int)) *Swatches {
	s := &Swatches{chosen: chosen, changed: changed, ring: canvas.NewCircle(color.Transparent)}
	for _, c := range colors {
		s.discs = append(s.discs, canvas.NewCircle(c))
	}
	s.ExtendBaseWidget(s)
	return s
}

var (
	_ fyne.Tappable  = (*Swatches)(nil)
	_ fyne.Focusable = (*Swatches)(nil)
)

// Color returns the colour at an index.
func (s *Swatches) Color(i int) color.Color { return s.discs[i].FillColor }

// Choose chooses the colour at an index.
func (s *Swatches) Choose(i int) {
	if i >= 0 && i < len(s.discs) && i != s.chosen {
		s.chosen = i
		s.Refresh()
		s.changed(i)
	}
}

// Tapped implements fyne.Tappable.
func (s *Swatches) Tapped(e *fyne.PointEvent) { s.Choose(int(e.Position.X / (swatchSize + Gap))) }

// TypedRune implements fyne.Focusable.
func (s *Swatches) TypedRune(rune) {}

// TypedKey implements fyne.Focusable.
func (s *Swatches) TypedKey(k *fyne.KeyEvent) {
	switch k.Name {
	case fyne.KeyLeft:
		s.Choose(s.chosen - 1)
	case fyne.KeyRight:
		s.Choose(s.chosen + 1)
	}
}

// CreateRenderer implements fyne.Widget.
func (s *Swatches) CreateRenderer() fyne.WidgetRenderer { return &swatchesRenderer{s} }

type swatchesRenderer struct{ s *Swatches }

func (r *swatchesRenderer) MinSize() fyne.Size {
	return fyne.NewSize(float32(len(r.s.discs))*(swatchSize+Gap)-Gap, swatchSize+4)
}

func (r *swatchesRenderer) Layout(s fyne.Size) {
	for i, d := range r.s.discs {
		d.StrokeWidth, d.StrokeColor = 1, tint(r.s, theme.ColorNameInputBorder)
		d.Resize(fyne.NewSquareSize(swatchSize - 4))
		d.Move(fyne.NewPos(float32(i)*(swatchSize+Gap)+2, (s.Height-swatchSize)/2+2))
	}
	r.s.ring.StrokeWidth, r.s.ring.StrokeColor = 2, tint(r.s, theme.ColorNamePrimary)
	if r.s.focused {
		r.s.ring.StrokeColor = tint(r.s, theme.ColorNameForeground)
	}
	r.s.ring.Resize(fyne.NewSquareSize(swatchSize + 2))
	r.s.ring.Move(fyne.NewPos(float32(r.s.chosen)*(swatchSize+Gap)-1, (s.Height-swatchSize)/2-1))
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
