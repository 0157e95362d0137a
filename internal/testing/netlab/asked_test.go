//go:build linux

package netlab_test

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"multipeer/internal/testing/netlab"
)

// askMDNS is a separate program, run on a host: it queries the service from one address at another, and prints how
// many answers it receives within a second and a half.
func askMDNS(args []string) error {
	from, err := net.ResolveUDPAddr("udp4", args[0])
	if err != nil {
		return err
	}
	to, err := net.ResolveUDPAddr("udp4", args[1])
	if err != nil {
		return err
	}
	c, err := net.ListenUDP("udp4", from)
	if err != nil {
		return err
	}
	defer c.Close()
	class := byte(0)
	if args[2] == "unicast" {
		class = 0x80
	}
	q := []byte("\x00\x07\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x0a_multipeer\x04_udp\x05local\x00\x00\x0c")
	if _, err := c.WriteTo(append(q, class, 1), to); err != nil {
		return err
	}
	_ = c.SetReadDeadline(time.Now().Add(1500 * time.Millisecond))
	b := make([]byte, 9000)
	answers := 0
	for {
		if _, _, err := c.ReadFromUDP(b); err != nil {
			fmt.Println(answers)
			return nil
		}
		answers++
	}
}

// TestDiscovery_AnswersStayOnTheLink: a query from an address on another network, which may be forged, gets no unicast
// answer, even if there is a route.
func TestDiscovery_AnswersStayOnTheLink(t *testing.T) {
	t.Parallel() // it mostly waits
	lan := netlab.New(t, 2)
	const group = "224.0.0.251:5353"
	onHost(t, lan.Host(2), "ip addr add 198.51.100.9/32 dev eth0; ip route add 224.0.0.0/4 dev eth0")
	onHost(t, lan.Host(1), "ip route add 198.51.100.0/24 via "+lan.Host(2).Addr)
	start(t, lan.Host(1), "--profile", profile(t), "--name", "Anna", "chat")
	time.Sleep(4 * time.Second)
	for _, c := range []struct {
		name, from, to, how string
		want                string
	}{
		{"plain, on the link", lan.Host(2).Addr + ":40000", group, "", "1"},
		{"plain, off the link", "198.51.100.9:40000", group, "", "0"},
		{"from the port of mDNS, wanted by unicast, off the link", "198.51.100.9:5353", group, "unicast", "0"},
		{"sent to one address, off the link", "198.51.100.9:40000", lan.Host(1).Addr + ":5353", "", "0"},
		{"plain, on the link, once more", lan.Host(2).Addr + ":40001", group, "", "1"},
	} {
		q := lan.Host(2).Command(t.Context(), os.Args[0], c.from, c.to, c.how)
		q.Env = append(os.Environ(), "MULTIPEER_ASK=1")
		out, err := q.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", c.name, err, out)
		}
		if got := strings.TrimSpace(string(out)); got != c.want {
			t.Errorf("%s: %s answers, want %s", c.name, got, c.want)
		}
	}
}
