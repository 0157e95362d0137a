package ui

import (
	"image/color"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"
)

// bubble is one message with its time and what became of it.
type bubble struct {
	widget.BaseWidget
	out     bool
	back    *canvas.Rectangle
	lines   []*canvas.Text
	who     *line // the sender, where several speak
	stamp   *line
	full    string
	wrapped float32 // the width that lines are wrapped for
	widest  float32
	lineH   float32
}

const (
	bubblePadX = 13
	bubblePadY = 8
)

func newBubble(text, who, stamp string, out bool) *bubble {
	b := &bubble{out: out, full: text, back: canvas.NewRectangle(color.Transparent), stamp: newLine(stamp, sizeSmall, colorSubtle, false)}
	b.back.CornerRadius = 15
	if who != "" {
		b.who = newLine(who, sizeCaption, colorSubtle, true)
	}
	b.stamp.fits = true
	if out {
		b.stamp.text.Alignment = fyne.TextAlignTrailing
	}
	b.lineH = fyne.MeasureText("Xg", sizeBody, fyne.TextStyle{}).Height
	b.ExtendBaseWidget(b)
	return b
}

// setStamp changes the words under the bubble; bad marks a message that did not arrive.
func (b *bubble) setStamp(text string, bad bool) {
	c := colorSubtle
	if bad {
		c = colorBad
	}
	b.stamp.setColor(c)
	b.stamp.set(text)
	b.Refresh()
}

// wrap breaks the text for a width. Words longer than a line are broken where it ends.
func (b *bubble) wrap(width float32) {
	if width == b.wrapped {
		return
	}
	b.wrapped, b.lines, b.widest = width, nil, 0
	measure := func(s string) float32 { return fyne.MeasureText(s, sizeBody, fyne.TextStyle{}).Width }
	add := func(s string) {
		t := canvas.NewText(s, b.textColor())
		t.TextSize = sizeBody
		b.lines = append(b.lines, t)
		b.widest = max(b.widest, measure(s))
	}
	for paragraph := range strings.SplitSeq(strings.ReplaceAll(b.full, "\t", "    "), "\n") {
		rest := strings.TrimRight(paragraph, " ")
		for measure(rest) > width {
			runes := []rune(rest)
			lo, hi := 1, len(runes)
			for lo < hi {
				mid := (lo + hi + 1) / 2
				if measure(string(runes[:mid])) <= width {
					lo = mid
				} else {
					hi = mid - 1
				}
			}
			cut := lo
			for i := lo; i > 0; i-- {
				if runes[i-1] == ' ' || runes[i-1] == '-' && i < lo {
					cut = i
					break
				}
			}
			add(strings.TrimRight(string(runes[:cut]), " "))
			rest = strings.TrimLeft(string(runes[cut:]), " ")
		}
		add(rest)
	}
}

func (b *bubble) maxText(width float32) float32 { return max(80, width*0.72-2*bubblePadX) }

func (b *bubble) heightFor(width float32) float32 {
	b.wrap(b.maxText(width))
	h := float32(len(b.lines))*b.lineH + 2*bubblePadY
	if b.who != nil {
		h += b.who.MinSize().Height + 2
	}
	return h + b.stamp.MinSize().Height + 2
}

func (b *bubble) textColor() color.Color {
	if b.out {
		return tint(b, colorOnBubble)
	}
	return tint(b, "foreground")
}

func (b *bubble) CreateRenderer() fyne.WidgetRenderer {
	r := &bubbleRenderer{b}
	r.paint()
	return r
}

type bubbleRenderer struct{ b *bubble }

func (r *bubbleRenderer) Layout(s fyne.Size) {
	b := r.b
	b.wrap(b.maxText(s.Width))
	w := b.widest + 2*bubblePadX
	x, y := float32(0), float32(0)
	if b.out {
		x = s.Width - w
	}
	if b.who != nil {
		b.who.Move(fyne.NewPos(bubblePadX, 0))
		b.who.Resize(fyne.NewSize(s.Width-bubblePadX, b.who.MinSize().Height))
		y += b.who.MinSize().Height + 2
	}
	h := float32(len(b.lines))*b.lineH + 2*bubblePadY
	b.back.Move(fyne.NewPos(x, y))
	b.back.Resize(fyne.NewSize(w, h))
	for i, t := range b.lines {
		t.Move(fyne.NewPos(x+bubblePadX, y+bubblePadY+float32(i)*b.lineH))
		t.Resize(fyne.NewSize(b.widest, b.lineH))
	}
	sh := b.stamp.MinSize().Height
	b.stamp.Resize(fyne.NewSize(s.Width-2*4, sh))
	b.stamp.Move(fyne.NewPos(4, y+h+2))
}

func (r *bubbleRenderer) MinSize() fyne.Size {
	return fyne.NewSize(120, r.b.heightFor(r.b.Size().Width))
}

func (r *bubbleRenderer) paint() {
	r.b.back.FillColor = tint(r.b, colorBubbleIn)
	if r.b.out {
		r.b.back.FillColor = tint(r.b, colorBubbleOut)
	}
	for _, t := range r.b.lines {
		t.Color = r.b.textColor()
	}
}

func (r *bubbleRenderer) Refresh() {
	r.paint()
	r.Layout(r.b.Size())
	r.b.stamp.Refresh()
	canvas.Refresh(r.b)
}

func (r *bubbleRenderer) Objects() []fyne.CanvasObject {
	o := []fyne.CanvasObject{r.b.back, r.b.stamp}
	if r.b.who != nil {
		o = append(o, r.b.who)
	}
	for _, t := range r.b.lines {
		o = append(o, t)
	}
	return o
}
func (r *bubbleRenderer) Destroy() {}

// TappedSecondary offers to copy the text.
func (b *bubble) TappedSecondary(at *fyne.PointEvent) {
	c := fyne.CurrentApp().Driver().CanvasForObject(b)
	menu := fyne.NewMenu("", fyne.NewMenuItem("Copy", func() { fyne.CurrentApp().Clipboard().SetContent(b.full) }))
	widget.ShowPopUpMenuAtPosition(menu, c, at.AbsolutePosition)
}

// notice is a quiet line in the middle: somebody came or went.
type notice struct {
	widget.BaseWidget
	l *line
}

func newNotice(text string) *notice {
	n := &notice{l: newLine(text, sizeCaption, colorSubtle, false)}
	n.l.text.Alignment = fyne.TextAlignCenter
	n.ExtendBaseWidget(n)
	return n
}

func (n *notice) heightFor(float32) float32 { return n.l.MinSize().Height + 8 }
func (n *notice) CreateRenderer() fyne.WidgetRenderer {
	return widget.NewSimpleRenderer(inset(n.l, 4, 4, 0, 0))
}
