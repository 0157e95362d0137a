package engine_test

import (
	"context"
	"net/netip"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

// TestAcquaintancesOutliveTheirNearness: a screen can list and forget peers that are not there.
func TestAcquaintancesOutliveTheirNearness(t *testing.T) {
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

func TestFreeSpaceOfAFolderThatIsNotThereYet(t *testing.T) {
	dir := t.TempDir()
	here, err := engine.FreeSpace(dir)
	if err != nil || here == 0 {
		t.Fatal(here, err)
	}
	if there, err := engine.FreeSpace(filepath.Join(dir, "a", "b")); err != nil || there == 0 {
		t.Error(there, err)
	}
}

// soon waits until news of n makes a condition true.
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

// TestRecallKeepsAddresses: a peer that was reached at several is looked for at all of them, also after it was found at one.
func TestRecallKeepsAddresses(t *testing.T) {
	pa, pb := t.TempDir()+"/a", t.TempDir()+"/b"
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		other := netip.MustParseAddrPort("10.0.0.200:47777")
		start := func(name, profile string, addr netip.AddrPort, c ...func(*engine.Config)) (*enginetest.Node, engine.Sink) {
			d := &byHand{make(chan engine.Sink, 1)}
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
		sa.Found(engine.Hint{ID: b.Self().ID, Addrs: []netip.AddrPort{b.Addr, other}, How: "test"})
		time.Sleep(5 * time.Second)
		if connected(a) != 1 {
			t.Fatal("no session")
		}
		time.Sleep(time.Second)
		if err := a.Stop(); err != nil {
			t.Fatal(err)
		}
		addrA := a.Addr
		for range 2 { // where no multicast comes through, it is found where it was
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
