//go:build !windows

package autostart

// CloseConsole does nothing: programs that start at login have no console on this system.
func CloseConsole() {}
