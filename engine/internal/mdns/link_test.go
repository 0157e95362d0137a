package mdns

import (
	"net"
	"net/netip"
	"testing"
)

func TestLink_FindsTheInterfaceOfAnAddress(t *testing.T) {
	m := New(Config{})
	if got := m.Link(netip.MustParseAddr("192.0.2.9")); got != "" {
		t.Errorf("before it runs: %q", got)
	}
	prefixes := func(s ...string) (out []netip.Prefix) {
		for _, p := range s {
			out = append(out, netip.MustParsePrefix(p))
		}
		return out
	}
	m.ifs = []iface{
		{Interface: net.Interface{Name: "eth0"}, prefixes: prefixes("192.0.2.1/24", "fe80::1/64", "2001:db8::1/64")},
		{Interface: net.Interface{Name: "wlan0"}, prefixes: prefixes("198.51.100.5/30", "169.254.7.7/16", "fe80::2/64")},
		{Interface: net.Interface{Name: "eth1"}, prefixes: prefixes("10.0.0.5/16")},
		{Interface: net.Interface{Name: "eth2"}, prefixes: prefixes("10.0.7.5/24")},
	}
	for a, want := range map[string]string{
		"192.0.2.9":         "eth0",
		"::ffff:192.0.2.9":  "eth0",
		"192.0.2.255":       "", // the broadcast address
		"192.0.2.0":         "",
		"198.51.100.7":      "",
		"198.51.100.4":      "",
		"198.51.100.6":      "wlan0",
		"10.0.0.0":          "",
		"10.0.6.255":        "eth1",
		"10.0.7.9":          "eth2",
		"10.0.7.255":        "", // the broadcast address of eth2's network, though not of eth1's
		"10.0.7.0":          "",
		"198.51.100.8":      "", // behind a router
		"2001:db8::7":       "eth0",
		"2001:db8:1::7":     "",
		"fe80::7%eth0":      "eth0",
		"fe80::7%wlan0":     "wlan0",
		"fe80::7%tun0":      "",
		"fe80::7":           "", // could be on any link
		"169.254.1.1":       "wlan0",
		"127.0.0.1":         "",
		"::1":               "",
		"224.0.0.251":       "",
		"255.255.255.255":   "",
		"0.0.0.0":           "",
		"ff02::fb%eth0":     "",
		"fe80::7%1":         "",
		"::ffff:127.0.0.1":  "",
		"2001:db8::7%wlan0": "eth0", // the zone of an address that is not link-local is ignored
	} {
		if got := m.Link(netip.MustParseAddr(a)); got != want {
			t.Errorf("%s is on %q, want %q", a, got, want)
		}
	}
	m.ifs = []iface{{Interface: net.Interface{Name: "lo", Flags: net.FlagLoopback}, prefixes: prefixes("127.0.0.1/8", "::1/128")}}
	for a, want := range map[string]string{"127.0.0.2": "lo", "::1": "lo", "192.0.2.9": "", "127.255.255.255": ""} {
		if got := m.Link(netip.MustParseAddr(a)); got != want {
			t.Errorf("%s is on %q, want %q", a, got, want)
		}
	}
}
