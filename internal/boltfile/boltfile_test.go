package boltfile

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// TestOpen_KeepsWhatWasWritten covers opening with and without syncs, in every order.
func TestOpen_KeepsWhatWasWritten(t *testing.T) {
	for _, order := range [][]func(string, time.Duration) (*bbolt.DB, error){{Open, openUnsynced}, {openUnsynced, Open}, {openUnsynced, openUnsynced}} {
		path := filepath.Join(t.TempDir(), "state")
		for i, open := range order {
			db, err := open(path, time.Second)
			if err != nil {
				t.Fatal(err)
			}
			err = db.Update(func(tx *bbolt.Tx) error {
				b, err := tx.CreateBucketIfNotExists([]byte("b"))
				if err != nil {
					return err
				}
				for old := range i {
					if b.Get([]byte(fmt.Sprint(old))) == nil {
						t.Errorf("what was written as number %d is gone", old)
					}
				}
				return b.Put([]byte(fmt.Sprint(i)), []byte("x"))
			})
			if err := errors.Join(err, db.Close()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestConfirmed_ForgivesOnlyMissingSyncs: missing syncs are tolerated, disk errors are not.
func TestConfirmed_ForgivesOnlyMissingSyncs(t *testing.T) {
	for _, err := range []error{syscall.EINVAL, syscall.ENOTSUP, syscall.ENOSYS} {
		if Confirmed(&fs.PathError{Op: "sync", Path: "x", Err: err}) != nil {
			t.Errorf("%v is an error", err)
		}
	}
	for _, err := range []error{syscall.EIO, syscall.ENOSPC, syscall.EROFS} {
		if !errors.Is(Confirmed(&fs.PathError{Op: "sync", Path: "x", Err: err}), err) {
			t.Errorf("%v is forgiven", err)
		}
	}
}
