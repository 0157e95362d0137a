package transfer

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxLinks is how many links a path may lead through, as in the Linux kernel (path_resolution(7)).
const maxLinks = 40

// resolveLinks is filepath.EvalSymlinks for a path that a person gives, but follows no link of another user: a folder that
// others may write to can hold a link to a private file of this user, with the name of a file that is meant to be sent.
func resolveLinks(p string) (string, error) {
	if self() == "" { // links have no owner here
		return filepath.EvalSymlinks(p)
	}
	root := filepath.VolumeName(p) + string(filepath.Separator)
	resolved, rest := root, strings.Split(strings.TrimPrefix(p, root), string(filepath.Separator))
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			resolved = filepath.Dir(resolved)
			continue
		}
		at := filepath.Join(resolved, name)
		info, err := os.Lstat(at)
		if err != nil {
			return "", err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			resolved = at
			continue
		}
		target, err := os.Readlink(at)
		if err != nil {
			return "", err
		}
		if owner := ownerOf(info); owner != self() && owner != "0" { // guard: source-link-of-others
			return "", fmt.Errorf("%w: %s is a link to %s that another user made; to send the target, give its own path", ErrSpecial, at, target)
		}
		links++
		if links > maxLinks {
			return "", fmt.Errorf("%w: too many links in %s", ErrUnreadable, p)
		}
		if filepath.IsAbs(target) {
			resolved = root
		}
		rest = append(strings.Split(target, string(filepath.Separator)), rest...)
	}
	return resolved, nil
}
