//go:build linux

package netlab_test

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"multipeer/internal/netlab"
)

// Firewalls, and what the doctor says of them and of other troubles.

// TestOneSideFirewalled: nothing comes in unasked on one side, neither conns nor multicast. It can only dial; messages and
// files go both ways all the same.
func TestOneSideFirewalled(t *testing.T) {
	size := int64(1) << 30
	if testing.Short() {
		size = 64 << 20
	}
	lan := netlab.New(t, 2)
	open, closed := lan.Host(1), lan.Host(2)
	closed.Firewall("input", "ct state established,related accept; iifname \"lo\" accept; drop;")
	ann, bob := []string{"--profile", profile(t), "--name", "Ann"}, []string{"--profile", profile(t), "--name", "Bob", "--peer", open.Addr}
	with := func(args []string, more ...string) []string { return append(slices.Clone(args), more...) }

	a, b := start(t, open, with(ann, "chat")...), start(t, closed, with(bob, "chat")...)
	a.wait("connected", 10*time.Second)
	b.wait("connected", 10*time.Second)
	for _, way := range [][2]*running{{a, b}, {b, a}} {
		_, _ = io.WriteString(way[0].in, "hello\n")
		if !way[0].sent(10 * time.Second) {
			t.Error("a message was not delivered")
		}
		if m := way[1].wait("message", 10*time.Second); !strings.Contains(fmt.Sprint(m["body"]), "hello") {
			t.Errorf("arrived %v", m)
		}
	}
	for _, r := range []*running{a, b} {
		_ = r.in.(io.Closer).Close()
		if code := r.exit(); code != 0 {
			t.Errorf("chat: exit %d: %s", code, r.err.String())
		}
	}

	src := source(t, size, 1)
	want := digest(t, src)["big.bin"]
	for _, way := range []struct {
		from, to      *netlab.Host
		sender, taker []string
		name          string
	}{{open, closed, ann, bob, "Bob"}, {closed, open, bob, ann, "Ann"}} {
		inbox := t.TempDir()
		r := start(t, way.to, with(way.taker, "receive", "--accept", "all", "--once", "--into", inbox)...)
		began := time.Now()
		if code, err := run(t, way.from, with(way.sender, "send", "--to", way.name, filepath.Join(src, "big.bin"))...); code != 0 {
			t.Fatalf("send to %s: exit %d: %s", way.name, code, err)
		}
		if code := r.exit(); code != 0 {
			t.Errorf("receive: exit %d: %s", code, r.err.String())
		}
		if got := digest(t, inbox)["big.bin"]; got != want {
			t.Errorf("to %s arrived %q, want %q", way.name, got, want)
		}
		t.Logf("%d bytes to %s in %v", size, way.name, time.Since(began).Round(time.Millisecond))
	}
}

// TestDoctorNamesWhatIsWrong, within ten seconds each.
func TestDoctorNamesWhatIsWrong(t *testing.T) {
	const closed = "ct state established,related accept; iifname \"lo\" accept; drop;"
	for _, c := range []struct {
		name string
		set  func(lan *netlab.LAN)
		args []string
		want string
	}{
		{"all is well", func(*netlab.LAN) {}, nil, "peers"},
		{"inbound dropped here", func(lan *netlab.LAN) { lan.Host(1).Firewall("input", closed) }, nil, "own-firewall"},
		{"inbound dropped on both", func(lan *netlab.LAN) { lan.Host(1).Firewall("input", closed); lan.Host(2).Firewall("input", closed) }, nil, "own-firewall"},
		{"inbound dropped there, but for multicast", func(lan *netlab.LAN) {
			lan.Host(2).Firewall("input", "udp dport 5353 accept; "+closed)
			lan.Host(2).Firewall("output", "ct state new udp dport 17717 drop") // nor does it dial
		}, nil, "other-firewall"},
		{"multicast dropped", func(lan *netlab.LAN) {
			lan.Host(1).Firewall("input", "ip daddr 224.0.0.0/4 drop; ip6 daddr ff02::fb drop")
		}, nil, "multicast-filtered"},
		{"other subnet", func(*netlab.LAN) {}, []string{"--to", "192.0.2.77"}, "other-subnet"},
	} {
		t.Run(c.name, func(t *testing.T) {
			lan := netlab.New(t, 2)
			c.set(lan)
			b := start(t, lan.Host(2), "--profile", profile(t), "--name", "Ben", "chat")
			time.Sleep(500 * time.Millisecond)
			began := time.Now()
			d := start(t, lan.Host(1), append([]string{"--profile", profile(t), "--name", "Anna", "doctor"}, c.args...)...)
			for found := ""; found != c.want; {
				found = d.wait("finding", 12*time.Second)["name"].(string)
			}
			d.exit()
			took := time.Since(began)
			t.Logf("%s after %v", c.want, took.Round(time.Millisecond))
			if took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
			b.signal(syscall.SIGINT)
		})
	}
	t.Run("port taken", func(t *testing.T) {
		lan := netlab.New(t, 1)
		first := start(t, lan.Host(1), "--profile", profile(t), "--name", "First", "chat")
		time.Sleep(time.Second)
		d := start(t, lan.Host(1), "--profile", profile(t), "--name", "Second", "doctor")
		for found := ""; found != "port-taken"; {
			found = d.wait("finding", 10*time.Second)["name"].(string)
		}
		first.signal(syscall.SIGINT)
	})
	t.Run("no network", func(t *testing.T) {
		d := start(t, netlab.New(t, 1).Lonely(), "--profile", profile(t), "doctor")
		for found := ""; found != "no-network"; {
			found = d.wait("finding", 10*time.Second)["name"].(string)
		}
	})
}
