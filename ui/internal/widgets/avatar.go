package widgets

import (
	"image/color"
	"strings"
	"unicode/utf8"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/widget"
)

// Avatar is a disc with an initial. Its colour derives from the device's key, so it survives a rename, unless the
// owner has chosen a colour.
type Avatar struct {
	widget.BaseWidget
	size   float32
	disc   *canvas.Circle
	letter *canvas.Text
	dot    *canvas.Circle
	ring   *canvas.Circle
	state  fyne.ThemeColorName // colour of the dot; empty hides it
	on     fyne.ThemeColorName // background colour behind the avatar
}

// AvatarColors have a contrast of at least 4.5:1 with white text.
var AvatarColors = []uint32{0x2F62EA, 0xC03F1B, 0x0F7F76, 0x7E34C9, 0x8C5A0D, 0xB92E6C, 0x3C6E3A, 0x44546F}

// NewAvatar returns an avatar of the given size; on is the background behind it.
func NewAvatar(size float32, on fyne.ThemeColorName) *Avatar {
	a := &Avatar{size: size, disc: canvas.NewCircle(RGB(AvatarColors[7])), letter: canvas.NewText("", color.White), dot: canvas.NewCircle(nil), ring: canvas.NewCircle(nil), on: on}
	a.letter.TextStyle.Bold, a.letter.TextSize, a.letter.Alignment = true, size*0.42, fyne.TextAlignCenter
	a.ExtendBaseWidget(a)
	return a
}

// Set shows a device; state is the colour of its dot.
func (a *Avatar) Set(fill color.NRGBA, name string, state fyne.ThemeColorName) {
	r, _ := utf8.DecodeRuneInString(name)
	letter := strings.ToUpper(string(r))
	if a.letter.Text == letter && a.disc.FillColor == fill && a.state == state {
		return
	}
	a.disc.FillColor, a.letter.Text, a.state = fill, letter, state
	a.Refresh()
}

// Fill returns the colour of the disc.
func (a *Avatar) Fill() color.Color { return a.disc.FillColor }

// StandOn sets the background behind the avatar, which is also the colour of the ring around its dot.
func (a *Avatar) StandOn(c fyne.ThemeColorName) {
	if a.on != c {
		a.on = c
		a.Refresh()
	}
}

// CreateRenderer implements fyne.Widget.
func (a *Avatar) CreateRenderer() fyne.WidgetRenderer {
	r := &avatarRenderer{a}
	r.paint()
	return r
}

type avatarRenderer struct{ a *Avatar }

func (r *avatarRenderer) MinSize() fyne.Size { return fyne.NewSquareSize(r.a.size) }
func (r *avatarRenderer) Layout(s fyne.Size) {
	a := r.a
	at := fyne.NewPos((s.Width-a.size)/2, (s.Height-a.size)/2)
	a.disc.Move(at)
	a.disc.Resize(fyne.NewSquareSize(a.size))
	h := a.letter.MinSize().Height
	a.letter.Move(at.AddXY(0, (a.size-h)/2))
	a.letter.Resize(fyne.NewSize(a.size, h))
	d := max(8, a.size*0.28)
	a.ring.Resize(fyne.NewSquareSize(d + 4))
	a.ring.Move(at.AddXY(a.size-d-1, a.size-d-1))
	a.dot.Resize(fyne.NewSquareSize(d))
	a.dot.Move(at.AddXY(a.size-d+1, a.size-d+1))
}

func (r *avatarRenderer) paint() {
	a := r.a
	a.dot.Hidden, a.ring.Hidden = a.state == "", a.state == ""
	if a.state != "" {
		a.dot.FillColor, a.ring.FillColor = tint(a, a.state), tint(a, a.on)
	}
}

func (r *avatarRenderer) Refresh() {
	r.paint()
	r.Layout(r.a.Size())
	canvas.Refresh(r.a)
}

func (r *avatarRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.a.disc, r.a.letter, r.a.ring, r.a.dot}
}
func (r *avatarRenderer) Destroy() {}

// NewEmblem puts an icon on a disc or a rounded square, instead of an avatar.
func NewEmblem(icon *widget.Icon, size, radius float32) *fyne.Container {
	pad := size / 4
	return container.New(Fixed(fyne.NewSquareSize(size)), NewPanel(ColorTile, "", radius), Inset(icon, pad, pad, pad, pad))
}
