package transfer

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
)

// openFolder is a folder that is held open. The entries in it are used by their names alone, and no link is followed.
type openFolder struct {
	*os.Root
	handle *os.File // the same folder, for system calls that a Root lacks
}

func holdFolder(root *os.Root) (*openFolder, error) {
	handle, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	return &openFolder{root, handle}, nil
}

// nearFolder keeps the most recently used folder open, because entries arrive folder by folder.
type nearFolder struct {
	top    *openFolder // the folder that all paths are relative to; its Root belongs to the caller
	folder *openFolder // nil if none is open
	dir    string      // its path, with a trailing slash
}

// parent opens the folder below top that holds the entry at name, and returns the entry's name in it. The folder stays
// open until the next call.
func (n *nearFolder) parent(top *os.Root, name string) (*openFolder, string, error) {
	if n.top == nil || n.top.Root != top {
		n.close()
		held, err := holdFolder(top)
		if err != nil {
			return nil, "", err
		}
		n.top = held
	}
	dir, base := path.Split(name)
	if dir == "" {
		return n.top, base, nil
	}
	if n.folder != nil && n.dir == dir {
		return n.folder, base, nil
	}
	from, below := top, dir
	if n.folder != nil && strings.HasPrefix(dir, n.dir) {
		from, below = n.folder.Root, dir[len(n.dir):]
	}
	root, err := openPath(from, path.Clean(below), ErrVanished)
	if err != nil {
		return nil, "", err
	}
	held, err := holdFolder(root)
	if err != nil {
		_ = root.Close()
		return nil, "", err
	}
	n.closeFolder()
	n.folder, n.dir = held, dir
	return held, base, nil
}

// openPath opens a folder below another one, one name after the other. It follows no link: reason is the error for one.
func openPath(from *os.Root, name string, reason error) (*os.Root, error) {
	root, release := from, func() {}
	for _, part := range strings.Split(name, "/") {
		next, err := openReal(root, part, reason)
		release()
		if err != nil {
			return nil, err
		}
		root, release = next, func() { _ = next.Close() }
	}
	return root, nil
}

// openReal opens a folder in another one. It follows no link: reason is the error for one.
func openReal(in *os.Root, name string, reason error) (*os.Root, error) {
	root, err := in.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	entry, err := in.Lstat(name)
	if err == nil && (!entry.IsDir() || !isRoot(root, entry)) { // guard: folder-no-link
		err = fmt.Errorf("%w: %s is a link, or was replaced", reason, name)
	}
	if err != nil {
		_ = root.Close()
		return nil, err
	}
	return root, nil
}

func isRoot(root *os.Root, info fs.FileInfo) bool {
	opened, err := root.Stat(".")
	return err == nil && os.SameFile(opened, info)
}

func (n *nearFolder) closeFolder() {
	if n.folder != nil {
		_ = n.folder.handle.Close()
		_ = n.folder.Close()
	}
	n.folder, n.dir = nil, ""
}

// close closes the folders that parent has opened.
func (n *nearFolder) close() {
	n.closeFolder()
	if n.top != nil {
		_ = n.top.handle.Close()
	}
	n.top = nil
}
