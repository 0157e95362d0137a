package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"
)

// memory watches the peak memory of processes and their children. The system's own figure (getrusage) starts from the
// memory of the parent process, so it is too large for small programs. Only Linux has /proc.
type memory struct {
	peaks   map[int]int64 // by process
	parents map[int]int   // the watched process that each belongs to
	ended   chan struct{}
	end     sync.Once
	done    sync.WaitGroup
}

// sampling is the interval between two looks at a process. The kernel records the peak, so only growth after the last
// look is missed.
const sampling = 5 * time.Millisecond

func watchMemory(commands ...*exec.Cmd) *memory {
	m := &memory{peaks: map[int]int64{}, parents: map[int]int{}, ended: make(chan struct{})}
	var pids []int
	for _, c := range commands {
		if c != nil && c.Process != nil {
			pids = append(pids, c.Process.Pid)
		}
	}
	m.done.Go(func() {
		for {
			for _, pid := range pids {
				m.look(pid, pid)
			}
			select {
			case <-m.ended:
				return
			case <-time.After(sampling):
			}
		}
	})
	return m
}

// look records the peak of a process and its descendants.
func (m *memory) look(pid, of int) {
	if peak := peakOf(pid); peak > 0 {
		m.peaks[pid] = max(m.peaks[pid], peak)
		m.parents[pid] = of
	}
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, f := range bytes.Fields(children) {
		if child, err := strconv.Atoi(string(f)); err == nil {
			m.look(child, of)
		}
	}
}

// peakOf returns the peak resident memory of a process, in bytes; 0 if it is gone.
func peakOf(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, after, found := bytes.Cut(status, []byte("VmHWM:"))
	if !found {
		return 0
	}
	fields := bytes.Fields(after)
	if len(fields) == 0 {
		return 0
	}
	kilobytes, _ := strconv.ParseInt(string(fields[0]), 10, 64)
	return kilobytes << 10
}

func (m *memory) stop() {
	m.end.Do(func() { close(m.ended) })
	m.done.Wait()
}

// peak returns the sum of the peaks of a process and its children; stop must have returned.
func (m *memory) peak(c *exec.Cmd) (sum int64) {
	for pid, of := range m.parents {
		if of == c.Process.Pid {
			sum += m.peaks[pid]
		}
	}
	return sum
}
