package ui

import (
	"context"
	"image"
	"image/color"
	"net"
	"net/netip"
	"slices"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/widget"

	"github.com/boombuler/barcode/qr"

	"multipeer/engine"
	"multipeer/ui/internal/widgets"
)

// qrSize is the side length of a QR code on screen.
const qrSize = 264

// drawQR encodes a link as a QR code: black on white in every theme, with the quiet zone that scanners need.
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

// showLink shows a link and its QR code, with which another device connects and verifies in one step. The link is valid
// while it is shown.
func (ps *pairings) showLink() {
	link, err := ps.u.e.NewPairingLink()
	if err != nil {
		ps.u.say(tr("This device isn't on a network. Connect to one first."))
		return
	}
	ps.u.trace("link %q", link)
	picture, err := drawQR(link)
	if err != nil {
		ps.u.fail(err, "", true)
		return
	}
	code := canvas.NewImageFromImage(picture)
	code.FillMode, code.ScaleMode = canvas.ImageFillContain, canvas.ImageScalePixels
	text := widgets.Hint(tr("Scan this with the other device, or open the link there, within two minutes. Both devices will be verified. Don't show it to anyone else."))
	text.Align = fyne.TextAlignCenter
	copied := widgets.NewButton(tr("Copy the link"), widget.MediumImportance, nil)
	copied.OnTapped = func() {
		ps.u.copyText(link)
		copied.SetText(tr("Copied"))
	}
	body := widgets.NewStacked(widgets.Gap, container.NewCenter(container.New(widgets.Fixed(fyne.NewSquareSize(qrSize)), code)), text)
	var m *widgets.Modal
	m = ps.u.dialogs.modal(tr("Pair a device"), body, 420, copied, widgets.NewButton(tr("Close"), widget.MediumImportance, func() { m.Hide() }))
	m.Closed = func() {
		ps.link = nil
		ps.u.e.ClosePairing()
	}
	ps.link = m
	m.Show()
}

// hideLink closes the dialog of a link that was used.
func (ps *pairings) hideLink() {
	if ps.link != nil {
		ps.link.Hide()
	}
}

// openLink connects to the device of a link, after asking the user: a link may come from anywhere, such as a web page,
// and connecting reveals this device's name and ID. A link with a secret also verifies both devices. A link from
// another program (outside) may lead only to networks that this device is on; a link that the user typed may lead
// anywhere.
func (ps *pairings) openLink(text string, outside bool) {
	link, err := engine.ParseLink(text)
	if err != nil {
		ps.u.fail(err, "", false)
		return
	}
	_, addresses, _ := strings.Cut(link.Ticket, "@")
	if outside && !nearby(strings.Split(addresses, ",")) { // guard: link-nearby
		ps.u.say(tr("This link leads outside this network. If you got it from the other device's screen, paste it into the address field."))
		return
	}
	if outside && ps.u.dialogs.open != nil { // another program must not replace what the user is reading
		ps.waiting = text
		return
	}
	where := engine.CleanLine(strings.ReplaceAll(addresses, ",", ", "))
	ask := ps.u.dialogs.ask
	if outside { // another program determines when this question appears
		ask = ps.u.dialogs.askUnbidden
	}
	if !link.Secret() {
		ask(tr("Connect to the device in this link?"), tr("The other device will learn this device's name and ID. Its ID starts with {{.ID}}, and the link gives its address as {{.Address}}.", "ID", link.ID.Short(), "Address", where), tr("Connect"), func() {
			ps.u.connecting.connectTo(link.Ticket)
		})
		return
	}
	body := tr("Continue only if you got this link directly from the other device. Its ID starts with {{.ID}}, and the link gives its address as {{.Address}}.", "ID", link.ID.Short(), "Address", where)
	ask(tr("Verify this device?"), body, tr("Verify"), func() {
		ps.u.connecting.busy(true)
		choose := ps.u.connecting.chooser()
		background(ps.u.bind, func(ctx context.Context) (engine.PeerID, error) { return ps.u.e.OpenLink(ctx, text) }, func(id engine.PeerID, err error) {
			ps.u.connecting.busy(false)
			if err != nil {
				ps.u.fail(err, tr("The device in the link"), false)
				return
			}
			ps.u.connecting.reached()
			choose(ps.u.talk(id))
		})
	})
}

// openWaiting opens a link that another program passed while a dialog was open.
func (ps *pairings) openWaiting() {
	if text := ps.waiting; text != "" && ps.u.dialogs.open == nil {
		ps.waiting = ""
		ps.openLink(text, true)
	}
}

// nearby reports whether all addresses are numeric and on a network that this device is on. A link from another program
// must not make this device query a name server or dial a remote host.
func nearby(addresses []string) bool {
	own, err := net.InterfaceAddrs()
	return err == nil && !slices.ContainsFunc(addresses, func(address string) bool {
		host, _, err := engine.ParseAddress(address)
		if err != nil {
			return true
		}
		ip, err := netip.ParseAddr(host)
		return err != nil || !onLink(ip, own)
	})
}

// onLink reports whether an address is on the same network as one of this device's addresses.
func onLink(ip netip.Addr, own []net.Addr) bool {
	ip = ip.Unmap()
	if ip.IsUnspecified() || ip.IsMulticast() {
		return false
	}
	if ip.IsLinkLocalUnicast() {
		return true
	}
	return slices.ContainsFunc(own, func(a net.Addr) bool {
		p, err := netip.ParsePrefix(a.String())
		return err == nil && p.Contains(ip.WithZone(""))
	})
}
