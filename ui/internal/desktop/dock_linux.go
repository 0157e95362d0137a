package desktop

import (
	"sync"

	"github.com/godbus/dbus/v5"
)

// dock is the connection on which the progress is shown: a dock forgets the progress of a program that leaves the bus.
type dock struct {
	mu   sync.Mutex
	conn *dbus.Conn // nil until progress is shown for the first time
}

// launcherEntry is the program as docks know it: its entry in the menu.
const launcherEntry = "application://multipeer.desktop"

// ShowProgress shows in the dock how much is done, from 0 to 1; a negative part hides it. Ubuntu's dock and KDE's task
// bar listen to the signal of Unity's launcher (com.canonical.Unity.LauncherEntry).
func (s *System) ShowProgress(part float64) error {
	s.dock.mu.Lock()
	defer s.dock.mu.Unlock()
	if s.dock.conn == nil {
		c, err := sessionBus()
		if err != nil {
			return err
		}
		s.dock.conn = c
	}
	err := s.dock.conn.Emit("/io/github/multipeer/Multipeer", "com.canonical.Unity.LauncherEntry.Update", launcherEntry, map[string]dbus.Variant{
		"progress": dbus.MakeVariant(max(0, part)), "progress-visible": dbus.MakeVariant(part >= 0),
	})
	if err != nil { // the bus has gone; the next call connects again
		_ = s.dock.conn.Close()
		s.dock.conn = nil
	}
	return err
}
