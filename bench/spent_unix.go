//go:build unix

package main

import (
	"os/exec"
	"time"
)

// spent returns the CPU time that a process and its children have used.
func spent(c *exec.Cmd) time.Duration {
	if c.ProcessState == nil {
		return 0
	}
	return c.ProcessState.UserTime() + c.ProcessState.SystemTime()
}
