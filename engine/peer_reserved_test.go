package engine_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/discovery"
	"multipeer/engine/enginetest"
	"multipeer/engine/internal/wire"
)

// TestPeerExchange_ReservedIDsEndTheConnection: an announcement of a reserved ID (no peer, all peers) is a violation.
func TestPeerExchange_ReservedIDsEndTheConnection(t *testing.T) {
	for name, id := range map[string]engine.PeerID{"zero": {}, "broadcast": engine.Broadcast} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := enginetest.New(t, latency)
				victim, accomplice := net.Start(open("victim")), newRaw(t, net)
				c, s := newRaw(t, net).join(t, victim)
				if err := s.WriteMessage(wire.Peers{Peers: []wire.PeerAt{{ID: id.String(), Addr: accomplice.addr}}}); err != nil {
					t.Fatal(err)
				}
				select {
				case <-c.Done():
				case <-time.After(5 * time.Second):
					t.Error("the connection stays up")
				}
				for _, p := range victim.Peers() {
					if p.ID == id {
						t.Errorf("%+v is a peer", p)
					}
				}
			})
		})
	}
}

// TestParsePeerID_RefusesReservedIDs: reserved IDs cannot be typed or read from a file.
func TestParsePeerID_RefusesReservedIDs(t *testing.T) {
	for _, id := range []engine.PeerID{{}, engine.Broadcast} {
		if got, err := engine.ParsePeerID(id.String()); err == nil {
			t.Errorf("%s is accepted", got)
		}
	}
}

// sinkOf is a discovery that hands out its sink.
type sinkOf struct{ sink chan discovery.Sink }

func (d *sinkOf) Run(ctx context.Context, _ discovery.Announcement, to discovery.Sink) error {
	d.sink <- to
	<-ctx.Done()
	return nil
}
func (d *sinkOf) Update(discovery.Announcement) {}
func (d *sinkOf) Forget(engine.PeerID)          {}
func (d *sinkOf) Link(netip.Addr) string        { return "" }
func (d *sinkOf) Recheck(engine.PeerID)         {}

// TestDiscovery_ReservedIDsAreNoPeers: a message to one of them would go to all peers.
func TestDiscovery_ReservedIDsAreNoPeers(t *testing.T) {
	net := enginetest.New(t, 0)
	d := &sinkOf{make(chan discovery.Sink, 1)}
	cfg := open("a")
	cfg.Discovery = d
	a := net.Start(cfg)
	sink := <-d.sink
	for _, id := range []engine.PeerID{{}, engine.Broadcast} {
		sink.Found(discovery.Hint{ID: id, Name: "Anna", Addrs: []netip.AddrPort{netip.MustParseAddrPort("10.0.9.9:5000")}})
	}
	if peers := a.Peers(); len(peers) != 0 {
		t.Errorf("%+v", peers)
	}
}

// TestHandleStream_PanicEndsItsStreamAlone: the session continues after a panic in the program's functions.
func TestHandleStream_PanicEndsItsStreamAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := sessionOfTwo(t)
		b.HandleStream("x", func(*engine.Stream) { panic("a mistake") })
		b.Topic("x").Answer(func(context.Context, engine.Message) (any, error) { panic("a mistake") })
		s, err := a.OpenStream(t.Context(), b.Self().ID, "x")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Read(make([]byte, 1)); !errors.Is(err, engine.ErrInternal) {
			t.Errorf("the stream has ended with %v", err)
		}
		l := b.Listen("y")
		waiting, err := a.OpenStream(t.Context(), b.Self().ID, "y")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := waiting.Read(make([]byte, 1)); !errors.Is(err, engine.ErrUnavailable) {
			t.Errorf("a stream that was not accepted has ended with %v", err)
		}
		var failed *engine.RequestError
		if _, err := a.Topic("x").Request(t.Context(), 1, b.Self().ID); !errors.As(err, &failed) {
			t.Errorf("the request: %v", err)
		}
		if p, _ := a.Peer(b.Self().ID); p.State != engine.Connected {
			t.Errorf("the session is %v", p.State)
		}
	})
}

// TestDiscovery_NamesChangeOnceASecond: each new name is compared with those of known peers and published.
func TestDiscovery_NamesChangeOnceASecond(t *testing.T) {
	net := enginetest.New(t, 0)
	d := &sinkOf{make(chan discovery.Sink, 1)}
	cfg := open("a")
	cfg.Discovery = d
	a := net.Start(cfg)
	sink := <-d.sink
	names := map[string]bool{}
	for n := range 100 {
		sink.Found(discovery.Hint{ID: engine.PeerID{1}, Name: fmt.Sprint("Anna ", n), Addrs: []netip.AddrPort{netip.MustParseAddrPort("10.0.9.9:5000")}})
		names[a.Peers()[0].Name] = true
	}
	if len(names) > 3 {
		t.Errorf("%d names", len(names))
	}
}
