//go:build linux

// Package netlab builds real networks for tests: hosts that are separate network namespaces, joined by a bridge, with
// nothing on the machine's own interfaces. It needs root and iproute2, or a user namespace (make test sets one up);
// loss and firewalls need nftables.
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

// Required reports whether a test fails instead of being skipped if its lab cannot be built. make test sets
// MULTIPEER_FULL.
func Required() bool { return os.Getenv("MULTIPEER_FULL") != "" }

// Programs enter a namespace with nsenter, because 'ip netns exec' changes mounts, which a chroot does not permit.
const (
	netnsDir = "/run/netns/"
	inside   = "nsenter --net=" + netnsDir + "%s "
)

// Missing fails or skips a test that cannot run on this machine.
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
	rate   int // megabits per second; 0 means no limit
}

// Host is a network namespace.
type Host struct {
	lan  *LAN
	ns   string
	port string // the bridge's end of its cable
	Addr string // IPv4
}

// New builds a LAN of n hosts, 10.77.0.1 and up, and removes it when the test ends.
func New(t testing.TB, n int) *LAN {
	t.Helper()
	if _, err := exec.LookPath("ip"); err != nil {
		Missing(t, "no iproute2")
	}
	if os.Getuid() != 0 {
		Missing(t, "network namespaces need root")
	}
	// Names contain the process ID, so that concurrent test binaries do not collide.
	l := &LAN{t: t, prefix: fmt.Sprintf("mp%d-%d", os.Getpid(), count.Add(1))}
	t.Cleanup(l.remove)
	l.sh("ip netns add %s", l.bridge())
	l.sh(inside+"ip link add br0 type bridge mcast_snooping 0 forward_delay 0", l.bridge())
	l.sh(inside+"ip link set br0 up", l.bridge())
	for i := 1; i <= n; i++ {
		h := l.Lonely()
		h.port, h.Addr = fmt.Sprintf("p%d", i), fmt.Sprintf("10.77.0.%d", i)
		l.sh(inside+"sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0", h.ns)
		h.Cable()
	}
	return l
}

// Cable connects the host to the bridge through a new interface eth0. An earlier eth0 must have been deleted.
func (h *Host) Cable() {
	l := h.lan
	l.sh(inside+"ip link add %s type veth peer name eth0 netns %s", l.bridge(), h.port, h.ns)
	l.sh(inside+"ip link set %s master br0 up", l.bridge(), h.port)
	l.sh(inside+"ip addr add %s/24 dev eth0", h.ns, h.Addr)
	l.sh(inside+"ip link set eth0 up", h.ns)
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

// Host returns the i-th host, from 1.
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

// RouteAll sends what has no other route over the cable: programs that join multicast groups on any interface need a
// route.
func (h *Host) RouteAll() { h.lan.sh(inside+"ip route add default dev eth0", h.ns) }

// Unplug unplugs the host's cable.
func (h *Host) Unplug() { h.lan.sh(inside+"ip link set %s down", h.lan.bridge(), h.port) }

// Plug plugs the cable back in.
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

// SetMTU sets the MTU of the host's interface. Below 1280 the system removes IPv6 from it.
func (h *Host) SetMTU(mtu int) { h.lan.sh(inside+"ip link set eth0 mtu %d", h.ns, mtu) }

// Route is a path of two hosts over two routers: Host(1) is 10.78.1.1, Host(2) is 10.78.2.1, and the hop between the
// routers may have another MTU than the cables of the hosts.
type Route struct {
	*LAN
	routers [2]*Host
}

// NewRoute builds a Route and removes it when the test ends. report sets whether the routers report to a sender that a
// packet is too large (ICMP, RFC 1191), which many firewalls prevent.
func NewRoute(t testing.TB, mtu int, report bool) *Route {
	t.Helper()
	l := New(t, 0)
	hosts := [2]*Host{l.Lonely(), l.Lonely()}
	r := &Route{l, [2]*Host{l.Lonely(), l.Lonely()}}
	for i, h := range hosts {
		router, net := r.routers[i], fmt.Sprintf("10.78.%d.", i+1)
		h.Addr = net + "1"
		l.sh(inside+"ip link add eth0 type veth peer name lan netns %s", h.ns, router.ns)
		l.sh(inside+"ip addr add %s/24 dev eth0", h.ns, h.Addr)
		l.sh(inside+"ip addr add %s254/24 dev lan", router.ns, net)
		l.sh(inside+"ip link set eth0 up", h.ns)
		l.sh(inside+"ip link set lan up", router.ns)
		l.sh(inside+"ip route add default via %s254", h.ns, net)
		l.sh(inside+"sysctl -qw net.ipv4.ip_forward=1", router.ns)
		if !report {
			router.Firewall("output", "icmp type destination-unreachable drop;")
		}
	}
	l.sh(inside+"ip link add wan type veth peer name wan netns %s", r.routers[0].ns, r.routers[1].ns)
	for i, router := range r.routers {
		l.sh(inside+"ip addr add 10.78.9.%d/24 dev wan", router.ns, i+1)
		l.sh(inside+"ip link set wan up", router.ns)
		l.sh(inside+"ip route add 10.78.%d.0/24 via 10.78.9.%d", router.ns, 2-i, 2-i)
	}
	r.SetMTU(mtu)
	return r
}

// SetMTU sets the MTU of the hop between the routers, in both directions.
func (r *Route) SetMTU(mtu int) {
	for _, router := range r.routers {
		r.sh(inside+"ip link set wan mtu %d", router.ns, mtu)
	}
}

// Limit limits the hop to a rate in megabits per second, in each direction.
func (r *Route) Limit(megabits int) {
	r.t.Helper()
	if _, err := exec.LookPath("tc"); err != nil {
		Missing(r.t, "no tc")
	}
	for _, router := range r.routers {
		r.sh(inside+"tc qdisc replace dev wan root tbf rate %dmbit burst 64kb limit 524288", router.ns, megabits)
	}
}

// Limit limits each host's link to a rate in megabits per second in each direction, with a queue of 512 KiB. The
// system's packets are then no larger than those on the wire.
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

// Shape limits what the host sends. It must be called again after the interface was down.
func (h *Host) Shape() {
	if h.lan.rate > 0 {
		h.lan.sh(inside+"tc qdisc replace dev eth0 root tbf rate %dmbit burst 64kb limit 524288", h.ns, h.lan.rate)
	}
}

// Sent returns how many bytes the host has sent on its cable.
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

// Firewall loads nftables rules on the host: the body of a chain on the hook (input, output).
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
