package engine_test

import (
	"context"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/discovery"
	"multipeer/engine/enginetest"
)

// deaf is a discovery on a network that carries no multicast.
type deaf struct{ network netip.Prefix }

func (deaf) Run(ctx context.Context, _ discovery.Announcement, _ discovery.Sink) error {
	<-ctx.Done()
	return nil
}
func (deaf) Update(discovery.Announcement) {}
func (deaf) Forget(engine.PeerID)          {}
func (deaf) Recheck(engine.PeerID)         {}
func (d deaf) Link(a netip.Addr) string {
	if d.network.Contains(a) {
		return "eth0"
	}
	return ""
}

// The networks. The first one is that of Net.Start.
var (
	here  = deaf{netip.MustParsePrefix("10.0.0.0/24")}
	there = deaf{netip.MustParsePrefix("10.7.0.0/24")}
)

// among starts a peer on one of these networks that accepts everyone.
func among(net *enginetest.Net, name string, change ...func(*engine.Config)) *enginetest.Node {
	cfg := engine.Config{Name: name, Discovery: here, Accept: engine.Everyone}
	for _, c := range change {
		c(&cfg)
	}
	return net.Start(cfg)
}

// dial connects a to b by its address.
func dial(t *testing.T, a, b *enginetest.Node) {
	t.Helper()
	for !a.Self().Running || !b.Self().Running {
		time.Sleep(latency)
	}
	if _, err := a.Dial(t.Context(), b.Addr.String()); err != nil {
		t.Fatal(err)
	}
}

// join is dial followed by a session.
func join(t *testing.T, a, b *enginetest.Node) {
	t.Helper()
	dial(t, a, b)
	if err := a.InviteWith(t.Context(), b.Self().ID, byPerson); err != nil {
		t.Fatal(err)
	}
}

// sees reports whether a has a connection to b, and how it found b.
func sees(a, b *enginetest.Node) (how string, ok bool) {
	p, ok := a.Peer(b.Self().ID)
	return p.How, ok && p.Confirmed
}

func TestPeerExchange_PeersWithASessionLearnOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		hub, a, b, stranger := among(net, "Hub"), among(net, "Anna"), among(net, "Ben"), among(net, "Carl")
		join(t, a, hub)
		dial(t, stranger, hub)
		join(t, b, hub)
		time.Sleep(5 * time.Second)
		if how, ok := sees(a, b); !ok || !slices.Contains([]string{"peer exchange", "incoming"}, how) {
			t.Errorf("Anna sees Ben: %v, by %s", ok, how)
		}
		if how, ok := sees(a, stranger); !ok || how != "peer exchange" {
			t.Errorf("Anna sees a peer that is not connected to the hub: %v, by %s", ok, how)
		}
		if how, ok := sees(stranger, a); !ok || how != "incoming" {
			t.Errorf("a peer that is not connected is dialled: %v, by %s", ok, how)
		}
		if n := connected(a); n != 1 {
			t.Errorf("Anna has %d sessions", n)
		}
		// A newcomer is announced, and so is a peer that was offline.
		d := among(net, "Dora")
		dial(t, d, hub)
		time.Sleep(5 * time.Second)
		if _, ok := sees(a, d); !ok {
			t.Error("Anna does not see the newcomer")
		}
		if err := d.Stop(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if _, ok := a.Peer(d.Self().ID); ok {
			t.Error("Anna sees the peer that has left")
		}
	})
}

func TestPeerExchange_NeedsASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		hub, a, b := among(net, "Hub"), among(net, "Anna"), among(net, "Ben")
		dial(t, a, hub)
		dial(t, b, hub)
		time.Sleep(5 * time.Second)
		if _, ok := a.Peer(b.Self().ID); ok || hub.AnnouncedTo(a.Self().ID) > 0 {
			t.Error("reported without a session")
		}
		if err := a.Invite(t.Context(), hub.Self().ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if _, ok := sees(a, b); !ok {
			t.Error("not announced with a session")
		}
	})
}

// TestPeerExchange_HiddenPeerIsNotAnnounced checks that a peer that does not show itself to everyone on the network is
// not announced until it does.
func TestPeerExchange_HiddenPeerIsNotAnnounced(t *testing.T) {
	for name, how := range map[string]struct {
		hide, show func(*enginetest.Node) error
		reach      func(*testing.T, *enginetest.Node, *enginetest.Node)
	}{
		"known": {
			func(n *enginetest.Node) error { return n.SetVisible(engine.VisibleToKnown, 0) },
			func(n *enginetest.Node) error { return n.SetVisible(engine.VisibleToAll, 0) }, join,
		},
		"nobody": {
			func(n *enginetest.Node) error { return n.SetVisible(engine.VisibleToNobody, 0) },
			func(n *enginetest.Node) error { return n.SetVisible(engine.VisibleToAll, 0) }, join,
		},
		"not advertising": {
			func(n *enginetest.Node) error { n.SetLooking(false, true); return nil },
			// With a session, Early and Late would find Anna.
			func(n *enginetest.Node) error { n.SetLooking(true, true); return nil }, dial,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := enginetest.New(t, latency)
				hub, a := among(net, "Hub"), among(net, "Anna")
				early, late := among(net, "Early"), among(net, "Late")
				if err := how.hide(early); err != nil { // before its hello
					t.Fatal(err)
				}
				how.reach(t, early, hub)
				how.reach(t, late, hub)
				if err := how.hide(late); err != nil { // after its hello
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				join(t, a, hub)
				time.Sleep(5 * time.Second)
				for _, n := range []*enginetest.Node{early, late} {
					if _, ok := a.Peer(n.Self().ID); ok {
						t.Errorf("Anna knows of %s", n.Self().Name)
					}
					if err := how.show(n); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(5 * time.Second)
				for _, n := range []*enginetest.Node{early, late} {
					if _, ok := sees(a, n); !ok {
						t.Errorf("%s was not announced to Anna when it was visible", n.Self().Name)
					}
				}
			})
		})
	}
}

// careless is a discovery for which all addresses are on one network.
type careless struct{ deaf }

func (careless) Link(netip.Addr) string { return "all" }

// TestPeerExchange_StaysOnOneNetwork checks that announcements do not cross from one network to another, enforced by
// both the sender and the receiver.
func TestPeerExchange_StaysOnOneNetwork(t *testing.T) {
	for name, find := range map[string]discovery.Discovery{"an honest hub": here, "a hub that announces all": careless{here}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := enginetest.New(t, latency)
				hub, a := among(net, "Hub", func(c *engine.Config) { c.Discovery = find }), among(net, "Anna")
				far := net.StartAt(netip.MustParseAddrPort("10.7.0.1:17717"), engine.Config{Name: "Far", Discovery: there, Accept: engine.Everyone})
				low := net.StartAt(netip.MustParseAddrPort("10.0.0.200:1023"), engine.Config{Name: "Low", Discovery: here, Accept: engine.Everyone, Blind: true})
				join(t, a, hub)
				join(t, far, hub)
				join(t, low, hub)
				time.Sleep(10 * time.Second)
				for _, n := range []*enginetest.Node{far, low} {
					if _, ok := a.Peer(n.Self().ID); ok {
						t.Errorf("Anna dials %s", n.Self().Name)
					}
				}
				if _, ok := far.Peer(a.Self().ID); ok {
					t.Error("another network's peer dials Anna")
				}
			})
		})
	}
}

// TestPeerExchange_IgnoredWhileHiddenOrNotBrowsing checks that an engine ignores announcements if it does not browse,
// is visible to no one, or may not show itself to a stranger.
func TestPeerExchange_IgnoredWhileHiddenOrNotBrowsing(t *testing.T) {
	for name, change := range map[string]func(*engine.Config){
		"not browsing": func(c *engine.Config) { c.Blind = true },
		"nobody":       func(c *engine.Config) { c.Visible = engine.VisibleToNobody },
		"known":        func(c *engine.Config) { c.Visible = engine.VisibleToKnown },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := enginetest.New(t, latency)
				hub, a, b := among(net, "Hub"), among(net, "Anna", change), among(net, "Ben", func(c *engine.Config) { c.Blind = true })
				join(t, a, hub)
				dial(t, b, hub)
				time.Sleep(10 * time.Second)
				if _, ok := sees(a, b); ok {
					t.Error("Anna dials a peer that was announced to her")
				}
			})
		})
	}
}

func TestPeerExchange_ManyPeersTakeSeveralFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		hub, a := among(net, "Hub"), among(net, "Anna")
		others := make([]*enginetest.Node, 40)
		for i := range others {
			others[i] = among(net, "other", func(c *engine.Config) { c.Blind = true })
			dial(t, others[i], hub)
		}
		join(t, a, hub)
		time.Sleep(20 * time.Second)
		for i, o := range others {
			if _, ok := sees(a, o); !ok {
				t.Errorf("Anna does not see %d", i)
			}
		}
	})
}

// TestPeerExchange_PeerBeingDialledIsNotDialledTwice checks that a peer that is being dialled is not dialled again
// because others announce it. When many devices start at once, each hears about all the others from everyone, and such
// dials would keep the devices busy with handshakes.
func TestPeerExchange_PeerBeingDialledIsNotDialledTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		start := func() *enginetest.Node {
			return net.Start(engine.Config{Invite: engine.Everyone, Accept: engine.Everyone})
		}
		anna, friends := start(), 12
		for range friends {
			start()
		}
		for connected(anna) != friends {
			time.Sleep(latency)
		}
		time.Sleep(5 * time.Second)
		// Packets between Anna and the newcomer are lost until the others have announced it to her, and a little
		// longer.
		lossy := time.Now().Add(2900 * time.Millisecond)
		var packets atomic.Int64
		var newcomer atomic.Pointer[netip.AddrPort]
		net.Drop(func(from, to netip.AddrPort) bool {
			ben := newcomer.Load()
			if ben == nil || time.Now().After(lossy) {
				return false
			}
			if from == anna.Addr && to == *ben {
				packets.Add(1)
				return true
			}
			return from == *ben && to == anna.Addr
		})
		at := netip.MustParseAddrPort("10.0.9.9:8008")
		newcomer.Store(&at)
		net.StartAt(at, engine.Config{Invite: engine.Everyone, Accept: engine.Everyone})
		time.Sleep(time.Until(lossy))
		if n := packets.Load(); n == 0 || n > 12 { // QUIC repeats the packets of a handshake at growing intervals
			t.Errorf("Anna sent %d packets to a peer that she was dialling", n)
		}
		time.Sleep(3 * time.Second)
		if connected(anna) != friends+1 {
			t.Error("the newcomer is not connected afterwards")
		}
	})
}
