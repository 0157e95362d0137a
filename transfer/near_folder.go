package transfer

import (
	"os"
	"path"
)

// nearFolder keeps the most recently used folder open, because entries arrive folder by folder.
type nearFolder struct {
	root *os.Root // nil if none is open
	dir  string   // with a trailing slash
}

// parent opens the folder below top that holds the entry at name, and returns the entry's name in it.
func (n *nearFolder) parent(top *os.Root, name string) (*os.Root, string, error) {
	dir, base := path.Split(name)
	if dir == "" {
		return top, base, nil
	}
	if n.root == nil || n.dir != dir {
		r, err := top.OpenRoot(path.Clean(dir))
		if err != nil {
			return nil, "", err
		}
		n.close()
		n.root, n.dir = r, dir
	}
	return n.root, base, nil
}

func (n *nearFolder) close() {
	if n.root != nil {
		_ = n.root.Close()
	}
	n.root = nil
}
