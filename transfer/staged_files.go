package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// The files and folders of a stage, each opened without following a link.

// parent opens the folder of a path, which usually is that of the previous path.
func (s *stage) parent(name string) (*openFolder, string, error) {
	return s.near.parent(s.root, name)
}

// mkdir creates a folder. again means that an earlier attempt has stored the entry under this name. Otherwise, a folder
// that exists is that of another entry, whose name the disk treats as the same, and the error is fs.ErrExist.
func (s *stage) mkdir(name string, e entry, again bool) error {
	if err := s.check("mkdir", name); err != nil {
		return err
	}
	if err := s.root.Mkdir(name, 0o755); err != nil {
		info, statErr := s.root.Lstat(name)
		if !again || statErr != nil || !info.IsDir() { // guard: staged-folder-clash
			return err
		}
	}
	s.folders[name] = e
	return nil
}

// create creates an empty file. again means that the entry was stored under this name before: what is left of it is
// removed. Otherwise, a file that exists is that of another entry, whose name the disk treats as the same, and the error
// is fs.ErrExist.
func (s *stage) create(name string, again bool) (*os.File, error) {
	if err := s.check("open", name); err != nil {
		return nil, err
	}
	dir, base, err := s.parent(name)
	if err != nil {
		return nil, err
	}
	f, err := dir.createFile(base)
	if errors.Is(err, fs.ErrExist) && !again { // guard: staged-file-clash
		return nil, err
	}
	if errors.Is(err, fs.ErrExist) { // its content is unknown
		if err = dir.RemoveAll(base); err == nil {
			f, err = dir.createFile(base)
		}
	}
	return f, err
}

// reopen opens a file that an earlier attempt began.
func (s *stage) reopen(name string) (*os.File, error) {
	if err := s.check("open", name); err != nil {
		return nil, err
	}
	dir, base, err := s.parent(name)
	if err != nil {
		return nil, err
	}
	return dir.OpenFile(base, os.O_RDWR, 0)
}

// write writes data at off. A short write is an error, and may be repeated.
func (s *stage) write(f *os.File, data []byte, off int64) error {
	if err := s.check("write", f.Name()); err != nil {
		return err
	}
	_, err := f.WriteAt(data, off)
	return err
}

// removeUnrecorded removes what a crash has left in the staging folder and the journal does not account for. recorded
// reports whether it accounts for a path. Otherwise, a part of a file could be published with the folder that it is in,
// and a new file could be taken for one that has the same name on this disk.
func (s *stage) removeUnrecorded(ctx context.Context, recorded func(path string) bool) error {
	return fs.WalkDir(s.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return causeOf(ctx)
		case err != nil:
			return err
		case name == "." || recorded(name):
			return nil
		}
		if err := s.root.RemoveAll(name); err != nil {
			return err
		}
		if d.IsDir() {
			return fs.SkipDir
		}
		return nil
	})
}

// looks returns the entry of that name in the staging folder.
func (s *stage) looks(name string) (fs.FileInfo, error) {
	dir, base, err := s.parent(name)
	if err != nil {
		return nil, err
	}
	return dir.Lstat(base)
}

func (s *stage) discard(name string) error {
	if strings.HasPrefix(s.near.dir, name+"/") {
		s.near.close()
	}
	if _, err := s.root.Lstat(name); isGone(err) { // gone with its folder
		return nil
	}
	dir, base, err := s.parent(name)
	if err != nil {
		return err
	}
	return dir.RemoveAll(base)
}

// seal gives a complete file its time and mode, and marks it as received. It is not durable yet. The caller closes it.
// lost are the attributes that the disk does not keep: the content is worth having without them.
func (s *stage) seal(f *os.File, name string, e entry, keepExec bool) (lost []error, err error) {
	if keepExec && e.exec && runtime.GOOS != "windows" {
		if s.try("chmod", name, func() error { return setExec(f, true) }) != nil {
			lost = append(lost, ErrExec)
		}
	}
	mark(f, func() string {
		return filepath.Join(s.dir, filepath.FromSlash(s.name), dataDir, filepath.FromSlash(name))
	})
	dir, base, err := s.parent(name)
	if err != nil {
		return lost, err
	}
	if !s.setTime(dir, base, e.modTime) {
		lost = append(lost, ErrTimes)
	}
	return lost, nil
}

// setExec makes a file executable for its owner, or for no one. The umask of this process still decides who may read
// it.
func setExec(f *os.File, on bool) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	mode := info.Mode().Perm() &^ 0o111
	if on {
		mode |= 0o100
	}
	return f.Chmod(mode)
}

// try runs one file system operation, unless a test makes it fail.
func (s *stage) try(op, name string, do func() error) error {
	if err := s.check(op, name); err != nil {
		return err
	}
	return do()
}

// setLength truncates or extends a file: it may end in a hole, or an earlier attempt wrote more.
func (s *stage) setLength(f *os.File, size int64) error {
	info, err := f.Stat()
	if err != nil || info.Size() == size {
		return err
	}
	return s.try("truncate", f.Name(), func() error { return f.Truncate(size) })
}

// setTime sets the modification time, and reports whether the disk keeps it, to within two seconds.
func (s *stage) setTime(dir *openFolder, name string, t time.Time) bool {
	if s.try("chtimes", name, func() error { return dir.setModTime(name, t) }) != nil {
		return false
	}
	if year := t.Year(); year > 1980 && year < 2038 { // every file system can store these
		return true
	}
	info, err := dir.Lstat(name)
	return err == nil && info.ModTime().Sub(t).Abs() <= 2*time.Second
}

// link creates a symbolic link in the staging folder; the caller has checked its target. It is called once no more
// files are written there, so that nothing is ever written through a link. again is as for create.
func (s *stage) link(name, target string, again bool) error {
	if err := s.check("symlink", name); err != nil {
		return err
	}
	err := s.root.Symlink(target, name)
	if errors.Is(err, fs.ErrExist) && again {
		if err := s.discard(name); err != nil {
			return err
		}
		err = s.root.Symlink(target, name)
	}
	if errors.Is(err, syscall.EPERM) || unsupported(err) {
		return fmt.Errorf("%w: %w", ErrNoLinks, err)
	}
	return err
}

// copyFrom copies n bytes of an existing file into a staged one.
func (s *stage) copyFrom(from io.ReaderAt, to *os.File, off, n int64) error {
	k := newBlock()
	defer k.release()
	for n > 0 {
		b := k.buf[:min(n, ChunkSize)]
		if _, err := from.ReadAt(b, off); err != nil {
			return err
		}
		if err := s.write(to, b, off); err != nil {
			return err
		}
		off, n = off+int64(len(b)), n-int64(len(b))
	}
	return nil
}
