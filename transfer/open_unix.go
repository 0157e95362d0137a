//go:build unix

package transfer

import (
	"os"

	"golang.org/x/sys/unix"
)

// openSource opens a file to read. It neither follows a link that took the file's place since the walk nor waits
// for the other end of a pipe that did.
func openSource(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
}
