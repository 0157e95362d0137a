package desktop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

// This file uses the freedesktop.org specifications over D-Bus: notifications, the portal's file dialog, the
// tray and the file manager. A session without a bus has none of them; the program does not start a bus for it.

// busTimeout limits calls that need no user interaction.
const busTimeout = 3 * time.Second

// sessionBus connects to the session bus if one is running.
func sessionBus() (*dbus.Conn, error) {
	if os.Getenv("DBUS_SESSION_BUS_ADDRESS") == "" {
		if _, err := os.Stat(filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "bus")); err != nil {
			return nil, errors.New("no session bus")
		}
	}
	return dbus.ConnectSessionBus()
}

// HasTray reports whether the desktop shows tray icons (org.kde.StatusNotifierWatcher). Stock GNOME does not.
func (s *System) HasTray() bool {
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

// Notify shows a notification (Desktop Notifications Specification 1.2). A click brings the window to the front; a
// button runs its function. Notify returns when the notification closes, or after a minute.
func (s *System) Notify(ctx context.Context, n Notice) error {
	c, err := sessionBus()
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, time.Minute) // the notification may stay on screen this long
	defer cancel()
	if err := c.AddMatchSignal(dbus.WithMatchSender("org.freedesktop.Notifications"), dbus.WithMatchObjectPath("/org/freedesktop/Notifications"), dbus.WithMatchInterface("org.freedesktop.Notifications")); err != nil {
		return err
	}
	news := make(chan *dbus.Signal, 16)
	c.Signal(news)
	server := c.Object("org.freedesktop.Notifications", "/org/freedesktop/Notifications")
	actions := []string{"default", s.texts().Show}
	for i, b := range n.Buttons {
		actions = append(actions, fmt.Sprint(i), b.Label)
	}
	hints := map[string]dbus.Variant{"desktop-entry": dbus.MakeVariant("multipeer")}
	if n.Sound != "" {
		hints["sound-name"] = dbus.MakeVariant(n.Sound)
	}
	var id uint32
	call := server.CallWithContext(ctx, "org.freedesktop.Notifications.Notify", 0,
		"Multipeer", uint32(0), "", n.Title, escapedFor(ctx, server, n.Body), actions,
		hints, int32(-1))
	if err := call.Store(&id); err != nil {
		return err
	}
	for {
		select {
		case sig, ok := <-news:
			if !ok {
				return nil
			}
			if len(sig.Body) < 2 || sig.Body[0] != id {
				continue
			}
			switch sig.Name {
			case "org.freedesktop.Notifications.ActionInvoked":
				s.invoked(n, fmt.Sprint(sig.Body[1]))
				return nil
			case "org.freedesktop.Notifications.NotificationClosed":
				return nil
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// invoked runs the function for an action of a notification.
func (s *System) invoked(n Notice, action string) {
	for i, b := range n.Buttons {
		if action == fmt.Sprint(i) {
			b.Do()
			return
		}
	}
	if s.clicked != nil {
		s.clicked()
	}
}

// escapedFor escapes the body of a notification, unless the server reports that it does not parse markup.
func escapedFor(ctx context.Context, server dbus.BusObject, body string) string {
	var can []string
	err := server.CallWithContext(ctx, "org.freedesktop.Notifications.GetCapabilities", 0).Store(&can)
	if err == nil && !slices.Contains(can, "body-markup") {
		return body
	}
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(body)
}

// Pick uses the portal's dialog (org.freedesktop.portal.FileChooser), the native dialog of the user's desktop.
func (s *System) Pick(ctx context.Context, folder bool) ([]string, error) {
	c, err := sessionBus()
	if err != nil {
		return nil, ErrNoPicker
	}
	defer c.Close()
	if err := c.AddMatchSignal(dbus.WithMatchInterface("org.freedesktop.portal.Request"), dbus.WithMatchMember("Response")); err != nil {
		return nil, ErrNoPicker
	}
	news := make(chan *dbus.Signal, 16)
	c.Signal(news)
	title := s.texts().PickFiles
	if folder {
		title = s.texts().PickFolder
	}
	var request dbus.ObjectPath
	asking, cancel := context.WithTimeout(ctx, 10*busTimeout)
	err = c.Object("org.freedesktop.portal.Desktop", "/org/freedesktop/portal/desktop").CallWithContext(asking, "org.freedesktop.portal.FileChooser.OpenFile", 0,
		"", title, map[string]dbus.Variant{"multiple": dbus.MakeVariant(!folder), "directory": dbus.MakeVariant(folder)}).Store(&request)
	cancel()
	if err != nil {
		return nil, ErrNoPicker
	}
	for {
		select {
		case sig, ok := <-news:
			if !ok {
				return nil, ErrNoPicker
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

// pathsOf parses file: URLs. A + in them is a literal plus.
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

// Reveal asks the file manager (org.freedesktop.FileManager1) to show the file, and opens the folder if that fails.
func (s *System) Reveal(path string) error {
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

// SetClipboardPicture runs the desktop's clipboard tools, which keep running to serve the picture.
func (s *System) SetClipboardPicture(ctx context.Context, png []byte) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	tools := [][]string{{"xclip", "-selection", "clipboard", "-target", "image/png", "-in"}}
	if os.Getenv("WAYLAND_DISPLAY") != "" {
		tools = append([][]string{{"wl-copy", "--type", "image/png"}}, tools...)
	}
	for _, t := range tools {
		if _, err := exec.LookPath(t[0]); err != nil {
			continue
		}
		c := exec.CommandContext(ctx, t[0], t[1:]...)
		c.Stdin = bytes.NewReader(png)
		if err := c.Run(); err != nil {
			return fmt.Errorf("%s: %w", t[0], err)
		}
		return nil
	}
	return errNoClipboardTool
}

// errNoClipboardTool names the tools that pictures in the clipboard need.
var errNoClipboardTool = errors.New("pictures cannot be copied or pasted without xclip or, under Wayland, wl-copy and wl-paste (package wl-clipboard); install one of these and try again")

// ClipboardPicture runs the desktop's clipboard tools, because Fyne's clipboard supports only text.
func (s *System) ClipboardPicture(ctx context.Context) ([]byte, error) {
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
		return nil, errNoClipboardTool
	}
	return nil, ErrNoPicture
}
