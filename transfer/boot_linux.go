package transfer

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// bootID identifies the current boot; it is empty if that is unknown.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// mountID distinguishes one mount of a volume from another.
func mountID(d *os.File) string {
	c, err := d.SyscallConn()
	if err != nil {
		return ""
	}
	var st unix.Statx_t
	_ = c.Control(func(fd uintptr) {
		for _, mask := range []int{unix.STATX_MNT_ID_UNIQUE, unix.STATX_MNT_ID} { // Linux 6.8, 5.8
			if err = unix.Statx(int(fd), "", unix.AT_EMPTY_PATH, mask, &st); err == nil && st.Mask&uint32(mask) != 0 {
				return
			}
		}
	})
	return strconv.FormatUint(st.Mnt_id, 36)
}
