package transfer

import (
	"fmt"
	"os"
)

// maxReserve is what an offer must leave free: a full disk harms more than this program.
const maxReserve = 1 << 30

// checkSpace refuses what does not fit: expect bytes, and 1 GiB or a twentieth of the disk to spare, whichever is
// less. A system that does not tell is believed to have room.
func checkSpace(root *os.Root, expect int64) error {
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	free, total, err := diskSpace(d)
	if err != nil {
		return nil //nolint:nilerr // writing will tell
	}
	reserve := min(total/20, maxReserve)
	if uint64(max(expect, 0))+reserve > free {
		return fmt.Errorf("%w: %d bytes are to come, %d are free and %d of them stay in reserve", ErrDiskFull, expect, free, reserve)
	}
	return nil
}
