package widgets

import (
	"image/color"
	"slices"
	"strings"
	"unicode/utf8"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"
)

// Said is the content of a bubble.
type Said struct {
	Text  string
	Who   string // the sender, in a conversation with several speakers
	Stamp string // the time and the delivery state
	Out   bool   // sent by this device
	Bad   bool   // not delivered
	Retry func() // sends a failed message again; nil for none
	Menu  func(at fyne.Position)
	Copy  func(text string)
	Links Links // Find is nil for none
	Words BubbleWords
}

// BubbleWords are the labels of a bubble's links.
type BubbleWords struct{ Again, All string }

// Bubble is one message with its time and delivery state. Text between lines of ``` is code.
type Bubble struct {
	widget.BaseWidget
	Said
	back  *canvas.Rectangle
	code  []codeBack
	lines []bubbleLine
	name  *Line
	foot  *Paragraph
	Again *LinkText
	all   *LinkText // copies the complete text if it is too long to show

	pointed bool    // the pointer is over a link
	width   float32 // the width that the lines are wrapped to
	scale   float32
	widest  float32
	height  float32 // height of the coloured part
}

// codeBack is the background of a code block.
type codeBack struct {
	rect   *canvas.Rectangle
	top, h float32 // top is relative to the top of the coloured part
}

// bubbleLine is a line, or the part of one that is a link or lies between links.
type bubbleLine struct {
	text *canvas.Text
	x    float32 // relative to the left end of the line
	y    float32 // relative to the top of the coloured part
	code bool
	link string // empty for none
}

var _ fyne.Accessible = (*Bubble)(nil)

const (
	bubblePadX   = 12
	bubblePadY   = 8
	bubbleWidest = 560
	// Longer messages are cut on screen but can be copied in full: a message can be a megabyte long.
	bubbleRunes = 8000
	bubbleLines = 120
)

// NewBubble returns the bubble of a message.
func NewBubble(s Said) *Bubble {
	b := &Bubble{Said: s, back: canvas.NewRectangle(color.Transparent), foot: NewParagraph("", SizeSmall, ColorSubtle)}
	b.back.CornerRadius = 14
	if s.Out {
		b.foot.Align = fyne.TextAlignTrailing
	}
	if s.Who != "" {
		b.name = NewLine(s.Who, SizeCaption, ColorSubtle, true)
	}
	b.Again = NewLinkText(s.Words.Again, func() {
		if b.Retry != nil {
			b.Retry()
		}
	})
	b.all = NewLinkText(s.Words.All, func() { b.Copy(b.Text) })
	b.ExtendBaseWidget(b)
	b.Update(s.Stamp, s.Bad)
	return b
}

// Update changes the line below the bubble; bad marks a message that was not delivered.
func (b *Bubble) Update(stamp string, bad bool) {
	b.Stamp, b.Bad = stamp, bad
	b.foot.Color = ColorSubtle
	if bad {
		b.foot.Color = ColorBad
	}
	b.foot.SetText(stamp)
	b.Again.Hidden = !bad || b.Retry == nil
	b.Refresh()
}

// AccessibilityLabel returns the sender, the text and the delivery state.
func (b *Bubble) AccessibilityLabel() string {
	parts := slices.DeleteFunc([]string{b.Who, b.Text, b.Stamp}, func(s string) bool { return s == "" })
	return strings.Join(parts, " · ")
}

// AccessibilityRole returns the text role.
func (b *Bubble) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleText }

// Block is a part of a message: text or code.
type Block struct {
	Text string
	Code bool
}

// Blocks splits text at its lines of ```.
func Blocks(text string) (out []Block) {
	var part []string
	code := false
	end := func() {
		if len(part) > 0 {
			out = append(out, Block{strings.Join(part, "\n"), code})
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
		return []Block{{text, false}}
	}
	return out
}

// wrap lays the text out at a width.
func (b *Bubble) wrap(width float32) {
	scale := b.Theme().Size(SizeBody)
	if width == b.width && scale == b.scale {
		return
	}
	b.width = width
	b.scale = scale
	b.lines = nil
	b.code = nil
	b.widest = 0
	text := b.Text
	b.all.Hidden = true
	if utf8.RuneCountInString(text) > bubbleRunes {
		text = string([]rune(text)[:bubbleRunes]) + "…"
		b.all.Hidden = false
	}
	y, lines := float32(bubblePadY), 0
	for i, part := range Blocks(text) {
		size, style := scale, fyne.TextStyle{}
		if part.Code {
			size, style = b.Theme().Size(SizeCode), fyne.TextStyle{Monospace: true}
		}
		if i > 0 || part.Code {
			y += GapTight
		}
		inner := width
		if part.Code {
			inner -= 2 * Gap
		}
		measure, h := measured(size, style), fyne.MeasureText("Xg", size, style).Height
		top := y
		if part.Code {
			y += GapTight
		}
		for _, l := range b.segments(part, wrapText(part.Text, inner, measure)) {
			lines++
			if lines > bubbleLines {
				b.all.Hidden = false
				break
			}
			w := float32(0)
			for _, s := range l {
				t := canvas.NewText(s.text, b.textColor())
				t.TextSize, t.TextStyle = size, style
				t.TextStyle.Underline = s.link != ""
				b.lines = append(b.lines, bubbleLine{t, w, y, part.Code, s.link})
				w += measure(s.text)
			}
			if part.Code {
				w += 2 * Gap
			}
			b.widest = max(b.widest, w)
			y += h
		}
		if part.Code {
			y += GapTight
			r := canvas.NewRectangle(b.codeColor())
			r.CornerRadius = 6
			b.code = append(b.code, codeBack{r, top, y - top})
			y += GapTight
		}
	}
	if !b.all.Hidden {
		y += b.all.MinSize().Height + GapTight
		b.widest = max(b.widest, b.all.MinSize().Width)
	}
	b.height = y + bubblePadY
}

// segments splits the lines of a block at its links. Code has none.
func (b *Bubble) segments(part Block, lines []string) [][]segment {
	text := strings.ReplaceAll(part.Text, "\t", "    ") // as wrapText does
	var links [][2]int
	if b.Links.Find != nil && !part.Code {
		links = b.Links.Find(text)
	}
	return splitLines(text, lines, links)
}

func (b *Bubble) maxText(width float32) float32 {
	return max(80, min(bubbleWidest, width*0.8)-2*bubblePadX)
}

// HeightFor implements Flexible.
func (b *Bubble) HeightFor(width float32) float32 {
	b.wrap(b.maxText(width))
	h := b.height + b.footHeight(width) + 2
	if b.name != nil {
		h += b.name.MinSize().Height + 2
	}
	return h
}

func (b *Bubble) textColor() color.Color {
	if b.Out {
		return tint(b, ColorOnBubble)
	}
	return tint(b, theme.ColorNameForeground)
}

func (b *Bubble) codeColor() color.Color {
	if b.Out {
		return tint(b, ColorCodeOut)
	}
	return tint(b, ColorCode)
}

// CreateRenderer implements fyne.Widget.
func (b *Bubble) CreateRenderer() fyne.WidgetRenderer {
	r := &bubbleRenderer{b}
	r.paint()
	return r
}

type bubbleRenderer struct{ b *Bubble }

func (r *bubbleRenderer) Layout(s fyne.Size) {
	b := r.b
	b.wrap(b.maxText(s.Width))
	w := b.widest + 2*bubblePadX
	x, y := float32(0), float32(0)
	if b.Out {
		x = s.Width - w
	}
	if b.name != nil {
		h := b.name.MinSize().Height
		b.name.Move(fyne.NewPos(GapTight, 0))
		b.name.Resize(fyne.NewSize(s.Width-GapTight, h))
		y += h + 2
	}
	b.back.Move(fyne.NewPos(x, y))
	b.back.Resize(fyne.NewSize(w, b.height))
	for _, l := range b.lines {
		at := x + bubblePadX + l.x
		if l.code {
			at += Gap
		}
		l.text.Move(fyne.NewPos(at, y+l.y))
		l.text.Resize(l.text.MinSize())
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

// footWidth returns the width for the stamp, beside the Try again link.
func (b *Bubble) footWidth(width float32) float32 {
	if !b.Again.Hidden {
		width -= b.Again.MinSize().Width + Gap
	}
	return width - 2*GapTight
}

func (b *Bubble) footHeight(width float32) float32 { return b.foot.HeightFor(b.footWidth(width)) }

// layoutFoot puts the stamp below the bubble, with the Try again link at its end.
func (r *bubbleRenderer) layoutFoot(width, y float32) {
	b, left := r.b, r.b.footWidth(width)
	b.foot.Resize(fyne.NewSize(left, b.footHeight(width)))
	b.foot.Move(fyne.NewPos(GapTight, y))
	b.Again.Resize(b.Again.MinSize())
	b.Again.Move(fyne.NewPos(GapTight+left+Gap, y-1))
}

func (r *bubbleRenderer) MinSize() fyne.Size {
	return fyne.NewSize(120, r.b.HeightFor(r.b.Size().Width))
}

func (r *bubbleRenderer) paint() {
	r.b.back.FillColor = tint(r.b, ColorBubbleIn)
	if r.b.Out {
		r.b.back.FillColor = tint(r.b, ColorBubbleOut)
		r.b.all.Color = ColorOnBubble
	}
	for _, l := range r.b.lines {
		l.text.Color = r.b.textColor()
		if l.link != "" && !r.b.Out {
			l.text.Color = tint(r.b, ColorLink)
		}
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
	o := []fyne.CanvasObject{r.b.back, r.b.foot, r.b.Again}
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

// TappedSecondary opens the context menu.
func (b *Bubble) TappedSecondary(at *fyne.PointEvent) {
	if b.Menu != nil {
		b.Menu(at.AbsolutePosition)
	}
}

// Notice is a subdued, centred line, such as a connection, a disconnection or a new day.
type Notice struct {
	widget.BaseWidget
	Text *Paragraph
}

// NewNotice returns a notice.
func NewNotice(text string) *Notice {
	n := &Notice{Text: Hint(text)}
	n.Text.Align = fyne.TextAlignCenter
	n.ExtendBaseWidget(n)
	return n
}

// HeightFor implements Flexible.
func (n *Notice) HeightFor(width float32) float32 { return n.Text.HeightFor(width) + 2*GapTight }

// CreateRenderer implements fyne.Widget.
func (n *Notice) CreateRenderer() fyne.WidgetRenderer {
	return widget.NewSimpleRenderer(Inset(n.Text, GapTight, GapTight, 0, 0))
}
