// Package boltfile opens the databases of a profile, including on file systems that do not support fsync: some network
// shares and user-space file systems return EINVAL or ENOTSUP. Data on them is only as durable as they make it.
package boltfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
)

// Open opens the database at path, and creates it if it is missing. It waits up to timeout for another program that
// has it open. The caller must close it.
func Open(path string, timeout time.Duration) (*bbolt.DB, error) {
	synced, err := syncs(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	if synced {
		return bbolt.Open(path, 0o600, &bbolt.Options{Timeout: timeout})
	}
	return openUnsynced(path, timeout)
}

// openUnsynced opens a database without syncs. bbolt always syncs a new database, so create makes it in another folder.
func openUnsynced(path string, timeout time.Duration) (*bbolt.DB, error) {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		if err := create(path); err != nil {
			return nil, err
		}
	}
	return bbolt.Open(path, 0o600, &bbolt.Options{Timeout: timeout, NoSync: true, NoFreelistSync: true})
}

// create creates an empty database at path.
func create(path string) error {
	dir, err := os.MkdirTemp("", "multipeer")
	if err != nil {
		return fmt.Errorf("creating a database: %w", err)
	}
	defer os.RemoveAll(dir)
	made := filepath.Join(dir, "empty")
	db, err := bbolt.Open(made, 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		return fmt.Errorf("creating a database: %w", err)
	}
	if err := db.Close(); err != nil {
		return err
	}
	content, err := os.ReadFile(made)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}

// syncs finds out whether files in dir can be synced, by syncing one. The error is that of the file system.
func syncs(dir string) (bool, error) {
	f, err := os.CreateTemp(dir, ".sync-*")
	if err != nil {
		return false, err
	}
	defer os.Remove(f.Name())
	err = f.Sync()
	closeErr := f.Close()
	if Unsupported(err) {
		return false, nil
	}
	return true, errors.Join(err, closeErr)
}

// Confirmed returns nil if err reports that the file system has no sync, and err otherwise.
func Confirmed(err error) error {
	if Unsupported(err) {
		return nil
	}
	return err
}

// Unsupported reports whether err means that the file system has no sync.
func Unsupported(err error) bool {
	for _, e := range []error{syscall.EINVAL, syscall.ENOTSUP, syscall.EOPNOTSUPP, syscall.ENOSYS} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
