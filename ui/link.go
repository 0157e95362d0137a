package ui

import (
	"context"
	"image"
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/widget"

	"github.com/boombuler/barcode/qr"

	"multipeer/engine"
)

// qrSize is the side of a QR code on screen.
const qrSize = 264

// drawQR draws a link for a camera: black on white whatever the theme, with the quiet zone that scanners want.
func drawQR(link string) (image.Image, error) {
	code, err := qr.Encode(link, qr.L, qr.Auto)
	if err != nil {
		return nil, err
	}
	const quiet = 4
	n := code.Bounds().Dx()
	out := image.NewGray(image.Rect(0, 0, n+2*quiet, n+2*quiet))
	for y := range n + 2*quiet {
		for x := range n + 2*quiet {
			out.SetGray(x, y, color.Gray{Y: 255})
			if in := image.Pt(x-quiet, y-quiet); in.In(code.Bounds()) {
				out.Set(x, y, code.At(in.X, in.Y))
			}
		}
	}
	return out, nil
}

// showLink shows a link and its QR code, with which another device connects and verifies both in one step. It is good
// while it is shown.
func (u *UI) showLink() {
	link := u.e.PairingLink()
	if link == "" {
		u.say(tr("This device has no address that another could reach. Join a network first."))
		return
	}
	u.trace("link %q", link)
	picture, err := drawQR(link)
	if err != nil {
		u.say(reason(err, "", true))
		return
	}
	code := canvas.NewImageFromImage(picture)
	code.FillMode, code.ScaleMode = canvas.ImageFillContain, canvas.ImageScalePixels
	text := hint(tr("Scan this with the other device, or open the link there, within two minutes. Both devices are verified then. Show it to nobody else."))
	text.align = fyne.TextAlignCenter
	copied := newButton(tr("Copy the link"), widget.MediumImportance, nil)
	copied.OnTapped = func() {
		u.copyText(link)
		copied.SetText(tr("Copied"))
	}
	body := newStacked(gap, container.NewCenter(container.New(fixed(fyne.NewSquareSize(qrSize)), code)), text)
	var m *modal
	m = u.newModal(tr("Pair another device"), body, 420, copied, newButton(tr("Close"), widget.MediumImportance, func() { m.Hide() }))
	m.closed = func() {
		u.link = nil
		u.e.ClosePairing()
	}
	u.link = m
	m.show()
}

// hideLink ends the showing of a link that was used.
func (u *UI) hideLink() {
	if u.link != nil {
		u.link.Hide()
	}
}

// openLink connects to the device of a link and verifies it, after asking: links may come from anywhere.
func (u *UI) openLink(text string) {
	link, err := engine.ParseLink(text)
	if err != nil {
		u.say(reason(err, "", false))
		return
	}
	if !link.Secret() {
		u.side.connectTo(link.Ticket)
		return
	}
	u.ask(tr("Verify the device of this link?"), tr("Only do this if you have the link from its screen. Its ID starts with {{.ID}}.", "ID", link.ID.Short()), tr("Verify"), func() {
		u.side.busy(true)
		choose := u.chooser()
		background(u.bind, func(ctx context.Context) (engine.PeerID, error) { return u.e.OpenLink(ctx, text) }, func(id engine.PeerID, err error) {
			u.side.busy(false)
			if err != nil {
				u.say(reason(err, tr("The device of the link"), false))
				return
			}
			u.side.address.SetText("")
			choose(u.talk(id))
		})
	})
}
