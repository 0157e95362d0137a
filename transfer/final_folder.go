package transfer

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// Received files that are merged into an existing folder go only into that folder. If others may write to the receiving
// folder, they can replace the existing one by a link, or by another folder, while files arrive.

// pin records the existing top-level folder that files are merged into.
func (s *stage) pin(top string, info fs.FileInfo) {
	if s.pinned == nil {
		s.pinned = map[string]fs.FileInfo{}
	}
	if s.pinned[top] == nil {
		s.pinned[top] = info
	}
}

// finalFolder opens the folder of a final name, one name after the other: no link is followed, and the top-level folder is
// the one that was pinned. The caller must call done.
func (s *stage) finalFolder(name string) (folder *openFolder, done func(), err error) {
	dir := path.Dir(name)
	if dir == "." {
		return &openFolder{s.inbox, s.volume}, func() {}, nil
	}
	root, release := s.inbox, func() {}
	for i, part := range strings.Split(dir, "/") {
		next, err := openReal(root, part, ErrDenied)
		if err == nil && i == 0 && s.pinned[part] != nil && !isRoot(next, s.pinned[part]) { // guard: merge-pinned
			_ = next.Close()
			err = fmt.Errorf("%w: another folder is in the place of %s now", ErrDenied, part)
		}
		release()
		if err != nil {
			return nil, nil, err
		}
		root, release = next, func() { _ = next.Close() }
	}
	folder, err = holdFolder(root)
	if err != nil {
		release()
		return nil, nil, err
	}
	return folder, func() {
		_ = folder.handle.Close()
		release()
	}, nil
}
