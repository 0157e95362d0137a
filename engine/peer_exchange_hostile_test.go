package engine_test

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/discovery"
	"multipeer/engine/enginetest"
	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// An honest hub announces Ben to Anna. These tests do what attackers might do to keep her from seeing him.

// seenWithin fails the test unless a sees b in time.
func seenWithin(t *testing.T, limit time.Duration, a, b *enginetest.Node) {
	t.Helper()
	began := time.Now()
	for time.Since(began) < limit {
		time.Sleep(time.Second)
		if _, ok := sees(a, b); ok {
			t.Logf("after %v", time.Since(began))
			return
		}
	}
	t.Errorf("%s does not see %s after %v", a.Self().Name, b.Self().Name, limit)
}

// stranger starts a peer at an address that may have many peers, and has it dial the hub.
func stranger(t *testing.T, net *enginetest.Net, hub *enginetest.Node, host string, i int) *enginetest.Node {
	t.Helper()
	s := net.StartAt(netip.AddrPortFrom(netip.MustParseAddr(host), uint16(20000+i)), engine.Config{Name: "stranger", Discovery: here, Blind: true})
	if hub == nil {
		for !s.Self().Running {
			time.Sleep(latency)
		}
		return s
	}
	dial(t, s, hub)
	return s
}

// TestPeerExchange_EarlyAnnouncementPreventsNoDial: a liar announces Ben's address before Ben is there, to prevent a
// dial when he arrives.
func TestPeerExchange_EarlyAnnouncementPreventsNoDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net, dir := enginetest.New(t, latency), t.TempDir()+"/profile"
		hub, anna, liar := among(net, "Hub", blind), among(net, "Anna"), among(net, "Liar", blind)
		ben := among(net, "Ben", blind, func(c *engine.Config) { c.Profile = dir })
		for !ben.Self().Running {
			time.Sleep(latency)
		}
		place := at(ben)
		if err := ben.Stop(); err != nil {
			t.Fatal(err)
		}
		join(t, anna, hub)
		join(t, anna, liar)
		for range 18 {
			if err := anna.AnnounceFrom(liar.Self().ID, place); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		ben = net.StartAt(ben.Addr, engine.Config{Name: "Ben", Discovery: here, Profile: dir, Blind: true})
		dial(t, ben, hub)
		seenWithin(t, 10*time.Second, anna, ben)
	})
}

// TestPeerExchange_FlappingStrangersDoNotDelayOthers checks that strangers that come and go at the hub, each time with
// a new key, do not delay others.
func TestPeerExchange_FlappingStrangersDoNotDelayOthers(t *testing.T) {
	for name, reach := range map[string]func(*testing.T, *enginetest.Node, *enginetest.Node){"Ben is one, too": dial, "Ben is connected": join} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := enginetest.New(t, latency)
				hub, anna := among(net, "Hub", blind), among(net, "Anna")
				join(t, anna, hub)
				evil := netip.MustParseAddr("10.0.0.200")
				net.Drop(func(from, to netip.AddrPort) bool { return from.Addr() == evil && to == anna.Addr })
				ctx, stop := context.WithCancel(t.Context())
				var wg sync.WaitGroup
				for who := range 2 {
					wg.Go(func() {
						for i := 0; ctx.Err() == nil; i++ {
							s := stranger(t, net, nil, evil.String(), who*10000+i)
							_, _ = s.Dial(ctx, hub.Addr.String())
							time.Sleep(1100 * time.Millisecond)
							_ = s.Stop()
						}
					})
				}
				defer wg.Wait()
				defer stop()
				time.Sleep(time.Minute)
				ben := among(net, "Ben", blind)
				reach(t, ben, hub)
				seenWithin(t, 30*time.Second, anna, ben)
			})
		})
	}
}

// TestPeerExchange_PeersWithASessionGoBeforeStrangers checks that peers with a session go first after as many strangers
// as possible were announced at once.
func TestPeerExchange_PeersWithASessionGoBeforeStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		hub, anna := among(net, "Hub", blind), among(net, "Anna")
		join(t, anna, hub)
		for i := range 64 {
			stranger(t, net, hub, fmt.Sprintf("10.0.0.%d", 200+i/8), i)
		}
		time.Sleep(10 * time.Second)
		ben := among(net, "Ben", blind)
		join(t, ben, hub)
		seenWithin(t, 10*time.Second, anna, ben)
	})
}

// TestPeerExchange_FewStrangersAreAnnounced checks that announced strangers use half of the slots, so that friends are
// still met.
func TestPeerExchange_FewStrangersAreAnnounced(t *testing.T) {
	defer engine.SetMaxIntroduced(8)()
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		hub, anna := among(net, "Hub", blind), among(net, "Anna")
		join(t, anna, hub)
		for range 12 {
			dial(t, among(net, "stranger", blind), hub)
		}
		time.Sleep(10 * time.Minute)
		if n := hub.AnnouncedTo(anna.Self().ID); n != 4 {
			t.Errorf("Anna knows of %d strangers", n)
		}
		ben := among(net, "Ben", blind)
		join(t, ben, hub)
		seenWithin(t, 10*time.Second, anna, ben)
	})
}

// TestPeerExchange_OnePeerCannotTakeAllPlaces: a liar announces its own keys, which all answer, at one address and at
// many.
func TestPeerExchange_OnePeerCannotTakeAllPlaces(t *testing.T) {
	defer engine.SetMaxIntroduced(24)()
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		hub, anna, liar := among(net, "Hub", blind), among(net, "Anna"), among(net, "Liar", blind)
		join(t, anna, hub)
		join(t, anna, liar)
		tell := func(host string, n int) {
			for i := range n {
				if err := anna.AnnounceFrom(liar.Self().ID, at(stranger(t, net, nil, host, i))); err != nil {
					t.Fatal(err)
				}
				time.Sleep(toldEvery)
			}
		}
		tell("10.0.0.200", 12)
		if n := len(anna.Peers()) - 2; n != 8 {
			t.Errorf("Anna has met %d strangers at one address", n)
		}
		for i := range 6 {
			tell(fmt.Sprintf("10.0.0.%d", 201+i), 8)
		}
		if n := len(anna.Peers()) - 2; n != 18 {
			t.Errorf("Anna has met %d strangers through one peer", n)
		}
		ben := among(net, "Ben", blind)
		dial(t, ben, hub)
		seenWithin(t, 10*time.Second, anna, ben)
	})
}

// toldEvery is the interval at which one more peer may be announced.
const toldEvery = 5 * time.Second

// TestPeerExchange_StalledPeersDoNotBlockOthers: announced peers finish the handshake and then send nothing. Others
// must still be met, by announcement and by discovery.
func TestPeerExchange_StalledPeersDoNotBlockOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net, sinks := enginetest.New(t, latency), make(chan discovery.Sink, 1)
		hub, liar := among(net, "Hub", blind), among(net, "Liar", blind)
		anna := among(net, "Anna", func(c *engine.Config) { c.Discovery = handed{here, sinks} })
		sink := <-sinks
		join(t, anna, hub)
		join(t, anna, liar)
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		defer wg.Wait()
		defer stop()
		for range 64 {
			id, err := identity.Ephemeral()
			if err != nil {
				t.Fatal(err)
			}
			conn, closeConn := net.Socket()
			endpoint, err := transport.Listen(transport.Config{Identity: id.Identity, Conn: conn})
			if err != nil {
				t.Fatal(err)
			}
			wg.Go(func() {
				defer closeConn()
				defer endpoint.Close()
				for {
					if _, err := endpoint.Accept(ctx); err != nil {
						return
					}
				}
			})
			place := gone(0)
			place.ID, place.Addr = id.ID.String(), netip.MustParseAddrPort(conn.LocalAddr().String())
			if err := anna.AnnounceFrom(liar.Self().ID, place); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * time.Second)
		ben, dora := among(net, "Ben", blind), among(net, "Dora", blind)
		dial(t, ben, hub)
		sink.Found(discovery.Hint{ID: dora.Self().ID, Name: "Dora", Addrs: []netip.AddrPort{dora.Addr}, How: "mDNS"})
		seenWithin(t, 2*time.Second, anna, dora)
		seenWithin(t, 30*time.Second, anna, ben)
	})
}

// handed is a discovery that passes its sink to the test.
type handed struct {
	deaf
	to chan discovery.Sink
}

func (h handed) Run(ctx context.Context, _ discovery.Announcement, s discovery.Sink) error {
	h.to <- s
	<-ctx.Done()
	return nil
}

// TestPeerExchange_RefusingPeerIsNotShown checks that no event reports an announced peer that does not answer Anna,
// however often she dials it.
func TestPeerExchange_RefusingPeerIsNotShown(t *testing.T) {
	for name, refuse := range map[string]func(*testing.T, *enginetest.Node, *enginetest.Node){
		"blocked": func(t *testing.T, anna, ben *enginetest.Node) {
			if err := ben.SetTrust(anna.Self().ID, engine.TrustBlocked); err != nil {
				t.Fatal(err)
			}
		},
		"hidden by the time it is dialled": func(t *testing.T, anna, ben *enginetest.Node) {
			if err := ben.SetVisible(engine.VisibleToNobody, 0); err != nil {
				t.Fatal(err)
			}
			if err := anna.AnnounceFrom(anna.Peers()[0].ID, at(ben)); err != nil {
				t.Fatal(err)
			}
		},
		"Anna hides while she dials": func(t *testing.T, anna, ben *enginetest.Node) {
			if err := ben.SetVisible(engine.VisibleToNobody, 0); err != nil {
				t.Fatal(err)
			}
			if err := anna.AnnounceFrom(anna.Peers()[0].ID, at(ben)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
			if err := anna.SetVisible(engine.VisibleToKnown, 0); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := enginetest.New(t, latency)
				hub, anna, ben := among(net, "Hub", blind), among(net, "Anna"), among(net, "Ben", blind)
				join(t, anna, hub)
				for !ben.Self().Running {
					time.Sleep(latency)
				}
				ctx, stop := context.WithCancel(t.Context())
				var wg sync.WaitGroup
				defer wg.Wait()
				defer stop()
				wg.Go(func() {
					for ev := range anna.WatchState(ctx) {
						switch ev := ev.(type) {
						case engine.PeerChanged:
							if ev.Peer.ID == ben.Self().ID {
								t.Errorf("reported %+v", ev.Peer)
							}
						case engine.PeerLost:
							if ev.Peer.ID == ben.Self().ID {
								t.Error("reported as lost")
							}
						}
					}
				})
				refuse(t, anna, ben)
				dial(t, ben, hub)
				time.Sleep(40 * time.Minute)
			})
		})
	}
}

// TestPeerExchange_ConnectionResetsFailedDials checks that a connection resets the failed dials, whichever side dialled
// it: Ben was unreachable for a long time, then dials Anna himself, and comes back after a restart.
func TestPeerExchange_ConnectionResetsFailedDials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net, dir := enginetest.New(t, latency), t.TempDir()+"/profile"
		hub, anna := among(net, "Hub", blind), among(net, "Anna")
		ben := among(net, "Ben", blind, func(c *engine.Config) { c.Profile = dir })
		join(t, anna, hub)
		net.Drop(between(anna, ben))
		dial(t, ben, hub)
		time.Sleep(20 * time.Minute)
		net.Drop(nil)
		dial(t, ben, anna)
		time.Sleep(30 * time.Second)
		if how, ok := sees(anna, ben); !ok || how != "incoming" {
			t.Fatal(how, ok)
		}
		if err := ben.Stop(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		ben = net.StartAt(ben.Addr, engine.Config{Name: "Ben", Discovery: here, Profile: dir, Blind: true})
		dial(t, ben, hub)
		seenWithin(t, 10*time.Second, anna, ben)
	})
}

// TestPeerExchange_CrashedPeerIsFoundAtItsNewAddress: Ben has crashed and is back at another address while Anna's
// connection to him still counts as alive.
func TestPeerExchange_CrashedPeerIsFoundAtItsNewAddress(t *testing.T) {
	for _, c := range []struct {
		others int
		away   time.Duration
		lies   int
	}{{0, time.Second, 0}, {40, time.Second, 0}, {0, 20 * time.Second, 0}, {0, time.Second, 10}} {
		t.Run(fmt.Sprintf("%d others, away for %v, %d lies", c.others, c.away, c.lies), func(t *testing.T) {
			if testing.Short() && c.others > 0 {
				t.Skip("many engines")
			}
			synctest.Test(t, func(t *testing.T) {
				net, dir := enginetest.New(t, latency), t.TempDir()+"/profile"
				named := func(c *engine.Config) { c.Profile = dir }
				hub, anna, liar, ben := among(net, "Hub", blind), among(net, "Anna"), among(net, "Liar", blind), among(net, "Ben", blind, named)
				join(t, anna, hub)
				join(t, anna, liar)
				crowd(t, net, c.others, hub)
				dial(t, ben, hub)
				time.Sleep(15 * time.Second)
				if _, ok := sees(anna, ben); !ok {
					t.Fatal("they do not meet")
				}
				if err := ben.Kill(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(c.away)
				ben = among(net, "Ben", blind, named)
				dial(t, ben, hub)
				for i := range c.lies {
					wrong := gone(i)
					wrong.ID = ben.Self().ID.String()
					if err := anna.AnnounceFrom(liar.Self().ID, wrong); err != nil {
						t.Fatal(err)
					}
					time.Sleep(200 * time.Millisecond)
				}
				for began := time.Now(); ; time.Sleep(time.Second) {
					if p, ok := anna.Peer(ben.Self().ID); ok && p.Confirmed && p.Addr == ben.Addr {
						t.Logf("after %v", time.Since(began))
						return
					}
					if time.Since(began) > 20*time.Second {
						t.Fatal("Anna does not see Ben where he is now")
					}
				}
			})
		})
	}
}

// TestPeerExchange_AnnouncementsEndWithTheSession checks that announcements of strangers that have left are not
// dialled: keys cost nothing, and honest announcements would wait behind them.
func TestPeerExchange_AnnouncementsEndWithTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		wide := func(c *engine.Config) { c.Discovery = deaf{netip.MustParsePrefix("10.0.0.0/16")} }
		anna := among(net, "Anna", wide)
		for !anna.Self().Running {
			time.Sleep(latency)
		}
		for i := range 20 {
			m := newRaw(t, net)
			c, control := m.join(t, anna)
			var list []wire.PeerAt
			for k := range wire.MaxPeersAnnounced {
				id := engine.PeerID{byte(i + 1), byte(k), 1}
				list = append(list, wire.PeerAt{ID: id.String(), Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 200, byte(i)}), uint16(20000+k))})
			}
			if err := control.WriteMessage(wire.Peers{Peers: list}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(30 * time.Millisecond)
			if i == 0 && anna.Heard() == 0 {
				t.Fatal("nothing waits")
			}
			c.Close(wire.Bye)
			_ = m.Close()
		}
		time.Sleep(time.Second)
		if n := anna.Heard(); n > 0 {
			t.Errorf("%d announcements of strangers that have left wait", n)
		}
	})
}
