package connlimit

import "golang.org/x/sys/unix"

// unacknowledged returns the length of a socket's send buffer (SO_NWRITE).
func unacknowledged(fd uintptr) int {
	n, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_NWRITE)
	if err != nil {
		return 0
	}
	return n
}
