package login

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// On macOS a launch agent starts either.

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

// On tells whether the launch agent is there.
func (e Entry) On() (bool, error) {
	path, err := e.file()
	if err != nil {
		return false, err
	}
	return exists(path)
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
	for range 20 { // what was told to end takes a moment, and is refused meanwhile
		if err = tool("launchctl", "bootstrap", domain(), path); err == nil {
			return nil
		}
		time.Sleep(patience / 40)
	}
	return err
}

func (e Entry) remove() error {
	path, err := e.file()
	if err != nil {
		return err
	}
	if e.Service {
		e.end()
	}
	return gone(path)
}

// end has launchd forget the service, if it knows it.
func (e Entry) end() { _ = tool("launchctl", "bootout", domain()+"/"+e.label()) }

// domain is that of the user who is logged in at the screen.
func domain() string { return fmt.Sprintf("gui/%d", os.Getuid()) }
