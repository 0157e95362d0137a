// Package boltfile opens the databases of a profile, including damaged ones, and including on file systems that do not
// support fsync: some network shares and user-space file systems return EINVAL or ENOTSUP. Data on them is only as
// durable as they make it.
package boltfile

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// ErrDamaged reports a database that cannot be read. Restoring the file, or removing it, is up to the user.
var ErrDamaged = errors.New("the file is damaged")

// DB is a database. If the file is damaged, the call that finds the damage and all later calls return an error; bbolt
// itself would panic. All methods may be called concurrently.
type DB struct {
	db     *bbolt.DB
	broken atomic.Pointer[error] // the damage that was found
}

// Open opens the database at path, and creates it if it is missing. It waits up to timeout for another program that
// has it open. The error is ErrDamaged, or that of the file system. The caller must close the database.
func Open(path string, timeout time.Duration) (*DB, error) {
	synced, err := syncs(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	if synced {
		return open(path, bbolt.Options{Timeout: timeout})
	}
	return openUnsynced(path, timeout)
}

func openUnsynced(path string, timeout time.Duration) (*DB, error) {
	return open(path, bbolt.Options{Timeout: timeout, NoSync: true, NoFreelistSync: true})
}

func open(path string, opts bbolt.Options) (*DB, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = create(path, !opts.NoSync)
	case err == nil && info.Size() == 0: // bbolt would take it for a new database
		err = fmt.Errorf("%w: it is empty", ErrDamaged)
	}
	if err != nil {
		return nil, err
	}
	d := &DB{}
	err = d.guard(func() error {
		var err error
		d.db, err = bbolt.Open(path, 0o600, &opts)
		if err != nil && strings.Contains(err.Error(), "file size too small") { // bbolt has no error value for it
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		for _, damage := range []error{berrors.ErrInvalid, berrors.ErrChecksum, berrors.ErrVersionMismatch, io.EOF, io.ErrUnexpectedEOF} {
			if errors.Is(err, damage) {
				return fmt.Errorf("%w: %w", ErrDamaged, err)
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// create creates an empty database at path. The file is complete as soon as it has its name, because an incomplete one
// would be damaged.
func create(path string, synced bool) (err error) {
	made := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"-"+rand.Text()[:8])
	defer func() {
		if err != nil {
			_ = os.Remove(made)
			err = fmt.Errorf("creating a database: %w", err)
		}
	}()
	if synced {
		err = empty(made)
	} else {
		err = copyEmpty(made)
	}
	if err != nil {
		return err
	}
	return os.Rename(made, path)
}

// empty creates an empty database, and syncs it.
func empty(path string) error {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		return err
	}
	return db.Close()
}

// copyEmpty creates an empty database without syncs. bbolt always syncs a new database, so it is created in another
// folder and copied.
func copyEmpty(path string) error {
	dir, err := os.MkdirTemp("", "multipeer")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	made := filepath.Join(dir, "empty")
	if err := empty(made); err != nil {
		return err
	}
	content, err := os.ReadFile(made)
	if err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}

// View reads the database.
func (d *DB) View(f func(*bbolt.Tx) error) error {
	return d.guard(func() error { return d.db.View(f) })
}

// Update changes the database.
func (d *DB) Update(f func(*bbolt.Tx) error) error {
	return d.guard(func() error { return d.db.Update(f) })
}

// Path returns the path of the file.
func (d *DB) Path() string { return d.db.Path() }

// Close closes the database. A damaged one is only abandoned, because bbolt may still hold its locks.
func (d *DB) Close() error {
	if d.broken.Load() != nil {
		return nil
	}
	return d.guard(d.db.Close)
}

// guard turns a panic of bbolt, or a fault when it reads the mapped file, into ErrDamaged.
func (d *DB) guard(do func() error) (err error) {
	if broken := d.broken.Load(); broken != nil {
		return *broken
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, fault)
			d.broken.Store(&err)
		}
	}()
	return do()
}

// syncTest is the name of the file that syncs creates for a moment. It is always the same name, so that programs that
// are killed leave no more than one.
const syncTest = ".sync"

// syncs finds out whether files in dir can be synced, by syncing one. The error is that of the file system.
func syncs(dir string) (bool, error) {
	f, err := os.OpenFile(filepath.Join(dir, syncTest), os.O_CREATE|os.O_RDWR, 0o600)
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
