//go:build !linux

package desktop

// NoDisplay returns why no window can open; here one always can.
func NoDisplay() error { return nil }
