package autostart

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// On macOS, a launch agent starts both the window and the service.

func (e Entry) label() string {
	if e.Service {
		return "io.github.multipeer.serve"
	}
	return "io.github.multipeer.Multipeer"
}

func (e Entry) file() (string, error) {
	home, err := os.UserHomeDir()
	return filepath.Join(home, "Library", "LaunchAgents", e.label()+".plist"), err
}

func (e Entry) write(command []string) error {
	path, err := e.file()
	if err != nil {
		return err
	}
	text, err := launchAgent(e.label(), command, e.Service)
	if err != nil {
		return err
	}
	if err := put(path, text); err != nil || !e.Service {
		return err
	}
	e.end()
	for until := time.Now().Add(patience); ; time.Sleep(patience / 40) { // fails until the stopped service has exited
		if err := tool("launchctl", "bootstrap", domain(), path); err == nil || time.Now().After(until) {
			return err
		}
	}
}

func (e Entry) remove() error {
	path, err := e.file()
	if err != nil {
		return err
	}
	if e.Service {
		e.end()
	}
	return removeIfExists(path)
}

// end removes the service from launchd, if it is loaded.
func (e Entry) end() { _ = tool("launchctl", "bootout", domain()+"/"+e.label()) }

// domain is the launchd domain of the user who is logged in to the desktop.
func domain() string { return fmt.Sprintf("gui/%d", os.Getuid()) }
