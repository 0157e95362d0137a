package transfer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/zeebo/blake3"
)

// Copies records which files on this device are copies of a sender's files, in a file that outlives the program. If
// neither the original nor the copy has changed since, the next transfer of the same file need not read either of them.
//
// A record is a hash of the state of both files: sizes, modification times, and at both ends the inode and the time of
// the last change to it, which programs cannot set. So a record that is damaged, or whose files have changed, matches
// nothing. Copies holds nothing else, is not synced, and forgets the oldest records. It can be deleted at any time.
// All methods may be called concurrently, and on nil.
type Copies struct {
	path string
	mu   sync.Mutex
}

// NewCopies returns the records in the file at path, which is created with the first record.
func NewCopies(path string) *Copies { return &Copies{path: path} }

const (
	copySize   = 16
	copiesHead = "multipeer copies" // as long as a record
	maxCopies  = 1 << 20
	// steadyAfter is the age of a file's last change at which a stamp identifies its content: no later change can have
	// the same time, not even on a file system that counts in steps of two seconds.
	steadyAfter = 3 * time.Second
)

// copyKey is the record of one copy.
type copyKey [copySize]byte

// keyOf returns the record of a file with the stamp here that is a copy of a sender's entry.
func keyOf(sender string, e entry, here uint64) copyKey {
	b := make([]byte, 0, 128)
	b = binary.BigEndian.AppendUint64(b, e.stamp)
	b = binary.BigEndian.AppendUint64(b, uint64(e.size))
	b = binary.BigEndian.AppendUint64(b, uint64(e.modTime.Unix()))
	b = binary.BigEndian.AppendUint64(b, uint64(e.modTime.Nanosecond()))
	b = binary.BigEndian.AppendUint64(b, here)
	b = append(b, sender...)
	h := blake3.Sum256(b)
	return copyKey(h[:copySize])
}

// load returns the records, sorted.
func (c *Copies) load() []copyKey {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	b, err := c.readLocked()
	c.mu.Unlock()
	if err != nil {
		return nil
	}
	keys := make([]copyKey, 0, len(b)/copySize)
	for ; len(b) >= copySize; b = b[copySize:] {
		keys = append(keys, copyKey(b[:copySize]))
	}
	slices.SortFunc(keys, compareKeys)
	return keys
}

func compareKeys(a, b copyKey) int { return bytes.Compare(a[:], b[:]) }

// readLocked returns the records in the file, without its head.
func (c *Copies) readLocked() ([]byte, error) {
	info, err := os.Lstat(c.path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > 2*maxCopies*copySize {
		return nil, fmt.Errorf("%w: %s", ErrSpecial, c.path)
	}
	b, err := os.ReadFile(c.path)
	if err != nil {
		return nil, err
	}
	b, ok := bytes.CutPrefix(b, []byte(copiesHead))
	if !ok {
		return nil, fmt.Errorf("%w: %s is not a list of copies", ErrProtocol, c.path)
	}
	return b[:len(b)/copySize*copySize], nil
}

// add appends records. If there are too many then, the oldest are removed.
func (c *Copies) add(keys []copyKey) error {
	if c == nil || len(keys) == 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := os.MkdirAll(filepath.Dir(c.path), 0o700); err != nil {
		return err
	}
	more := make([]byte, 0, len(keys)*copySize)
	for _, k := range keys {
		more = append(more, k[:]...)
	}
	if appended, err := c.appendLocked(more); appended || err != nil {
		return err
	}
	old, err := c.readLocked()
	if err != nil {
		old = nil // it is damaged, or there is none yet
	}
	all := append(old, more...)
	all = all[max(0, len(all)-maxCopies/2*copySize):]
	return c.replaceLocked(append([]byte(copiesHead), all...))
}

// appendLocked appends records, unless the file is missing, damaged or full.
func (c *Copies) appendLocked(b []byte) (appended bool, err error) {
	info, err := os.Lstat(c.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil || !info.Mode().IsRegular() || info.Size()%copySize != 0 || info.Size()+int64(len(b)) > maxCopies*copySize {
		return false, err
	}
	f, err := os.OpenFile(c.path, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return false, err
	}
	defer f.Close()
	head := make([]byte, len(copiesHead))
	if _, err := f.ReadAt(head, 0); err != nil || string(head) != copiesHead {
		return false, nil //nolint:nilerr // it is replaced
	}
	_, err = f.Write(b)
	return true, err
}

// replaceLocked replaces the file as a whole.
func (c *Copies) replaceLocked(b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(c.path), filepath.Base(c.path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), c.path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// has reports whether a file here is known to be a copy of an entry.
func (r *receiver) has(e entry, here fs.FileInfo) bool {
	if r.opts.Copies == nil || r.opts.Reread || !e.steady {
		return false
	}
	if r.copies == nil {
		r.copies = append(r.opts.Copies.load(), copyKey{}) // not nil any more
		slices.SortFunc(r.copies, compareKeys)
	}
	_, found := slices.BinarySearchFunc(r.copies, keyOf(r.opts.Sender, e, stampOf(here)), compareKeys)
	return found
}

// mayRecord reports whether copies of an entry are recorded.
func (r *receiver) mayRecord(e entry) bool {
	return r.opts.Copies != nil && e.kind == kindFile && e.steady
}

// record records that a file that was just written is a copy of an entry; here is its state. A state with another size
// or time is not of our making: another program has changed the file already.
func (r *receiver) record(e entry, here fs.FileInfo) {
	if _, known := changed(here); known && here.Size() == e.size && here.ModTime().Equal(e.modTime) {
		r.keepCopy(keyOf(r.opts.Sender, e, stampOf(here)))
	}
}

// keepCopy keeps a record until the end of the call: before that, the copies are not durable.
func (r *receiver) keepCopy(k copyKey) {
	if len(r.newCopies) < maxCopies/2 { // guard: copies-kept
		r.newCopies = append(r.newCopies, k)
	}
}

// recordPublished is record for a file that has been given its final name, which may have changed its state.
func (r *receiver) recordPublished(e entry, final string) {
	if !r.mayRecord(e) {
		return
	}
	if here, err := r.stage.existingNear(&r.stage.inboxNear, final); err == nil {
		r.record(e, here)
	}
}

// isSteady reports whether the stamp of a file identifies its content: its last change is so long ago that no later one
// can have the same time.
func isSteady(info fs.FileInfo) bool {
	at, known := changed(info)
	return known && time.Since(at) >= steadyAfter
}
