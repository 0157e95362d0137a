package mdns

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestSearch_OnlyAnswersToOurPacketCount(t *testing.T) {
	packet, ours := versionProbe()
	if len(packet) != initialSize {
		t.Errorf("%d bytes", len(packet))
	}
	good := append([]byte{0x80}, 0, 0, 0, 0, byte(len(ours)))
	good = append(good, ours...)
	if !isNegotiation(good, ours) {
		t.Error("a good answer is refused")
	}
	for i := range 6 + len(ours) {
		bad := append([]byte(nil), good...)
		bad[i] ^= 0x81
		if isNegotiation(bad, ours) {
			t.Errorf("byte %d may be anything", i)
		}
		if isNegotiation(good[:i], ours) {
			t.Errorf("%d bytes are enough", i)
		}
	}
	if isNegotiation(packet, ours) || binary.BigEndian.Uint32(packet[1:]) != noVersion {
		t.Error("the probe answers itself")
	}
}

// TestSearch_IgnoresAnswersFromOtherAddresses: answers from other ports are ignored too.
func TestSearch_IgnoresAnswersFromOtherAddresses(t *testing.T) {
	asked, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer asked.Close()
	at := asked.LocalAddr().(*net.UDPAddr).AddrPort()
	answering := []*net.UDPConn{asked}
	for _, other := range []net.UDPAddr{{IP: net.IPv4(127, 0, 0, 1)}, {IP: net.IPv4(127, 0, 0, 2), Port: int(at.Port())}} {
		c, err := net.ListenUDP("udp4", &other)
		if err != nil {
			t.Logf("not tried: %v", err) // not every system has the whole of 127.0.0.0/8
			continue
		}
		defer c.Close()
		answering = append(answering, c)
	}
	go func() {
		b := make([]byte, 2048)
		for {
			n, from, err := asked.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			if n != initialSize {
				t.Errorf("asked with %d bytes", n)
				return
			}
			ours := b[6:22]
			reply := append([]byte{0x80, 0, 0, 0, 0, byte(len(ours))}, ours...)
			for _, c := range answering {
				_, _ = c.WriteToUDPAddrPort(reply, from)
			}
		}
	}()
	found, err := sweepAll(t.Context(), []netip.Addr{at.Addr(), netip.MustParseAddr("127.0.0.3")}, at.Port())
	if err != nil || len(found) != 1 || found[0] != at {
		t.Errorf("found %v, want %v; %v", found, at, err)
	}
}

// TestSearch_CutShortReturnsAnError: a search that is cut short returns an error, and keeps what it has found.
func TestSearch_CutShortReturnsAnError(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	var targets []netip.Addr
	for a := netip.MustParseAddr("127.0.9.1"); len(targets) < 2000; a = a.Next() {
		targets = append(targets, a)
	}
	_, err := sweepAll(ctx, targets, 9)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "of 2000 addresses") {
		t.Errorf("%v", err)
	}
}

// TestSearch_ErrorNamesTheNetworksLeftOut: the error lists the skipped networks and the reason.
func TestSearch_ErrorNamesTheNetworksLeftOut(t *testing.T) {
	on := func(name string, prefixes ...string) iface {
		f := iface{Interface: net.Interface{Name: name}}
		for _, p := range prefixes {
			f.prefixes = append(f.prefixes, netip.MustParsePrefix(p))
		}
		return f
	}
	for name, c := range map[string]struct {
		on      []iface
		targets int
		says    string
		none    bool // nothing could be probed at all
	}{
		"none":                  {nil, 0, "no interface is up", true},
		"one":                   {[]iface{on("eth0", "10.77.0.2/24", "fe80::1/64")}, 253, "", false},
		"two that overlap":      {[]iface{on("eth0", "10.77.0.2/24", "10.77.0.3/24"), on("eth1", "10.77.0.4/25")}, 251, "", false},
		"large":                 {[]iface{on("eth0", "10.77.0.2/16")}, 0, "eth0 (10.77.0.2/16) has 65536 addresses", true},
		"a large and a small":   {[]iface{on("eth0", "10.77.0.2/16"), on("docker0", "172.17.0.1/24")}, 253, "eth0 (10.77.0.2/16) has 65536 addresses", false},
		"IPv6 alone":            {[]iface{on("eth0", "fe80::1/64")}, 0, "a search needs an IPv4 network, and eth0 has none", true},
		"this device alone":     {[]iface{on("wg0", "10.8.0.2/32")}, 0, "the network of wg0 has no other addresses", true},
		"everything is allowed": {[]iface{on("eth0", "0.0.0.0/0")}, 0, "4294967296 addresses", true},
	} {
		targets, left, err := targetsOn(c.on)
		if len(targets) != c.targets || (err != nil) != c.none {
			t.Errorf("%s: %d targets, %v", name, len(targets), err)
		}
		if text := fmt.Sprint(errors.Join(left, err)); c.says == "" != (left == nil && err == nil) || !strings.Contains(text, c.says) && c.says != "" {
			t.Errorf("%s: reports %q, want %q", name, text, c.says)
		}
	}
}

func FuzzIsNegotiation(f *testing.F) {
	_, ours := versionProbe()
	f.Add([]byte{0x80, 0, 0, 0, 0, 16})
	f.Fuzz(func(t *testing.T, b []byte) {
		if isNegotiation(b, ours) {
			t.Error("a guess was right")
		}
	})
}
