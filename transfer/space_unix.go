//go:build linux || darwin

package transfer

import (
	"os"

	"golang.org/x/sys/unix"
)

func diskSpace(d *os.File) (free, total uint64, err error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(d.Fd()), &st); err != nil {
		return 0, 0, err
	}
	return st.Bavail * uint64(st.Bsize), st.Blocks * uint64(st.Bsize), nil
}
