package transfers

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"multipeer/transfer"
)

// copies keeps the records of received files in a file of the profile: a line of text, and the records one after the
// other. A record is a hash, so damage costs only the damaged records. The file is not synced, and may be deleted at any
// time.
type copies struct {
	path string
	log  *slog.Logger
	mu   sync.Mutex // held while the file is used
}

const (
	copiesHead = "multipeer copies\n"
	copySize   = len(transfer.CopyKey{})
	// maxCopies is how many records the file holds at most. Above that, the newest half remains.
	maxCopies = 1 << 20
)

// Load returns the records.
func (c *copies) Load() []transfer.CopyKey {
	c.mu.Lock()
	b := c.readLocked()
	c.mu.Unlock()
	keys := make([]transfer.CopyKey, 0, len(b)/copySize)
	for ; len(b) >= copySize; b = b[copySize:] {
		keys = append(keys, transfer.CopyKey(b[:copySize]))
	}
	return keys
}

// readLocked returns the records in the file; nil if there are none, or the file is not ours.
func (c *copies) readLocked() []byte {
	info, err := os.Lstat(c.path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > int64(len(copiesHead)+maxCopies*copySize) {
		return nil
	}
	b, err := os.ReadFile(c.path)
	if err != nil {
		return nil
	}
	b, ours := bytes.CutPrefix(b, []byte(copiesHead))
	if !ours {
		return nil
	}
	return b[:len(b)/copySize*copySize]
}

// Add appends records.
func (c *copies) Add(keys []transfer.CopyKey) {
	more := make([]byte, 0, len(keys)*copySize)
	for _, k := range keys {
		more = append(more, k[:]...)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	err := os.MkdirAll(filepath.Dir(c.path), 0o700)
	if err == nil {
		err = c.addLocked(more)
	}
	if err != nil {
		c.log.Warn("received files are not recorded; the next transfer reads them again", "err", err)
	}
}

func (c *copies) addLocked(more []byte) error {
	info, err := os.Lstat(c.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	old := c.readLocked()
	all := append(old, more...)
	if len(all) > maxCopies*copySize { // guard: copies-stored
		all = all[len(all)-maxCopies/2*copySize:]
	} else if err == nil && info.Size() == int64(len(copiesHead)+len(old)) {
		return appendFile(c.path, more)
	}
	return replaceFile(c.path, append([]byte(copiesHead), all...))
}

func appendFile(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Close())
}

// replaceFile replaces a file as a whole.
func replaceFile(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
