// Package login has the system start a program of ours when its user logs in:
// the window, or the service that multipeer-cli serve is. Nothing of it needs
// an administrator.
package login

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// Entry is what starts this program's own file at login.
type Entry struct {
	// Args are the program's arguments.
	Args []string
	// Service is a program without a window: where the system can, it is started anew when it fails, without a terminal,
	// and it begins and ends with Set.
	Service bool
}

// ErrNoSystem says that this system offers nothing that we know of.
var ErrNoSystem = errors.New("how programs start at login on this system is not known: use its own way")

// Set makes the entry for this program, in place of an earlier one, or takes it away. A service begins now, too, or ends.
// Each step that the system is asked for has ten seconds. The error of a program of go run says that it cannot be started later.
func (e Entry) Set(on bool) error {
	if !on {
		return e.remove()
	}
	exe, err := program()
	if err != nil {
		return err
	}
	return e.write(append([]string{exe}, e.Args...))
}

// program is this program's own file.
func program() (string, error) {
	p, err := os.Executable()
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(p, filepath.Join(os.TempDir(), "go-build")) {
		return "", errors.New("a program of go run is gone after its end: build it first, and start that")
	}
	return p, nil
}
