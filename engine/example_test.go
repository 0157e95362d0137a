package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"multipeer/engine"
	"multipeer/engine/discovery"
)

// nowhere is a discovery that finds no one: the examples dial each other on this machine. A real program leaves
// Config.Discovery nil and gets multicast DNS.
type nowhere struct{}

func (nowhere) Run(ctx context.Context, _ discovery.Announcement, _ discovery.Sink) error {
	<-ctx.Done()
	return nil
}
func (nowhere) Update(discovery.Announcement) {}
func (nowhere) Forget(engine.PeerID)          {}
func (nowhere) Recheck(engine.PeerID)         {}
func (nowhere) Link(netip.Addr) string        { return "" }

// run starts two engines that are connected to each other; stop ends both.
func run(anna, ben engine.Config) (a, b *engine.Engine, ctx context.Context, stop func()) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	var running sync.WaitGroup
	start := func(name string, cfg engine.Config) (*engine.Engine, string) {
		socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			panic(err)
		}
		cfg.Name, cfg.PacketConn, cfg.Discovery = name, socket, nowhere{}
		e, err := engine.New(cfg)
		if err != nil {
			panic(err)
		}
		running.Go(func() {
			defer socket.Close()
			if err := e.Run(ctx); err != nil {
				panic(err)
			}
		})
		return e, socket.LocalAddr().String()
	}
	a, address := start("Anna", anna)
	ben.Dial = append(ben.Dial, address)
	b, _ = start("Ben", ben)
	for _, way := range [][2]*engine.Engine{{a, b}, {b, a}} { // wait until both are connected
		for range way[0].Watch(ctx) {
			if p, _ := way[0].Peer(way[1].Self().ID); p.Confirmed {
				break
			}
		}
	}
	return a, b, ctx, func() { cancel(); running.Wait() }
}

// everyone configures an engine that invites everyone it finds and accepts every invitation.
var everyone = engine.Config{Invite: engine.Everyone, Accept: engine.Everyone}

// connectedPeer waits until e has a session with a peer, and returns its ID.
func connectedPeer(ctx context.Context, e *engine.Engine) engine.PeerID {
	for range e.Watch(ctx) {
		for _, p := range e.Peers() {
			if p.HasSession() {
				return p.ID
			}
		}
	}
	return engine.PeerID{}
}

// This program is written in the style of the Pythonista module: one function for each kind of event.
func Example() {
	anna, ben, ctx, stop := run(everyone, everyone)
	defer stop()
	ben.Handle(ctx, engine.Handler{
		PeerAdded: func(p engine.Peer) {
			_, _ = ben.Send(ctx, map[string]string{"text": "hello"}, p.ID)
		},
	})
	until, enough := context.WithCancel(ctx)
	<-anna.Handle(until, engine.Handler{
		PeerAdded: func(p engine.Peer) { fmt.Println(p.Name, "is here") },
		Receive: func(m engine.Message) {
			fmt.Println(m.Name, "says", string(m.Body))
			enough()
		},
	})
	// Output:
	// Ben is here
	// Ben says {"text":"hello"}
}

// Watch yields everything as typed events, starting with a Snapshot.
func ExampleEngine_Watch() {
	anna, ben, ctx, stop := run(engine.Config{}, engine.Config{})
	defer stop()
	go func() { _ = ben.Invite(ctx, anna.Self().ID) }()
	for ev := range anna.Watch(ctx) {
		switch ev := ev.(type) {
		case engine.Snapshot:
			for _, inv := range ev.Invitations {
				_ = inv.Accept()
			}
		case *engine.Invitation:
			fmt.Println(ev.Peer.Name, "asks")
			_ = ev.Accept()
		case engine.PeerAdded:
			fmt.Println(ev.Peer.Name, "is connected")
			return
		}
	}
	// Output:
	// Ben asks
	// Ben is connected
}

// The error is nil only if every recipient has the message. Each recipient has a result as well.
func ExampleEngine_Send() {
	anna, ben, ctx, stop := run(everyone, everyone)
	defer stop()
	ben.Handle(ctx, engine.Handler{Receive: func(engine.Message) {}})
	id := connectedPeer(ctx, anna)
	results, err := anna.Send(ctx, "are you there?", id, anna.Self().ID)
	fmt.Println("everyone has it:", err == nil)
	fmt.Println("Ben:", results[0].Err)
	fmt.Println("myself:", results[1].Err)
	// Output:
	// everyone has it: false
	// Ben: <nil>
	// myself: no such peer nearby
}

// Post does not wait; messages arrive in the order of the calls.
func ExampleEngine_Post() {
	anna, ben, ctx, stop := run(everyone, everyone)
	defer stop()
	read := make(chan struct{})
	news := ben.Watch(ctx)
	go func() {
		defer close(read)
		for ev := range news {
			if m, ok := ev.(engine.Message); ok {
				fmt.Println(string(m.Body))
				if string(m.Body) == "3" {
					return
				}
			}
		}
	}()
	connectedPeer(ctx, anna)
	var last *engine.Delivery
	for i := range 4 {
		last, _ = anna.Post(ctx, i, engine.Broadcast)
	}
	fmt.Println("delivered:", last.Results()[0].Err == nil)
	<-read
	// Unordered output:
	// 0
	// 1
	// 2
	// 3
	// delivered: true
}

// An unreliable message never waits, and one that is too large is refused with the limit.
func ExampleEngine_SendDatagram() {
	anna, _, ctx, stop := run(everyone, everyone)
	defer stop()
	connectedPeer(ctx, anna)
	_, err := anna.SendDatagram(map[string]int{"x": 3, "y": 4}, engine.Broadcast)
	fmt.Println(err)
	_, err = anna.SendDatagram(make([]int, 1000), engine.Broadcast)
	fmt.Println(errors.Is(err, engine.ErrTooLarge), err)
	// Output:
	// <nil>
	// true message of 2001 bytes: too large: at most 1100
}

// A stream carries bytes in both directions. The side that opens it chooses its name.
func ExampleEngine_OpenStream() {
	anna, ben, ctx, stop := run(everyone, everyone)
	defer stop()
	ben.Handle(ctx, engine.Handler{StreamReceive: func(s *engine.Stream) {
		question, _ := io.ReadAll(s) // until CloseWrite
		fmt.Fprintf(s, "%s: %d bytes", s.Name, len(question))
	}})
	s, err := anna.OpenStream(ctx, connectedPeer(ctx, anna), "count me")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	_, _ = s.Write([]byte("twelve bytes"))
	_ = s.CloseWrite()
	answer, _ := io.ReadAll(s)
	fmt.Println(string(answer))
	// Output:
	// count me: 12 bytes
}

// Streams are net.Conn: here, one peer runs an HTTP server over them, and the other a client.
func ExampleEngine_Listen() {
	anna, ben, ctx, stop := run(everyone, everyone)
	defer stop()
	id := connectedPeer(ctx, anna)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "you asked for ", r.URL.Path)
	})}
	go server.Serve(ben.Listen("http"))
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{DialContext: anna.DialStream(id, "http")}}
	r, err := client.Get("http://ben/photos")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Body.Close()
	body, _ := io.ReadAll(r.Body)
	fmt.Println(string(body))
	// Output: you asked for /photos
}

// Each program gets the other's context with the session.
func ExampleEngine_InviteWith() {
	anna, ben, ctx, stop := run(engine.Config{}, engine.Config{Accept: engine.Everyone, Context: "a table for two"})
	defer stop()
	if err := anna.InviteWith(ctx, ben.Self().ID, engine.InviteOptions{Context: map[string]int{"level": 3}}); err != nil {
		fmt.Println(err)
		return
	}
	p, _ := anna.Peer(ben.Self().ID)
	fmt.Println("Anna reads", string(p.Context))
	p, _ = ben.Peer(anna.Self().ID)
	fmt.Println("Ben reads", string(p.Context))
	// Output:
	// Anna reads "a table for two"
	// Ben reads {"level":3}
}

// Discovery info is visible before anyone connects, and may change.
func ExampleEngine_SetInfo() {
	anna, ben, ctx, stop := run(engine.Config{Info: map[string]string{"game": "open"}}, engine.Config{})
	defer stop()
	p, _ := ben.Peer(anna.Self().ID)
	fmt.Println("game:", p.Info["game"])
	_ = anna.SetInfo(map[string]string{"game": "running"})
	for ev := range ben.Watch(ctx) {
		if p, ok := ev.(engine.PeerChanged); ok && p.Peer.Info["game"] == "running" {
			fmt.Println("game: running")
			break
		}
	}
	fmt.Println(anna.SetInfo(map[string]string{"a=b": ""}))
	// Output:
	// game: open
	// game: running
	// discovery info: invalid: key "a=b": must be printable ASCII without =
}

// A program decides on invitations by its own rules.
func ExampleInvitation_AcceptWith() {
	anna, ben, ctx, stop := run(engine.Config{}, engine.Config{})
	defer stop()
	anna.HandleInvitations(func(i *engine.Invitation) {
		if string(i.Context) == `"open sesame"` {
			_ = i.AcceptWith(engine.InviteOptions{}) // no person has decided
			return
		}
		_ = i.Decline()
	})
	err := ben.InviteWith(ctx, anna.Self().ID, engine.InviteOptions{Context: "it is me"})
	fmt.Println(errors.Is(err, engine.ErrDeclined))
	fmt.Println(ben.InviteWith(ctx, anna.Self().ID, engine.InviteOptions{Context: "open sesame"}))
	// Output:
	// true
	// <nil>
}

// Disconnect is a kick: the peer stays visible, and no policy brings it back.
func ExampleEngine_Disconnect() {
	anna, _, ctx, stop := run(everyone, everyone)
	defer stop()
	id := connectedPeer(ctx, anna)
	anna.Disconnect(id)
	p, found := anna.Peer(id)
	fmt.Println(found, p.State)
	_, err := anna.Send(ctx, "anybody?", engine.Broadcast)
	fmt.Println(err)
	// Output:
	// true found
	// no peer is connected
}

// Nothing is transferred before the other program accepts; a nil error means that the file is on its disk.
func ExampleEngine_Offer() {
	anna, ben, ctx, stop := run(everyone, everyone)
	defer stop()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	photo := filepath.Join(dir, "photo.jpg")
	_ = os.WriteFile(photo, make([]byte, 100_000), 0o600)
	news := ben.Watch(ctx)
	go func() {
		for ev := range news {
			if o, ok := ev.(*engine.Offer); ok {
				if o.Peer().Name != "Anna" || o.Transfer.Bytes > 1<<20 { // a program would ask a person, or check o.Peer().Trust
					_ = o.Decline()
					continue
				}
				_ = o.Accept(engine.AcceptOptions{Dir: filepath.Join(dir, "inbox")})
			}
		}
	}()
	t, err := anna.Offer(ctx, ben.Self().ID, photo)
	if err != nil {
		fmt.Println(err)
		return
	}
	t, err = anna.Wait(ctx, t.ID)
	fmt.Println(t.State, t.Complete(), t.Bytes, err)
	// Output:
	// delivered true 100000 <nil>
}

// Path reports the network path to a peer.
func ExampleEngine_Path() {
	anna, ben, _, stop := run(everyone, everyone)
	defer stop()
	p, err := ben.Path(anna.Self().ID)
	fmt.Println(p.Remote.Addr(), p.Interface != "", p.Dialled, p.Loss < 0.5, err)
	// Output:
	// 127.0.0.1 true true true <nil>
}

// A ticket is text that another device needs to reach this one: its key and its addresses.
func ExampleEngine_Dial() {
	anna, ben, ctx, stop := run(engine.Config{}, engine.Config{})
	defer stop()
	here := fmt.Sprintf("@127.0.0.1:%d", anna.Self().Port) // Ticket would contain the addresses of the network
	id, err := ben.Dial(ctx, anna.Self().ID.String()+here)
	fmt.Println(id == anna.Self().ID, err)
	_, err = ben.Dial(ctx, ben.Self().ID.String()+here)
	fmt.Println(errors.Is(err, engine.ErrIdentity)) // the peer's key differs from the ticket's
	// Output:
	// true <nil>
	// true
}

// Verify has the final say on keys, before anything is exchanged.
func ExampleConfig_verify() {
	known := map[engine.PeerID]bool{}
	var mu sync.Mutex
	picky := everyone
	picky.Verify = func(id engine.PeerID, certificate []byte) error {
		mu.Lock()
		defer mu.Unlock()
		if !known[id] {
			return errors.New("not on the list")
		}
		return nil
	}
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer socket.Close()
	picky.PacketConn, picky.Discovery = socket, nowhere{}
	door, err := engine.New(picky)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- door.Run(ctx) }()

	_, ben, benCtx, stop := run(engine.Config{}, engine.Config{})
	defer stop()
	_, err = ben.Dial(benCtx, socket.LocalAddr().String())
	fmt.Println(errors.Is(err, engine.ErrRefused))
	mu.Lock()
	known[ben.Self().ID] = true
	mu.Unlock()
	_, err = ben.Dial(benCtx, socket.LocalAddr().String())
	fmt.Println(err)
	cancel()
	<-ended
	// Output:
	// true
	// <nil>
}

// In a closed lobby existing sessions stay, and no one new finds us.
func ExampleEngine_SetLooking() {
	anna, _, ctx, stop := run(everyone, everyone)
	defer stop()
	id := connectedPeer(ctx, anna)
	anna.SetLooking(false, false)
	p, _ := anna.Peer(id)
	fmt.Println(p.State, anna.Self().Advertising, anna.Self().Browsing)
	// Output:
	// connected false false
}

// The other engine answers a ping, not its program.
func ExampleEngine_Ping() {
	anna, ben, ctx, stop := run(engine.Config{}, engine.Config{})
	defer stop()
	for _, mode := range []engine.PingMode{engine.PingReliable, engine.PingUnreliable, engine.PingStream} {
		d, err := anna.Ping(ctx, ben.Self().ID, mode)
		fmt.Println(mode, d > 0, err)
	}
	// Output:
	// reliable true <nil>
	// unreliable true <nil>
	// stream true <nil>
}

// The error names the rule that was broken.
func ExampleValidateServiceType() {
	for _, s := range []string{"chat-demo", "Chat", "my.chat", "a--b"} {
		fmt.Println(engine.ValidateServiceType(s))
	}
	// Output:
	// <nil>
	// service type "Chat": invalid: must contain only a-z, 0-9 and hyphens
	// service type "my.chat": invalid: must contain only a-z, 0-9 and hyphens
	// service type "a--b": invalid: must not contain a double hyphen
}
