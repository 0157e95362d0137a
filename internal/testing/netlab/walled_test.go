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

	"multipeer/internal/testing/netlab"
)

// Firewalls, and the doctor's findings about them and other problems.

// TestFirewall_OneSideCanOnlyDial: one side receives nothing unsolicited, neither connections nor multicast. It can
// only dial; messages and files still go both ways.
func TestFirewall_OneSideCanOnlyDial(t *testing.T) {
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

// TestDoctor_NamesEachCause: the doctor finds each cause within ten seconds.
func TestDoctor_NamesEachCause(t *testing.T) {
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
			lan.Host(2).Firewall("output", "ct state new udp dport 17717 drop") // nor does the host dial
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

// TestDoctor_ReportsOnlyWhatItMeasured: a finding reports what was measured, and not what another check would have
// reported.
func TestDoctor_ReportsOnlyWhatItMeasured(t *testing.T) {
	t.Parallel() // it mostly waits
	const deaf = "ip daddr 224.0.0.0/4 drop; ip6 daddr ff02::fb drop"
	for _, c := range []struct {
		name  string
		set   func(lan *netlab.LAN)
		args  []string
		want  string // the finding
		says  string
		never string // a finding
	}{
		{"a network too large to be searched", func(lan *netlab.LAN) {
			lan.Host(1).Firewall("input", deaf)
			onHost(t, lan.Host(1), "ip addr flush dev eth0 scope global; ip addr add 10.77.0.1/16 dev eth0")
		}, nil, "nobody", "10.77.0.1/16) has 65536 addresses", "no-network"},
		{"a large one and small ones", func(lan *netlab.LAN) {
			lan.Host(1).Firewall("input", deaf)
			onHost(t, lan.Host(1), "ip addr flush dev eth0 scope global; ip addr add 10.77.0.1/16 dev eth0; ip link add d0 type veth peer name e0; ip addr add 172.17.0.1/24 dev d0; ip link set d0 up; ip link set e0 up")
		}, nil, "nobody", "10.77.0.1/16) has 65536 addresses", "no-network"},
		{"more networks than there is time for", func(lan *netlab.LAN) {
			lan.Host(1).Firewall("input", deaf)
			onHost(t, lan.Host(1), "ip link del eth0; for i in $(seq 1 40); do ip link add d$i type veth peer name e$i; ip addr add 172.20.$i.1/24 dev d$i; ip link set d$i up; ip link set e$i up; done")
		}, nil, "nobody", "only time to probe", "no-network"},
		{"IPv6 alone", func(lan *netlab.LAN) {
			lan.Host(1).Firewall("input", deaf)
			onHost(t, lan.Host(1), "ip -4 addr flush dev eth0")
		}, nil, "nobody", "needs an IPv4 network", "no-network"},
		{"nothing up but a tunnel", func(lan *netlab.LAN) {
			onHost(t, lan.Host(1), "ip link del eth0; ip link add wg0 type veth peer name x0; ip addr add 10.8.0.1/24 dev wg0; ip link set wg0 up; ip link set x0 up; sysctl -qw net.ipv6.conf.x0.disable_ipv6=1")
		}, nil, "vpn", "Only a VPN or tunnel is up", "no-network"},
		{"another program holds the port of mDNS", func(lan *netlab.LAN) {
			holder := lan.Host(1).Command(t.Context(), "python3", "-c", `
import socket,time
for f,a in ((socket.AF_INET,"0.0.0.0"),(socket.AF_INET6,"::")):
	s=socket.socket(f,socket.SOCK_DGRAM)
	if f==socket.AF_INET6: s.setsockopt(socket.IPPROTO_IPV6,socket.IPV6_V6ONLY,1)
	s.bind((a,5353)); globals()["s%d"%f]=s
print("held",flush=True)
time.sleep(60)`)
			out, err := holder.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := holder.Start(); err != nil {
				netlab.Missing(t, "no python3: %v", err)
			}
			t.Cleanup(func() { _ = holder.Process.Kill(); _ = holder.Wait() })
			_, _ = io.ReadFull(out, make([]byte, 5))
		}, nil, "no-multicast", "UDP port 5353", "multicast-filtered"},
		{"an address without a route", func(lan *netlab.LAN) {}, []string{"--to", "192.0.2.77"}, "failed", "network is unreachable", "other-firewall"},
		{"an address that is silent", func(lan *netlab.LAN) {}, []string{"--to", "10.77.0.2:9999"}, "other-firewall", "No answer from", "failed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			lan := netlab.New(t, 2)
			c.set(lan)
			d := start(t, lan.Host(1), append([]string{"--profile", profile(t), "--name", "Anna", "doctor"}, c.args...)...)
			said := ""
			for v := range d.lines {
				t.Logf("%v: %v", v["name"], v["what"])
				if v["name"] == c.never {
					t.Errorf("it reports %v: %v", v["name"], v["what"])
				}
				if v["name"] == c.want {
					said = fmt.Sprint(v["what"])
				}
			}
			if code := d.exit(); code != 1 || !strings.Contains(said, c.says) {
				t.Errorf("exit %d, %s: %q, want %q: %s", code, c.want, said, c.says, d.err.String())
			}
		})
	}
}

// TestDoctor_FailsWhenInterrupted: an interrupted doctor fails, and reports nothing about checks it has not finished.
func TestDoctor_FailsWhenInterrupted(t *testing.T) {
	lan := netlab.New(t, 1)
	for name, after := range map[string]time.Duration{"listening": time.Second, "searching": 3500 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			d := start(t, lan.Host(1), "--profile", profile(t), "--name", "Anna", "doctor")
			time.Sleep(after)
			d.signal(syscall.SIGINT)
			for v := range d.lines {
				if v["type"] == "finding" && v["bad"] == true {
					t.Errorf("it reports %v: %v", v["name"], v["what"])
				}
			}
			if code := d.exit(); code != 130 || !strings.Contains(d.err.String(), "interrupted") {
				t.Errorf("exit %d: %s", code, d.err.String())
			}
		})
	}
}
