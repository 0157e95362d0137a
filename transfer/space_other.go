//go:build !linux && !darwin && !windows

package transfer

import (
	"errors"
	"os"
)

func diskSpace(*os.File) (free, total uint64, err error) {
	return 0, 0, errors.ErrUnsupported
}

// isFAT is unknown here: a write that fails shows it.
func isFAT(*os.File) bool { return false }
