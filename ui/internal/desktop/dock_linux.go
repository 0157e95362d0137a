package desktop

import (
	"sync"

	"github.com/godbus/dbus/v5"
)

// dock keeps the bus connection open, because a dock drops the progress of a program that leaves the bus.
type dock struct {
	mu   sync.Mutex
	conn *dbus.Conn // nil until progress is shown for the first time
}

// launcherEntry is the program's desktop entry, by which docks identify it.
const launcherEntry = "application://multipeer.desktop"

// ShowProgress shows progress in the dock, from 0 to 1; a negative value hides it. Ubuntu's dock and KDE's task bar
// listen to the signal of Unity's launcher (com.canonical.Unity.LauncherEntry).
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
	if err != nil { // the bus connection is dead; the next call reconnects
		_ = s.dock.conn.Close()
		s.dock.conn = nil
	}
	return err
}
