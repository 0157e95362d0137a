//go:build linux

package netlab_test

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"multipeer/internal/testing/netlab"
)

// moved sends all of src to another host, and checks that it arrives in time.
func moved(t *testing.T, from, to *netlab.Host, src string, most time.Duration) {
	t.Helper()
	inbox := filepath.Join(t.TempDir(), "inbox")
	r := start(t, to, "--profile", profile(t), "--name", "Bob", "receive", "--accept", "all", "--once", "--into", inbox)
	began := time.Now()
	if code, err := run(t, from, "--profile", profile(t), "--name", "Ann", "send", "--to", to.Addr, "--wait", "10s", filepath.Join(src, "big.bin")); code != 0 {
		t.Fatalf("send: exit %d: %s", code, err)
	}
	took := time.Since(began)
	if code := r.exit(); code != 0 {
		t.Fatalf("receive: exit %d: %s", code, r.err.String())
	}
	if got, want := digest(t, inbox), digest(t, src); !maps.Equal(got, want) {
		t.Errorf("another file arrived: %v, want %v", got, want)
	}
	t.Logf("%s to %s in %v", from.Addr, to.Addr, took.Round(time.Millisecond))
	if took > most {
		t.Errorf("it took %v, at most %v", took, most)
	}
}

// TestMTU_AnySizeWorks: two devices connect and transfer 20 MB both ways whatever the MTU of the path is, from that of
// a tunnel inside a tunnel up, and whether or not routers report that a packet is too large.
func TestMTU_AnySizeWorks(t *testing.T) {
	long := os.Getenv("MULTIPEER_LONG") != ""
	src := source(t, 20<<20, 0)
	if err := os.RemoveAll(filepath.Join(src, "tree")); err != nil {
		t.Fatal(err)
	}
	const most = 30 * time.Second
	for _, mtu := range []int{1240, 1280, 1300, 1306, 1400, 1500} {
		for _, tell := range []bool{true, false} {
			if !long && (mtu > 1280 || mtu == 1280 && tell) {
				continue
			}
			t.Run(fmt.Sprintf("hop of %d, ICMP %v", mtu, tell), func(t *testing.T) {
				r := netlab.NewRoute(t, mtu, tell)
				moved(t, r.Host(1), r.Host(2), src, most)
				moved(t, r.Host(2), r.Host(1), src, most)
			})
		}
		if !long && mtu > 1240 {
			continue
		}
		t.Run(fmt.Sprintf("interface of %d", mtu), func(t *testing.T) {
			l := netlab.New(t, 2)
			l.Host(1).SetMTU(mtu)
			l.Host(2).SetMTU(mtu)
			moved(t, l.Host(1), l.Host(2), src, most)
			moved(t, l.Host(2), l.Host(1), src, most)
		})
	}
}

// TestMTU_ShrinkingUnderASession: a path that has carried large packets for a while suddenly carries only small ones,
// and no router reports it. Messages sent after that arrive within seconds, both ways.
func TestMTU_ShrinkingUnderASession(t *testing.T) {
	r := netlab.NewRoute(t, 1500, false)
	b := start(t, r.Host(2), "--profile", profile(t), "--name", "Bob", "chat")
	a := start(t, r.Host(1), "--profile", profile(t), "--name", "Ann", "--peer", r.Host(2).Addr, "chat")
	a.wait("connected", 10*time.Second)
	b.wait("connected", 10*time.Second)
	long := strings.Repeat("long ", 4000) + "\n"
	say := func(what string, most time.Duration) {
		for _, way := range [][2]*running{{a, b}, {b, a}} {
			began := time.Now()
			_, _ = io.WriteString(way[0].in, long)
			if !way[0].sent(most) {
				t.Fatalf("%s: 20 kB are not delivered in %v", what, most)
			}
			t.Logf("%s: delivered in %v", what, time.Since(began).Round(time.Millisecond))
		}
	}
	for range 20 { // MTU discovery needs packets to be exchanged
		say("before", 5*time.Second)
		time.Sleep(50 * time.Millisecond)
	}
	r.SetMTU(1280)
	say("after", 20*time.Second)
	say("later", 5*time.Second)
	a.signal(syscall.SIGTERM)
	b.signal(syscall.SIGTERM)
}

// TestMTU_ShrinkingUnderATransfer checks that a transfer survives a smaller MTU, over TCP and over QUIC alone.
func TestMTU_ShrinkingUnderATransfer(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes 25 s")
	}
	src := source(t, 20<<20, 0)
	if err := os.RemoveAll(filepath.Join(src, "tree")); err != nil {
		t.Fatal(err)
	}
	for name, noTCP := range map[string]bool{"TCP": false, "QUIC alone": true} {
		t.Run(name, func(t *testing.T) {
			r := netlab.NewRoute(t, 1500, false)
			r.Limit(40) // the transfer takes 4 s
			if noTCP {
				for i := 1; i <= 2; i++ {
					r.Host(i).Firewall("input", "meta l4proto tcp drop;")
				}
			}
			shrink := time.AfterFunc(1500*time.Millisecond, func() { r.SetMTU(1280) })
			defer shrink.Stop()
			moved(t, r.Host(1), r.Host(2), src, 40*time.Second)
		})
	}
}
