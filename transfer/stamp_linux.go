package transfer

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// stampOf distinguishes one state of a file from another, even after a change that restored the modification time.
func stampOf(info fs.FileInfo) uint64 {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return stamp(info)
	}
	return stamp(info, uint64(st.Dev), st.Ino, uint64(st.Ctim.Sec), uint64(st.Ctim.Nsec))
}

// changed returns when a file was last changed. Where keepsChangeTimes is true, programs cannot set this time.
func changed(info fs.FileInfo) (at time.Time, known bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return time.Time{}, false
	}
	return time.Unix(int64(st.Ctim.Sec), int64(st.Ctim.Nsec)), true
}

// deviceOf returns the number of the disk that a file is on.
func deviceOf(info fs.FileInfo) (device uint64, known bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return uint64(st.Dev), true //nolint:unconvert // its type depends on the system
}

// folderMark distinguishes a folder from others; empty if that is not possible. A restart of the system may change it.
func folderMark(info fs.FileInfo) string {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%x-%x", st.Dev, st.Ino)
}

// keepsChangeTimes reports whether the disk of a file sets the time of the last change itself. FAT, and file systems of
// programs such as sshfs, use the modification time; tmpfs does not notice writes through a memory mapping.
func keepsChangeTimes(f *os.File) bool {
	var st unix.Statfs_t
	if unix.Fstatfs(int(f.Fd()), &st) != nil {
		return false
	}
	switch int64(st.Type) { //nolint:unconvert // its type depends on the processor
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC, unix.OVERLAYFS_SUPER_MAGIC, 0x2FC12FC1, 0xCA451A4E: // and ZFS, bcachefs
		return true
	}
	return false
}

// isSparse reports whether a file takes less space than its length.
func isSparse(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Blocks*512 < info.Size()
}

// onDisk returns how many bytes a file takes on its disk, but no more than its length.
func onDisk(info fs.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return min(info.Size(), st.Blocks*512)
	}
	return info.Size()
}
