package ui

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
)

// emptyState is the page while nobody is chosen: what to do, what is wrong, and how another device gets here.
type emptyState struct {
	u       *UI
	box     *fyne.Container
	col     *fyne.Container
	title   *line
	text    *paragraph
	waiting *paragraph
	drop    *linkText
	card    *fyne.Container
	code    *fyne.Container
	address *line
	ticket  string // that the QR code shows
	said    string // what was laid out last
	emblem  *widget.Icon
}

const emptyQR = 148

func newEmptyState(u *UI) *emptyState {
	s := &emptyState{u: u, emblem: widget.NewIcon(iconRadar), title: centred(newLine("", sizeTitle, theme.ColorNameForeground, true)), text: newParagraph("", sizeBody, colorSubtle), waiting: hint("")}
	s.text.align, s.waiting.align = fyne.TextAlignCenter, fyne.TextAlignCenter
	s.drop = newLinkText(tr("Do not send"), func() {
		u.waiting = nil
		u.dirty.side = true
		u.settle()
	})
	s.code = container.New(fixed(fyne.NewSquareSize(emptyQR)))
	s.address = centred(caption(""))
	pair := newButton(tr("Pair another device"), widget.MediumImportance, u.showLink)
	words := newStacked(gap,
		newLine(tr("Not in the list?"), sizeBody, theme.ColorNameForeground, true),
		hint(tr("Scan this code with the other device, or type its address below the list here.")),
		s.addressLine(), newFlow(gap, pair, u.newSearch(), u.newDoctor()))
	s.card = container.NewStack(newPanel(colorCard, colorBorder, 12), inset(newBeside(edge, s.code, words), edge, edge, edge, edge))
	s.col = newStacked(gap, container.NewCenter(newEmblem(s.emblem, 80, 40)), s.title, s.text, s.waiting, container.NewCenter(s.drop), inset(s.card, edge, 0, 0, 0))
	s.box = container.New(middle(460), s.col)
	return s
}

// newSearch is a button that asks every address nearby, for networks that do not carry multicast.
func (u *UI) newSearch() *widget.Button {
	var b *widget.Button
	b = newButton(tr("Search the network"), widget.MediumImportance, func() {
		b.Disable()
		b.SetText(tr("Searching…"))
		background(u.bind, func(ctx context.Context) ([]engine.PeerID, error) { return u.e.Search(ctx) }, func(found []engine.PeerID, err error) {
			b.Enable()
			b.SetText(tr("Search the network"))
			u.trace("searched %d", len(found))
			switch {
			case err != nil:
				u.say(reason(err, "", true))
			case len(found) == 0:
				u.say(tr("No other device answers on this network. Is Multipeer running there, and does its firewall let it through?"))
			}
		})
	})
	return b
}

// addressLine is this device's address, which a tap copies.
func (s *emptyState) addressLine() fyne.CanvasObject {
	s.address.text.Alignment = fyne.TextAlignLeading
	return s.address
}

// middle puts its object into the middle, at most so wide, and as high as it needs to be.
type middle float32

func (l middle) MinSize(o []fyne.CanvasObject) fyne.Size { return fyne.NewSize(280, 240) }
func (l middle) Layout(o []fyne.CanvasObject, s fyne.Size) {
	w := min(float32(l), s.Width-2*edge)
	h := heightOf(o[0], w)
	o[0].Resize(fyne.NewSize(w, h))
	o[0].Move(fyne.NewPos((s.Width-w)/2, max(edge, (s.Height-h)/2)))
}

func (u *UI) showEmpty() {
	s := u.empty
	title, text := tr("Looking for devices nearby"), tr("Open Multipeer on another device in the same network. It appears in the list by itself.")
	list, icon := "", fyne.Resource(iconRadar)
	switch {
	case len(u.waiting) > 0:
		title = trn("{{.N}} items wait to be sent", int64(len(u.waiting)))
		text = tr("Choose in the list where to send.") + " " + tr("Nothing is sent before that, and before the other side accepts.")
		var names []string
		for _, p := range u.waiting[:min(len(u.waiting), 6)] {
			names = append(names, filepath.Base(p))
		}
		if list = strings.Join(names, ", "); len(u.waiting) > 6 {
			list += " " + trn("and {{.N}} more", int64(len(u.waiting)-6))
		}
	case u.problem != nil:
		title, text = tr("Devices cannot be found"), problem(u.problem)+" "+tr("A device can still be reached by its address.")
	case u.side.sought != "":
		title, text, icon = tr("Search"), tr("What is found stands in the list: devices first, then conversations."), iconFind
	case len(u.peers) > 0:
		title, text = trn("{{.N}} devices nearby", int64(len(u.peers))), tr("Choose one in the list to talk, or drop files on its name.")
	case u.self.Visible != 0:
		text += " " + tr("This device is not visible to everyone at the moment; see the settings.")
	}
	address := tr("Listens on port {{.Port}}", "Port", fmt.Sprint(u.self.Port))
	if a := u.e.Addresses(); len(a) > 0 {
		address = a[0].String()
	}
	address = joined(address, "ID "+u.self.ID.Short())
	s.title.set(title)
	s.text.set(text)
	s.waiting.set(list)
	show(s.waiting, list != "")
	show(s.drop, len(u.waiting) > 0)
	s.address.set(address)
	ticket := u.e.Ticket()
	show(s.card, ticket != "" && len(u.waiting) == 0 && u.side.sought == "")
	if s.emblem.Resource != icon {
		s.emblem.SetResource(icon)
	}
	if ticket != s.ticket {
		s.ticket = ticket
		s.code.RemoveAll()
		if picture, err := drawQR(ticket); err == nil && ticket != "" {
			code := canvas.NewImageFromImage(picture)
			code.FillMode, code.ScaleMode, code.CornerRadius = canvas.ImageFillContain, canvas.ImageScalePixels, 4
			s.code.Add(code)
		}
	}
	if said := title + text + list + address + ticket; said != s.said {
		s.said = said
		s.col.Refresh()
		s.box.Refresh()
	}
}
