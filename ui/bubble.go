package ui

import (
	"image/color"
	"strings"
	"unicode/utf8"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"
)

// said is what a bubble shows.
type said struct {
	text  string
	who   string // the sender, where several speak
	stamp string // the time, and what became of it
	out   bool   // said by this device
	bad   bool   // it did not arrive
	retry func() // of a bad one; nil for none
	menu  func(at fyne.Position)
	copy  func(text string)
}

// bubble is one message with its time and what became of it. Text between lines of ``` is code.
type bubble struct {
	widget.BaseWidget
	said
	back  *canvas.Rectangle
	code  []codeBack
	lines []bubbleLine
	name  *line
	foot  *paragraph
	again *linkText
	all   *linkText // copies a text that is too long to be shown

	width  float32 // that the lines are wrapped for
	scale  float32
	widest float32
	height float32 // of the coloured part
}

// codeBack stands behind a code block.
type codeBack struct {
	rect   *canvas.Rectangle
	top, h float32 // from the top of the coloured part
}

type bubbleLine struct {
	text *canvas.Text
	y    float32 // from the top of the coloured part
	code bool
}

var _ fyne.Accessible = (*bubble)(nil)

const (
	bubblePadX   = 12
	bubblePadY   = 8
	bubbleWidest = 560
	// What is longer is cut on screen, and can be copied whole: one message may have a megabyte.
	bubbleRunes = 8000
	bubbleLines = 120
)

func newBubble(s said) *bubble {
	b := &bubble{said: s, back: canvas.NewRectangle(color.Transparent), foot: newParagraph("", sizeSmall, colorSubtle)}
	b.back.CornerRadius = 14
	if s.out {
		b.foot.align = fyne.TextAlignTrailing
	}
	if s.who != "" {
		b.name = newLine(s.who, sizeCaption, colorSubtle, true)
	}
	b.again = newLinkText(tr("Try again"), func() {
		if b.retry != nil {
			b.retry()
		}
	})
	b.all = newLinkText(tr("Copy the whole message"), func() { b.copy(b.text) })
	b.ExtendBaseWidget(b)
	b.update(s.stamp, s.bad)
	return b
}

// update changes the words under the bubble; bad marks a message that did not arrive.
func (b *bubble) update(stamp string, bad bool) {
	b.stamp, b.bad = stamp, bad
	b.foot.color = colorSubtle
	if bad {
		b.foot.color = colorBad
	}
	b.foot.set(stamp)
	b.again.Hidden = !bad || b.retry == nil
	b.Refresh()
}

// AccessibilityLabel reads the message with its state.
func (b *bubble) AccessibilityLabel() string { return joined(b.who, b.text, b.stamp) }

// AccessibilityRole is that of text.
func (b *bubble) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleText }

// block is a part of a text.
type block struct {
	text string
	code bool
}

// blocks takes a text apart at its lines of ```.
func blocks(text string) (out []block) {
	var part []string
	code := false
	end := func() {
		if len(part) > 0 {
			out = append(out, block{strings.Join(part, "\n"), code})
		}
		part = nil
	}
	for l := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(strings.TrimSpace(l), "```") {
			end()
			code = !code
			continue
		}
		part = append(part, l)
	}
	end()
	if len(out) == 0 {
		return []block{{text, false}}
	}
	return out
}

// wrap lays the text out for a width.
func (b *bubble) wrap(width float32) {
	scale := b.Theme().Size(sizeBody)
	if width == b.width && scale == b.scale {
		return
	}
	b.width, b.scale, b.lines, b.code, b.widest = width, scale, nil, nil, 0
	text := b.text
	b.all.Hidden = true
	if utf8.RuneCountInString(text) > bubbleRunes {
		text = string([]rune(text)[:bubbleRunes]) + "…"
		b.all.Hidden = false
	}
	y := float32(bubblePadY)
	for i, part := range blocks(text) {
		size, style := scale, fyne.TextStyle{}
		if part.code {
			size, style = b.Theme().Size(sizeCode), fyne.TextStyle{Monospace: true}
		}
		if i > 0 || part.code {
			y += gapTight
		}
		inner := width
		if part.code {
			inner -= 2 * gap
		}
		measure, h := measured(size, style), fyne.MeasureText("Xg", size, style).Height
		top := y
		if part.code {
			y += gapTight
		}
		for _, l := range wrapText(part.text, inner, measure) {
			if len(b.lines) >= bubbleLines {
				b.all.Hidden = false
				break
			}
			t := canvas.NewText(l, b.textColor())
			t.TextSize, t.TextStyle = size, style
			b.lines = append(b.lines, bubbleLine{t, y, part.code})
			w := measure(l)
			if part.code {
				w += 2 * gap
			}
			b.widest = max(b.widest, w)
			y += h
		}
		if part.code {
			y += gapTight
			r := canvas.NewRectangle(b.codeColor())
			r.CornerRadius = 6
			b.code = append(b.code, codeBack{r, top, y - top})
			y += gapTight
		}
	}
	if !b.all.Hidden {
		y += b.all.MinSize().Height + gapTight
		b.widest = max(b.widest, b.all.MinSize().Width)
	}
	b.height = y + bubblePadY
}

func (b *bubble) maxText(width float32) float32 {
	return max(80, min(bubbleWidest, width*0.8)-2*bubblePadX)
}

func (b *bubble) heightFor(width float32) float32 {
	b.wrap(b.maxText(width))
	h := b.height + b.footHeight(width) + 2
	if b.name != nil {
		h += b.name.MinSize().Height + 2
	}
	return h
}

func (b *bubble) textColor() color.Color {
	if b.out {
		return tint(b, colorOnBubble)
	}
	return tint(b, theme.ColorNameForeground)
}

func (b *bubble) codeColor() color.Color {
	if b.out {
		return tint(b, colorCodeOut)
	}
	return tint(b, colorCode)
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
	if b.name != nil {
		h := b.name.MinSize().Height
		b.name.Move(fyne.NewPos(gapTight, 0))
		b.name.Resize(fyne.NewSize(s.Width-gapTight, h))
		y += h + 2
	}
	b.back.Move(fyne.NewPos(x, y))
	b.back.Resize(fyne.NewSize(w, b.height))
	for _, l := range b.lines {
		at := x + bubblePadX
		if l.code {
			at += gap
		}
		l.text.Move(fyne.NewPos(at, y+l.y))
		l.text.Resize(fyne.NewSize(b.widest, l.text.MinSize().Height))
	}
	for _, c := range b.code {
		c.rect.Resize(fyne.NewSize(b.widest, c.h))
		c.rect.Move(fyne.NewPos(x+bubblePadX, y+c.top))
	}
	if !b.all.Hidden {
		m := b.all.MinSize()
		b.all.Resize(m)
		b.all.Move(fyne.NewPos(x+bubblePadX, y+b.height-bubblePadY-m.Height))
	}
	r.layoutFoot(s.Width, y+b.height+2)
}

// footRoom is what the stamp has of a width, beside the way to try again.
func (b *bubble) footRoom(width float32) float32 {
	if !b.again.Hidden {
		width -= b.again.MinSize().Width + gap
	}
	return width - 2*gapTight
}

func (b *bubble) footHeight(width float32) float32 { return b.foot.heightFor(b.footRoom(width)) }

// layoutFoot puts the stamp below, with the way to try again at its end.
func (r *bubbleRenderer) layoutFoot(width, y float32) {
	b, room := r.b, r.b.footRoom(width)
	b.foot.Resize(fyne.NewSize(room, b.footHeight(width)))
	b.foot.Move(fyne.NewPos(gapTight, y))
	b.again.Resize(b.again.MinSize())
	b.again.Move(fyne.NewPos(gapTight+room+gap, y-1))
}

func (r *bubbleRenderer) MinSize() fyne.Size {
	return fyne.NewSize(120, r.b.heightFor(r.b.Size().Width))
}

func (r *bubbleRenderer) paint() {
	r.b.back.FillColor = tint(r.b, colorBubbleIn)
	if r.b.out {
		r.b.back.FillColor = tint(r.b, colorBubbleOut)
		r.b.all.color = colorOnBubble
	}
	for _, l := range r.b.lines {
		l.text.Color = r.b.textColor()
	}
	for _, c := range r.b.code {
		c.rect.FillColor = r.b.codeColor()
	}
}

func (r *bubbleRenderer) Refresh() {
	r.Layout(r.b.Size())
	r.paint()
	r.b.foot.Refresh()
	canvas.Refresh(r.b)
}

func (r *bubbleRenderer) Objects() []fyne.CanvasObject {
	o := []fyne.CanvasObject{r.b.back, r.b.foot, r.b.again}
	if r.b.name != nil {
		o = append(o, r.b.name)
	}
	for _, c := range r.b.code {
		o = append(o, c.rect)
	}
	for _, l := range r.b.lines {
		o = append(o, l.text)
	}
	return append(o, r.b.all)
}
func (r *bubbleRenderer) Destroy() {}

// TappedSecondary offers what can be done with the text.
func (b *bubble) TappedSecondary(at *fyne.PointEvent) {
	if b.menu != nil {
		b.menu(at.AbsolutePosition)
	}
}

// notice is a quiet line in the middle: somebody came or went, or a new day.
type notice struct {
	widget.BaseWidget
	text *paragraph
}

func newNotice(text string) *notice {
	n := &notice{text: hint(text)}
	n.text.align = fyne.TextAlignCenter
	n.ExtendBaseWidget(n)
	return n
}

func (n *notice) heightFor(width float32) float32 { return n.text.heightFor(width) + 2*gapTight }
func (n *notice) CreateRenderer() fyne.WidgetRenderer {
	return widget.NewSimpleRenderer(inset(n.text, gapTight, gapTight, 0, 0))
}
