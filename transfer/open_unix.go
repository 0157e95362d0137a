//go:build unix

package transfer

import (
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// readFlags are the flags with which sources are opened: a pipe that has replaced a file does not block the sender.
const readFlags = os.O_RDONLY | unix.O_NONBLOCK

// hasContent reports whether a file of reported size zero has content after all. It never blocks.
func hasContent(f *os.File) bool {
	c, err := f.SyscallConn()
	if err != nil {
		return false
	}
	n := 0
	readErr := c.Read(func(fd uintptr) bool {
		n, err = syscall.Read(int(fd), make([]byte, 1))
		return true
	})
	return readErr == nil && (err != nil || n > 0)
}

// ours reports whether a folder belongs to this user and no one else may write to it. A folder that was copied or
// restored from a backup may have another mode than it was created with.
func ours(info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid() && info.Mode().Perm()&othersWrite == 0
}

// trusted reports whether no one but this user can change what is in a folder of the inbox, apart from those who can change
// what is in the inbox anyway.
func trusted(inbox, folder os.FileInfo) bool {
	if ours(folder) {
		return true
	}
	in, ok1 := inbox.Sys().(*syscall.Stat_t)
	at, ok2 := folder.Sys().(*syscall.Stat_t)
	if !ok1 || !ok2 {
		return false
	}
	mine := int(at.Uid) == os.Geteuid()
	group, all := folder.Mode().Perm()&0o020 != 0, folder.Mode().Perm()&0o002 != 0
	switch {
	case mine && !all && int(at.Gid) == os.Getegid() && at.Gid == at.Uid: // a group of its own for each user
		return true
	case inbox.Mode()&os.ModeSticky != 0: // others cannot rename our folders there
		return false
	}
	known := mine || at.Uid == in.Uid
	return known && (!group || at.Gid == in.Gid && inbox.Mode().Perm()&0o020 != 0) && (!all || inbox.Mode().Perm()&0o002 != 0)
}

// ownerOf returns the user ID of a file's owner.
func ownerOf(info os.FileInfo) string {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return strconv.FormatUint(uint64(st.Uid), 10)
}

// self returns the user ID of this program.
func self() string { return strconv.Itoa(os.Geteuid()) }

// sameOwner reports whether two files belong to one user.
func sameOwner(a, b os.FileInfo) bool {
	one, ok1 := a.Sys().(*syscall.Stat_t)
	two, ok2 := b.Sys().(*syscall.Stat_t)
	return ok1 && ok2 && one.Uid == two.Uid
}
