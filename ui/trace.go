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
)

// trace tells a test what happened. Names and texts are quoted, so a line stays a line.
func (u *UI) trace(format string, a ...any) {
	if u.o.Trace != nil {
		fmt.Fprintf(u.o.Trace, "EVT "+format+"\n", a...)
	}
}

// traceLayout tells a test where it can click, in pixels of the window. What is not on screen any more is told with
// zeros.
func (u *UI) traceLayout() {
	if u.o.Trace == nil || u.o.TraceLess || u.finished {
		return
	}
	seen := map[string]bool{}
	at := func(name string, o fyne.CanvasObject) {
		if o == nil || !o.Visible() || o.Size().IsZero() {
			return
		}
		p, k := fyne.CurrentApp().Driver().AbsolutePositionForObject(o), u.w.Canvas().Scale()
		if p.IsZero() {
			return // not laid out yet
		}
		seen[name] = true
		where := fmt.Sprintf("%.0f %.0f %.0f %.0f", p.X*k, p.Y*k, o.Size().Width*k, o.Size().Height*k)
		if u.traced["at "+name] != where {
			u.traced["at "+name] = where
			fmt.Fprintf(u.o.Trace, "AT %s %s\n", name, where)
		}
	}
	if m, ok := u.dialog.(*modal); ok {
		for _, b := range m.buttons {
			at("ask:"+labelOf(b), b)
		}
	}
	if u.menu != nil && u.menu.open() {
		for _, r := range u.menu.rows {
			at("menu:"+r.label, r)
		}
	}
	if u.side.box.Visible() {
		at("address", u.side.address)
		at("search", u.side.search)
		at("everyone", u.side.everyone)
		at("transfers", u.side.transfers)
		for id, r := range u.side.rows {
			at("row:"+u.label(u.talk(id)), r)
		}
		for i, o := range u.side.hits.Objects {
			at(fmt.Sprint("hit:", i), o)
		}
	}
	if u.root.Objects[1].Visible() {
		switch u.page {
		case pageTalk:
			u.traceTalk(at)
		case pageTransfers:
			at("back", u.moves.back)
			at("pause-all", u.moves.hold)
		case pageSettings:
			at("back", u.prefs.back)
			at("name", u.prefs.name)
		}
	}
	for name := range u.traced {
		if n, ok := strings.CutPrefix(name, "at "); ok && !seen[n] {
			delete(u.traced, name)
			fmt.Fprintf(u.o.Trace, "AT %s 0 0 0 0\n", n)
		}
	}
}

func (u *UI) traceTalk(at func(string, fyne.CanvasObject)) {
	at("entry", u.entry)
	at("send", u.send)
	at("attach", u.attach)
	at("timeline", u.timeline)
	at("newest", u.timeline.newest)
	at("connect", u.header.button)
	at("verify", u.header.verify)
	at("more", u.header.more)
	at("back", u.header.back)
	for _, o := range u.timeline.view.Objects {
		if d, ok := o.(*dayItem); ok {
			o = d.item
		}
		switch c := o.(type) {
		case *bubble:
			if c.bad {
				at("again", c.again)
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
		case *pairingCard:
			for _, o := range c.buttons.Objects {
				at("pair:"+o.(*widget.Button).Text, o)
			}
		case *invitationCard:
			at("connect-accept", c.accept)
		}
	}
}

// labelOf is the text of a button; empty for what is none.
func labelOf(o fyne.CanvasObject) string {
	if b, ok := o.(*widget.Button); ok {
		return b.Text
	}
	return ""
}

// traceFrames tells, if MULTIPEER_TRACE asks for frames, how long each thing that is posted to the main thread waits
// for it: the time of a frame bounds that from above.
func (u *UI) traceFrames() {
	if os.Getenv("MULTIPEER_TRACE") != "frames" {
		return
	}
	u.bind.run(func(ctx context.Context) {
		for ctx.Err() == nil {
			at, done := time.Now(), make(chan struct{})
			u.o.Do(func() {
				fmt.Fprintf(u.o.Trace, "LATE %.2f\n", float64(time.Since(at).Microseconds())/1000)
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
