package transfer

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// The files and folders of a stage, each opened without following a link.

// parent opens the folder of a path, which most often is that of the path before.
func (s *stage) parent(name string) (*os.Root, string, error) {
	dir, base := path.Split(name)
	if dir == "" {
		return s.root, base, nil
	}
	if s.near == nil || s.nearName != dir {
		r, err := s.root.OpenRoot(path.Clean(dir))
		if err != nil {
			return nil, "", err
		}
		if s.near != nil {
			_ = s.near.Close()
		}
		s.near, s.nearName = r, dir
	}
	return s.near, base, nil
}

func (s *stage) mkdir(name string, modTime time.Time) error {
	if err := s.check("mkdir", name); err != nil {
		return err
	}
	if err := s.root.Mkdir(name, 0o755); err != nil {
		if info, statErr := s.root.Lstat(name); statErr != nil || !info.IsDir() { // from an earlier attempt
			return err
		}
	}
	s.folders[name] = modTime
	return nil
}

// create begins a file anew.
func (s *stage) create(name string) (*os.File, error) {
	if err := s.check("open", name); err != nil {
		return nil, err
	}
	dir, base, err := s.parent(name)
	if err != nil {
		return nil, err
	}
	const flags = os.O_CREATE | os.O_EXCL | os.O_RDWR
	f, err := dir.OpenFile(base, flags, 0o644)
	if errors.Is(err, fs.ErrExist) { // from an earlier attempt; what it holds is not known
		if err = dir.RemoveAll(base); err == nil {
			f, err = dir.OpenFile(base, flags, 0o644)
		}
	}
	return f, err
}

// reopen goes on with a file of which pos bytes are verified.
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

// write puts data at off. A write that is cut short is an error, and may be repeated.
func (s *stage) write(f *os.File, data []byte, off int64) error {
	if err := s.check("write", f.Name()); err != nil {
		return err
	}
	_, err := f.WriteAt(data, off)
	return err
}

// looks returns what stands in the staging under a name.
func (s *stage) looks(name string) (fs.FileInfo, error) {
	dir, base, err := s.parent(name)
	if err != nil {
		return nil, err
	}
	return dir.Lstat(base)
}

func (s *stage) discard(name string) error {
	if s.near != nil && strings.HasPrefix(s.nearName, name+"/") {
		_ = s.near.Close()
		s.near = nil
	}
	if _, err := s.root.Lstat(name); isGone(err) { // with the folder it was in
		return nil
	}
	dir, base, err := s.parent(name)
	if err != nil {
		return err
	}
	return dir.RemoveAll(base)
}

// isGone tells that something is not there any more, or a file is where its folder was.
func isGone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) }

// seal gives a finished file its length, time and mode, marks it as received, and closes it. It is not durable yet.
func (s *stage) seal(f *os.File, name string, e entry, keepExec bool) error {
	err := func() error {
		if info, err := f.Stat(); err != nil {
			return err
		} else if info.Size() != e.size { // it ends in a hole, or an earlier attempt had more
			if err := f.Truncate(e.size); err != nil {
				return err
			}
		}
		if keepExec && e.exec && runtime.GOOS != "windows" {
			if err := f.Chmod(0o744); err != nil {
				return err
			}
		}
		mark(f, filepath.Join(s.dir, filepath.FromSlash(s.name), dataDir, filepath.FromSlash(name)))
		dir, base, err := s.parent(name)
		if err != nil {
			return err
		}
		return dir.Chtimes(base, time.Time{}, clampTime(e.modTime))
	}()
	return errors.Join(err, f.Close())
}

// clampTime keeps a peer's time in the range that file systems and people expect.
func clampTime(t time.Time) time.Time {
	if first := time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC); t.Before(first) {
		return first
	}
	if last := time.Now().Add(24 * time.Hour); t.After(last) {
		return last
	}
	return t
}

// link makes a symbolic link in the staging, whose target the caller has checked. It is called when no more file is
// written there: nothing is ever written through a link.
func (s *stage) link(name, target string) error {
	if err := s.check("symlink", name); err != nil {
		return err
	}
	if err := s.discard(name); err != nil {
		return err
	}
	return s.root.Symlink(target, name)
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
