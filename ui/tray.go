package ui

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"

	"golang.org/x/image/draw"

	"multipeer/icons"
)

// tray is the icon in the system's tray: who is there, and Quit. It carries a dot while something waits for an answer.
type tray struct {
	u    *UI
	app  desktop.App
	menu *fyne.Menu
	set  bool
	said string // what its menu says
	dot  bool
}

// maxTray is how many peers the tray lists.
const maxTray = 12

// startTray shows the icon where something draws it.
func (u *UI) startTray() {
	app, ok := u.o.App.(desktop.App)
	if !ok || !u.o.Desktop.HasTray() {
		return
	}
	u.tray = &tray{u: u, app: app, dot: true, menu: fyne.NewMenu("Multipeer")}
	u.tray.update()
	app.SetSystemTrayWindow(u.w)
	u.w.SetCloseIntercept(u.closed) // the call above has put hiding in its place
	u.trace("tray")
}

// update brings menu and icon up to date.
func (t *tray) update() {
	u := t.u
	var items []*fyne.MenuItem
	var said strings.Builder
	add := func(label string, do func()) {
		items = append(items, fyne.NewMenuItem(label, do))
		said.WriteString(label + "\n")
	}
	add(tr("Show Multipeer"), u.raise)
	waiting := len(u.offers) + len(u.invites)
	if waiting > 0 {
		add(trn("{{.N}} questions wait", int64(waiting)), u.raise)
	}
	items = append(items, fyne.NewMenuItemSeparator())
	shown := 0
	everyone, _ := u.side.listed("")
	for _, l := range everyone {
		id := l.p.ID
		p, here := u.peers[id]
		if !here || shown == maxTray {
			continue
		}
		shown++
		talk := u.talk(id)
		name := u.nameOf(talk)
		if p.HasSession() {
			name += " · " + tr("Connected")
		}
		add(name, func() {
			u.raise()
			u.tapped(talk)
		})
	}
	if shown == 0 {
		none := fyne.NewMenuItem(tr("Nobody nearby"), nil)
		none.Disabled = true
		items = append(items, none)
	}
	items = append(items, fyne.NewMenuItemSeparator())
	quit := fyne.NewMenuItem(tr("Quit"), u.quit)
	quit.IsQuit = true
	items = append(items, quit)
	if said.String() != t.said {
		t.said = said.String()
		t.menu.Items = items
		if t.set {
			t.menu.Refresh()
		} else { // only once: the driver shows this very menu when the tray is ready, which may be later
			t.set = true
			t.app.SetSystemTrayMenu(t.menu)
		}
	}
	if dot := waiting > 0; dot != t.dot {
		t.dot = dot
		t.app.SetSystemTrayIcon(trayIcon(dot))
	}
}

// trayIcon is the program's icon, with a dot while something waits.
func trayIcon(dot bool) fyne.Resource {
	src, err := png.Decode(bytes.NewReader(icons.App))
	if err != nil {
		return fyne.NewStaticResource("app.png", icons.App)
	}
	const side = 64
	m := image.NewRGBA(image.Rect(0, 0, side, side))
	draw.CatmullRom.Scale(m, m.Bounds(), src, src.Bounds(), draw.Src, nil)
	name := "tray.png"
	if dot {
		name = "tray-dot.png"
		const r, cx, cy = 13, side - 15, 15
		for y := range side {
			for x := range side {
				switch d := (x-cx)*(x-cx) + (y-cy)*(y-cy); {
				case d <= r*r:
					m.Set(x, y, color.NRGBA{0xE5, 0x39, 0x35, 255})
				case d <= (r+3)*(r+3):
					m.Set(x, y, color.White)
				}
			}
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		return fyne.NewStaticResource("app.png", icons.App)
	}
	return fyne.NewStaticResource(name, b.Bytes())
}

// raise brings the window to the front.
func (u *UI) raise() {
	u.w.Show()
	u.w.RequestFocus()
	u.trace("raised")
}

// quit ends the program.
func (u *UI) quit() {
	u.saveSize()
	u.o.App.Quit()
}

// closed is what the window's close button does: the program goes on where it can be got back from the tray.
func (u *UI) closed() {
	u.saveSize()
	if u.tray == nil || u.o.Settings.CloseQuits {
		u.o.App.Quit()
		return
	}
	u.trace("hidden")
	u.w.Hide()
	u.front = false
	u.notify(noteBehind)
}

// saveSize keeps the size of the window for the next start. Its place is up to the system: Fyne does not tell it.
func (u *UI) saveSize() {
	s := u.w.Canvas().Size()
	if u.o.Settings.Width != s.Width || u.o.Settings.Height != s.Height {
		u.o.Settings.Width, u.o.Settings.Height = s.Width, s.Height
		u.keepSettings()
	}
}
