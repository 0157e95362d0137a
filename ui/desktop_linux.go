package ui

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

// What the freedesktop.org specifications offer, over D-Bus: notifications, the portal's file dialog, the tray, and the
// file manager. A session without a bus has none of them, and no bus is started for it.

// busTimeout bounds calls that no person answers.
const busTimeout = 3 * time.Second

// sessionBus connects to the bus that is there.
func sessionBus() (*dbus.Conn, error) {
	if os.Getenv("DBUS_SESSION_BUS_ADDRESS") == "" {
		if _, err := os.Stat(filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "bus")); err != nil {
			return nil, errors.New("no session bus")
		}
	}
	return dbus.ConnectSessionBus()
}

// HasTray tells whether an icon would be drawn (org.kde.StatusNotifierWatcher). A stock GNOME has nobody who does.
func (s *system) HasTray() bool {
	c, err := sessionBus()
	if err != nil {
		return false
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), busTimeout)
	defer cancel()
	var has bool
	err = c.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.NameHasOwner", 0, "org.kde.StatusNotifierWatcher").Store(&has)
	return err == nil && has
}

// Notify shows a notification (Desktop Notifications Specification 1.2). A click brings the window to the front.
func (s *system) Notify(ctx context.Context, title, body string) error {
	c, err := sessionBus()
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, time.Minute) // as long as it may be on screen
	defer cancel()
	if err := c.AddMatchSignal(dbus.WithMatchInterface("org.freedesktop.Notifications")); err != nil {
		return err
	}
	news := make(chan *dbus.Signal, 16)
	c.Signal(news)
	var id uint32
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;") // the body may be read as markup
	call := c.Object("org.freedesktop.Notifications", "/org/freedesktop/Notifications").CallWithContext(ctx, "org.freedesktop.Notifications.Notify", 0,
		"Multipeer", uint32(0), "", title, escape.Replace(body), []string{"default", tr("Show")},
		map[string]dbus.Variant{"desktop-entry": dbus.MakeVariant("multipeer")}, int32(-1))
	if err := call.Store(&id); err != nil {
		return err
	}
	for {
		select {
		case sig, ok := <-news:
			if !ok || len(sig.Body) == 0 || sig.Body[0] != id {
				if !ok {
					return nil
				}
				continue
			}
			if strings.HasSuffix(sig.Name, ".ActionInvoked") && s.clicked != nil {
				s.clicked()
			}
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// Pick uses the portal's dialog (org.freedesktop.portal.FileChooser), which is the one of the user's desktop.
func (s *system) Pick(ctx context.Context, folder bool) ([]string, error) {
	c, err := sessionBus()
	if err != nil {
		return nil, errNoPicker
	}
	defer c.Close()
	if err := c.AddMatchSignal(dbus.WithMatchInterface("org.freedesktop.portal.Request"), dbus.WithMatchMember("Response")); err != nil {
		return nil, errNoPicker
	}
	news := make(chan *dbus.Signal, 16)
	c.Signal(news)
	title := tr("Choose files to send")
	if folder {
		title = tr("Choose a folder")
	}
	var request dbus.ObjectPath
	asking, cancel := context.WithTimeout(ctx, 10*busTimeout)
	err = c.Object("org.freedesktop.portal.Desktop", "/org/freedesktop/portal/desktop").CallWithContext(asking, "org.freedesktop.portal.FileChooser.OpenFile", 0,
		"", title, map[string]dbus.Variant{"multiple": dbus.MakeVariant(!folder), "directory": dbus.MakeVariant(folder)}).Store(&request)
	cancel()
	if err != nil {
		return nil, errNoPicker
	}
	for {
		select {
		case sig, ok := <-news:
			if !ok {
				return nil, errNoPicker
			}
			if sig.Path != request || len(sig.Body) != 2 {
				continue
			}
			if code, _ := sig.Body[0].(uint32); code != 0 { // cancelled
				return nil, nil
			}
			results, _ := sig.Body[1].(map[string]dbus.Variant)
			uris, _ := results["uris"].Value().([]string)
			return pathsOf(uris)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// pathsOf reads file: URLs. A + in them is a plus.
func pathsOf(uris []string) (paths []string, err error) {
	for _, u := range uris {
		raw, ok := strings.CutPrefix(u, "file://")
		if !ok {
			return nil, fmt.Errorf("%s is not on this device", u)
		}
		raw = strings.TrimPrefix(raw, "localhost")
		p, err := url.PathUnescape(raw)
		if err != nil {
			return nil, err
		}
		paths = append(paths, p)
	}
	return paths, nil
}

// Reveal asks the file manager (org.freedesktop.FileManager1), or opens the folder.
func (s *system) Reveal(path string) error {
	if c, err := sessionBus(); err == nil {
		defer c.Close()
		ctx, cancel := context.WithTimeout(context.Background(), busTimeout)
		defer cancel()
		u := url.URL{Scheme: "file", Path: path}
		if c.Object("org.freedesktop.FileManager1", "/org/freedesktop/FileManager1").CallWithContext(ctx, "org.freedesktop.FileManager1.ShowItems", 0, []string{u.String()}, "").Err == nil {
			return nil
		}
	}
	return s.Open(filepath.Dir(path))
}

// ClipboardPicture asks the tools that a desktop has for it: Fyne's clipboard knows text alone.
func (s *system) ClipboardPicture(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, busTimeout)
	defer cancel()
	tools := [][]string{{"xclip", "-selection", "clipboard", "-target", "image/png", "-out"}}
	if os.Getenv("WAYLAND_DISPLAY") != "" {
		tools = append([][]string{{"wl-paste", "--type", "image/png"}}, tools...)
	}
	found := false
	for _, t := range tools {
		if _, err := exec.LookPath(t[0]); err != nil {
			continue
		}
		found = true
		if b, err := exec.CommandContext(ctx, t[0], t[1:]...).Output(); err == nil && len(b) > 0 {
			return b, nil
		}
	}
	if !found {
		return nil, errors.New("pictures in the clipboard need the program xclip or, under Wayland, wl-paste (package wl-clipboard): install it and paste again")
	}
	return nil, errNoPicture
}
