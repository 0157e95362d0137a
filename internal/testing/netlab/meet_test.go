//go:build linux

package netlab_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"multipeer/internal/testing/netlab"
)

// Devices find each other on networks of all kinds.

func TestDiscovery_FreshStartsMeet(t *testing.T) {
	lan := netlab.New(t, 2)
	lonely := lan.Lonely()
	file := filepath.Join(t.TempDir(), "small")
	if err := os.WriteFile(file, []byte("hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, hosts := range map[string][2]*netlab.Host{"bridge": {lan.Host(1), lan.Host(2)}, "loopback alone": {lonely, lonely}} {
		t.Run(name, func(t *testing.T) {
			met, slowest := 0, time.Duration(0)
			for range 20 {
				// Both advertise, so either may find the other.
				r := start(t, hosts[1], "--profile", profile(t), "--name", "Bob", "chat")
				began := time.Now()
				s := start(t, hosts[0], "--profile", profile(t), "--name", "Ann", "chat")
				s.wait("connected", 3*time.Second)
				r.wait("connected", 3*time.Second)
				if took := time.Since(began); took <= 3*time.Second {
					met++
					slowest = max(slowest, took)
				}
				r.signal(syscall.SIGTERM)
				s.signal(syscall.SIGTERM)
				r.exit()
				s.exit()
			}
			if met != 20 {
				t.Errorf("%d of 20", met)
			}
			t.Logf("%d of 20 fresh starts met, the slowest in %v", met, slowest.Round(time.Millisecond))
		})
	}
}

// TestDiscovery_KnownPeersMeetWithoutMulticast: on a network that drops multicast, a known peer is found again at its
// last address, and a new one by a search.
func TestDiscovery_KnownPeersMeetWithoutMulticast(t *testing.T) {
	lan := netlab.New(t, 3)
	anna, ben, eva := profile(t), profile(t), profile(t)
	chat := func(h *netlab.Host, profile, name string) *running {
		return start(t, h, "--profile", profile, "--name", name, "chat")
	}
	// meet waits until both have found each other by multicast, and returns their IDs.
	meet := func() (ofAnna, ofBen string) {
		a, b := chat(lan.Host(1), anna, "Anna"), chat(lan.Host(2), ben, "Ben")
		ofBen = a.wait("connected", 10*time.Second)["id"].(string)
		ofAnna = b.wait("connected", 10*time.Second)["id"].(string)
		for _, r := range []*running{a, b} {
			r.signal(syscall.SIGINT)
			r.exit()
		}
		return ofAnna, ofBen
	}
	ofAnna, ofBen := meet()
	// A chat accepts everyone, which makes no peer known. A person's decision does.
	for _, r := range []*running{
		start(t, lan.Host(1), "--profile", anna, "trust", ofBen, "verified"),
		start(t, lan.Host(2), "--profile", ben, "trust", ofAnna, "verified"),
	} {
		if code := r.exit(); code != 0 {
			t.Fatalf("exit %d: %s", code, r.err.String())
		}
	}
	meet() // the address of a known peer is remembered
	for i := 1; i <= 3; i++ {
		lan.Host(i).Firewall("input", "ip daddr 224.0.0.0/4 drop; ip6 daddr ff02::fb drop")
	}
	chat(lan.Host(2), ben, "Ben")
	began := time.Now()
	a := chat(lan.Host(1), anna, "Anna")
	a.wait("connected", 5*time.Second)
	t.Logf("known peers met after %v", time.Since(began).Round(time.Millisecond))

	began = time.Now()
	e := start(t, lan.Host(3), "--profile", eva, "--name", "Eva", "peers", "--search", "--for", "1s")
	found := map[any]bool{}
	for range 2 {
		found[e.wait("peer", 10*time.Second)["name"]] = true
	}
	if !found["Anna"] || !found["Ben"] {
		t.Errorf("the search found %v", found)
	}
	t.Logf("new ones were found after %v", time.Since(began).Round(time.Millisecond))
	if code := e.exit(); code != 0 {
		t.Errorf("exit %d: %s", code, e.err.String())
	}
}

// TestPeerExchange_WithoutMulticast: on a network that drops multicast, two peers know only the address of a third,
// and find each other through it.
func TestPeerExchange_WithoutMulticast(t *testing.T) {
	for name, script := range map[string]string{
		"IPv4":             "ip -4 -br addr show eth0 | grep -o '[0-9.]*/' | tr -d /",
		"IPv6, link-local": "ip -4 addr flush dev eth0; ip -6 -br addr show eth0 | grep -o 'fe80[0-9a-f:]*'",
	} {
		t.Run(name, func(t *testing.T) {
			lan := netlab.New(t, 3)
			var hub string
			for i := 3; i >= 1; i-- {
				lan.Host(i).Firewall("input", "ip daddr 224.0.0.0/4 drop; ip6 daddr ff02::fb drop")
				out, err := lan.Host(i).Command(t.Context(), "sh", "-c", script).Output()
				if hub = strings.TrimSpace(string(out)); err != nil || hub == "" {
					t.Fatal(err)
				}
			}
			if strings.HasPrefix(hub, "fe80") {
				hub += "%eth0"
			}
			start(t, lan.Host(1), "--profile", profile(t), "--name", "Anna", "chat")
			began := time.Now()
			b := start(t, lan.Host(2), "--profile", profile(t), "--name", "Ben", "--peer", hub, "chat")
			e := start(t, lan.Host(3), "--profile", profile(t), "--name", "Eva", "--peer", hub, "chat")
			for _, r := range []struct {
				*running
				other string
			}{{b, "Eva"}, {e, "Ben"}} {
				met := map[any]bool{}
				for !met["Anna"] || !met[r.other] {
					met[r.wait("connected", 10*time.Second)["name"]] = true
				}
			}
			t.Logf("they met after %v", time.Since(began).Round(time.Millisecond))
		})
	}
}

// TestDiscovery_StartsMeetAmongInterfaces covers hosts with several networks, a VPN and a container bridge, and hosts
// without IPv4.
func TestDiscovery_StartsMeetAmongInterfaces(t *testing.T) {
	sh := func(t *testing.T, h *netlab.Host, script string) {
		t.Helper()
		if out, err := h.Command(t.Context(), "sh", "-ec", script).CombinedOutput(); err != nil {
			netlab.Missing(t, "%s: %v: %s", script, err, out)
		}
	}
	for name, script := range map[string]string{
		"three interfaces, a VPN and a bridge": `for i in 1 2; do ip link add d$i type veth peer name e$i; ip addr add 10.9$i.0.1/24 dev d$i; ip link set d$i up; ip link set e$i up; done
ip tuntap add tun0 mode tun 2>/dev/null || ip link add tun0 type veth peer name tun1
ip addr add 10.8.0.1/24 dev tun0; ip link set tun0 up
ip link add docker0 type bridge; ip addr add 172.17.0.1/16 dev docker0; ip link set docker0 up`,
		"IPv6 only": `ip -4 addr flush dev eth0; sleep 2`,
	} {
		t.Run(name, func(t *testing.T) {
			lan := netlab.New(t, 2)
			for i := 1; i <= 2; i++ {
				sh(t, lan.Host(i), script)
			}
			slowest := time.Duration(0)
			for range 20 {
				b := start(t, lan.Host(2), "--profile", profile(t), "--name", "Ben", "chat")
				began := time.Now()
				a := start(t, lan.Host(1), "--profile", profile(t), "--name", "Anna", "chat")
				a.wait("connected", 5*time.Second)
				b.wait("connected", 5*time.Second)
				slowest = max(slowest, time.Since(began))
				for _, r := range []*running{a, b} {
					r.signal(syscall.SIGTERM)
					r.exit()
				}
			}
			t.Logf("20 of 20 met, the slowest in %v", slowest.Round(time.Millisecond))
		})
	}
}

// TestDiscovery_BesideAvahi runs with the system's own responder on the same host, as on most Linux desktops. The test
// does not install it, because it would then answer for the machine.
func TestDiscovery_BesideAvahi(t *testing.T) {
	avahi, err := exec.LookPath("avahi-daemon")
	if err != nil {
		t.Skip("no avahi-daemon here")
	}
	lan := netlab.New(t, 3)
	dir := t.TempDir()
	conf := filepath.Join(dir, "avahi.conf")
	if err := os.WriteFile(conf, []byte("[server]\nhost-name=besideavahi\nenable-dbus=no\nuse-ipv6=yes\n[publish]\npublish-addresses=yes\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	daemon := lan.Host(1).Command(t.Context(), "sh", "-c", "mkdir -p /run/avahi-daemon; exec "+avahi+" -f "+conf+" --no-drop-root --no-chroot --no-rlimits")
	var said strings.Builder
	daemon.Stderr = &said
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = daemon.Process.Kill(); _ = daemon.Wait() })
	time.Sleep(3 * time.Second)
	answers := func() bool { // queried by a third host for the name that avahi publishes
		out, _ := lan.Host(3).Command(t.Context(), "python3", "-c", `
import socket,struct
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP,socket.IP_MULTICAST_IF,socket.inet_aton("`+lan.Host(3).Addr+`"))
s.settimeout(3)
s.sendto(b"\0\1\0\0\0\1\0\0\0\0\0\0\x0bbesideavahi\x05local\0\0\1\0\1",("224.0.0.251",5353))
d,a=s.recvfrom(2000)
print("answer",a[0],len(d))`).CombinedOutput()
		if strings.Contains(string(out), "answer "+lan.Host(1).Addr) {
			return true
		}
		t.Logf("asked: %s", out)
		return false
	}
	if !answers() {
		t.Fatalf("avahi does not answer before the test: %s", said.String())
	}
	for range 20 {
		b := start(t, lan.Host(2), "--profile", profile(t), "--name", "Ben", "chat")
		a := start(t, lan.Host(1), "--profile", profile(t), "--name", "Anna", "chat")
		a.wait("connected", 5*time.Second)
		b.wait("connected", 5*time.Second)
		if !answers() {
			t.Error("avahi does not answer while the engine runs")
		}
		for _, r := range []*running{a, b} {
			r.signal(syscall.SIGTERM)
			r.exit()
		}
	}
}
