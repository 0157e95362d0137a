package transfer

import (
	"os"

	"golang.org/x/sys/unix"
)

// largestFile returns the maximum file size on the disk of d, if it is smaller than on other disks: on FAT.
func largestFile(d *os.File) (int64, bool) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(d.Fd()), &st); err != nil || unix.ByteSliceToString(st.Fstypename[:]) != "msdos" {
		return 0, false
	}
	return 1<<32 - 1, true
}
