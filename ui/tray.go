package ui

import "multipeer/ui/internal/desktop"

// maxTray is how many peers the tray lists.
const maxTray = 12

// startTray shows the icon if the system has a tray.
func (u *UI) startTray() {
	t := desktop.NewTray(u.o.App, "Multipeer")
	if t == nil || !u.o.Desktop.HasTray() {
		return
	}
	u.tray = t
	u.updateTray()
	u.tray.SetWindow(u.w)
	u.w.SetCloseIntercept(u.closed) // SetWindow replaces the intercept with hiding the window
	u.trace("tray")
}

// updateTray updates the menu of the tray: the waiting requests, the peers nearby and Quit. The icon has a dot while a
// request waits for an answer.
func (u *UI) updateTray() {
	if u.tray == nil {
		return
	}
	items := []desktop.TrayItem{{Label: tr("Show Multipeer"), Do: u.raise}}
	waiting := len(u.transfers.offers) + len(u.invites.open)
	if waiting > 0 {
		items = append(items, desktop.TrayItem{Label: trn("{{.N}} requests waiting", int64(waiting)), Do: u.raise})
	}
	items = append(items, desktop.TrayItem{})
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
		name = joined(name, u.warning(l.p))
		items = append(items, desktop.TrayItem{Label: name, Do: func() {
			u.raise()
			u.sending.tapped(talk)
		}})
	}
	if shown == 0 {
		items = append(items, desktop.TrayItem{Label: tr("No devices nearby")})
	}
	items = append(items, desktop.TrayItem{}, desktop.TrayItem{Label: tr("Quit"), Do: u.quit, Quits: true})
	u.tray.Update(items, waiting > 0)
}

// raise brings the window to the front.
func (u *UI) raise() {
	u.w.Show()
	u.w.RequestFocus()
	u.trace("raised")
}

// quit ends the program. It asks first if that would interrupt a transfer.
func (u *UI) quit() {
	u.saveSize()
	moving, _ := u.transfers.running()
	if !moving {
		u.leave()
		return
	}
	u.raise()
	u.dialogs.confirm(tr("Quit during a transfer?"), tr("It resumes the next time Multipeer runs on both devices."), tr("Keep running"), tr("Quit"), u.leave)
}

// closed runs when the user closes the window. The program keeps running if there is a tray icon to bring the window
// back, unless the settings say otherwise.
func (u *UI) closed() {
	u.saveSize()
	if u.tray == nil || u.o.Settings.CloseQuits {
		u.quit()
		return
	}
	u.trace("hidden")
	u.w.Hide()
	u.notes.front = false
	u.notes.attend(attention{kind: noteBehind})
}

// saveSize saves the window size for the next start. The system decides the position, which Fyne does not expose.
func (u *UI) saveSize() {
	s := u.w.Canvas().Size()
	if u.o.Settings.Width != s.Width || u.o.Settings.Height != s.Height {
		u.o.Settings.Width, u.o.Settings.Height = s.Width, s.Height
		u.keepSettings()
	}
}
