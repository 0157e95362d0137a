//go:build unix

package main

import (
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// spent returns what a process and its children have used: CPU time, and peak memory.
func spent(c *exec.Cmd) (cpu time.Duration, rss int64) {
	if c.ProcessState == nil {
		return 0, 0
	}
	cpu = c.ProcessState.UserTime() + c.ProcessState.SystemTime()
	if u, ok := c.ProcessState.SysUsage().(*syscall.Rusage); ok {
		rss = int64(u.Maxrss)
		if runtime.GOOS != "darwin" { // kilobytes elsewhere
			rss *= 1024
		}
	}
	return cpu, rss
}
