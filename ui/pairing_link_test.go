package ui

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
	"multipeer/internal/singleinstance"
	"multipeer/ui/internal/widgets"
)

// TestLink_AsksFirst checks that nothing is dialled before the user agrees, since a web page can open a link, and that
// a link to another network is refused without a question.
func TestLink_AsksFirst(t *testing.T) {
	s := newStation(t, newTestApp(t), newLoop(), enginetest.New(t, 0), "Me")
	id := engine.PeerID{1, 2, 3}.String()
	for at, asks := range map[string]bool{
		"127.0.0.1:4433": true, "127.0.0.1:4433,127.0.0.2:53": true, "[::1]:1": true,
		"198.51.100.9:4433": false, "127.0.0.1:1,198.51.100.9:1": false, "evil.example:443": false, "localhost:1": false, "0.0.0.0:1": false, "224.0.0.251:5353": false, "[2001:db8::1]:1": false,
		strings.Repeat("127.0.0.1:1,", 16) + "127.0.0.1:1": false,
	} {
		for _, secret := range []string{"", "&s=" + strings.Repeat("a", 26)} {
			link := "multipeer://" + id + "/?at=" + at + secret
			if _, err := engine.ParseLink(link); err != nil && asks {
				if secret != "" {
					continue // the engine limits the length of a link
				}
				t.Errorf("%s: %v", link, err)
			}
			s.taken(singleinstance.Launch{Link: link})
			if s.connecting.dialing {
				t.Errorf("%s is dialled at once", link)
			}
			m, asked := s.dialogs.open.(*widgets.Modal)
			if asked != asks {
				t.Errorf("%s: asked %v", link, asked)
			}
			if asked {
				m.Hide()
			}
		}
	}
}

// TestOnLink distinguishes the networks of this device from all others.
func TestOnLink(t *testing.T) {
	var own []net.Addr
	for _, s := range []string{"192.168.1.20/24", "fd00::1/64", "127.0.0.1/8"} {
		ip, n, err := net.ParseCIDR(s)
		if err != nil {
			t.Fatal(err)
		}
		own = append(own, &net.IPNet{IP: ip, Mask: n.Mask})
	}
	for address, want := range map[string]bool{
		"192.168.1.1": true, "192.168.2.1": false, "8.8.8.8": false, "fd00::2": true, "fd01::2": false, "fe80::1%eth0": true, "169.254.1.1": true, "::ffff:192.168.1.7": true,
		"255.255.255.255": false, "239.1.1.1": false, "::": false,
	} {
		if got := onLink(netip.MustParseAddr(address), own); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
}

// TestConnectCard_CodeHoldsALink checks that the code on the page holds what cameras and this program open: a link that
// only connects.
func TestConnectCard_CodeHoldsALink(t *testing.T) {
	a, l, net := newTestApp(t), newLoop(), enginetest.New(t, time.Millisecond)
	s := newStation(t, a, l, net, "Anna")
	l.until(t, "an address", func() bool { return s.e.Ticket() != "" })
	for name, c := range map[string]*connectCard{"wide": s.connecting.newCard(), "narrow": s.connecting.newNarrowCard()} {
		c.refresh(s.UI)
		link, err := engine.ParseLink(c.link)
		if err != nil || link.ID != s.self.ID || link.Ticket != s.e.Ticket() || link.Secret() {
			t.Errorf("%s: the code holds %q: %v", name, c.link, err)
		}
		if len(c.code.Objects) != 1 {
			t.Errorf("%s: no code is drawn", name)
		}
	}
}
