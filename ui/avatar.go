package ui

import (
	"image/color"
	"strings"
	"unicode/utf8"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
)

// avatar is a disc with an initial. Its colour follows from the key, so a device keeps it when it is renamed, unless its
// owner has chosen one.
type avatar struct {
	widget.BaseWidget
	size   float32
	disc   *canvas.Circle
	letter *canvas.Text
	dot    *canvas.Circle
	ring   *canvas.Circle
	state  fyne.ThemeColorName // of the dot; empty hides it
	on     fyne.ThemeColorName // what the avatar stands on
}

// avatarColors carry white text (4.5:1 at least).
var avatarColors = []uint32{0x2F62EA, 0xC03F1B, 0x0F7F76, 0x7E34C9, 0x8C5A0D, 0xB92E6C, 0x3C6E3A, 0x44546F}

func newAvatar(size float32, on fyne.ThemeColorName) *avatar {
	a := &avatar{size: size, disc: canvas.NewCircle(rgb(avatarColors[7])), letter: canvas.NewText("", color.White), dot: canvas.NewCircle(nil), ring: canvas.NewCircle(nil), on: on}
	a.letter.TextStyle.Bold, a.letter.TextSize, a.letter.Alignment = true, size*0.42, fyne.TextAlignCenter
	a.ExtendBaseWidget(a)
	return a
}

// colorOf is the colour of a device: from 1 its owner's choice, 0 the one of its key.
func colorOf(id engine.PeerID, chosen int) color.NRGBA {
	if chosen > 0 {
		return rgb(avatarColors[(chosen-1)%len(avatarColors)])
	}
	return rgb(avatarColors[int(id[0])%len(avatarColors)])
}

// set shows a device; state is the colour of its dot.
func (a *avatar) set(fill color.NRGBA, name string, state fyne.ThemeColorName) {
	r, _ := utf8.DecodeRuneInString(name)
	letter := strings.ToUpper(string(r))
	if a.letter.Text == letter && a.disc.FillColor == fill && a.state == state {
		return
	}
	a.disc.FillColor, a.letter.Text, a.state = fill, letter, state
	a.Refresh()
}

// standOn tells what is behind the avatar, which the ring round its dot shows.
func (a *avatar) standOn(c fyne.ThemeColorName) {
	if a.on != c {
		a.on = c
		a.Refresh()
	}
}

func (a *avatar) CreateRenderer() fyne.WidgetRenderer {
	r := &avatarRenderer{a}
	r.paint()
	return r
}

type avatarRenderer struct{ a *avatar }

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

// newEmblem is an icon on a disc or a rounded square, where a face would be.
func newEmblem(icon *widget.Icon, size, radius float32) *fyne.Container {
	pad := size / 4
	return container.New(fixed(fyne.NewSquareSize(size)), newPanel(colorTile, "", radius), inset(icon, pad, pad, pad, pad))
}
