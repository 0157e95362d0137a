package transfer

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// foreignLink is the error for a link of another user.
type foreignLink struct{ path, target string }

func (l *foreignLink) Error() string {
	return fmt.Sprintf("%s is a link to %s that another user made; give the path of the target itself", l.path, l.target)
}

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
		if owner := ownerOf(info); !mayLink(owner, os.ReadFile) { // guard: source-link-of-others
			return "", &foreignLink{at, target}
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

// mayLink reports whether links of a user are followed: those of this user and of root. In an unprivileged container,
// the host's root appears as the overflow user, like every other user that the container does not map
// (user_namespaces(7)).
func mayLink(owner string, readFile func(string) ([]byte, error)) bool {
	if owner == self() || owner == "0" {
		return true
	}
	overflow, err := readFile("/proc/sys/kernel/overflowuid")
	if err != nil || strings.TrimSpace(string(overflow)) != owner {
		return false
	}
	mapped, err := readFile("/proc/self/uid_map")
	return err == nil && !isMapped(owner, string(mapped))
}

// isMapped reports whether a container maps a user ID, which then is a user of its own.
func isMapped(id, ranges string) bool {
	uid, err := strconv.ParseUint(id, 10, 32)
	if err != nil {
		return true
	}
	for line := range strings.Lines(ranges) {
		var first, outside, count uint64
		if _, err := fmt.Sscan(line, &first, &outside, &count); err != nil || uid >= first && uid-first < count {
			return true
		}
	}
	return false
}
