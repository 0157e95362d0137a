//go:build unix

package ui

import (
	"os"
	"syscall"
)

// startAgain replaces this process.
func startAgain(program string, args []string) error {
	return syscall.Exec(program, args, os.Environ())
}
