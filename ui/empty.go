package ui

import (
	"fmt"
	"path/filepath"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"multipeer/ui/internal/widgets"
)

// emptyState is the page while no conversation is chosen. It shows what to do, what is wrong, and how to add another
// device.
type emptyState struct {
	u       *UI
	box     *fyne.Container
	col     *fyne.Container
	title   *widgets.Line
	text    *widgets.Paragraph
	waiting *widgets.Paragraph
	browser *widget.Button // opens a link for a browser
	drop    *widgets.LinkText
	phone   *widgets.LinkText
	card    *fyne.Container
	code    *fyne.Container
	address *widgets.Line
	ticket  string // the ticket in the QR code
	said    string // the content at the last layout
	emblem  *widget.Icon
}

const emptyQR = 148

func newEmptyState(u *UI) *emptyState {
	s := &emptyState{u: u, emblem: widget.NewIcon(widgets.IconRadar), title: widgets.Centred(widgets.NewLine("", widgets.SizeTitle, theme.ColorNameForeground, true)), text: widgets.NewParagraph("", widgets.SizeBody, widgets.ColorSubtle), waiting: widgets.Hint("")}
	s.text.Align, s.waiting.Align = fyne.TextAlignCenter, fyne.TextAlignCenter
	s.drop = widgets.NewLinkText(tr("Cancel sending"), func() {
		u.waiting = nil
		u.dirty.side = true
		u.settle()
	})
	s.phone = widgets.NewLinkText(tr("Send to a phone without Multipeer"), func() { u.links.start(u.waiting) })
	s.code = container.New(widgets.Fixed(fyne.NewSquareSize(emptyQR)))
	s.address = widgets.Caption("")
	pair := widgets.NewButton(tr("Pair a device"), widget.MediumImportance, u.pairings.showLink)
	s.browser = u.links.button()
	words := widgets.NewStacked(widgets.Gap,
		widgets.NewLine(tr("Device not listed?"), widgets.SizeBody, theme.ColorNameForeground, true),
		widgets.Hint(tr("Scan this code with the other device, or enter that device's address at the bottom left.")),
		s.address, widgets.NewFlow(widgets.Gap, pair, s.browser, u.finder.newSearch(), u.finder.newDoctor()))
	s.card = container.NewStack(widgets.NewPanel(widgets.ColorCard, widgets.ColorBorder, 12), widgets.Inset(widgets.NewBeside(widgets.Edge, s.code, words), widgets.Edge, widgets.Edge, widgets.Edge, widgets.Edge))
	s.col = widgets.NewStacked(widgets.Gap, container.NewCenter(widgets.NewEmblem(s.emblem, 80, 40)), s.title, s.text, s.waiting, container.NewCenter(s.phone), container.NewCenter(s.drop), widgets.Inset(s.card, widgets.Edge, 0, 0, 0))
	s.box = container.New(widgets.Middle(460), s.col)
	return s
}

// refresh updates the page.
func (s *emptyState) refresh() {
	title, text := tr("Looking for devices nearby"), tr("Open Multipeer on another device on the same network. It appears in the list automatically.")
	list, icon := "", fyne.Resource(widgets.IconRadar)
	switch {
	case len(s.u.waiting) > 0:
		title = trn("{{.N}} items ready to send", int64(len(s.u.waiting)))
		text = tr("Choose a device to send to.") + " " + tr("Nothing is sent until the other device accepts.")
		var names []string
		for _, p := range s.u.waiting[:min(len(s.u.waiting), 6)] {
			names = append(names, filepath.Base(p))
		}
		if list = strings.Join(names, ", "); len(s.u.waiting) > 6 {
			list += " " + trn("and {{.N}} more", int64(len(s.u.waiting)-6))
		}
	case s.u.problem != nil:
		title, text = tr("Can't look for devices"), problem(s.u.problem)+" "+tr("You can still connect by address.")
	case s.u.side.sought != "":
		title, text, icon = tr("Search"), tr("Results are listed on the left: devices first, then messages."), widgets.IconFind
	case len(s.u.peers) > 0:
		title, text = trn("{{.N}} devices nearby", int64(len(s.u.peers))), tr("Choose a device to chat with, or drop files on it.")
	case s.u.self.Visible != 0:
		text += " " + tr("Not everyone can see this device right now. Change it in Settings.")
	}
	address := tr("Port {{.Port}}", "Port", fmt.Sprint(s.u.self.Port))
	if a := s.u.e.Addresses(); len(a) > 0 {
		address = a[0].String()
	}
	address = joined(address, "ID "+s.u.self.ID.Short())
	s.title.SetText(title)
	s.text.SetText(text)
	s.waiting.SetText(list)
	widgets.Show(s.waiting, list != "")
	widgets.Show(s.drop, len(s.u.waiting) > 0)
	widgets.Show(s.phone, len(s.u.waiting) > 0)
	s.address.SetText(address)
	ticket := s.u.e.Ticket()
	widgets.Show(s.card, ticket != "" && len(s.u.waiting) == 0 && s.u.side.sought == "")
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
