//go:build linux || darwin

package autostart

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

// Functions for systems where an entry is a file that system tools read.

// On reports whether the entry exists.
func (e Entry) On() (bool, error) {
	path, err := e.file()
	if err != nil {
		return false, err
	}
	return exists(path)
}

// patience limits how long a system tool may take.
const patience = 10 * time.Second

// tool runs a system tool; if it fails, its output is the error.
func tool(name string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.WaitDelay = time.Second
	c.Env = append(os.Environ(), "LC_ALL=C") // some errors are recognised by their text
	out, err := c.CombinedOutput()
	if err == nil {
		return nil
	}
	if text := strings.TrimSpace(string(out)); text != "" {
		err = errors.New(text)
	}
	return fmt.Errorf("%s: %w", strings.Join(append([]string{name}, args...), " "), err)
}

// put writes a file, and creates the folders above it. Only its owner can read it: the command may contain a PIN.
func put(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Chmod(path, 0o600) // it may have existed
}

// exists reports whether the file exists.
func exists(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// removeIfExists removes a file that may not exist.
func removeIfExists(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
