package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"multipeer/ui/internal/widgets"
)

// home is the page that is shown while no conversation is open. It shows the devices nearby or, if there are none, what
// to do and what is wrong. The files that wait for recipients are below.
type home struct {
	u       *UI
	box     *fyne.Container
	devices *fyne.Container
	title   *widgets.Line
	text    *widgets.Paragraph
	tiles   *deviceTiles
	send    *fyne.Container // picks what to send
	links   *fyne.Container
	browser *widgets.LinkText // opens a link for a browser
	absent  *widgets.LinkText // opens the dialog for devices that are not listed
	nobody  *fyne.Container
	column  *fyne.Container
	emblem  *widget.Icon
	advice  [2]*widgets.Paragraph // a title and a text
	card    *fyne.Container
	tray    *sendTray
	said    string // the advice at the last layout
}

func newHome(u *UI) *home {
	h := &home{u: u, tiles: newDeviceTiles(u), tray: newSendTray(u), emblem: widget.NewIcon(widgets.IconRadar)}

	h.title = widgets.NewLine(tr("Nearby"), widgets.SizeTitle, theme.ColorNameForeground, true)
	h.text = widgets.Hint("")
	h.absent = widgets.NewLinkText(tr("Device not listed?"), u.connecting.show)
	h.browser = widgets.NewLinkText(tr("A phone without Multipeer"), func() { u.links.start(nil) })
	h.links = widgets.NewFlow(widgets.EdgeWide, h.absent, h.browser)
	shown, scroll := widgets.NewScroll(widgets.Inset(h.tiles.box, widgets.Edge, widgets.Edge, widgets.Edge, widgets.Edge))
	h.tiles.scrolled(scroll)
	h.send = widgets.Row(widgets.Gap, u.sending.buttons().Objects...)
	head := widgets.NewHead(widgets.NewBesideRight(widgets.GapWide, widgets.NewStacked(2, h.title, h.text), h.send))
	foot := widgets.Column(0, widget.NewSeparator(), widgets.Inset(h.links, widgets.Gap, widgets.GapWide, widgets.Edge, widgets.Edge))
	h.devices = widgets.NewPane(head, foot, shown)

	u.connecting.page = u.connecting.newCard()
	h.card = u.connecting.page.framed()
	h.advice[0] = widgets.NewParagraph("", widgets.SizeTitle, theme.ColorNameForeground)
	h.advice[0].Bold = true
	h.advice[1] = widgets.NewParagraph("", widgets.SizeBody, widgets.ColorSubtle)
	for _, p := range h.advice {
		p.Align = fyne.TextAlignCenter
	}
	h.column = widgets.NewStacked(widgets.Gap, container.NewCenter(widgets.NewEmblem(h.emblem, 80, 40)), h.advice[0], h.advice[1], widgets.Inset(h.card, widgets.Edge, 0, 0, 0))
	h.nobody = container.New(widgets.Middle(480), h.column)

	h.box = widgets.NewPane(nil, h.tray.box, container.NewStack(h.devices, h.nobody))
	return h
}

// alone reports whether the page shows advice instead of devices.
func (h *home) alone() bool { return len(h.u.peers) == 0 || h.u.side.sought != "" }

// refresh updates the page.
func (h *home) refresh() {
	u := h.u
	alone := h.alone()
	widgets.Show(h.devices, !alone)
	widgets.Show(h.nobody, alone)
	if h.tray.refresh(true) {
		h.box.Refresh()
	}
	if alone {
		h.showAdvice()
		return
	}
	text, color := tr("Choose a device to chat with, or drop files on it."), widgets.ColorSubtle
	widgets.Show(h.send, len(u.sending.paths) == 0 && !u.shell.narrow)
	switch {
	case u.problem != nil:
		text, color = problem(u.problem), widgets.ColorBad
	case len(u.sending.paths) > 0:
		text = tr("Choose who gets the files. Nothing is sent until the other device accepts.")
	}
	h.text.Color = color
	h.text.SetText(text)
	if h.tiles.refresh(u.side.here) {
		h.box.Refresh()
	}
}

// showAdvice shows what to do while no device can be shown.
func (h *home) showAdvice() {
	u := h.u
	title, text := tr("Looking for devices nearby"), tr("Open Multipeer on another device on the same network. It appears here automatically.")
	icon := fyne.Resource(widgets.IconRadar)
	switch {
	case u.problem != nil:
		title, text = tr("Can't look for devices"), problem(u.problem)+" "+tr("You can still connect by address.")
	case u.side.sought != "":
		title, text, icon = tr("Search"), tr("Results are listed on the left: devices first, then messages."), widgets.IconFind
	case u.self.Visible != 0:
		text += " " + tr("Not everyone can see this device right now. You can change this in Settings.")
	}
	h.advice[0].SetText(title)
	h.advice[1].SetText(text)
	resized := u.connecting.page.refresh(u)
	if card := u.side.sought == ""; card != h.card.Visible() {
		widgets.Show(h.card, card)
		resized = true
	}
	if h.emblem.Resource != icon {
		h.emblem.SetResource(icon)
	}
	if said := title + text; said != h.said || resized {
		h.said = said
		h.column.Refresh()
		h.nobody.Refresh()
	}
}
