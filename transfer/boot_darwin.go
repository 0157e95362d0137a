package transfer

import (
	"os"

	"golang.org/x/sys/unix"
)

// bootID identifies the current boot; it is empty if that is unknown.
func bootID() string {
	s, err := unix.Sysctl("kern.bootsessionuuid")
	if err != nil {
		return ""
	}
	return s
}

// mountID distinguishes one mount of a volume from another; it is not available on this system.
func mountID(*os.File) string { return "" }
