// Package autostart makes the system start one of our programs when its user logs in: the window, or the service
// multipeer-cli serve. It needs no administrator rights.
package autostart

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// Entry starts this program's own file at login.
type Entry struct {
	// Args are the program's arguments.
	Args []string
	// Service marks a program without a window and terminal: Set also starts and stops it, and the system restarts it
	// when it fails, if it can.
	Service bool
}

// ErrNoSystem reports that starting at login is not supported on this system.
var ErrNoSystem = errors.New("starting at login is not supported on this system; set it up with the system's own tools")

// Set creates or replaces the entry for this program, or removes it. It also starts or stops a service immediately.
// Each system tool gets at most ten seconds. A command with a control character is an error, and so is a program
// started by go run, because its file is deleted when it exits.
func (e Entry) Set(on bool) error {
	if !on {
		return e.remove()
	}
	exe, err := Program()
	if err != nil {
		return err
	}
	command := append([]string{exe}, e.Args...)
	if err := oneLine(command); err != nil {
		return err
	}
	return e.write(command)
}

// Program returns the path of the running executable. A program started by go run is an error, because its file is deleted
// when it exits.
func Program() (string, error) {
	p, err := os.Executable()
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(p, filepath.Join(os.TempDir(), "go-build")) {
		return "", errors.New("go run deletes the program when it exits; build the program first and run the binary")
	}
	return p, nil
}
