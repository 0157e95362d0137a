package transfer

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// profileFiles are in every profile folder of Multipeer: the private key, and its certificate.
var profileFiles = [...]string{"identity.key", "identity.crt"}

// holdsPrivate reports whether the folder at rel must stay on this device, with everything in it: a profile of
// Multipeer, or the files of transfers that are not complete.
func (s *source) holdsPrivate(rel string) bool {
	if strings.EqualFold(filepath.Base(rel), PartialDir) {
		return true
	}
	return isProfile(func(name string) (fs.FileInfo, error) {
		folder, name, err := s.locate(below(rel, name))
		if err != nil {
			return nil, err
		}
		return folder.Lstat(name)
	})
}

// isPrivate is holdsPrivate for one of the paths that are sent. A file is private if its folder is.
func (t *top) isPrivate() bool {
	folder := t.local
	if !t.info.IsDir() {
		folder = filepath.Dir(t.local)
	}
	for _, name := range strings.Split(filepath.ToSlash(folder), "/") {
		if strings.EqualFold(name, PartialDir) {
			return true
		}
	}
	return isProfile(func(name string) (fs.FileInfo, error) { return os.Lstat(filepath.Join(folder, name)) })
}

// isProfile reports whether a folder is a profile of Multipeer.
func isProfile(lstat func(name string) (fs.FileInfo, error)) bool {
	for _, name := range profileFiles {
		if info, err := lstat(name); err != nil || !info.Mode().IsRegular() { // guard: send-private
			return false
		}
	}
	return true
}
