package transfer

import (
	"os"

	"golang.org/x/sys/windows"
)

func diskSpace(d *os.File) (free, total uint64, err error) {
	name, err := windows.UTF16PtrFromString(d.Name())
	if err != nil {
		return 0, 0, err
	}
	err = windows.GetDiskFreeSpaceEx(name, &free, &total, nil)
	return free, total, err
}

// isFAT returns false, because this is unknown on this system: a write that is too large fails instead.
func isFAT(*os.File) bool { return false }
