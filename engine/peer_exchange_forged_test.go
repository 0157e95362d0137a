package engine_test

import (
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/discovery"
	"multipeer/engine/enginetest"
	"multipeer/engine/internal/wire"
)

// A connected peer lies about Ben's address. That must not harm anything that Anna and Ben do by themselves.

// lie announces b at an address where it is not.
func lie(t *testing.T, a, liar, b *enginetest.Node, i int) {
	t.Helper()
	lieAt(t, a, liar, b, netip.AddrPortFrom(netip.MustParseAddr("10.0.0.240"), uint16(20000+i)))
}

func lieAt(t *testing.T, a, liar, b *enginetest.Node, place netip.AddrPort) {
	t.Helper()
	if err := a.AnnounceFrom(liar.Self().ID, wire.PeerAt{ID: b.Self().ID.String(), Addr: place}); err != nil {
		t.Fatal(err)
	}
}

// nobody returns an address that receives packets but never answers.
func nobody(t *testing.T, net *enginetest.Net) netip.AddrPort {
	conn, closeConn := net.Socket()
	t.Cleanup(closeConn)
	return netip.MustParseAddrPort(conn.LocalAddr().String())
}

// up waits until the nodes run.
func up(nodes ...*enginetest.Node) {
	for _, n := range nodes {
		for !n.Self().Running {
			time.Sleep(latency)
		}
	}
}

// handing starts a peer whose discovery the test controls.
func handing(net *enginetest.Net, name string) (*enginetest.Node, discovery.Sink) {
	sinks := make(chan discovery.Sink, 1)
	n := among(net, name, func(c *engine.Config) { c.Discovery = handed{here, sinks} })
	return n, <-sinks
}

// counting counts the packets from one address to another, and drops those for which lose returns true.
func counting(net *enginetest.Net, a, b netip.AddrPort, lose func(from, to netip.AddrPort) bool) *atomic.Int64 {
	var n atomic.Int64
	net.Drop(func(from, to netip.AddrPort) bool {
		if from == a && to == b {
			n.Add(1)
		}
		return lose != nil && lose(from, to)
	})
	return &n
}

// TestPeerExchange_ForgedAddressesDelayNoDial checks that lies delay neither Anna's dial nor Ben's.
func TestPeerExchange_ForgedAddressesDelayNoDial(t *testing.T) {
	for name, dials := range map[string]func(t *testing.T, anna, ben *enginetest.Node) error{
		"hers": func(t *testing.T, anna, ben *enginetest.Node) error {
			_, err := anna.Dial(t.Context(), ben.Addr.String())
			return err
		},
		"his": func(t *testing.T, anna, ben *enginetest.Node) error {
			_, err := ben.Dial(t.Context(), anna.Addr.String())
			return err
		},
	} {
		for _, lies := range []int{1, 64} {
			for _, lower := range []bool{true, false} { // if both dial each other, the lower ID decides
				t.Run(name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						net := enginetest.New(t, latency)
						anna, liar, ben := among(net, "Anna"), among(net, "Liar", blind), among(net, "Ben", blind)
						for anna.Self().ID.Less(ben.Self().ID) != lower {
							ben = among(net, "Ben", blind)
						}
						join(t, anna, liar)
						up(ben)
						for i := range lies {
							lie(t, anna, liar, ben, i)
						}
						time.Sleep(100 * time.Millisecond)
						news := make(chan struct{})
						defer close(news)
						go func() { // any event wakes a waiter for the connection
							for i := 0; ; i++ {
								select {
								case <-news:
									return
								case <-time.After(100 * time.Millisecond):
									_ = liar.SetInfo(map[string]string{"i": string(rune('a' + i%20))})
								}
							}
						}()
						began := time.Now()
						if err := dials(t, anna, ben); err != nil || time.Since(began) > time.Second {
							t.Errorf("%d lies, Anna lower %v: %v after %v", lies, lower, err, time.Since(began))
						}
					})
				})
			}
		}
	}
}

// TestPeerExchange_ForgedAddressesPreventNoReconnect checks that a peer that has lost its connection is found at its
// old address.
func TestPeerExchange_ForgedAddressesPreventNoReconnect(t *testing.T) {
	t.Run("while it is away", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			net, dir := enginetest.New(t, latency), t.TempDir()+"/profile"
			anna, liar := among(net, "Anna"), among(net, "Liar", blind)
			ben := among(net, "Ben", blind, func(c *engine.Config) { c.Profile = dir })
			join(t, anna, liar)
			join(t, anna, ben)
			time.Sleep(30 * time.Second)
			if err := ben.Kill(); err != nil {
				t.Fatal(err)
			}
			for p, _ := anna.Peer(ben.Self().ID); p.State != engine.Reconnecting; p, _ = anna.Peer(ben.Self().ID) {
				time.Sleep(50 * time.Millisecond)
			}
			for i := range 4 {
				lie(t, anna, liar, ben, i)
			}
			time.Sleep(time.Second)
			ben = net.StartAt(ben.Addr, engine.Config{Name: "Ben", Discovery: here, Profile: dir, Blind: true, Accept: engine.Everyone})
			seenWithin(t, 10*time.Second, anna, ben)
		})
	})
	t.Run("break after break", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, latency)
			anna, sink := handing(net, "Anna")
			liar, ben := among(net, "Liar", blind), among(net, "Ben", blind)
			join(t, anna, liar)
			join(t, anna, ben)
			for i := range 6 {
				time.Sleep(20 * time.Second)
				lie(t, anna, liar, ben, i)
				net.Drop(between(anna, ben))
				sink.NetworkChanged()
				time.Sleep(1500 * time.Millisecond)
				net.Drop(nil)
				time.Sleep(5 * time.Second)
				if p, _ := anna.Peer(ben.Self().ID); p.State != engine.Connected {
					t.Fatalf("break %d: %v, addresses %v", i+1, p.State, p.Addrs)
				}
			}
		})
	})
}

// TestPeerExchange_ForgedAddressesDelayNoRetry checks that lies do not delay dialling a peer that could not be reached
// for a while.
func TestPeerExchange_ForgedAddressesDelayNoRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		anna, sink := handing(net, "Anna")
		liar, ben := among(net, "Liar", blind), among(net, "Ben", blind)
		join(t, anna, liar)
		up(ben)
		net.Drop(between(anna, ben))
		sink.Found(discovery.Hint{ID: ben.Self().ID, Name: "Ben", Addrs: []netip.AddrPort{ben.Addr}, How: "mDNS"})
		time.Sleep(time.Minute)
		net.Drop(nil)
		for i := range 9 {
			lie(t, anna, liar, ben, i)
			time.Sleep(5 * time.Second)
		}
		if _, ok := sees(anna, ben); !ok {
			t.Error("Anna does not reach Ben")
		}
	})
}

// TestPeerExchange_ForgedAddressesHideNoKnownPeer checks that a known peer that starts a little later is found at its
// last address.
func TestPeerExchange_ForgedAddressesHideNoKnownPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net, annas, bens := enginetest.New(t, latency), t.TempDir()+"/anna", t.TempDir()+"/ben"
		anna, ben := among(net, "Anna", func(c *engine.Config) { c.Profile = annas }), among(net, "Ben", blind, func(c *engine.Config) { c.Profile = bens })
		join(t, anna, ben)
		time.Sleep(10 * time.Second)
		for _, n := range []*enginetest.Node{ben, anna} {
			if err := n.Stop(); err != nil {
				t.Fatal(err)
			}
		}
		liar := among(net, "Liar", blind)
		anna = net.StartAt(anna.Addr, engine.Config{Name: "Anna", Discovery: here, Profile: annas, Accept: engine.Everyone})
		join(t, liar, anna)
		time.Sleep(800 * time.Millisecond)
		for i := range 8 {
			lie(t, anna, liar, ben, i)
		}
		time.Sleep(4 * time.Second)
		ben = net.StartAt(ben.Addr, engine.Config{Name: "Ben", Discovery: here, Profile: bens, Blind: true})
		up(ben)
		seenWithin(t, 12*time.Second, anna, ben)
	})
}

// TestPeerExchange_ForgedAddressesDelayNoTrueOnes checks that a hub's announcements do not wait behind a liar's, about
// the same peer or others.
func TestPeerExchange_ForgedAddressesDelayNoTrueOnes(t *testing.T) {
	t.Run("of the same", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, latency)
			hub, anna, liar, ben := among(net, "Hub", blind), among(net, "Anna"), among(net, "Liar", blind), among(net, "Ben", blind)
			join(t, anna, hub)
			join(t, anna, liar)
			up(ben)
			for i := range 64 {
				lie(t, anna, liar, ben, i)
			}
			dial(t, ben, hub)
			seenWithin(t, 10*time.Second, anna, ben)
		})
	})
	t.Run("of others", func(t *testing.T) {
		if testing.Short() {
			t.Skip("many engines")
		}
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, latency)
			hub, anna, liar := among(net, "Hub", blind), among(net, "Anna"), among(net, "Liar", blind)
			others := crowd(t, net, 40, hub)
			join(t, anna, liar)
			for j := range 4 {
				if err := anna.AnnounceFrom(liar.Self().ID, manyGone(16*j)...); err != nil {
					t.Fatal(err)
				}
			}
			join(t, anna, hub)
			time.Sleep(30 * time.Second)
			for i, o := range others {
				if _, ok := sees(anna, o); !ok {
					t.Errorf("Anna does not see %d", i)
				}
			}
		})
	})
}

// TestPeerExchange_ForgedAddressIsDialledOnce checks that a forged address is dialled once, even if the peer is found
// but cannot be reached, or was connected and its connection breaks.
func TestPeerExchange_ForgedAddressIsDialledOnce(t *testing.T) {
	const once = 12 // the number of packets of one dial
	t.Run("found", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, latency)
			anna, sink := handing(net, "Anna")
			liar, ben, place := among(net, "Liar", blind), among(net, "Ben", blind), nobody(t, net)
			join(t, anna, liar)
			up(ben)
			n := counting(net, anna.Addr, place, between(anna, ben))
			sink.Found(discovery.Hint{ID: ben.Self().ID, Name: "Ben", Addrs: []netip.AddrPort{ben.Addr}, How: "mDNS"})
			time.Sleep(10 * time.Second)
			lieAt(t, anna, liar, ben, place)
			time.Sleep(30 * time.Minute)
			if n.Load() == 0 || n.Load() > once {
				t.Errorf("%d packets", n.Load())
			}
			if p, _ := anna.Peer(ben.Self().ID); len(p.Addrs) != 1 {
				t.Errorf("his addresses are %v", p.Addrs)
			}
		})
	})
	for name, hidden := range map[string]bool{"connected": false, "connected, and Anna hides": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := enginetest.New(t, latency)
				anna, sink := handing(net, "Anna")
				liar, ben, place := among(net, "Liar", blind), among(net, "Ben", blind), nobody(t, net)
				join(t, anna, liar)
				join(t, anna, ben)
				if hidden {
					if err := anna.SetVisible(engine.VisibleToNobody, 0); err != nil {
						t.Fatal(err)
					}
				}
				lieAt(t, anna, liar, ben, place)
				n := counting(net, anna.Addr, place, between(anna, ben))
				sink.NetworkChanged()
				time.Sleep(10 * time.Minute)
				if got := n.Load(); got > once || (got == 0) != hidden {
					t.Errorf("%d packets", got)
				}
			})
		})
	}
}

// TestPeerExchange_FlappingPeerDoesNotStarveOthers checks that a friend of the hub that comes and goes, and a peer
// whose own connection to the hub keeps breaking, do not keep others from being announced.
func TestPeerExchange_FlappingPeerDoesNotStarveOthers(t *testing.T) {
	flaps, breaks := 150, 15
	if testing.Short() {
		flaps, breaks = 40, 5
	}
	t.Run("a friend", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			net, dir := enginetest.New(t, latency), t.TempDir()+"/profile"
			hub, anna := among(net, "Hub", blind), among(net, "Anna")
			join(t, anna, hub)
			friend := among(net, "Friend", blind, func(c *engine.Config) { c.Profile = dir })
			join(t, friend, hub)
			net.Drop(between(anna, friend))
			flap := func() {
				if err := friend.Stop(); err != nil {
					t.Fatal(err)
				}
				friend = net.StartAt(friend.Addr, engine.Config{Name: "Friend", Discovery: here, Profile: dir, Blind: true})
				dial(t, friend, hub)
				time.Sleep(2 * time.Second)
			}
			for range flaps {
				flap()
			}
			ben := among(net, "Ben", blind)
			dial(t, ben, hub)
			for range 15 {
				flap()
			}
			if _, ok := sees(anna, ben); !ok {
				t.Error("Anna does not see Ben")
			}
		})
	})
	t.Run("her own conn", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, latency)
			anna, sink := handing(net, "Anna")
			hub := among(net, "Hub", blind)
			join(t, anna, hub)
			crowd(t, net, 20, hub)
			flap := func() {
				net.Drop(func(from, to netip.AddrPort) bool { return from == anna.Addr || to == anna.Addr })
				sink.NetworkChanged()
				time.Sleep(1500 * time.Millisecond)
				net.Drop(nil)
				time.Sleep(time.Minute)
			}
			for range breaks {
				flap()
			}
			ben := among(net, "Ben", blind)
			dial(t, ben, hub)
			for range 4 {
				flap()
			}
			if _, ok := sees(anna, ben); !ok {
				t.Error("Anna does not see Ben")
			}
		})
	})
}

// TestPeerExchange_AnnouncementsOfABlockedPeerAreForgotten: the address that a peer has announced for another one is
// not dialled once the announcing peer is blocked.
func TestPeerExchange_AnnouncementsOfABlockedPeerAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net, dir := enginetest.New(t, latency), t.TempDir()+"/profile"
		anna, liar := among(net, "Anna"), among(net, "Liar", blind)
		ben := among(net, "Ben", blind, func(c *engine.Config) { c.Profile = dir })
		join(t, anna, liar)
		join(t, anna, ben)
		trap := nobody(t, net)
		lieAt(t, anna, liar, ben, trap)
		time.Sleep(time.Second)
		if err := anna.SetTrust(liar.Self().ID, engine.TrustBlocked); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		packets := counting(net, anna.Addr, trap, nil)
		_ = ben.Kill()
		time.Sleep(30 * time.Second)
		if n := packets.Load(); n > 0 {
			t.Errorf("%d packets went to the address that the blocked peer had announced", n)
		}
	})
}
