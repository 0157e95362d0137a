// Package privatefile checks that only this user can use a file or a folder. What holds a key, or a socket that takes
// commands, must not be one that another user has prepared.
package privatefile

import (
	"fmt"
	"os"
	"runtime"
)

const othersUse = 0o077

// Check reports why other users can use a file or a folder, or nil if they cannot. On Windows it always returns nil:
// there, the access list that the folder inherits from the user's own decides.
func Check(path string, info os.FileInfo) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	if owner, own := ownerOf(info); !own {
		return fmt.Errorf("%s belongs to another user (%s); use one of your own", path, owner)
	}
	if mode := info.Mode().Perm(); mode&othersUse != 0 {
		return fmt.Errorf("%s has mode %04o, so that other users can use it; run chmod %o on it", path, mode, mode&^othersUse)
	}
	return nil
}

// OtherOwner returns the user that a file or a folder belongs to if that is neither this user nor root; otherwise "".
func OtherOwner(info os.FileInfo) string {
	owner, own := ownerOf(info)
	if own || owner == "root" {
		return ""
	}
	return owner
}

// IsPrivateFolder reports whether a folder exists and only this user can use it.
func IsPrivateFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir() && Check(path, info) == nil
}
