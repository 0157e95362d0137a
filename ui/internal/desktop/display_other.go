//go:build !linux

package desktop

// FindDisplay always succeeds: these systems always have a display.
func FindDisplay() error { return nil }
