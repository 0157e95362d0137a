package connlimit

import "golang.org/x/sys/unix"

// unacknowledged returns the length of a TCP socket's send queue (tcp(7), SIOCOUTQ).
func unacknowledged(fd uintptr) int {
	n, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
	if err != nil {
		return 0
	}
	return n
}
