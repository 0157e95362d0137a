//go:build !unix

package ui

import "os/exec"

// startAgain starts another process; this one is about to exit.
func startAgain(program string, args []string) error {
	return exec.Command(program, args[1:]...).Start()
}
