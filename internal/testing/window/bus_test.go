//go:build linux

package window

import (
	"bufio"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"multipeer/internal/testing/load"

	"multipeer/internal/testing/netlab"
)

// desktop plays the services on a desktop's session bus: a tray, notifications and the portal's file dialog.
type desktop struct {
	conn *dbus.Conn

	mu      sync.Mutex
	tray    string   // the bus name of the program that has an icon
	notices []string // "title: body" of notifications
	keys    []string // the actions of the last one: keys and labels
	dock    []string // the progress that docks show: a percentage, or "hidden"
	picks   []string // what the file dialog returns, as URLs
	asked   int      // how often it was opened
}

// newDesktop starts a separate bus, and the desktop on it.
func newDesktop(t *testing.T) (*desktop, string) {
	t.Helper()
	if _, err := exec.LookPath("dbus-daemon"); err != nil {
		netlab.Missing(t, "no dbus-daemon")
	}
	bus := exec.Command("dbus-daemon", "--session", "--nofork", "--print-address")
	out, err := bus.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := bus.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bus.Process.Kill(); _ = bus.Wait() })
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	address = strings.TrimSpace(address)
	conn, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	d := &desktop{conn: conn}
	for path, faces := range map[dbus.ObjectPath]map[string]map[string]any{
		"/StatusNotifierWatcher": {
			"org.kde.StatusNotifierWatcher":   {"RegisterStatusNotifierItem": d.register, "RegisterStatusNotifierHost": func(string) *dbus.Error { return nil }},
			"org.freedesktop.DBus.Properties": {"Get": func(string, string) (dbus.Variant, *dbus.Error) { return dbus.MakeVariant(true), nil }},
		},
		"/org/freedesktop/Notifications":  {"org.freedesktop.Notifications": {"Notify": d.notify}},
		"/org/freedesktop/portal/desktop": {"org.freedesktop.portal.FileChooser": {"OpenFile": d.choose}},
	} {
		for face, methods := range faces {
			if err := conn.ExportMethodTable(methods, path, face); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, name := range []string{"org.kde.StatusNotifierWatcher", "org.freedesktop.Notifications", "org.freedesktop.portal.Desktop"} {
		if reply, err := conn.RequestName(name, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
			t.Fatal(name, reply, err)
		}
	}
	if err := conn.AddMatchSignal(dbus.WithMatchInterface("com.canonical.Unity.LauncherEntry")); err != nil {
		t.Fatal(err)
	}
	signals := make(chan *dbus.Signal, 1000)
	conn.Signal(signals)
	go d.watchDock(signals)
	return d, address
}

// watchDock records the progress that programs report to docks, until the connection is closed.
func (d *desktop) watchDock(signals <-chan *dbus.Signal) {
	for sig := range signals {
		if len(sig.Body) != 2 || !strings.HasSuffix(sig.Name, ".Update") {
			continue
		}
		properties, _ := sig.Body[1].(map[string]dbus.Variant)
		shown := "hidden"
		if visible, _ := properties["progress-visible"].Value().(bool); visible {
			part, _ := properties["progress"].Value().(float64)
			shown = fmt.Sprintf("%s %.0f", sig.Body[0], part*100)
		}
		d.mu.Lock()
		d.dock = append(d.dock, shown)
		d.mu.Unlock()
	}
}

// docked returns what docks have shown.
func (d *desktop) docked() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.dock...)
}

func (d *desktop) register(_ string, from dbus.Sender) *dbus.Error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tray = string(from)
	return nil
}

func (d *desktop) notify(_ string, _ uint32, _, title, body string, actions []string, _ map[string]dbus.Variant, _ int32) (uint32, *dbus.Error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.notices, d.keys = append(d.notices, title+": "+body), actions
	return uint32(len(d.notices)), nil
}

func (d *desktop) choose(_, _ string, _ map[string]dbus.Variant) (dbus.ObjectPath, *dbus.Error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	request, picks := dbus.ObjectPath("/org/freedesktop/portal/desktop/request/1"), d.picks
	time.AfterFunc(100*time.Millisecond, func() {
		_ = d.conn.Emit(request, "org.freedesktop.portal.Request.Response", uint32(0), map[string]dbus.Variant{"uris": dbus.MakeVariant(picks)})
	})
	return request, nil
}

// click acts as a user who clicks the last notification, or its button with a label.
func (d *desktop) click(label string) error {
	d.mu.Lock()
	id, key := uint32(len(d.notices)), "default"
	for i := 1; i < len(d.keys); i += 2 {
		if d.keys[i] == label {
			key = d.keys[i-1]
		}
	}
	d.mu.Unlock()
	if err := d.conn.Emit("/org/freedesktop/Notifications", "org.freedesktop.Notifications.ActivationToken", id, "token"); err != nil { // some desktops send it first
		return err
	}
	return d.conn.Emit("/org/freedesktop/Notifications", "org.freedesktop.Notifications.ActionInvoked", id, key)
}

func (d *desktop) notes() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.notices...)
}

// menu reads the tray's menu: labels with their numbers.
func (d *desktop) menu(t *testing.T) map[string]int32 {
	t.Helper()
	type entry struct {
		ID         int32
		Properties map[string]dbus.Variant
		Children   []dbus.Variant
	}
	d.mu.Lock()
	from := d.tray
	d.mu.Unlock()
	var revision uint32
	var root entry
	o := d.conn.Object(from, "/StatusNotifierItem/menu")
	if err := o.Call("com.canonical.dbusmenu.GetLayout", 0, int32(0), int32(-1), []string{}).Store(&revision, &root); err != nil {
		t.Fatal(err)
	}
	out := map[string]int32{}
	for _, c := range root.Children {
		var e entry
		if err := dbus.Store([]any{c.Value()}, &e); err != nil {
			t.Fatal(err)
		}
		if label, ok := e.Properties["label"].Value().(string); ok {
			out[label] = e.ID
		}
	}
	return out
}

func (d *desktop) pick(t *testing.T, label string) {
	t.Helper()
	id, ok := d.menu(t)[label]
	if !ok {
		t.Fatalf("the tray has no %q: %v", label, d.menu(t))
	}
	if err := d.conn.Object(d.tray, "/StatusNotifierItem/menu").Call("com.canonical.dbusmenu.Event", 0, id, "clicked", dbus.MakeVariant(int32(0)), uint32(0)).Err; err != nil {
		t.Fatal(err)
	}
}

// within waits until a condition holds.
func within(t *testing.T, what string, is func() bool) {
	t.Helper()
	if !load.Within(10*time.Second, 50*time.Millisecond, is) {
		t.Fatalf("never: %s", what)
	}
}
