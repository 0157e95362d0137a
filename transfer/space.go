package transfer

import (
	"fmt"
	"os"
)

// reserveOf is what stays free on a disk of that many bytes if nothing else was asked for: the larger of 1 GiB and a
// twentieth, for a full disk harms more than this program; but never more than a tenth, for a small stick is there to
// be filled.
func reserveOf(total uint64) uint64 { return min(max(1<<30, total/20), total/10) }

// checkSpace tells whether n more bytes fit beside the reserve: bytes, or 0 for reserveOf, or less than 0 for none. A
// system that does not tell is believed to have room.
func checkSpace(d *os.File, n, reserve int64) error {
	free, total, err := diskSpace(d)
	if err != nil {
		return nil //nolint:nilerr // writing will tell
	}
	keep := reserveOf(total)
	if reserve != 0 {
		keep = uint64(max(reserve, 0))
	}
	if uint64(max(n, 0))+keep > free { // guard: disk-room
		full := ErrDiskFull
		if n > 0 {
			full = ErrNoRoom
		}
		return fmt.Errorf("%w: %d bytes are to come, %d are free and %d of them stay in reserve", full, n, free, keep)
	}
	return nil
}
