package engine_test

import (
	"context"
	"encoding/binary"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/discovery"
	"multipeer/engine/enginetest"
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// TestAccept_KnownPeersHaveTheirOwnPlaces checks that connections of known keys, and lanes of keys with a running
// transfer, have slots that no stranger can take.
func TestAccept_KnownPeersHaveTheirOwnPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
		meet(t, a, b)
		id := b.Self().ID
		for trust, want := range map[engine.Trust]string{engine.TrustUnknown: "strangers", engine.TrustSeen: "known", engine.TrustVerified: "known"} {
			if err := a.SetTrust(id, trust); err != nil {
				t.Fatal(err)
			}
			if got := a.QueueOf(id, false); got != want {
				t.Errorf("trust %q: it waits among %s", trust, got)
			}
			if got := a.QueueOf(id, true); got != "other lanes" {
				t.Errorf("trust %q: a lane without a transfer waits among %s", trust, got)
			}
		}
		b.Handle(t.Context(), engine.Handler{Offer: func(o *engine.Offer) {
			if err := o.Accept(engine.AcceptOptions{Dir: t.TempDir(), Reserve: -1}); err != nil {
				t.Error(err)
			}
		}})
		time.Sleep(time.Second)
		net.Limit(8_000_000, 500_000)
		tr, err := a.Offer(t.Context(), id, file(t, "large", 4<<20))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		for from, to := range map[*enginetest.Node]*enginetest.Node{a: b, b: a} {
			if got := from.QueueOf(to.Self().ID, true); got != "expected lanes" {
				t.Errorf("a lane of the transfer waits among %s", got)
			}
		}
		if tr, err = a.Wait(t.Context(), tr.ID); err != nil || tr.State != engine.Delivered {
			t.Fatal(tr.State, tr.Err, err)
		}
		time.Sleep(time.Second)
		if got := b.QueueOf(a.Self().ID, true); got != "other lanes" {
			t.Errorf("after it a lane waits among %s", got)
		}
	})
}

// TestPeerTable_AnnouncedStrangersLeaveAPlaceForKnownPeer checks that a known peer finds a slot after any number of
// announced strangers.
func TestPeerTable_AnnouncedStrangersLeaveAPlaceForKnownPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		found := &byHand{make(chan discovery.Sink, 1)}
		a := net.Start(engine.Config{Offers: engine.Everyone, Discovery: found})
		sink := <-found.sink
		b := net.Start(engine.Config{Offers: engine.Everyone, Blind: true, Hidden: true})
		if err := a.SetTrust(b.Self().ID, engine.TrustSeen); err != nil {
			t.Fatal(err)
		}
		for i := range 2000 {
			var id engine.PeerID
			id[0] = 9
			binary.BigEndian.PutUint32(id[1:], uint32(i))
			sink.Found(discovery.Hint{ID: id, Addrs: []netip.AddrPort{netip.MustParseAddrPort("10.0.200.1:20000")}, How: "test"})
		}
		sink.Found(discovery.Hint{ID: b.Self().ID, Addrs: []netip.AddrPort{b.Addr}, How: "test"})
		meet(t, a, b)
	})
}

func TestAccept_SilentConnectionsKeepNoPeerOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := enginetest.New(t, latency)
		a := n.Start(open("a"))
		m := newRaw(t, n)
		for range 64 {
			if c, err := m.Dial(t.Context(), a.Addr, transport.KeyOf(a.Self().ID), transport.Session); err == nil {
				t.Cleanup(func() { c.Close(wire.Bye) })
			}
		}
		b := n.Start(open("b"))
		began := time.Now()
		next := events(t, b)
		next(is[engine.PeerAdded])
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("an honest peer waits %v", took)
		}
	})
}

// TestPeerTable_DiallingStrangersLeavePlacesForFoundPeers checks that peers that dial us unasked may use only a part
// of the table, and that the rest is left for peers that are found.
func TestPeerTable_DiallingStrangersLeavePlacesForFoundPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := enginetest.New(t, latency)
		a := n.Start(open("a"))
		refused := 0
		for range 260 {
			m := newRaw(t, n)
			if _, err := m.greet(t, m.dial(t, a)); err != nil {
				refused++
			}
		}
		if refused == 0 {
			t.Error("strangers fill the table without end")
		}
		b := n.Start(engine.Config{Offers: engine.Everyone, Name: "b", Accept: engine.Everyone})
		meet(t, a, b)
	})
}

// TestEcho_StrangersShareOneLimit: many connections of strangers cannot make this device send back all that they send.
func TestEcho_StrangersShareOneLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a := net.Start(engine.Config{Offers: engine.Everyone})
		time.Sleep(time.Second)
		var echoed atomic.Int64
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for range 8 {
			m := newRaw(t, net)
			c := m.dial(t, a)
			if _, err := m.greet(t, c); err != nil {
				t.Fatal(err)
			}
			s, err := c.OpenStream(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.WriteMessage(wire.Echo{}); err != nil {
				t.Fatal(err)
			}
			go func() {
				for ctx.Err() == nil {
					if _, err := s.Write(make([]byte, 4096)); err != nil {
						return
					}
				}
			}()
			go func() {
				b := make([]byte, 4096)
				for {
					n, err := s.Read(b)
					echoed.Add(int64(n))
					if err != nil {
						return
					}
				}
			}()
		}
		time.Sleep(10 * time.Second)
		if got := echoed.Load(); got > 12<<20 || got < 5<<20 {
			t.Errorf("%d bytes are echoed in ten seconds", got)
		}
		cancel()
	})
}
