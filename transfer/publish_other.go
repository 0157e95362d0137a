//go:build !unix

package transfer

import (
	"io/fs"
	"path"
	"syscall"
)

func (s *stage) stagedPath(staged string) string { return path.Join(s.name, dataDir, staged) }

// linkOut gives a staged file a second name in the inbox; it fails with fs.ErrExist if the name is taken.
func (s *stage) linkOut(staged, to string) error { return s.inbox.Link(s.stagedPath(staged), to) }

// moveNew moves a staged entry to a name that is free.
func (s *stage) moveNew(staged, to string) error {
	if _, err := s.inbox.Lstat(to); err == nil {
		return fs.ErrExist
	}
	return syscall.ENOSYS // a rename would replace a file created in the meantime
}

// moveOver moves a staged entry to a name in the inbox and replaces what has that name.
func (s *stage) moveOver(staged, to string) error { return s.inbox.Rename(s.stagedPath(staged), to) }
