//go:build !windows

package login

// CloseConsole does nothing: programs that start at login have no console here.
func CloseConsole() {}
