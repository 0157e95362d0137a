package desktop

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

// Tray is the icon in the system tray, with a menu.
type Tray struct {
	app  desktop.App
	menu *fyne.Menu
	set  bool
	said string // the current labels of the menu
	dot  bool
}

// TrayItem is a row of the tray's menu. Without a label it is a separator; without an action it is disabled.
type TrayItem struct {
	Label string
	Do    func()
	Quits bool // it ends the program
}

// NewTray returns the tray icon of an app, or nil if the app cannot have one. Update shows it.
func NewTray(a fyne.App, name string) *Tray {
	app, ok := a.(desktop.App)
	if !ok {
		return nil
	}
	return &Tray{app: app, dot: true, menu: fyne.NewMenu(name)}
}

// SetWindow sets the window that a click on the icon shows. The window is hidden when it is closed.
func (t *Tray) SetWindow(w fyne.Window) { t.app.SetSystemTrayWindow(w) }

// Update updates the menu and the icon; dot marks the icon.
func (t *Tray) Update(items []TrayItem, dot bool) {
	var rows []*fyne.MenuItem
	var said strings.Builder
	for _, i := range items {
		if i.Label == "" {
			rows = append(rows, fyne.NewMenuItemSeparator())
			continue
		}
		row := fyne.NewMenuItem(i.Label, i.Do)
		row.Disabled, row.IsQuit = i.Do == nil, i.Quits
		rows = append(rows, row)
		said.WriteString(i.Label + "\n")
	}
	if said.String() != t.said {
		t.said = said.String()
		t.menu.Items = rows
		if t.set {
			t.menu.Refresh()
		} else { // once: the driver keeps this menu and shows it when the tray is ready, possibly later
			t.set = true
			t.app.SetSystemTrayMenu(t.menu)
		}
	}
	if dot != t.dot {
		t.dot = dot
		t.app.SetSystemTrayIcon(trayIcon(dot))
	}
}

// trayIcon returns the app icon, with a dot while a request waits.
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
