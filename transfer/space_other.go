//go:build !linux && !darwin && !windows

package transfer

import (
	"errors"
	"os"
)

func diskSpace(*os.File) (free, total uint64, err error) {
	return 0, 0, errors.ErrUnsupported
}

// isFAT returns false, because this is unknown on this system: a write that is too large fails instead.
func isFAT(*os.File) bool { return false }
