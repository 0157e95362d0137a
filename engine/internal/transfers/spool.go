package transfers

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"multipeer/engine/internal/tasks"
	"multipeer/engine/internal/wire"
)

// spool is a folder with the content of offers that came from a reader: from there they are sent, resumed and repeated
// like any other file. A file is removed when the last transfer that uses it has ended.
type spool struct {
	folder string // of the profile; empty means a temporary folder
	log    *slog.Logger
	tasks  *tasks.Group
	mu     sync.Mutex
	temp   string         // the temporary folder, once it is needed
	users  map[string]int // how many transfers use each file
	unused []string       // files to remove
}

// inSpool returns the name of a file of a spool, which outlives a move of the profile; it is empty for an empty path.
func inSpool(path string) string {
	if path == "" {
		return ""
	}
	return filepath.Base(path)
}

// path reverses inSpool.
func (s *spool) path(name string) string {
	if name == "" {
		return ""
	}
	return filepath.Join(s.folder, filepath.Base(name))
}

// dir returns the folder, and creates it if necessary.
func (s *spool) dir() (string, error) {
	if s.folder != "" {
		return s.folder, os.MkdirAll(s.folder, 0o700)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.temp != "" {
		return s.temp, nil
	}
	var err error
	s.temp, err = os.MkdirTemp("", "multipeer-")
	return s.temp, err
}

// store writes what r yields into a new file, durably, and returns its path. The caller is its first user. ctx is
// checked between reads.
func (s *spool) store(ctx context.Context, r io.Reader) (path string, err error) {
	dir, err := s.dir()
	if err != nil {
		return "", fmt.Errorf("storing outgoing data: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, wire.NewID()), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", fmt.Errorf("storing outgoing data: %w", err)
	}
	path = f.Name()
	_, err = io.Copy(f, readerUntil{ctx, r})
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		_ = os.Remove(path)
		return "", fmt.Errorf("storing outgoing data: %w", err)
	}
	s.use(path)
	return path, nil
}

// readerUntil reads from r until ctx ends.
type readerUntil struct {
	ctx context.Context
	r   io.Reader
}

func (r readerUntil) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, wire.EndOf(r.ctx)
	}
	return r.r.Read(b)
}

// use counts one more transfer that uses a file; an empty path does not count.
func (s *spool) use(path string) {
	if path == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users == nil {
		s.users = map[string]int{}
	}
	s.users[path]++
}

// release ends one use of a file. It does not touch the disk: clean removes what is not used any more. Its lock is a
// leaf.
func (s *spool) release(path string) (unused bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[path]--
	if s.users[path] > 0 {
		return false
	}
	delete(s.users, path)
	s.unused = append(s.unused, path)
	return true
}

// releaseSoon is release that removes the file in the background; an empty path is none. If the engine does not run,
// Manager.Close removes it.
func (s *spool) releaseSoon(path string) {
	if path != "" && s.release(path) {
		s.tasks.Start(s.cleanNow)
	}
}

// clean removes the files that are not used any more.
func (s *spool) clean() error {
	s.mu.Lock()
	list := s.unused
	s.unused = nil
	s.mu.Unlock()
	var first error
	for _, path := range list {
		if err := os.Remove(path); err != nil && !os.IsNotExist(err) && first == nil {
			first = err
		}
	}
	return first
}

// cleanNow is clean for a goroutine, which logs the error.
func (s *spool) cleanNow(context.Context) {
	if err := s.clean(); err != nil {
		s.log.Error("removing what was sent", "err", err)
	}
}

// cleanLeftovers removes the files of the profile's folder that no stored transfer uses.
func (s *spool) cleanLeftovers() error {
	if s.folder == "" {
		return nil
	}
	files, err := os.ReadDir(s.folder)
	if err != nil {
		if os.IsNotExist(err) {
			return nil
		}
		return err
	}
	s.mu.Lock()
	for _, f := range files {
		path := filepath.Join(s.folder, f.Name())
		if s.users[path] == 0 {
			s.unused = append(s.unused, path)
		}
	}
	s.mu.Unlock()
	return s.clean()
}

// close removes the temporary folder.
func (s *spool) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.temp == "" {
		return nil
	}
	return os.RemoveAll(s.temp)
}
