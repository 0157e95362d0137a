//go:build unix

package transfer

import (
	"io/fs"
	"os"
	"syscall"
	"testing"
)

// of is a file's info with another user as the owner.
type of struct {
	fs.FileInfo
	uid uint32
}

func (o of) Sys() any {
	st := *o.FileInfo.Sys().(*syscall.Stat_t)
	st.Uid = o.uid
	return &st
}

// TestStaging_OwnerIsProbed: files that we create in another user's folder belong to us, on a disk that keeps owners.
func TestStaging_OwnerIsProbed(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, mode := range []fs.FileMode{0o755, 0o777} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		info, err := root.Stat(".")
		if err != nil {
			t.Fatal(err)
		}
		if !keepsModes(root, of{info, uint32(os.Geteuid()) + 1}) {
			t.Errorf("mode %v: the folder of another user was taken for one on a disk without modes", mode)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}
