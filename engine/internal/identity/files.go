package identity

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"multipeer/internal/boltfile"
	"multipeer/internal/privatefile"
)

// writeNew atomically writes content to a new file at path, and fails with fs.ErrExist if something exists there.
// google/renameio, the usual library for this, excludes Windows.
func writeNew(path string, content []byte) error {
	return write(path, content, func(temp string) error {
		if err := os.Link(temp, path); err == nil || errors.Is(err, os.ErrExist) {
			_ = os.Remove(temp)
			return err
		}
		// No hard links here (exFAT, some network disks). The profile's lock excludes other Multipeer processes.
		if _, err := os.Lstat(path); err == nil {
			_ = os.Remove(temp)
			return os.ErrExist
		}
		return os.Rename(temp, path)
	})
}

// replace atomically writes content to path and replaces any existing file.
func replace(path string, content []byte) error {
	return write(path, content, func(temp string) error { return os.Rename(temp, path) })
}

func write(path string, content []byte, publish func(temp string) error) (err error) {
	temp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"-"+rand.Text()[:8])
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(temp)
		}
	}()
	_, err = f.Write(content)
	if err == nil {
		err = boltfile.Confirmed(f.Sync())
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	if err = publish(temp); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a new name in dir durable. Windows cannot sync a folder; its file systems journal names.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return boltfile.Confirmed(d.Sync())
}

// makeDir creates the profile's folder for its owner alone, and rejects one that others may enter or own.
func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("creating profile: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("reading profile: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("profile %s is not a folder", dir)
	}
	if err := privatefile.Check(dir, info); err != nil { // guard: profile-owner
		return fmt.Errorf("%w: the profile folder %w", ErrPermissions, err)
	}
	return nil
}
