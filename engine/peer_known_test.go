package engine_test

import (
	"context"
	"net/netip"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/discovery"
	"multipeer/engine/enginetest"
)

// TestAcquaintances_ListOfflinePeersUntilForgotten checks that a screen can list and forget peers that are offline.
func TestAcquaintances_ListOfflinePeersUntilForgotten(t *testing.T) {
	net := enginetest.New(t, time.Millisecond)
	anna, ben := net.Start(engine.Config{Name: "Anna"}), net.Start(engine.Config{Name: "Ben"})
	if known := anna.Acquaintances(); len(known) != 0 {
		t.Errorf("a new profile knows %v", known)
	}
	id := ben.Self().ID
	soon(t, anna, func() bool { p, ok := anna.Peer(id); return ok && p.Confirmed })
	if err := anna.SetTrust(id, engine.TrustVerified); err != nil {
		t.Fatal(err)
	}
	if err := anna.SetAutoAccept(id, engine.AutoAccept{Bytes: 5, Dir: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	_ = ben.Stop()
	soon(t, anna, func() bool { return len(anna.Peers()) == 0 })
	known := anna.Acquaintances()
	if len(known) != 1 || known[0].ID != id || known[0].Name != "Ben" || known[0].Trust != engine.TrustVerified || known[0].AutoAccept.Bytes != 5 {
		t.Errorf("%+v", known)
	}
	if err := anna.SetTrust(id, engine.TrustUnknown); err != nil {
		t.Fatal(err)
	}
	if known := anna.Acquaintances(); len(known) != 0 {
		t.Errorf("after it was forgotten: %v", known)
	}
}

// soon waits until an event of n makes a condition true.
func soon(t *testing.T, n *enginetest.Node, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for range n.Watch(ctx) {
		if is() {
			return
		}
	}
	t.Fatal("it never came true")
}

// TestRecall_KeepsAllAddressesOfAPeer checks that a peer that was reached at several addresses is looked for at all of
// them, even after it was found at one.
func TestRecall_KeepsAllAddressesOfAPeer(t *testing.T) {
	pa, pb := t.TempDir()+"/a", t.TempDir()+"/b"
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		other := netip.MustParseAddrPort("10.0.0.200:47777")
		start := func(name, profile string, addr netip.AddrPort, c ...func(*engine.Config)) (*enginetest.Node, discovery.Sink) {
			d := &byHand{make(chan discovery.Sink, 1)}
			cfg := open(name)
			cfg.Discovery, cfg.Profile = d, profile
			for _, f := range c {
				f(&cfg)
			}
			var n *enginetest.Node
			if addr.IsValid() {
				n = net.StartAt(addr, cfg)
			} else {
				n = net.Start(cfg)
			}
			return n, <-d.sink
		}
		a, sa := start("a", pa, netip.AddrPort{})
		b, _ := start("b", pb, netip.AddrPort{})
		sa.Found(discovery.Hint{ID: b.Self().ID, Addrs: []netip.AddrPort{b.Addr, other}, How: "test"})
		time.Sleep(5 * time.Second)
		if connected(a) != 1 {
			t.Fatal("no session")
		}
		for from, to := range map[*enginetest.Node]*enginetest.Node{a: b, b: a} { // policies alone make no peer known
			if err := from.InviteWith(t.Context(), to.Self().ID, byPerson); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		if err := a.Stop(); err != nil {
			t.Fatal(err)
		}
		addrA := a.Addr
		for range 2 { // without multicast, it is found at its last address
			time.Sleep(5 * time.Second)
			a, _ = start("a", pa, addrA)
			time.Sleep(40 * time.Second)
			if _, ok := a.Peer(b.Self().ID); !ok {
				t.Fatal("not found at the first address")
			}
			if err := a.Stop(); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Stop(); err != nil {
			t.Fatal(err)
		}
		b, _ = start("b", pb, other, blind)
		a, _ = start("a", pa, addrA)
		time.Sleep(40 * time.Second)
		if _, ok := a.Peer(b.Self().ID); !ok {
			t.Error("not found at its other address")
		}
	})
}

// TestPeer_KnownKeepsItsNameUntilItsKeyAnswers checks that an announcement with a known ID does not rename the peer
// before its key has answered.
func TestPeer_KnownKeepsItsNameUntilItsKeyAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		found := &byHand{make(chan discovery.Sink, 1)}
		a := net.Start(engine.Config{Discovery: found})
		sink := <-found.sink
		b := net.Start(engine.Config{Name: "Ben", Hidden: true, Blind: true})
		if _, err := a.Dial(t.Context(), b.Addr.String()); err != nil {
			t.Fatal(err)
		}
		if err := a.SetTrust(b.Self().ID, engine.TrustVerified); err != nil {
			t.Fatal(err)
		}
		_ = b.Kill()
		time.Sleep(time.Minute)
		sink.Found(discovery.Hint{ID: b.Self().ID, Name: "me", Addrs: []netip.AddrPort{netip.MustParseAddrPort("10.9.9.9:2000")}, How: "test"})
		time.Sleep(time.Second)
		if p, ok := a.Peer(b.Self().ID); ok && p.Name != "Ben" {
			t.Errorf("it is called %q", p.Name)
		}
	})
}

// TestPeer_KnownIsDialledWhereItAnswered: anyone can announce a known peer at an address where nothing answers. It is
// reached at its last address nevertheless.
func TestPeer_KnownIsDialledWhereItAnswered(t *testing.T) {
	pa, pb := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		start := func(profile string, at netip.AddrPort) (*enginetest.Node, discovery.Sink) {
			d := &byHand{make(chan discovery.Sink, 1)}
			cfg := engine.Config{Profile: profile, Discovery: d, Invite: engine.Everyone}
			if at.IsValid() {
				return net.StartAt(at, cfg), <-d.sink
			}
			return net.Start(cfg), <-d.sink
		}
		a, toA := start(pa, netip.AddrPort{})
		b, _ := start(pb, netip.AddrPort{})
		toA.Found(discovery.Hint{ID: b.Self().ID, Addrs: []netip.AddrPort{b.Addr}, How: "test"})
		time.Sleep(5 * time.Second)
		for from, to := range map[*enginetest.Node]*enginetest.Node{a: b, b: a} {
			if err := from.InviteWith(t.Context(), to.Self().ID, byPerson); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		at := a.Addr
		if err := a.Stop(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(40 * time.Second)
		a, toA = start(pa, at)
		nobody := netip.MustParseAddrPort("10.9.9.9:2000")
		toA.Found(discovery.Hint{ID: b.Self().ID, Addrs: []netip.AddrPort{nobody}, How: "test"})
		time.Sleep(30 * time.Second)
		if p, ok := a.Peer(b.Self().ID); !ok || !p.Confirmed {
			t.Errorf("not reached: %+v", p)
		}
	})
}
