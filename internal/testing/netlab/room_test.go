//go:build linux

package netlab_test

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"multipeer/internal/testing/netlab"
)

// neighbours makes the kernel keep as many neighbours as n hosts have together: all namespaces share one table for IPv4
// and one for IPv6.
func neighbours(t *testing.T, n int) bool {
	for _, version := range []string{"ipv4", "ipv6"} {
		for i := 3; i >= 1; i-- { // the largest first: the kernel requires them in order
			file := fmt.Sprintf("/proc/sys/net/%s/neigh/default/gc_thresh%d", version, i)
			old, err := os.ReadFile(file)
			if err != nil || os.WriteFile(file, fmt.Appendf(nil, "%d", n*n*i), 0o644) != nil {
				return false
			}
			t.Cleanup(func() { _ = os.WriteFile(file, old, 0o644) })
		}
	}
	return true
}

// TestLAN_ManyDevicesStartAtOnce: many devices that start at once find each other and establish sessions, and a message
// from one arrives at all others.
func TestLAN_ManyDevicesStartAtOnce(t *testing.T) {
	// Each device is a process that makes a handshake with every other one. On two slow processors, fifty devices leave
	// some of them without a processor for longer than a session waits for a packet, which says nothing about a real
	// network.
	devices := min(50, 15*runtime.NumCPU())
	if !neighbours(t, devices) {
		t.Log("the table of neighbours holds no more than thirty devices")
		devices = min(30, devices)
	}
	lan := netlab.New(t, devices)
	began := time.Now()
	room := make([]*running, devices)
	for i := range room {
		room[i] = start(t, lan.Host(i+1), "--profile", profile(t), "--name", fmt.Sprintf("Device %d", i+1), "chat")
	}
	var wg sync.WaitGroup
	took := make([]time.Duration, devices)
	for i, r := range room {
		wg.Go(func() {
			met := map[any]bool{}
			for deadline := time.After(2 * time.Minute); len(met) < devices-1; {
				select {
				case v, ok := <-r.lines:
					if !ok {
						t.Errorf("device %d has ended: %s", i+1, r.err.String())
						return
					}
					switch v["type"] {
					case "connected":
						met[v["id"]] = true
					case "disconnected":
						delete(met, v["id"])
						t.Errorf("device %d has lost %v: %v", i+1, v["name"], v["problem"])
					}
				case <-deadline:
					t.Errorf("device %d has met %d", i+1, len(met))
					return
				}
			}
			took[i] = time.Since(began)
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	slowest := time.Duration(0)
	for _, d := range took {
		slowest = max(slowest, d)
	}
	t.Logf("%d devices on this machine met all others, the slowest in %v", devices, slowest.Round(100*time.Millisecond))
	if _, err := io.WriteString(room[0].in, "hello\n"); err != nil {
		t.Fatal(err)
	}
	for _, r := range room[1:] {
		if v := r.wait("message", 10*time.Second); !strings.Contains(fmt.Sprint(v["body"]), "hello") {
			t.Errorf("%v", v)
		}
	}
	for range room[1:] {
		if !room[0].sent(10 * time.Second) {
			t.Error("a message counts as lost")
		}
	}
	for _, r := range room {
		r.signal(syscall.SIGTERM)
	}
}
