//go:build unix

package transfer

import (
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// Publishing goes through the handles of the two folders, so that anyone who may write to the receiving folder cannot
// substitute another staging folder for ours.

// linkOut gives a staged file a second name in the inbox; it fails with fs.ErrExist if the name is taken.
func (s *stage) linkOut(staged, to string) error {
	return s.between("link", staged, to, func(from int, name string, into int, final string) error {
		return unix.Linkat(from, name, into, final, 0)
	})
}

// moveNew moves a staged entry to a free name; it fails with fs.ErrExist if the name is taken.
func (s *stage) moveNew(staged, to string) error {
	return s.between("move", staged, to, renameNew)
}

// moveOver moves a staged entry to a name in the inbox and replaces what has that name.
func (s *stage) moveOver(staged, to string) error {
	return s.between("rename", staged, to, unix.Renameat)
}

func (s *stage) between(op, staged, to string, do func(from int, name string, into int, final string) error) error {
	from, err := folderOf(s.root, s.data, staged)
	if err != nil {
		return err
	}
	defer from.done()
	into, done, err := s.finalFolder(to)
	if err != nil {
		return err
	}
	defer done()
	if err := do(int(from.Fd()), path.Base(staged), int(into.handle.Fd()), path.Base(to)); err != nil {
		return &fs.PathError{Op: op, Path: to, Err: err}
	}
	return nil
}

// handle is a folder that is open for one operation, or for longer if kept is set.
type handle struct {
	*os.File
	kept bool
}

func (h handle) done() {
	if !h.kept {
		_ = h.Close()
	}
}

// folderOf opens the folder of a path below root. For a top-level path that is root itself, which is already open.
func folderOf(root *os.Root, open *os.File, name string) (handle, error) {
	dir := path.Dir(name)
	if dir == "." {
		return handle{open, true}, nil
	}
	d, err := root.Open(dir)
	return handle{d, false}, err
}
