//go:build unix && !linux && !darwin

package transfer

import "syscall"

// renameNew is not available on this system.
func renameNew(int, string, int, string) error { return syscall.ENOSYS }
