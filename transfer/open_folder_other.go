//go:build !linux

package transfer

import (
	"io/fs"
	"os"
	"time"
)

// createFile creates a file for writing and reading; fs.ErrExist means that the name is taken.
func (d *openFolder) createFile(name string) (*os.File, error) {
	return d.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o644)
}

// openRegular opens a regular file for reading, and returns its current state. found is the entry that was found under
// this name a moment ago; nil if unknown. Any other kind of entry is ErrSpecial; a pipe does not block the caller.
func (d *openFolder) openRegular(name string, found fs.FileInfo) (*os.File, fs.FileInfo, error) {
	if found == nil {
		var err error
		if found, err = d.Lstat(name); err != nil {
			return nil, nil, err
		}
	}
	if !found.Mode().IsRegular() {
		return nil, nil, ErrSpecial
	}
	f, err := d.OpenFile(name, readFlags, 0)
	if err != nil {
		return nil, nil, err
	}
	opened, err := f.Stat()
	if err == nil && !os.SameFile(opened, found) {
		found, err = d.Lstat(name) // it was replaced, or is a link to the opened file
	}
	if err == nil && (!opened.Mode().IsRegular() || !os.SameFile(opened, found)) {
		err = ErrSpecial
	}
	if err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	return f, opened, nil
}

// setModTime sets the modification time of an entry.
func (d *openFolder) setModTime(name string, t time.Time) error {
	return d.Chtimes(name, time.Time{}, t)
}
