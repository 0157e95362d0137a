//go:build !linux && !darwin && !windows

package transfer

import (
	"errors"
	"os"
)

func diskSpace(*os.File) (free, total uint64, err error) {
	return 0, 0, errors.ErrUnsupported
}

// largestFile is unknown here: only writing shows it.
func largestFile(*os.File) (int64, bool) { return 0, false }
