package ui

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
	"multipeer/ui/internal/widgets"
)

// connecting connects to devices that are not listed: by a code, an address, or a search of the network.
type connecting struct {
	u       *UI
	page    *connectCard // on the home page while no device is nearby
	narrow  *connectCard // the same on the first page of a narrow window
	open    *connectCard // in the dialog; nil while the dialog is closed
	modal   *widgets.Modal
	dialing bool
}

// connectCard shows this device's code, a field for another device's address, and further ways to find devices.
type connectCard struct {
	box     *fyne.Container
	code    *fyne.Container
	advice  *widgets.Paragraph
	scan    string        // the advice while this device has a code
	noCode  string        // the advice while it has none
	own     *widgets.Line // this device's address
	field   *widgets.Field
	browser *widget.Button // opens a link for a browser
	link    string         // encoded in code
}

const connectQR = 148

// newConnectCard returns a card without content.
func newConnectCard(scan, noCode string) *connectCard {
	return &connectCard{
		code: container.New(widgets.Fixed(fyne.NewSquareSize(connectQR))), advice: widgets.Hint(""), scan: scan, noCode: noCode, own: widgets.Caption(""),
	}
}

func (cn *connecting) newCard() *connectCard {
	u := cn.u
	c := newConnectCard(tr("Scan this code with a device that has Multipeer, or enter its address here."), tr("Enter the address of the other device."))
	c.field = u.newField(tr("Address or link"))
	c.field.OnSubmitted = cn.dial
	dial := widgets.NewIconButton(widgets.IconGo, tr("Connect"), func() { cn.dial(c.field.Text) })
	c.browser = u.links.button()
	words := widgets.NewStacked(widgets.Gap,
		c.advice,
		container.NewBorder(nil, nil, nil, dial, c.field), c.own)
	c.box = widgets.NewStacked(widgets.Edge, widgets.NewBeside(widgets.Edge, c.code, words),
		widgets.NewPairs(widgets.Gap, widgets.NewButton(tr("Pair a device"), widget.MediumImportance, u.pairings.showLink), c.browser, u.finder.newSearch(), u.finder.newDoctor()))
	return c
}

// newNarrowCard returns a card for the first page of a narrow window: this device's code, and a button for each way to
// connect. All but the first are behind another button, or the page would not fit. It has no field.
func (cn *connecting) newNarrowCard() *connectCard {
	u := cn.u
	c := newConnectCard(tr("Scan this code with a device that has Multipeer."), "")
	c.advice.Align = fyne.TextAlignCenter
	byAddress := widgets.NewButton(tr("Connect by address or link"), widget.MediumImportance, cn.show)
	more := widgets.NewStacked(widgets.Gap, byAddress, u.links.button(), u.finder.newSearch(), u.finder.newDoctor())
	more.Hide()
	var unfold *widget.Button
	unfold = widgets.NewButton(tr("More ways to connect"), widget.MediumImportance, func() {
		unfold.Hide()
		more.Show()
		u.side.relayout()
	})
	c.box = widgets.NewStacked(widgets.GapWide, container.NewCenter(c.code), c.advice, widgets.Centred(c.own),
		widgets.NewButton(tr("Pair a device"), widget.HighImportance, u.pairings.showLink), unfold, more)
	return c
}

// refresh shows the current address. It reports whether the card's height may have changed.
func (c *connectCard) refresh(u *UI) (resized bool) {
	own := tr("Port {{.Port}}", "Port", fmt.Sprint(u.self.Port))
	if a := u.e.Addresses(); len(a) > 0 {
		own = a[0].String()
	}
	c.own.SetText(tr("This device: {{.Address}}", "Address", joined(own, "ID "+u.self.ID.Short())))
	link := ""
	if ticket := u.e.Ticket(); ticket != "" { // a link, because cameras open links
		link = engine.Link{ID: u.self.ID, Ticket: ticket}.String()
	}
	c.advice.SetText(c.scan)
	if link == "" {
		c.advice.SetText(c.noCode)
	}
	if shown := link != ""; shown != c.code.Visible() {
		widgets.Show(c.code, shown)
		resized = true
	}
	if link == c.link {
		return resized
	}
	c.link = link
	c.code.RemoveAll()
	if picture, err := drawQR(link); err == nil && link != "" {
		code := canvas.NewImageFromImage(picture)
		code.FillMode, code.ScaleMode, code.CornerRadius = canvas.ImageFillContain, canvas.ImageScalePixels, 4
		c.code.Add(code)
	}
	return true
}

// framed returns the card with a title, in a frame.
func (c *connectCard) framed() *fyne.Container {
	title := widgets.NewLine(tr("Device not listed?"), widgets.SizeBody, theme.ColorNameForeground, true)
	body := widgets.NewStackedInset(widgets.Stacked{Gap: widgets.GapWide, Top: widgets.Edge, Bottom: widgets.Edge, Left: widgets.Edge, Right: widgets.Edge}, title, c.box)
	return container.NewStack(widgets.NewPanel(widgets.ColorCard, widgets.ColorBorder, 12), body)
}

// show opens the card in a dialog, unless the page already shows it, and focuses its field.
func (cn *connecting) show() {
	u := cn.u
	if u.page == pageEmpty && !u.shell.narrow && u.home.alone() {
		u.w.Canvas().Focus(cn.page.field)
		return
	}
	c := cn.newCard()
	c.refresh(u)
	m := u.dialogs.modal(tr("Device not listed?"), c.box, 500, widgets.NewButton(tr("Close"), widget.MediumImportance, func() { cn.modal.Hide() }))
	m.Closed = func() { cn.open = nil }
	cn.open, cn.modal = c, m
	c.field.OnEscape = m.Hide
	m.Show()
	u.trace("not listed")
	if !fyne.CurrentDevice().IsMobile() {
		u.w.Canvas().Focus(c.field)
	}
}

// cards returns the existing cards that have a field.
func (cn *connecting) cards() []*connectCard {
	if cn.open == nil {
		return []*connectCard{cn.page}
	}
	return []*connectCard{cn.page, cn.open}
}

// dial connects to an address or link that the user typed.
func (cn *connecting) dial(address string) {
	address = strings.TrimSpace(address)
	if address == "" || cn.dialing {
		return
	}
	if strings.HasPrefix(address, "multipeer:") {
		cn.u.pairings.openLink(address, false)
		return
	}
	cn.connectTo(address)
}

// busy disables the fields while a dial is in progress.
func (cn *connecting) busy(on bool) {
	cn.dialing = on
	for _, c := range cn.cards() {
		if on {
			c.field.Disable()
		} else {
			c.field.Enable()
		}
	}
}

// connectTo dials an address or a ticket.
func (cn *connecting) connectTo(address string) {
	u := cn.u
	cn.busy(true)
	choose := cn.chooser()
	background(u.bind, func(ctx context.Context) (engine.PeerID, error) { return u.e.Dial(ctx, address) }, func(id engine.PeerID, err error) {
		cn.busy(false)
		if err != nil {
			if errors.Is(err, engine.ErrInvalid) {
				u.say(tr("This is not an address. Enter one such as 192.168.1.20 or ben.local, or a link."))
				return
			}
			u.fail(err, address, false)
			return
		}
		cn.reached()
		u.trace("dialled %s", id.Short())
		choose(u.talk(id))
	})
}

// chooser returns a function that opens a conversation, unless the user has done something else in the meantime.
func (cn *connecting) chooser() func(*talk) {
	u := cn.u
	current, page := u.current, u.page
	return func(t *talk) {
		if u.current == current && u.page == page && (current == nil || u.composer.entry.Text == "") && len(u.sending.paths) == 0 {
			u.choose(t)
		}
	}
}

// reached empties the fields and closes the dialog.
func (cn *connecting) reached() {
	for _, c := range cn.cards() {
		c.field.SetText("")
	}
	if cn.open != nil {
		cn.modal.Hide()
	}
}
