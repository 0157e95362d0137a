package engine_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
	"multipeer/engine/internal/wire"
)

func blind(c *engine.Config) { c.Blind = true }

func at(n *enginetest.Node) wire.PeerAt { return wire.PeerAt{ID: n.Self().ID.String(), Addr: n.Addr} }

// gone returns a peer that does not answer.
func gone(i int) wire.PeerAt {
	e, err := engine.New(engine.Config{Offers: engine.Everyone})
	if err != nil {
		panic(err)
	}
	defer e.Close()
	return wire.PeerAt{ID: e.Self().ID.String(), Addr: netip.AddrPortFrom(netip.MustParseAddr("10.0.0.240"), uint16(20000+i))}
}

// manyGone returns 16 peers that do not answer.
func manyGone(from int) (list []wire.PeerAt) {
	for i := range 16 {
		list = append(list, gone(from+i))
	}
	return list
}

// crowd starts n peers that each dial hub.
func crowd(t *testing.T, net *enginetest.Net, n int, hub *enginetest.Node) (out []*enginetest.Node) {
	t.Helper()
	for range n {
		o := among(net, "other", blind)
		dial(t, o, hub)
		out = append(out, o)
	}
	return out
}

// between drops the packets that two peers send each other.
func between(a, b *enginetest.Node) func(from, to netip.AddrPort) bool {
	return func(from, to netip.AddrPort) bool {
		return from == a.Addr && to == b.Addr || from == b.Addr && to == a.Addr
	}
}

// TestPeerExchange_SeparatedPeersMeetLater: two peers that a third has announced to each other lose each other, or
// cannot reach each other at first. They must meet some minutes later.
func TestPeerExchange_SeparatedPeersMeetLater(t *testing.T) {
	for name, c := range map[string]struct {
		ben  []func(*engine.Config)
		anna []func(*engine.Config)
		what func(t *testing.T, net *enginetest.Net, hub, anna, ben *enginetest.Node)
	}{
		"it hides for a while": {what: func(t *testing.T, _ *enginetest.Net, hub, anna, ben *enginetest.Node) {
			join(t, ben, hub)
			time.Sleep(5 * time.Second)
			for _, v := range []engine.Visibility{engine.VisibleToKnown, engine.VisibleToAll} {
				if err := ben.SetVisible(v, 0); err != nil {
					t.Fatal(err)
				}
				time.Sleep(5 * time.Second)
			}
		}},
		"the way between them is down for a while": {what: func(t *testing.T, net *enginetest.Net, hub, anna, ben *enginetest.Node) {
			join(t, ben, hub)
			time.Sleep(5 * time.Second)
			if _, ok := sees(anna, ben); !ok {
				t.Fatal("they do not meet")
			}
			net.Drop(between(anna, ben))
			time.Sleep(30 * time.Second)
			if _, ok := sees(anna, ben); ok {
				t.Fatal("they still see each other")
			}
			net.Drop(nil)
		}},
		"the way between them is down at first": {ben: []func(*engine.Config){blind}, what: func(t *testing.T, net *enginetest.Net, hub, anna, ben *enginetest.Node) {
			net.Drop(between(anna, ben))
			dial(t, ben, hub)
			time.Sleep(4 * time.Second)
			net.Drop(nil)
		}},
		"it does not look at first": {anna: []func(*engine.Config){blind}, what: func(t *testing.T, _ *enginetest.Net, hub, anna, ben *enginetest.Node) {
			dial(t, ben, hub)
			time.Sleep(5 * time.Second)
			anna.SetLooking(true, true)
		}},
		"others come and go": {ben: []func(*engine.Config){blind}, what: func(t *testing.T, net *enginetest.Net, hub, anna, ben *enginetest.Node) {
			there := netip.MustParseAddr("10.0.0.200")
			if testing.Short() {
				t.Skip("many engines")
			}
			net.Drop(func(from, to netip.AddrPort) bool { return from.Addr() == there && to == anna.Addr })
			for i := range 110 {
				s := net.StartAt(netip.AddrPortFrom(there, uint16(20000+i)), engine.Config{Offers: engine.Everyone, Discovery: here, Blind: true})
				dial(t, s, hub)
				time.Sleep(1500 * time.Millisecond)
				if err := s.Stop(); err != nil {
					t.Fatal(err)
				}
			}
			dial(t, ben, hub)
		}},
		"others have announced many that do not answer": {ben: []func(*engine.Config){blind}, what: func(t *testing.T, net *enginetest.Net, hub, anna, ben *enginetest.Node) {
			for i := range 2 {
				h := among(net, "Liar", blind)
				join(t, anna, h)
				for j := range 4 {
					if err := anna.AnnounceFrom(h.Self().ID, manyGone(64*i+16*j)...); err != nil {
						t.Fatal(err)
					}
				}
			}
			dial(t, ben, hub)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := enginetest.New(t, latency)
				hub, anna, ben := among(net, "Hub", blind), among(net, "Anna", c.anna...), among(net, "Ben", c.ben...)
				join(t, anna, hub)
				c.what(t, net, hub, anna, ben)
				time.Sleep(5 * time.Minute)
				if _, ok := sees(anna, ben); !ok {
					t.Error("they do not meet")
				}
			})
		})
	}
}

// TestPeerExchange_ReturningPeerIsAnnouncedAgain checks that a peer that returns to its address is announced again,
// however soon it returns.
func TestPeerExchange_ReturningPeerIsAnnouncedAgain(t *testing.T) {
	for _, c := range []struct {
		away   time.Duration
		others int
	}{{300 * time.Millisecond, 0}, {5 * time.Second, 0}, {time.Minute, 0}, {300 * time.Millisecond, 40}} {
		t.Run(fmt.Sprintf("%d others, away for %v", c.others, c.away), func(t *testing.T) {
			if testing.Short() && c.others > 0 {
				t.Skip("many engines")
			}
			synctest.Test(t, func(t *testing.T) {
				net, dir := enginetest.New(t, latency), t.TempDir()+"/profile"
				hub, anna, ben := among(net, "Hub", blind), among(net, "Anna"), among(net, "Ben", blind, func(c *engine.Config) { c.Profile = dir })
				join(t, anna, hub)
				crowd(t, net, c.others, hub)
				dial(t, ben, hub)
				time.Sleep(15 * time.Second)
				if _, ok := sees(anna, ben); !ok {
					t.Fatal("they do not meet")
				}
				if err := ben.Stop(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(c.away)
				ben = net.StartAt(ben.Addr, engine.Config{Offers: engine.Everyone, Discovery: here, Profile: dir, Blind: true})
				dial(t, ben, hub)
				time.Sleep(5 * time.Second)
				if _, ok := sees(anna, ben); !ok {
					t.Error("Anna does not see the peer that has come back")
				}
			})
		})
	}
}

// TestPeerExchange_ManyPeersAreAnnouncedInTurn announces more peers than may be announced at once.
func TestPeerExchange_ManyPeersAreAnnouncedInTurn(t *testing.T) {
	if testing.Short() {
		t.Skip("many engines")
	}
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		hub, anna := among(net, "Hub", blind), among(net, "Anna")
		join(t, anna, hub)
		others := crowd(t, net, 70, hub)
		time.Sleep(20 * time.Minute)
		for i, n := range others {
			if _, ok := sees(anna, n); !ok {
				t.Errorf("Anna does not see %d", i)
			}
		}
	})
}

// TestPeerExchange_WrongAddressesHideNoPeer keeps announcing wrong addresses for a peer that is online.
func TestPeerExchange_WrongAddressesHideNoPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		hub, anna, liar, ben := among(net, "Hub", blind), among(net, "Anna"), among(net, "Liar", blind), among(net, "Ben", blind)
		join(t, anna, hub)
		join(t, anna, liar)
		for !ben.Self().Running {
			time.Sleep(latency)
		}
		lie := func(i int) {
			if err := anna.AnnounceFrom(liar.Self().ID, wire.PeerAt{ID: ben.Self().ID.String(), Addr: netip.AddrPortFrom(netip.MustParseAddr("10.0.0.240"), uint16(20000+i%2))}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(250 * time.Millisecond)
		}
		for i := range 20 {
			lie(i)
		}
		dial(t, ben, hub)
		for i := range 20 {
			lie(i)
		}
		if _, ok := sees(anna, ben); !ok {
			t.Error("Anna does not see Ben")
		}
	})
}

func TestPeerExchange_AcceptedOffersDoNotResetTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		anna, liar := among(net, "Anna"), among(net, "Liar", blind)
		join(t, anna, liar)
		next := events(t, anna)
		file := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			for j := range 4 {
				if err := anna.AnnounceFrom(liar.Self().ID, manyGone(64*i+16*j)...); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(15 * time.Second)
			tr, err := liar.Offer(t.Context(), anna.Self().ID, file)
			if err != nil {
				t.Fatal(err)
			}
			if err := next(is[*engine.Offer]).(*engine.Offer).Accept(engine.AcceptOptions{Dir: t.TempDir()}); err != nil {
				t.Fatal(err)
			}
			if _, err := liar.Wait(t.Context(), tr.ID); err != nil {
				t.Fatal(err)
			}
		}
		if n := anna.Tried(); n < 60 || n > 64+6 {
			t.Errorf("%d were dialled in 45 s", n)
		}
	})
}

// TestPeerExchange_FewStrangersOfAnAddressAreAnnounced checks that only a few strangers at one address are announced,
// and that a peer at another address is announced as well.
func TestPeerExchange_FewStrangersOfAnAddressAreAnnounced(t *testing.T) {
	if testing.Short() {
		t.Skip("many engines")
	}
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		hub, anna := among(net, "Hub", blind), among(net, "Anna")
		join(t, anna, hub)
		for i := range 64 {
			s := net.StartAt(netip.MustParseAddrPort(fmt.Sprintf("10.0.0.200:%d", 20000+i)), engine.Config{Offers: engine.Everyone, Name: "many", Discovery: here, Blind: true})
			dial(t, s, hub)
		}
		time.Sleep(10 * time.Second)
		ben := among(net, "Ben", blind)
		dial(t, ben, hub)
		time.Sleep(10 * time.Second)
		if _, ok := sees(anna, ben); !ok {
			t.Error("Anna does not see Ben")
		}
		many := 0
		for _, p := range anna.Peers() {
			if p.Name == "many" {
				many++
			}
		}
		if many > 8 {
			t.Errorf("Anna sees %d strangers of one address", many)
		}
	})
}

// TestPeerExchange_LastPeerFollowsWhenOthersLeave checks that if more peers connect than are announced at once, the
// others follow when some have left.
func TestPeerExchange_LastPeerFollowsWhenOthersLeave(t *testing.T) {
	if testing.Short() {
		t.Skip("many engines")
	}
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		hub, anna := among(net, "Hub", blind), among(net, "Anna")
		join(t, anna, hub)
		others := crowd(t, net, 64, hub)
		time.Sleep(20 * time.Second)
		last := among(net, "last", blind)
		dial(t, last, hub)
		time.Sleep(10 * time.Second)
		for _, n := range others[:32] {
			if err := n.Stop(); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(5 * time.Minute)
		if _, ok := sees(anna, last); !ok {
			t.Error("the last one is not announced")
		}
	})
}

// TestPeerExchange_StaysWithinOneService checks that a peer of another service is refused, and is neither announced nor
// receives announcements.
func TestPeerExchange_StaysWithinOneService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		chat := func(c *engine.Config) { c.Service = "chat" }
		hub, anna, ben := among(net, "Hub", chat), among(net, "Anna", chat), among(net, "Ben", chat, blind)
		game := among(net, "Game", func(c *engine.Config) { c.Service = "game" }, blind)
		join(t, anna, hub)
		for _, pair := range [][2]*enginetest.Node{{game, hub}, {hub, game}} {
			if _, err := pair[0].Dial(t.Context(), pair[1].Addr.String()); !errors.Is(err, engine.ErrUnavailable) {
				t.Errorf("%s dials %s: %v", pair[0].Self().Name, pair[1].Self().Name, err)
			}
		}
		dial(t, ben, hub)
		time.Sleep(10 * time.Second)
		if _, ok := sees(anna, ben); !ok {
			t.Error("Anna does not see Ben")
		}
		if _, ok := anna.Peer(game.Self().ID); ok {
			t.Error("the game was announced to the chat")
		}
		if _, ok := sees(game, anna); ok {
			t.Error("the chat was announced to the game")
		}
	})
}

// TestPeerExchange_HidingForgetsAnnouncedPeers checks that an engine that hides is not shown to the peers that were
// announced to it, and keeps nothing about them.
func TestPeerExchange_HidingForgetsAnnouncedPeers(t *testing.T) {
	for name, v := range map[string]engine.Visibility{"known": engine.VisibleToKnown, "nobody": engine.VisibleToNobody} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := enginetest.New(t, latency)
				hub, anna, ben := among(net, "Hub", blind), among(net, "Anna"), among(net, "Ben", blind)
				join(t, anna, hub)
				var list []wire.PeerAt
				for i := range 24 {
					list = append(list, gone(i))
				}
				var shown atomic.Int64
				var hidden atomic.Bool
				net.Drop(func(from, to netip.AddrPort) bool {
					if hidden.Load() && from == anna.Addr && to == ben.Addr {
						shown.Add(1)
					}
					return false
				})
				if err := anna.AnnounceFrom(hub.Self().ID, append(list, at(ben))...); err != nil {
					t.Fatal(err)
				}
				time.Sleep(100 * time.Millisecond)
				hidden.Store(true)
				if err := anna.SetVisible(v, 0); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Hour)
				if n := shown.Load(); n > 0 {
					t.Errorf("%d packets went to a stranger after Anna hid", n)
				}
				if p, ok := anna.Peer(ben.Self().ID); ok {
					t.Errorf("a record is left: %+v", p)
				}
			})
		})
	}
}

// TestPeerExchange_HidingDuringADialKeepsNoRecord: an engine hides while it dials a stranger. Nothing of the stranger
// may be kept or published, whether its connection was being set up or it had refused one.
func TestPeerExchange_HidingDuringADialKeepsNoRecord(t *testing.T) {
	for name, c := range map[string]struct {
		ben  func(*engine.Config)
		wait time.Duration
	}{
		"just dialled":    {func(*engine.Config) {}, latency / 2},
		"on its way":      {func(*engine.Config) {}, 2 * latency},
		"it refuses":      {func(c *engine.Config) { c.Visible = engine.VisibleToNobody }, 3 * latency},
		"it has refused":  {func(c *engine.Config) { c.Visible = engine.VisibleToNobody }, 100 * time.Millisecond},
		"it had, earlier": {func(c *engine.Config) { c.Visible = engine.VisibleToNobody }, 700 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := enginetest.New(t, latency)
				hub, anna, ben := among(net, "Hub", blind), among(net, "Anna"), among(net, "Ben", blind, c.ben)
				join(t, anna, hub)
				for !ben.Self().Running {
					time.Sleep(latency)
				}
				var dialled atomic.Bool
				net.Drop(func(from, to netip.AddrPort) bool {
					if from == anna.Addr && to == ben.Addr {
						dialled.Store(true)
					}
					return false
				})
				if err := anna.AnnounceFrom(hub.Self().ID, at(ben)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(c.wait)
				if _, ok := anna.Peer(ben.Self().ID); ok || !dialled.Load() {
					t.Fatalf("Anna sees a peer that has not answered: %v; it is dialled: %v", ok, dialled.Load())
				}
				if err := anna.SetVisible(engine.VisibleToKnown, 0); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				if anna.Places(ben.Self().ID) >= 0 {
					t.Error("a record is left")
				}
			})
		})
	}
}

// TestPeerExchange_StrangersFromOnePeerAreLimited checks that the limit on announced strangers is lower for one
// announcing peer than for all, and leaves room for strangers that connect by themselves.
func TestPeerExchange_StrangersFromOnePeerAreLimited(t *testing.T) {
	defer engine.SetMaxIntroduced(8)()
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		hub, other, anna := among(net, "Hub", blind), among(net, "Other", blind), among(net, "Anna")
		join(t, anna, hub)
		join(t, anna, other)
		for _, c := range []struct {
			by   *enginetest.Node
			want int
		}{{hub, 6}, {other, 8}} {
			for range 40 {
				s := among(net, "stranger", blind)
				for !s.Self().Running {
					time.Sleep(latency)
				}
				if err := anna.AnnounceFrom(c.by.Self().ID, at(s)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
			}
			if n := len(anna.Peers()) - 2; n != c.want {
				t.Errorf("Anna has met %d strangers, want %d", n, c.want)
			}
		}
	})
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		hub, anna := among(net, "Hub", blind), among(net, "Anna")
		join(t, anna, hub)
		for i := range 8 {
			dial(t, net.StartAt(netip.AddrPortFrom(netip.MustParseAddr("10.0.0.200"), uint16(20000+i)), engine.Config{Offers: engine.Everyone, Discovery: here, Blind: true}), anna)
		}
		ben := among(net, "Ben", blind)
		dial(t, ben, hub)
		time.Sleep(10 * time.Second)
		if _, ok := sees(anna, ben); !ok {
			t.Error("peers that connected on their own take the slots of announced peers")
		}
	})
}

// TestPeerExchange_FewAddressesOfAPeerAreDialled checks that few addresses of a peer are dialled, however many are
// announced and answer: on Linux all of 127.0.0.0/8 belong to one machine.
func TestPeerExchange_FewAddressesOfAPeerAreDialled(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("127.0.1.1 is nobody's here")
	}
	run := func(cfg engine.Config) *engine.Engine {
		cfg.Discovery = deaf{netip.MustParsePrefix("127.0.0.0/8")}
		e, err := engine.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- e.Run(ctx) }()
		t.Cleanup(func() { stop(); <-done })
		for !e.Self().Running {
			time.Sleep(time.Millisecond)
		}
		return e
	}
	hub, anna := run(engine.Config{Offers: engine.Everyone, Accept: engine.Everyone, Blind: true}), run(engine.Config{Offers: engine.Everyone})
	shy := run(engine.Config{Offers: engine.Everyone, Visible: engine.VisibleToNobody, Blind: true}) // it refuses Anna
	if _, err := anna.Dial(t.Context(), fmt.Sprintf("127.0.0.1:%d", hub.Self().Port)); err != nil {
		t.Fatal(err)
	}
	if err := anna.Invite(t.Context(), hub.Self().ID); err != nil {
		t.Fatal(err)
	}
	var list []wire.PeerAt
	for i := range 30 {
		list = append(list, wire.PeerAt{ID: shy.Self().ID.String(), Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 1, byte(i + 1)}), uint16(shy.Self().Port))})
	}
	if err := anna.AnnounceFrom(hub.Self().ID, list...); err != nil {
		t.Fatal(err)
	}
	most := 0
	for range 2000 {
		most = max(most, anna.Places(shy.Self().ID))
		time.Sleep(time.Millisecond)
	}
	if most == 0 || most > 4 {
		t.Errorf("it has %d addresses", most)
	}
}
