package transfer

import (
	"os"

	"golang.org/x/sys/unix"
)

// isFAT reports whether a folder is on a disk with a FAT file system.
func isFAT(d *os.File) bool {
	var st unix.Statfs_t
	err := unix.Fstatfs(int(d.Fd()), &st)
	return err == nil && st.Type == unix.MSDOS_SUPER_MAGIC
}
