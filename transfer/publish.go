package transfer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"syscall"
)

// Existing says what becomes of an entry whose name is taken in the folder that receives.
type Existing int

// The policies. KeepBoth numbers the newcomer, SkipIdentical does so too but leaves out files that are there already,
// byte for byte; Replace puts new files in the place of old ones, each at once when it is whole. With the last two a
// folder goes into the one of its name, and nothing that is only there is touched.
const (
	KeepBoth Existing = iota
	SkipIdentical
	Replace
)

// publish gives a staged file or folder a name in the inbox that nobody has, at or after the name wanted, and returns
// it; announce has the last word before. It never replaces anything: whoever else creates the name first keeps it.
// What an interrupted call has begun, begun says under which name, it completes.
func (s *stage) publish(staged, wanted string, folder bool, begun string, announce func(final string) error) (string, error) {
	if err := s.inPlace(); err != nil {
		return "", err
	}
	from := path.Join(s.name, dataDir, staged)
	source, sourceErr := s.inbox.Lstat(from)
	if begun != "" {
		final, err := s.inbox.Lstat(begun)
		switch {
		case errors.Is(sourceErr, fs.ErrNotExist) && err == nil: // renamed, or linked and removed
			return begun, nil
		case sourceErr == nil && err == nil && os.SameFile(source, final): // linked
			return begun, nil
		case sourceErr == nil && err == nil && !folder && final.Mode().IsRegular() && final.Size() == 0:
			if err := s.inbox.Rename(from, begun); err == nil { // the reservation of a system without links
				return begun, nil
			}
		}
	}
	if sourceErr != nil {
		return "", sourceErr
	}
	for n := 1; n <= maxNumber; n++ {
		to := numbered(wanted, n)
		if there, err := s.inbox.Lstat(to); err == nil {
			if os.SameFile(source, there) { // linked by an interrupted call
				return to, nil
			}
			continue
		}
		if err := announce(to); err != nil {
			return "", err
		}
		var err error
		if folder {
			err = s.publishFolder(from, to)
		} else {
			err = s.publishFile(from, to)
		}
		if !errors.Is(err, fs.ErrExist) {
			return to, err
		}
	}
	return "", fmt.Errorf("%w: %q exists too often", ErrBadName, wanted)
}

// publishFile links the final name, which fails if it is there. The staged name stays until all is done: it proves
// after a crash whose the final one is. File systems without links get an empty reservation of our own first, which the
// rename then replaces; what it is called is durable before.
func (s *stage) publishFile(from, to string) error {
	if err := s.check("link", to); err != nil {
		return err
	}
	err := s.inbox.Link(from, to)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	if info, statErr := s.inbox.Lstat(from); statErr == nil && info.Mode()&fs.ModeSymlink != 0 {
		return err
	}
	if err := s.syncJournal(); err != nil {
		return err
	}
	f, err := s.inbox.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_ = f.Close()
	if err := s.inbox.Rename(from, to); err != nil {
		_ = s.inbox.Remove(to)
		return err
	}
	return nil
}

// publishFolder renames. A rename of a folder never replaces anything but an empty folder, which whoever made it in
// this very moment loses nothing by.
func (s *stage) publishFolder(from, to string) error {
	if err := s.check("rename", to); err != nil {
		return err
	}
	err := s.inbox.Rename(from, to)
	if errors.Is(err, syscall.ENOTDIR) { // a file
		err = fs.ErrExist
	}
	return err
}

// replace puts a staged file in the place of a regular file, in one step: the old one is there until the new one is.
func (s *stage) replace(staged, final string) error {
	if err := s.inPlace(); err != nil {
		return err
	}
	from := path.Join(s.name, dataDir, staged)
	if _, err := s.inbox.Lstat(from); errors.Is(err, fs.ErrNotExist) {
		if _, err := s.inbox.Lstat(final); err == nil {
			return nil // by an interrupted call
		}
	}
	if err := s.check("rename", final); err != nil {
		return err
	}
	return s.inbox.Rename(from, final)
}

// mkdirFinal makes a folder in a folder of the inbox that gets new content.
func (s *stage) mkdirFinal(name string) error {
	if err := s.check("mkdir", name); err != nil {
		return err
	}
	if err := s.inbox.Mkdir(name, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if info, err := s.inbox.Lstat(name); err != nil || !info.IsDir() {
		return errors.Join(err, fs.ErrExist)
	}
	return nil
}
