package engine_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/discovery"
	"multipeer/engine/enginetest"
)

func TestParseAddress(t *testing.T) {
	for text, want := range map[string]struct {
		host string
		port uint16
	}{
		"192.168.1.20":         {"192.168.1.20", engine.DefaultPort},
		"192.168.1.20:80":      {"192.168.1.20", 80},
		"fe80::1%eth0":         {"fe80::1%eth0", engine.DefaultPort},
		"[fe80::1%eth0]":       {"fe80::1%eth0", engine.DefaultPort},
		"[fe80::1%eth0]:23456": {"fe80::1%eth0", 23456},
		"[2001:db8::1]:23456":  {"2001:db8::1", 23456},
		"2001:db8::1":          {"2001:db8::1", engine.DefaultPort},
		" host.example:1 ":     {"host.example", 1},
		"host":                 {"host", engine.DefaultPort},
		"[fe80::1%eth0]x":      {},
		"[fe80::1%eth0]:0":     {},
		"[fe80::1%eth0]:99999": {},
		"fe80::1%eth0]:23456":  {},
		"[[2001:db8::1]]":      {},
		"fe80::1%eth0:23456":   {},
		"host name":            {},
		"192.168.1.20:port":    {},
		"":                     {},
	} {
		host, port, err := engine.ParseAddress(text)
		if host != want.host || port != want.port || (err == nil) != (want.host != "") {
			t.Errorf("%q: %q, %d, %v", text, host, port, err)
		}
	}
}

// TestDial_KnownPeerGoesBeforeStrangers checks that a peer that was accepted before is connected at once, whatever
// else the network reports.
func TestDial_KnownPeerGoesBeforeStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net, sinks := enginetest.New(t, latency), make(chan discovery.Sink, 1)
		a := among(net, "Anna", func(c *engine.Config) { c.Discovery = handed{here, sinks} })
		sink := <-sinks
		b := among(net, "Ben", blind)
		if err := a.SetTrust(b.Self().ID, engine.TrustSeen); err != nil {
			t.Fatal(err)
		}
		for i := range 200 {
			var id engine.PeerID
			id[0], id[1] = byte(i), 7
			sink.Found(discovery.Hint{ID: id, Addrs: []netip.AddrPort{netip.MustParseAddrPort("10.9.9.9:1")}, How: "test"})
		}
		time.Sleep(5 * time.Second)
		sink.Found(discovery.Hint{ID: b.Self().ID, Addrs: []netip.AddrPort{b.Addr}, How: "test"})
		seenWithin(t, 2*time.Second, a, b)
	})
}

// TestDial_ReconnectGoesBeforeStrangers checks that a returning session does not queue behind peers that are only
// announced by unverified packets.
func TestDial_ReconnectGoesBeforeStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b, sa, sb := pairByHand(t, net)
		count := watchSessions(t, a)
		for i := range 60 {
			var id engine.PeerID
			id[0], id[1] = byte(i), 7
			h := discovery.Hint{ID: id, Addrs: []netip.AddrPort{netip.MustParseAddrPort("10.9.9.9:1")}, How: "test"}
			sa.Found(h)
			sb.Found(h)
		}
		time.Sleep(time.Minute)
		net.Drop(func(_, _ netip.AddrPort) bool { return true })
		sa.NetworkChanged()
		sb.NetworkChanged()
		time.Sleep(time.Second)
		net.Drop(nil)
		time.Sleep(20 * time.Second)
		if c := count(); c != [2]int{1, 0} || connected(b) != 1 {
			t.Errorf("counts %v, %d sessions of b", c, connected(b))
		}
	})
}

// TestDial_GoesBeforeAnnouncedPeers checks that a peer that the program asks for does not wait behind peers that are
// only announced by unverified packets.
func TestDial_GoesBeforeAnnouncedPeers(t *testing.T) {
	for name, found := range map[string]bool{"by address": false, "found before": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := enginetest.New(t, latency)
				anna, sink := handing(net, "Anna")
				ben := among(net, "Ben", blind)
				up(anna, ben)
				for i := range 200 {
					var id engine.PeerID
					id[0], id[1] = byte(i), 7
					sink.Found(discovery.Hint{ID: id, Addrs: []netip.AddrPort{netip.MustParseAddrPort("10.9.9.9:1")}, How: "test"})
				}
				time.Sleep(5 * time.Second)
				if found {
					sink.Found(discovery.Hint{ID: ben.Self().ID, Addrs: []netip.AddrPort{ben.Addr}, How: "test"})
					time.Sleep(2 * time.Second)
				}
				began := time.Now()
				if _, err := anna.Dial(t.Context(), ben.Addr.String()); err != nil || time.Since(began) > time.Second {
					t.Errorf("%v after %v", err, time.Since(began))
				}
			})
		})
	}
}

// TestTicket_ConnectsOnlyToItsKey checks that a ticket connects without discovery, and only to its own key.
func TestTicket_ConnectsOnlyToItsKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		hidden := func(name string) *enginetest.Node {
			return net.Start(engine.Config{Name: name, Hidden: true, Blind: true, Accept: engine.Everyone})
		}
		a, b, c := hidden("a"), hidden("b"), hidden("c")
		time.Sleep(time.Second)
		ticket := fmt.Sprintf("%s@10.9.9.9:1234,%s", b.Self().ID, b.Addr) // one of its addresses is unreachable
		id, err := a.Dial(t.Context(), ticket)
		if err != nil || id != b.Self().ID {
			t.Fatal(id, err)
		}
		if err := a.Invite(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Dial(t.Context(), fmt.Sprintf("%s@%s", b.Self().ID, c.Addr)); !errors.Is(err, engine.ErrIdentity) {
			t.Errorf("another key: %v", err)
		}
		for _, bad := range []string{"", "@", "x@10.0.0.1", b.Self().ID.String() + "@", b.Self().ID.String() + "@10.0.0.1:x", "a b"} {
			if _, err := a.Dial(t.Context(), bad); !errors.Is(err, engine.ErrInvalid) {
				t.Errorf("%q: %v", bad, err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { time.Sleep(time.Second); cancel() }()
		if _, err := a.Dial(ctx, "10.9.9.9:1"); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		if ticket := c.Ticket(); ticket != "" && !strings.HasPrefix(ticket, c.Self().ID.String()+"@") {
			t.Errorf("ticket %q", ticket)
		}
	})
}
