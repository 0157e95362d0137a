//go:build linux || darwin

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

// Where an entry is a file, and tools of the system read it.

// On tells whether the entry is there.
func (e Entry) On() (bool, error) {
	path, err := e.file()
	if err != nil {
		return false, err
	}
	return exists(path)
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
