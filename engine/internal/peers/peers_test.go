package peers

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"multipeer/engine/discovery"
	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/tasks"
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// node is a manager alone, without transfers, pairings and discovery, on a socket of the loopback interface.
type node struct {
	*Manager
	addr netip.AddrPort

	mu       sync.Mutex
	events   []Event
	messages []Message
	keys     []PeerID      // of the devices that dialled it, whether it accepted them or not
	changed  chan struct{} // closed at the next event
}

func (n *node) Publish(ev Event) wire.Code {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.events = append(n.events, ev)
	n.wakeLocked()
	return 0
}

func (n *node) Deliver(m Message) wire.Code {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.messages = append(n.messages, m)
	n.wakeLocked()
	return 0
}

func (n *node) wakeLocked() {
	close(n.changed)
	n.changed = make(chan struct{})
}

func (n *node) Changed() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.changed
}

// check calls Check and records the key.
func (n *node) check(id PeerID, cert []byte, dialled bool) error {
	n.mu.Lock()
	n.keys = append(n.keys, id)
	n.mu.Unlock()
	return n.Check(id, cert, dialled)
}

func (n *node) sawKey(id PeerID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Contains(n.keys, id)
}

// await waits until is returns true for what was published.
func (n *node) await(t *testing.T, what string, is func([]Event, []Message) bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		n.mu.Lock()
		ok, changed := is(n.events, n.messages), n.changed
		n.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("there is no %s", what)
		}
	}
}

// nothing replaces the parts of the engine that the manager does not need here.
type nothing struct{}

func (nothing) Take(*Link, wire.Message)                                          {}
func (nothing) AcceptLane(lane *transport.LaneConn, _ *transport.Waiting)         { lane.Interrupt() }
func (nothing) LinkUp(PeerID)                                                     {}
func (nothing) LinkDown(*Link, error)                                             {}
func (nothing) Drop(PeerID, error)                                                {}
func (nothing) Busy(PeerID) bool                                                  { return false }
func (nothing) Moves(PeerID) bool                                                 { return false }
func (nothing) Run(context.Context, discovery.Announcement, discovery.Sink) error { return nil }
func (nothing) Update(discovery.Announcement)                                     {}
func (nothing) Forget(PeerID)                                                     {}
func (nothing) Recheck(PeerID)                                                    {}
func (nothing) Link(netip.Addr) string                                            { return "" }

type noPairings struct{}

func (noPairings) Take(*Link, wire.Message) error { return wire.ErrProtocol }
func (noPairings) LinkDown(PeerID, error)         {}
func (noPairings) IsOpen() bool                   { return false }
func (noPairings) Has(PeerID) bool                { return false }

func start(t *testing.T, name string) *node {
	t.Helper()
	profile, err := identity.Ephemeral()
	if err != nil {
		t.Fatal(err)
	}
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	group, ended := &tasks.Group{}, make(chan struct{})
	group.Begin(ctx)
	n := &node{addr: socket.LocalAddr().(*net.UDPAddr).AddrPort(), changed: make(chan struct{})}
	n.Manager = New(Config{
		Host: n, Finder: nothing{}, Profile: profile, Tasks: group, Ended: ended, Log: slog.New(slog.DiscardHandler), Panics: slog.Default(),
		Self: Self{ID: profile.ID, Name: name, Advertising: true, Browsing: true}, Accept: Everyone,
	})
	n.Attach(nothing{}, noPairings{})
	endpoint, err := transport.Listen(transport.Config{
		Identity: profile.Identity, Conn: socket, Log: slog.New(slog.DiscardHandler), Check: n.check, OwnKey: n.MetOwnKey,
	})
	if err != nil {
		t.Fatal(err)
	}
	n.Open(endpoint, nil)
	n.Start(nil, nil)
	t.Cleanup(func() {
		cancel()
		n.SayGoodbye()
		_ = endpoint.Close()
		group.Wait()
		n.Close()
		close(ended)
		_ = socket.Close()
	})
	return n
}

// TestManager_ConnectsAndCarriesAlone: two managers dial, invite, and exchange a message, a datagram and a stream
// without any other part of an engine.
func TestManager_ConnectsAndCarriesAlone(t *testing.T) {
	a, b := start(t, "a"), start(t, "b")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	id, err := a.Dial(ctx, b.addr.String())
	if err != nil || id != b.Self().ID {
		t.Fatal(id, err)
	}
	if err := a.Invite(ctx, id, json.RawMessage(`"hello"`), true); err != nil {
		t.Fatal(err)
	}
	b.await(t, "session", func(events []Event, _ []Message) bool {
		for _, ev := range events {
			if added, ok := ev.(PeerAdded); ok {
				return string(added.Peer.Context) == `"hello"`
			}
		}
		return false
	})
	w, err := a.Window(id)
	if err != nil || !w.Reserve() {
		t.Fatal(err)
	}
	result := make(chan error, 1)
	w.Post(ctx, wire.Text{Body: json.RawMessage(`1`)}, func(err error) { result <- err })
	if err := <-result; err != nil {
		t.Error(err)
	}
	if err := a.SendDatagram(id, wire.Text{Body: json.RawMessage(`2`)}); err != nil {
		t.Error(err)
	}
	b.await(t, "message and datagram", func(_ []Event, messages []Message) bool { return len(messages) == 2 })
	s, err := a.OpenStream(ctx, id, "s")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	b.await(t, "stream", func(events []Event, _ []Message) bool {
		received, ok := events[len(events)-1].(StreamReceived)
		return ok && received.Stream.Name == "s"
	})
	a.Disconnect(id)
	b.await(t, "end of the session", func(events []Event, _ []Message) bool {
		for _, ev := range events {
			if _, ok := ev.(PeerRemoved); ok {
				return true
			}
		}
		return false
	})
}

// TestSearch_HiddenDeviceStaysHidden: a search connects to strangers only while they may see this device, and to known
// peers always. A stranger that it does not connect to does not even learn its key.
func TestSearch_HiddenDeviceStaysHidden(t *testing.T) {
	for visible, meets := range map[Visibility]bool{VisibleToAll: true, VisibleToKnown: false, VisibleToNobody: false} {
		a, stranger, friend := start(t, "a"), start(t, "stranger"), start(t, "friend")
		if err := a.profile.Update(friend.Self().ID, func(r *identity.Record) { r.Trust = identity.Seen }); err != nil {
			t.Fatal(err)
		}
		if err := a.SetVisible(visible, 0); err != nil {
			t.Fatal(err)
		}
		found := a.dialer.dialAll(t.Context(), []netip.AddrPort{stranger.addr, friend.addr}, "search")
		if !slices.Contains(found, friend.Self().ID) || slices.Contains(found, stranger.Self().ID) != meets {
			t.Errorf("%v: found %v", visible, found)
		}
		if stranger.sawKey(a.Self().ID) != meets {
			t.Errorf("%v: the stranger saw the key: %v", visible, !meets)
		}
	}
}
