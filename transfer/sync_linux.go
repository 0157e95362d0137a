package transfer

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncVolume makes everything durable that was written to the volume of d. It reports writeback errors since d was
// opened (Linux 5.8).
func syncVolume(d *os.File) (ok bool, err error) {
	c, err := d.SyscallConn()
	if err != nil {
		return false, nil //nolint:nilerr // then file by file
	}
	if ctlErr := c.Control(func(fd uintptr) { err = unix.Syncfs(int(fd)) }); ctlErr != nil {
		return false, nil //nolint:nilerr // then file by file
	}
	return true, err
}

// syncContent makes the content and size of f durable, with the metadata needed to read them.
func syncContent(f *os.File) error {
	c, err := f.SyscallConn()
	if err != nil {
		return f.Sync()
	}
	if ctlErr := c.Control(func(fd uintptr) { err = unix.Fdatasync(int(fd)) }); ctlErr != nil {
		return ctlErr
	}
	return err
}
