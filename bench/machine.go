package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// machine describes where the figures were taken: processor, kernel, commit and load.
func machine() string {
	var parts []string
	add := func(name, value string) {
		if value = strings.TrimSpace(value); value != "" {
			parts = append(parts, name+" "+value)
		}
	}
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for _, line := range strings.Split(string(info), "\n") {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				add("processor", value)
				break
			}
		}
	}
	if kernel, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		add("kernel", string(kernel))
	}
	if commit, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output(); err == nil {
		add("commit", string(commit))
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		add("load average at the end", strings.Join(strings.Fields(string(load))[:3], " "))
	}
	if len(parts) == 0 {
		return ""
	}
	return fmt.Sprintf("The machine: %s.", strings.Join(parts, ", "))
}
