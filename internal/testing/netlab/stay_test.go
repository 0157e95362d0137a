//go:build linux

package netlab_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"multipeer/internal/testing/netlab"
)

// What happens to a session when the network or the other side changes.

// TestSession_EndOfAPeerIsReportedInTime measures how soon the end of a peer is reported.
func TestSession_EndOfAPeerIsReportedInTime(t *testing.T) {
	lan := netlab.New(t, 2)
	for _, c := range []struct {
		name  string
		end   func(r *running, h *netlab.Host)
		limit time.Duration
	}{
		{"clean stop", func(r *running, _ *netlab.Host) { r.signal(syscall.SIGTERM) }, 300 * time.Millisecond},
		{"crash", func(r *running, _ *netlab.Host) { r.signal(syscall.SIGKILL) }, 13500 * time.Millisecond},
		{"cable", func(_ *running, h *netlab.Host) { h.Unplug() }, 13500 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := start(t, lan.Host(1), "--profile", profile(t), "chat")
			b := start(t, lan.Host(2), "--profile", profile(t), "chat")
			a.wait("connected", 5*time.Second)
			b.wait("connected", 5*time.Second)
			began := time.Now()
			c.end(b, lan.Host(2))
			a.wait("disconnected", c.limit)
			t.Logf("reported after %v", time.Since(began).Round(time.Millisecond))
			if c.name == "cable" {
				lan.Host(2).Plug()
				began = time.Now()
				a.wait("connected", 10*time.Second)
				t.Logf("back %v after the cable", time.Since(began).Round(time.Millisecond))
			}
			a.signal(syscall.SIGKILL)
			b.signal(syscall.SIGKILL)
		})
	}
}

func TestDiscovery_PeerIsFoundAtItsNewAddress(t *testing.T) {
	lan := netlab.New(t, 2)
	a := start(t, lan.Host(1), "--profile", profile(t), "--name", "Ann", "chat")
	b := start(t, lan.Host(2), "--profile", profile(t), "--name", "Bob", "receive", "--accept", "all", "--into", t.TempDir())
	a.wait("connected", 5*time.Second)
	b.wait("connected", 5*time.Second)
	began := time.Now()
	lan.Host(2).Readdress("10.77.0.99")
	file := filepath.Join(t.TempDir(), "f")
	_ = os.WriteFile(file, []byte("x"), 0o644)
	// A newcomer has to find the peer at the new address.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	out, err := lan.Host(1).Command(ctx, cli, "--profile", profile(t), "send", "--to", "Bob", file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Logf("reached under its new address %v after the change", time.Since(began).Round(time.Millisecond))
}

// TestSession_SurvivesAChangeOfAddress moves each side of a session to another address, and then takes its interface
// down and up again.
func TestSession_SurvivesAChangeOfAddress(t *testing.T) {
	lan := netlab.New(t, 2)
	a := start(t, lan.Host(1), "--profile", profile(t), "--name", "Ann", "chat")
	b := start(t, lan.Host(2), "--profile", profile(t), "--name", "Bob", "chat")
	a.wait("connected", 5*time.Second)
	b.wait("connected", 5*time.Second)
	for i, change := range []struct {
		name string
		do   func()
	}{
		{"address of one", func() { lan.Host(2).Readdress("10.77.0.98") }},
		{"address of the other", func() { lan.Host(1).Readdress("10.77.0.97") }},
		{"link down and up", func() { lan.Host(2).Flap() }},
	} {
		change.do()
		began := time.Now()
		for {
			text := fmt.Sprintf("message %d at %v", i, time.Since(began))
			fmt.Fprintln(a.in, text)
			if time.Since(began) > 5*time.Second {
				t.Fatalf("%s: no message gets through within 5 s", change.name)
			}
			if got := a.sent(2 * time.Second); got {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		t.Logf("%s: a message was delivered %v after it", change.name, time.Since(began).Round(time.Millisecond))
	}
}
