//go:build !unix

package main

import (
	"os/exec"
	"syscall"
)

func together(cmd *exec.Cmd) (*syscall.SysProcAttr, func() error) { return nil, cmd.Process.Kill }
