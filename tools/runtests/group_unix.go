//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// together puts a command and all its children into one process group, so that they can be killed together.
func together(cmd *exec.Cmd) (*syscall.SysProcAttr, func() error) {
	return &syscall.SysProcAttr{Setpgid: true}, func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
