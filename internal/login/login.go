// Package login has the system start a program of ours when its user logs in:
// the window, or the service that multipeer-cli serve is. Nothing of it needs
// an administrator.
package login

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
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
// It waits at most half a minute for the system. The error of a program of go run says that it cannot be started later.
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

// patience is how long one tool of the system may take.
const patience = 10 * time.Second

// tool runs a tool of the system, whose last words are the error.
func tool(name string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.WaitDelay = time.Second
	c.Env = append(os.Environ(), "LC_ALL=C") // some errors are told by their words
	out, err := c.CombinedOutput()
	if err == nil {
		return nil
	}
	if said := strings.TrimSpace(string(out)); said != "" {
		err = errors.New(said)
	}
	return fmt.Errorf("%s: %w", strings.Join(append([]string{name}, args...), " "), err)
}

// put writes a file whole, with the folders that it is in.
func put(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

// exists tells whether there is such a file.
func exists(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// gone removes a file that may not be there.
func gone(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
