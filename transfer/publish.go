package transfer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"syscall"
)

// Existing is the policy for an entry whose name is taken in the receiving folder.
type Existing int

// The policies. KeepBoth adds a number to the name of the new entry. SkipIdentical does the same, but leaves out files
// that already exist with identical content. Replace replaces existing files, each atomically once it is complete. With
// the last two, a folder is merged into an existing folder with the same name; entries that exist only there are left
// alone.
const (
	KeepBoth Existing = iota
	SkipIdentical
	Replace
)

// publish gives a staged file or folder the first free name in the inbox, starting with wanted, and returns it;
// announce is called first and may fail. Numbering makes no name longer than limit. publish never replaces anything: if
// another program creates the name first, that program keeps it. begun is the name under which an interrupted call
// began to publish the entry; publish completes that.
func (s *stage) publish(staged, wanted string, folder bool, begun string, limit int, announce func(final string) error) (string, error) {
	if err := s.inPlace(); err != nil {
		return "", err
	}
	source, sourceErr := s.root.Lstat(staged)
	if begun != "" {
		final, err := s.inbox.Lstat(begun)
		switch {
		case errors.Is(sourceErr, fs.ErrNotExist) && err == nil: // renamed, or linked and removed
			return begun, nil
		case sourceErr == nil && err == nil && os.SameFile(source, final): // linked
			return begun, nil
		case sourceErr == nil && err == nil && !folder && final.Mode().IsRegular() && final.Size() == 0:
			if err := s.moveOver(staged, begun); err == nil { // the placeholder on a system without links
				return begun, nil
			}
		}
	}
	if sourceErr != nil {
		return "", sourceErr
	}
	for n := 1; n <= maxNumber; n++ {
		to := path.Join(path.Dir(wanted), numbered(path.Base(wanted), n, limit))
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
			err = s.publishFolder(staged, to)
		} else {
			err = s.publishFile(staged, to)
		}
		if !errors.Is(err, fs.ErrExist) {
			return to, err
		}
	}
	return "", fmt.Errorf("%w: no free name is left for %q", ErrBadName, wanted)
}

// publishFile creates a link under the final name, which fails if the name exists. The staged name stays until the
// end: after a crash it proves that the final one is ours. On a file system without links the file is moved, if the
// file system can refuse to replace; otherwise an empty placeholder of ours is created first, which the move then
// replaces. Its name is made durable before that.
func (s *stage) publishFile(staged, to string) error {
	err := s.try("link", to, func() error { return s.linkOut(staged, to) })
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	if info, statErr := s.root.Lstat(staged); statErr == nil && info.Mode()&fs.ModeSymlink != 0 {
		return err
	}
	if err := s.syncJournal(); err != nil {
		return err
	}
	err = s.try("move", to, func() error { return s.moveNew(staged, to) })
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	folder, done, err := s.finalFolder(to)
	if err != nil {
		return err
	}
	defer done()
	f, err := folder.OpenFile(path.Base(to), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_ = f.Close()
	err = s.try("rename", to, func() error { return s.moveOver(staged, to) })
	if err == nil {
		return nil
	}
	if removeErr := folder.Remove(path.Base(to)); removeErr != nil {
		return errors.Join(err, removeErr)
	}
	return s.try("rename", to, func() error { return s.moveOver(staged, to) }) // for a disk that cannot replace by renaming
}

// publishFolder renames. Renaming a folder never replaces anything but an empty folder, so a program that has just
// created one there loses nothing.
func (s *stage) publishFolder(staged, to string) error {
	err := s.try("rename", to, func() error {
		err := s.moveNew(staged, to)
		if unsupported(err) {
			err = s.moveOver(staged, to)
		}
		return err
	})
	if errors.Is(err, syscall.ENOTDIR) { // a file
		err = fs.ErrExist
	}
	return err
}

// replace atomically replaces a regular file with a staged one: the old file stays until the new one is in place. The new
// file keeps the read and write permissions of the old one; whether it is executable is decided as for any received
// file.
func (s *stage) replace(staged, final string) error {
	if err := s.inPlace(); err != nil {
		return err
	}
	if _, err := s.root.Lstat(staged); errors.Is(err, fs.ErrNotExist) {
		if _, err := s.inbox.Lstat(final); err == nil {
			return nil // done by an interrupted call
		}
	}
	s.keepMode(staged, final)
	return s.try("rename", final, func() error { return s.moveOver(staged, final) })
}

// keepMode gives a staged file the read and write permissions of the file that it replaces. If that fails, the disk has
// no permissions to keep.
func (s *stage) keepMode(staged, final string) {
	old, err := s.inbox.Lstat(final)
	if err != nil {
		return
	}
	now, err := s.root.Lstat(staged)
	if err != nil {
		return
	}
	if mode := old.Mode().Perm()&^0o111 | now.Mode().Perm()&0o111; mode != now.Mode().Perm() {
		_ = s.root.Chmod(staged, mode)
	}
}

// mkdirFinal creates a folder for new content in the inbox.
func (s *stage) mkdirFinal(name string) error {
	if err := s.check("mkdir", name); err != nil {
		return err
	}
	folder, done, err := s.finalFolder(name)
	if err != nil {
		return err
	}
	defer done()
	if err := folder.Mkdir(path.Base(name), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if info, err := folder.Lstat(path.Base(name)); err != nil || !info.IsDir() {
		return errors.Join(err, fs.ErrExist)
	}
	return nil
}
