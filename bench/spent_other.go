//go:build !unix

package main

import (
	"os/exec"
	"time"
)

// spent returns the CPU time that a process has used; its memory is unknown here.
func spent(c *exec.Cmd) (cpu time.Duration, rss int64) {
	if c.ProcessState == nil {
		return 0, 0
	}
	return c.ProcessState.UserTime() + c.ProcessState.SystemTime(), 0
}
