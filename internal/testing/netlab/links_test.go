//go:build linux

package netlab_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"multipeer/internal/testing/netlab"
)

// Hosts with many interfaces, and interfaces with many addresses.

// onHost runs a shell script on a host.
func onHost(t *testing.T, h *netlab.Host, text string) {
	t.Helper()
	if out, err := h.Command(t.Context(), "sh", "-ec", text).CombinedOutput(); err != nil {
		netlab.Missing(t, "%s: %v: %s", text, err, out)
	}
}

// cpu returns the CPU time that a program has used.
func (r *running) cpu() time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", r.cmd.Process.Pid))
	if err != nil {
		r.t.Fatal(err)
	}
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// TestInterfaces_ManyOnEachHost: in addition to the network that two hosts share, each has forty container networks.
// They connect, CPU use stays low, and the doctor finds nothing wrong.
func TestInterfaces_ManyOnEachHost(t *testing.T) {
	t.Parallel() // it mostly waits
	const many, watched = 40, 20 * time.Second
	lan := netlab.New(t, 2)
	for i := 1; i <= 2; i++ {
		onHost(t, lan.Host(i), fmt.Sprintf(`for i in $(seq 1 %d); do
	ip link add d$i type veth peer name e$i; ip addr add 172.20.$i.1/24 dev d$i
	sysctl -qw net.ipv6.conf.e$i.disable_ipv6=1; ip link set d$i up; ip link set e$i up
done
ip link del eth0`, many))
		// The index of the new interface is the highest, so that it is not among the first interfaces that are joined.
		lan.Host(i).Cable()
	}
	b := start(t, lan.Host(2), "--profile", profile(t), "--name", "Ben", "chat")
	began := time.Now()
	a := start(t, lan.Host(1), "--profile", profile(t), "--name", "Anna", "chat")
	a.wait("connected", 5*time.Second)
	b.wait("connected", 5*time.Second)
	t.Logf("met after %v", time.Since(began).Round(time.Millisecond))
	time.Sleep(5 * time.Second)
	started := map[string]time.Duration{"Anna": a.cpu(), "Ben": b.cpu()} // a start has a one-time cost
	time.Sleep(watched)
	for name, r := range map[string]*running{"Anna": a, "Ben": b} {
		used := r.cpu() - started[name]
		t.Logf("%s used %v to start, and %v in %v", name, started[name], used, watched)
		if used > watched/100 || started[name] > time.Second {
			t.Errorf("%s used %v to start, and %v in %v", name, started[name], used, watched)
		}
		fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", r.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		if len(fds) > 40 {
			t.Errorf("%s has %d descriptors", name, len(fds))
		}
	}
	a.signal(syscall.SIGTERM)
	a.exit()
	d := start(t, lan.Host(1), "--profile", profile(t), "--name", "Anna", "doctor")
	found := map[string]bool{}
	for v := range d.lines {
		found[fmt.Sprint(v["name"])] = true
	}
	if code := d.exit(); code != 0 || !found["peers"] || found["other-firewall"] {
		t.Errorf("the doctor: exit %d, found %v: %s", code, found, d.err.String())
	}
}

// TestInterfaces_ComeAndGo: container networks come and go more often than Linux lets a socket join groups, and
// multicast on later interfaces is still received.
func TestInterfaces_ComeAndGo(t *testing.T) {
	t.Parallel() // it mostly waits
	lan := netlab.New(t, 2)
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	// The sender does not announce itself, so it has to hear the other side.
	a := start(t, lan.Host(1), "--profile", profile(t), "--name", "Anna", "send", "--to", "Ben", "--wait", "2m", file)
	time.Sleep(500 * time.Millisecond)
	for i := range 25 {
		onHost(t, lan.Host(1), fmt.Sprintf("ip link add d%[1]d type veth peer name e%[1]d; ip addr add 172.20.%[1]d.1/24 dev d%[1]d; ip link set d%[1]d up; ip link set e%[1]d up", i))
		time.Sleep(700 * time.Millisecond)
		onHost(t, lan.Host(1), fmt.Sprintf("ip link del d%d", i))
	}
	onHost(t, lan.Host(1), "ip link del eth0")
	lan.Host(1).Cable()
	onHost(t, lan.Host(1), "sysctl -qw net.ipv6.conf.all.disable_ipv6=1")
	time.Sleep(4 * time.Second) // reactions to the network change are over by then
	start(t, lan.Host(2), "--profile", profile(t), "--name", "Ben", "receive", "--accept", "all", "--into", t.TempDir())
	began := time.Now()
	if code := a.exit(); code != 0 {
		t.Errorf("exit %d: %s", code, a.err.String())
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestInterfaces_SharedNetworkIsNotTheFirst covers IPv4 alone, and several networks on one link, of which the hosts
// share one.
func TestInterfaces_SharedNetworkIsNotTheFirst(t *testing.T) {
	t.Parallel() // it mostly waits
	const (
		four   = "sysctl -qw net.ipv6.conf.all.disable_ipv6=1; ip addr flush dev eth0; "
		shared = "ip addr add 10.77.0.HOST/24 dev eth0; "
	)
	var many string
	for i := range 40 {
		many += fmt.Sprintf("ip addr add 10.5.%d.HOST/24 dev eth0; ", i)
	}
	for name, c := range map[string][2]string{
		"first on one":             {"", "ip addr add 192.168.5.HOST/24 dev eth0; "},
		"last on both":             {"ip addr add 192.168.4.HOST/24 dev eth0; ", "ip addr add 192.168.5.HOST/24 dev eth0; "},
		"behind forty others":      {"", many},
		"behind an address of /32": {"", "ip addr add 192.0.2.HOST/32 dev eth0; "},
	} {
		t.Run(name, func(t *testing.T) {
			lan := netlab.New(t, 2)
			for i := range 2 {
				onHost(t, lan.Host(i+1), four+strings.ReplaceAll(c[i]+shared, "HOST", strconv.Itoa(i+1)))
			}
			b := start(t, lan.Host(2), "--profile", profile(t), "--name", "Ben", "chat")
			began := time.Now()
			a := start(t, lan.Host(1), "--profile", profile(t), "--name", "Anna", "chat")
			a.wait("connected", 5*time.Second)
			b.wait("connected", 5*time.Second)
			t.Logf("met after %v", time.Since(began).Round(time.Millisecond))
			for _, r := range []*running{a, b} {
				r.signal(syscall.SIGTERM)
				r.exit()
			}
			// A device that does not announce itself, and that no one else can find, has to hear the others.
			start(t, lan.Host(2), "--profile", profile(t), "--name", "Ben", "chat")
			time.Sleep(2 * time.Second)
			p := start(t, lan.Host(1), "--profile", profile(t), "peers", "--for", "2s")
			if who := p.wait("peer", 5*time.Second); who["name"] != "Ben" {
				t.Errorf("found %v", who)
			}
			p.exit()
		})
	}
}
