package autostart

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// On Linux and similar systems, a desktop autostart entry starts the window, and a systemd user unit starts the
// service.

const (
	entryFile = "multipeer.desktop"
	unitFile  = "multipeer.service" // overrides the unit from the package
)

func (e Entry) file() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", err
	}
	if e.Service {
		return filepath.Join(dir, "systemd", "user", unitFile), nil
	}
	return filepath.Join(dir, "autostart", entryFile), nil
}

func (e Entry) write(command []string) error {
	path, err := e.file()
	if err != nil {
		return err
	}
	if !e.Service {
		return put(path, desktopEntry(command))
	}
	if err := unitProgram(command[0]); err != nil {
		return err
	}
	if err := systemd("daemon-reload"); err != nil { // systemd is not available: leave nothing behind
		return err
	}
	if err := put(path, unit(command)); err != nil {
		return err
	}
	for _, step := range [][]string{{"daemon-reload"}, {"enable", unitFile}, {"restart", unitFile}} {
		if err := systemd(step...); err != nil {
			return err
		}
	}
	return nil
}

func (e Entry) remove() error {
	path, err := e.file()
	if err != nil {
		return err
	}
	if !e.Service {
		return removeIfExists(path)
	}
	err = systemd("disable", "--now", unitFile)
	if err != nil && strings.Contains(err.Error(), "does not exist") { // there is no unit, neither ours nor the package's
		return removeIfExists(path)
	}
	if err != nil {
		return err
	}
	return errors.Join(removeIfExists(path), systemd("daemon-reload"))
}

func systemd(args ...string) error {
	if _, err := exec.LookPath("systemctl"); err != nil {
		return errors.New("this system has no systemd; set up multipeer-cli serve as a service with the system's own tools")
	}
	if err := tool("systemctl", append([]string{"--user"}, args...)...); err != nil {
		return fmt.Errorf("%w; if the user's systemd is not running, log in directly (for example with ssh), not through sudo or su", err)
	}
	return nil
}
