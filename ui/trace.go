package ui

import (
	"fmt"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
)

// trace tells a test what happened. Names and texts are quoted, so a line stays a line.
func (u *UI) trace(format string, a ...any) {
	if u.o.Trace != nil {
		fmt.Fprintf(u.o.Trace, "EVT "+format+"\n", a...)
	}
}

// traceLayout tells a test where it can click, in pixels of the window.
func (u *UI) traceLayout() {
	if u.o.Trace == nil {
		return
	}
	at := func(name string, o fyne.CanvasObject) {
		if o == nil || !o.Visible() || o.Size().IsZero() {
			return
		}
		p, k := fyne.CurrentApp().Driver().AbsolutePositionForObject(o), u.w.Canvas().Scale()
		if p.IsZero() {
			return // not laid out yet
		}
		where := fmt.Sprintf("%.0f %.0f %.0f %.0f", p.X*k, p.Y*k, o.Size().Width*k, o.Size().Height*k)
		if u.traced[name] != where {
			u.traced[name] = where
			fmt.Fprintf(u.o.Trace, "AT %s %s\n", name, where)
		}
	}
	at("address", u.side.address)
	at("everyone", u.side.everyone)
	for id, r := range u.side.rows {
		at("row:"+u.peers[id].Name, r)
	}
	if u.current == nil {
		return
	}
	at("entry", u.entry)
	at("send", u.send)
	at("timeline", u.timeline)
	at("connect", u.header.button)
	at("verify", u.header.verify)
	for _, i := range u.current.items {
		switch c := i.(type) {
		case *transferCard:
			if c.state == engine.Offered && c.accept != nil {
				at("accept", c.accept)
			}
		case *pairingCard:
			for _, o := range c.buttons.Objects {
				at("pair:"+o.(*widget.Button).Text, o)
			}
		case *invitationCard:
			if c.more.Visible() {
				at("connect-accept", c.accept)
			}
		}
	}
}
