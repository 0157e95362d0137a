package boltfile

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// TestOpen_KeepsWhatWasWritten covers opening with and without syncs, in every order.
func TestOpen_KeepsWhatWasWritten(t *testing.T) {
	for _, order := range [][]func(string, time.Duration) (*DB, error){{Open, openUnsynced}, {openUnsynced, Open}, {openUnsynced, openUnsynced}} {
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

// TestOpen_DamageIsAnError: whatever is in the file, no call panics, and an empty file is not a new database.
func TestOpen_DamageIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	fill := func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte("b"))
		for i := range 2000 {
			err = errors.Join(err, b.Put([]byte(fmt.Sprintf("key %d", i)), make([]byte, 50)))
		}
		return err
	}
	db, err := Open(path, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(fill), db.Close()); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	damaged := 0
	for i := range 300 {
		content := bytes.Clone(good)
		switch i % 3 {
		case 0:
			content = content[:random.IntN(len(content))]
			if i%2 == 0 { // around the first pages
				content = content[:random.IntN(min(len(content), 4*4096))]
			}
		case 1: // one page
			page := random.IntN(len(content) / 4096)
			for j := range 4096 {
				content[page*4096+j] = byte(random.Uint32())
			}
		case 2:
			for range 200 {
				content[random.IntN(len(content))] ^= byte(1 << random.IntN(8))
			}
		}
		if i == 0 {
			content = nil
		}
		at := filepath.Join(t.TempDir(), "state")
		if err := os.WriteFile(at, content, 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := Open(at, time.Second)
		if err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("%d bytes: %v", len(content), err)
		}
		if err == nil {
			err = errors.Join(
				db.View(func(tx *bbolt.Tx) error {
					b := tx.Bucket([]byte("b"))
					if b == nil {
						return nil
					}
					return b.ForEach(func(k, v []byte) error { _ = crc32.ChecksumIEEE(v); return nil })
				}),
				db.Update(fill), db.Close())
		}
		if errors.Is(err, ErrDamaged) {
			damaged++
		} else if len(content) == 0 {
			t.Errorf("an empty file: %v", err)
		}
	}
	if damaged < 50 {
		t.Errorf("only %d files were found damaged", damaged)
	}
}
