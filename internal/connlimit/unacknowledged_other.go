//go:build !linux && !darwin

package connlimit

// unacknowledged returns 0: the system does not report it.
func unacknowledged(uintptr) int { return 0 }
