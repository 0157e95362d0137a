//go:build unix && !linux && !darwin

package transfer

import "syscall"

// renameNew is not available here.
func renameNew(int, string, int, string) error { return syscall.ENOSYS }
