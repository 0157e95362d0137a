//go:build linux

// Package netlab builds real networks for tests: hosts that are network
// namespaces of their own, joined by a bridge, with nothing on the machine's
// own interfaces. It needs root and iproute2, or a user namespace
// (make test sets one up); loss and firewalls need nftables.
package netlab

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
)

// Required tells that a lab that cannot be built fails the test instead of skipping it. make test sets it.
func Required() bool { return os.Getenv("MULTIPEER_FULL") != "" }

// Programs enter a namespace by nsenter, since 'ip netns exec' wants to change mounts, which a chroot does not let it.
const (
	netnsDir = "/run/netns/"
	inside   = "nsenter --net=" + netnsDir + "%s "
)

// Missing fails or skips a test that cannot run here.
func Missing(t testing.TB, format string, a ...any) {
	t.Helper()
	if Required() {
		t.Fatalf(format, a...)
	}
	t.Skipf(format+" (make test installs and requires it)", a...)
}

var count atomic.Int64

// LAN is a bridge with hosts on it.
type LAN struct {
	t      testing.TB
	prefix string
	hosts  []*Host
	rate   int // megabits per second; 0 is no limit
}

// Host is a network namespace.
type Host struct {
	lan  *LAN
	ns   string
	port string // its end of the cable at the bridge
	Addr string // IPv4
}

// New builds a LAN of n hosts, 10.77.0.1 and up, and takes it down with the test.
func New(t testing.TB, n int) *LAN {
	t.Helper()
	if _, err := exec.LookPath("ip"); err != nil {
		Missing(t, "no iproute2")
	}
	if os.Getuid() != 0 {
		Missing(t, "network namespaces need root")
	}
	// Names carry the process, so that test binaries that run side by side do not meet.
	l := &LAN{t: t, prefix: fmt.Sprintf("mp%d-%d", os.Getpid(), count.Add(1))}
	t.Cleanup(l.remove)
	l.sh("ip netns add %s", l.bridge())
	l.sh(inside+"ip link add br0 type bridge mcast_snooping 0 forward_delay 0", l.bridge())
	l.sh(inside+"ip link set br0 up", l.bridge())
	for i := 1; i <= n; i++ {
		h := l.Lonely()
		h.port, h.Addr = fmt.Sprintf("p%d", i), fmt.Sprintf("10.77.0.%d", i)
		l.sh(inside+"sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0", h.ns)
		l.sh(inside+"ip link add %s type veth peer name eth0 netns %s", l.bridge(), h.port, h.ns)
		l.sh(inside+"ip link set %s master br0 up", l.bridge(), h.port)
		l.sh(inside+"ip addr add %s/24 dev eth0", h.ns, h.Addr)
		l.sh(inside+"ip link set eth0 up", h.ns)
	}
	return l
}

func (l *LAN) bridge() string { return l.prefix + "-br" }

func (l *LAN) remove() {
	for _, h := range l.hosts {
		_ = exec.Command("ip", "netns", "del", h.ns).Run()
	}
	_ = exec.Command("ip", "netns", "del", l.bridge()).Run()
}

func (l *LAN) sh(format string, a ...any) {
	l.t.Helper()
	if err := command(context.Background(), strings.Fields(fmt.Sprintf(format, a...))...); err != nil {
		l.t.Fatal(err)
	}
}

func command(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// Host is the i-th host, from 1.
func (l *LAN) Host(i int) *Host { return l.hosts[i-1] }

// Lonely adds a host with a loopback interface and no cable.
func (l *LAN) Lonely() *Host {
	h := &Host{lan: l, ns: fmt.Sprintf("%s-%d", l.prefix, len(l.hosts)+1)}
	l.sh("ip netns add %s", h.ns)
	l.hosts = append(l.hosts, h)
	l.sh(inside+"ip link set lo up", h.ns)
	return h
}

// Command prepares a program that runs on the host.
func (h *Host) Command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "nsenter", append([]string{"--net=" + netnsDir + h.ns}, args...)...)
}

// Unplug pulls the host's cable, Plug puts it back.
func (h *Host) Unplug() { h.lan.sh(inside+"ip link set %s down", h.lan.bridge(), h.port) }

// Plug puts the cable back.
func (h *Host) Plug() { h.lan.sh(inside+"ip link set %s up", h.lan.bridge(), h.port) }

// Flap takes the host's interface down and up again, which drops its routes.
func (h *Host) Flap() {
	h.lan.sh(inside+"ip link set eth0 down", h.ns)
	h.lan.sh(inside+"ip link set eth0 up", h.ns)
}

// Readdress replaces the host's IPv4 address.
func (h *Host) Readdress(addr string) {
	h.lan.sh(inside+"ip addr del %s/24 dev eth0", h.ns, h.Addr)
	h.lan.sh(inside+"ip addr add %s/24 dev eth0", h.ns, addr)
	h.Addr = addr
}

// Limit gives each host a line of so many megabits per second in each direction, before which 512 KiB wait. Packets of
// the system are not larger than those of the wire then.
func (l *LAN) Limit(megabits int) {
	l.t.Helper()
	if _, err := exec.LookPath("tc"); err != nil {
		Missing(l.t, "no tc")
	}
	l.rate = megabits
	for _, h := range l.hosts {
		h.Shape()
		l.sh(inside+"tc qdisc replace dev %s root tbf rate %dmbit burst 64kb limit 524288", l.bridge(), h.port, megabits)
	}
}

// Shape limits what the host sends, again after its interface was taken down.
func (h *Host) Shape() {
	if h.lan.rate > 0 {
		h.lan.sh(inside+"tc qdisc replace dev eth0 root tbf rate %dmbit burst 64kb limit 524288", h.ns, h.lan.rate)
	}
}

// Sent counts the bytes that the host has put on its cable.
func (h *Host) Sent() int64 {
	out, err := h.Command(context.Background(), "ip", "-s", "-j", "link", "show", "eth0").Output()
	if err != nil {
		return 0
	}
	var links []struct {
		Stats struct {
			TX struct{ Bytes int64 } `json:"tx"`
		} `json:"stats64"`
	}
	if json.Unmarshal(out, &links) != nil || len(links) == 0 {
		return 0
	}
	return links[0].Stats.TX.Bytes
}

// Firewall loads rules of nftables on the host: the body of a chain on the hook (input, output).
func (h *Host) Firewall(hook, rules string) {
	h.lan.t.Helper()
	if _, err := exec.LookPath("nft"); err != nil {
		Missing(h.lan.t, "no nftables")
	}
	c := h.Command(context.Background(), "nft", "-f", "-")
	c.Stdin = strings.NewReader(fmt.Sprintf("table inet lab {\n chain %[1]s {\n type filter hook %[1]s priority 0;\n %[2]s\n }\n}\n", hook, rules))
	if out, err := c.CombinedOutput(); err != nil {
		h.lan.t.Fatalf("nft: %v: %s", err, out)
	}
}
