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
	top, rest, deep := strings.Cut(dir, "/")
	root, err := openReal(s.inbox, top, ErrDenied)
	if err != nil {
		return nil, nil, err
	}
	if s.pinned[top] != nil && !isRoot(root, s.pinned[top]) { // guard: merge-pinned
		_ = root.Close()
		return nil, nil, fmt.Errorf("%w: another folder has taken the place of %s", ErrDenied, top)
	}
	if deep {
		first := root
		root, err = openPath(first, rest, ErrDenied)
		_ = first.Close()
		if err != nil {
			return nil, nil, err
		}
	}
	folder, err = holdFolder(root)
	if err != nil {
		_ = root.Close()
		return nil, nil, err
	}
	return folder, func() {
		_ = folder.handle.Close()
		_ = root.Close()
	}, nil
}
