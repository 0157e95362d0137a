//go:build linux || darwin

package transfer

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// nextData returns where the next range of data at or after off begins and ends; size if there is none.
func nextData(f *os.File, off, size int64) (from, to int64) {
	from, err := f.Seek(off, unix.SEEK_DATA)
	if errors.Is(err, syscall.ENXIO) { // a hole up to the end
		return size, size
	}
	if err != nil || from < off {
		return off, size
	}
	to, err = f.Seek(from, unix.SEEK_HOLE)
	if err != nil || to <= from {
		return from, size
	}
	return min(from, size), min(to, size)
}
