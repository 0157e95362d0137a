package ui

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
	"multipeer/ui/internal/widgets"
)

// trace writes an event for tests. Callers must quote names and text, so that an event stays on one line.
func (u *UI) trace(format string, a ...any) {
	if u.o.Trace != nil {
		fmt.Fprintf(u.o.Trace, "EVT "+format+"\n", a...)
	}
}

// tracer writes the positions of widgets.
type tracer struct {
	u      *UI
	traced map[string]string // the last AT line of each widget
}

func newTracer(u *UI) *tracer { return &tracer{u: u, traced: map[string]string{}} }

// layout writes where tests can click, in pixels of the window. It reports zeros for widgets that are no longer on
// screen.
func (tc *tracer) layout() {
	if tc.u.o.Trace == nil || tc.u.o.TraceLess || tc.u.finished {
		return
	}
	seen := map[string]bool{}
	at := func(name string, o fyne.CanvasObject) {
		if o == nil || !o.Visible() || o.Size().IsZero() {
			return
		}
		p, k := fyne.CurrentApp().Driver().AbsolutePositionForObject(o), tc.u.w.Canvas().Scale()
		if p.IsZero() {
			return // not laid out yet
		}
		seen[name] = true
		where := fmt.Sprintf("%.0f %.0f %.0f %.0f", p.X*k, p.Y*k, o.Size().Width*k, o.Size().Height*k)
		if tc.traced["at "+name] != where {
			tc.traced["at "+name] = where
			fmt.Fprintf(tc.u.o.Trace, "AT %s %s\n", name, where)
		}
	}
	if m, ok := tc.u.dialogs.open.(*widgets.Modal); ok {
		for _, b := range m.Buttons {
			if b.Visible() {
				at("ask:"+labelOf(b), b)
			}
		}
	}
	if d := tc.u.links.open; d != nil && d.m != nil && tc.u.dialogs.open == hidden(d.m) && d.asked.Visible() {
		at("link-accept", d.accept)
	}
	if tc.u.menu != nil && tc.u.menu.IsOpen() {
		for _, r := range tc.u.menu.Rows {
			at("menu:"+r.Label, r)
		}
	}
	if tc.u.banner.box.Visible() {
		at("banner-show", tc.u.banner.show)
	}
	if tc.u.side.box.Visible() {
		at("search", tc.u.side.search)
		at("everyone", tc.u.side.everyone)
		at("transfers", tc.u.side.transfers)
		for _, o := range tc.u.side.list.Objects {
			r := o.(*peerRow)
			at("row:"+tc.u.label(tc.u.talk(tc.u.side.idOf(r))), r)
		}
		tc.tiles(at, tc.u.side.tiles, tc.u.side.tray)
		for i, o := range tc.u.side.hits.Objects {
			at(fmt.Sprint("hit:", i), o)
		}
	}
	if tc.u.root.Objects[1].Visible() {
		switch tc.u.page {
		case pageTalk:
			tc.talk(at)
		case pageEmpty:
			tc.home(at)
		case pageTransfers:
			at("back", tc.u.moves.back)
			at("pause-all", tc.u.moves.hold)
		case pageSettings:
			at("back", tc.u.prefs.back)
			at("name", tc.u.prefs.name)
		}
	}
	for name := range tc.traced {
		if n, ok := strings.CutPrefix(name, "at "); ok && !seen[n] {
			delete(tc.traced, name)
			fmt.Fprintf(tc.u.o.Trace, "AT %s 0 0 0 0\n", n)
		}
	}
}

func (tc *tracer) home(at func(string, fyne.CanvasObject)) {
	h := tc.u.home
	if h.alone() {
		at("address", tc.u.connecting.page.field)
		at("phone", tc.u.connecting.page.browser)
		return
	}
	at("not-listed", h.absent)
	at("phone", h.browser)
	tc.tiles(at, h.tiles, h.tray)
}

// tiles writes the positions of the device tiles, and of the button that sends to the chosen devices.
func (tc *tracer) tiles(at func(string, fyne.CanvasObject), g *deviceTiles, tray *sendTray) {
	for _, id := range g.order {
		at("tile:"+tc.u.label(tc.u.talk(id)), g.tiles[id])
	}
	if tray.box.Visible() {
		at("send-to", tray.send)
	}
}

func (tc *tracer) talk(at func(string, fyne.CanvasObject)) {
	at("entry", tc.u.composer.entry)
	at("send", tc.u.composer.send)
	at("attach", tc.u.composer.attach)
	at("timeline", tc.u.timeline)
	at("newest", tc.u.timeline.Newest)
	at("connect", tc.u.header.button)
	at("verify", tc.u.header.verify)
	at("more", tc.u.header.more)
	at("back", tc.u.header.back)
	for _, o := range tc.u.timeline.InView() {
		if d, ok := o.(*dayItem); ok {
			o = d.item
		}
		switch c := o.(type) {
		case *widgets.Bubble:
			if c.Bad {
				at("again", c.Again)
			}
		case *transferCard:
			if c.state == engine.Offered && c.accept != nil {
				for _, b := range c.buttons.Objects {
					at("offer:"+b.(*widget.Button).Text, b)
				}
				at("accept", c.accept)
			}
			at("hold", c.hold)
			at("stop", c.stop)
			if c.pictures.Visible() && c.pictures.Len() > 0 {
				at("picture", c.pictures.Picture(0))
			}
		case *pairingCard:
			for _, o := range c.buttons.Objects {
				at("pair:"+o.(*widget.Button).Text, o)
			}
		case *invitationCard:
			at("connect-accept", c.accept)
		}
	}
}

// labelOf returns the text of a button, or "" for any other object.
func labelOf(o fyne.CanvasObject) string {
	if b, ok := o.(*widget.Button); ok {
		return b.Text
	}
	return ""
}

// frames measures how long each function that is posted to the main thread waits, if MULTIPEER_TRACE is "frames". The
// wait is at most the time of one frame.
func (tc *tracer) frames() {
	if os.Getenv("MULTIPEER_TRACE") != "frames" {
		return
	}
	tc.u.bind.run(func(ctx context.Context) {
		for ctx.Err() == nil {
			at, done := time.Now(), make(chan struct{})
			tc.u.o.Do(func() {
				fmt.Fprintf(tc.u.o.Trace, "LATE %.2f\n", float64(time.Since(at).Microseconds())/1000)
				close(done)
			})
			select {
			case <-done:
			case <-ctx.Done():
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
}
