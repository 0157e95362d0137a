package transfer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// reserveOf returns the default reserve for a disk of total bytes: the larger of 1 GiB and a twentieth, because a full
// disk harms more than this program; but never more than a tenth, because a small memory stick is meant to be filled.
func reserveOf(total uint64) uint64 { return min(max(1<<30, total/20), total/10) }

// checkSpace reports whether n more bytes fit without touching the reserve, which is in bytes, or 0 for reserveOf, or
// less than 0 for none. A system that does not report its free space is assumed to have room.
func checkSpace(d *os.File, n, reserve int64) error {
	free, total, err := diskSpace(d)
	if err != nil || total == 0 { // memory file systems and some user-space ones report nothing
		return nil //nolint:nilerr // a write will show whether there is room
	}
	keep := reserveOf(total)
	if reserve != 0 {
		keep = uint64(max(reserve, 0))
	}
	if uint64(max(n, 0))+keep > free { // guard: disk-space
		full := ErrDiskFull
		if n > 0 {
			full = ErrNoSpace
		}
		return fmt.Errorf("%w: %d bytes are needed, %d are free, and %d of those stay in reserve", full, n, free, keep)
	}
	return nil
}

// largestOnFAT is the maximum size of a file on a FAT file system, in bytes.
const largestOnFAT = 1<<32 - 1

// tooLarge reports whether a file of that size cannot be stored on the disk of d.
func tooLarge(d *os.File, size int64) bool { return size > largestOnFAT && isFAT(d) }

// FreeSpace returns how many bytes the disk of a folder has left for this user. A folder that does not exist yet
// counts as its nearest existing parent. The error is that of the file system, or says that it reports none.
func FreeSpace(dir string) (uint64, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return 0, err
	}
	for {
		d, err := os.Open(dir)
		if up := filepath.Dir(dir); errors.Is(err, fs.ErrNotExist) && up != dir {
			dir = up
			continue
		}
		if err != nil {
			return 0, err
		}
		free, total, err := diskSpace(d)
		_ = d.Close()
		if err == nil && total == 0 {
			err = errors.New("the disk does not report its free space")
		}
		return free, err
	}
}
