// Package enginetest runs several engines on a simulated network, for tests of
// the engine, the window and other programs. Inside a testing/synctest bubble
// a minute of protocol passes in an instant. Keys are new in each run, and with
// them the order of the IDs, unless Config.Profile keeps them.
package enginetest

import (
	"bytes"
	"context"
	crand "crypto/rand"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"multipeer/engine"

	"github.com/quic-go/quic-go/testutils/simnet"
)

// Net is a simulated network with a discovery of its own. Its methods may be called concurrently.
type Net struct {
	t       testing.TB
	latency time.Duration

	mu      sync.Mutex
	nodes   map[netip.AddrPort]simnet.PacketReceiver
	running []*Node
	ether   map[*finder]bool
	drop    func(from, to netip.AddrPort) bool
	loss    float64
	double  float64
	jitter  time.Duration
	dice    *rand.Rand
	cut     map[netip.AddrPort]bool
	rate    int64                        // bits per second towards each node; 0 is no limit
	queue   int                          // bytes that wait for it
	until   map[netip.AddrPort]time.Time // when the line to a node is free
	count   int
}

// New makes a network whose packets take latency one way. It is torn down by the test's cleanup.
func New(t testing.TB, latency time.Duration) *Net {
	n := &Net{
		t: t, latency: latency, nodes: map[netip.AddrPort]simnet.PacketReceiver{}, ether: map[*finder]bool{},
		dice: rand.New(rand.NewPCG(1, 2)), cut: map[netip.AddrPort]bool{}, until: map[netip.AddrPort]time.Time{},
	}
	t.Cleanup(n.close)
	return n
}

func (n *Net) close() {
	n.mu.Lock()
	running := slices.Clone(n.running)
	n.mu.Unlock()
	for _, node := range slices.Backward(running) {
		if err := node.Stop(); err != nil {
			n.t.Errorf("Run: %v", err)
		}
	}
}

// Drop installs a function that loses packets; nil loses none.
func (n *Net) Drop(lose func(from, to netip.AddrPort) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.drop = lose
}

// Service is a service type that no other test has, for tests of programs on the real network.
func Service() string { return "t-" + strings.ToLower(crand.Text()[:12]) }

// Lose loses a part of all packets, 0 to 1, by dice that fall the same in every run.
func (n *Net) Lose(part float64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.loss = part
}

// Scatter delays each packet by up to jitter, so that some overtake others, and doubles a part of them, 0 to 1, by the
// same dice.
func (n *Net) Scatter(jitter time.Duration, double float64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.jitter, n.double = jitter, double
}

// Limit gives each node a line of so many bits per second, before which so many bytes wait; the rest is lost.
func (n *Net) Limit(bitsPerSecond int64, queue int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.rate, n.queue = bitsPerSecond, queue
}

// Cut takes an address off the network, or puts it back.
func (n *Net) Cut(addr netip.AddrPort, off bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[addr] = off
}

// Node is an engine that runs on the network.
type Node struct {
	*engine.Engine
	Addr netip.AddrPort
	net  *Net
	find *finder // unless the test brought its own
	stop context.CancelFunc
	done chan error
}

// Start runs an engine with cfg on the network until the test ends or Stop is called.
func (n *Net) Start(cfg engine.Config) *Node {
	n.t.Helper()
	return n.StartAt(n.next(), cfg)
}

// StartAt is Start at an address that had another engine before, such as one that was killed.
func (n *Net) StartAt(addr netip.AddrPort, cfg engine.Config) *Node {
	n.t.Helper()
	n.Cut(addr, false)
	if cfg.Name == "" {
		cfg.Name = fmt.Sprintf("peer %d", addr.Addr().As4()[3])
	}
	conn, closeConn := n.socket(addr)
	cfg.PacketConn = conn
	var find *finder
	if cfg.Discovery == nil {
		find = &finder{net: n, addr: addr}
		cfg.Discovery = find
	}
	e, err := engine.New(cfg)
	if err != nil {
		closeConn()
		n.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	node := &Node{Engine: e, Addr: addr, net: n, find: find, stop: cancel, done: make(chan error, 1)}
	go func() {
		err := e.Run(ctx)
		closeConn()
		node.done <- err
		close(node.done)
	}()
	n.mu.Lock()
	n.running = append(n.running, node)
	n.mu.Unlock()
	return node
}

// next is an address that nobody has.
func (n *Net) next() netip.AddrPort {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.count++
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(n.count >> 8), byte(n.count)}), engine.DefaultPort)
}

// Socket is a place on the network for a peer that is no engine. The caller calls closeIt at the end.
func (n *Net) Socket() (conn net.PacketConn, closeIt func()) { return n.socket(n.next()) }

// Stop ends the engine and waits for it. It is idempotent.
func (n *Node) Stop() error {
	n.stop()
	err := <-n.done
	n.net.mu.Lock()
	defer n.net.mu.Unlock()
	n.net.running = slices.DeleteFunc(n.net.running, func(o *Node) bool { return o == n }) // or it would be kept for ever
	return err
}

// Kill ends the engine as a crash would: nothing leaves it any more, nobody is told.
func (n *Node) Kill() error {
	n.net.Cut(n.Addr, true)
	if n.find != nil {
		n.find.silence()
	}
	return n.Stop()
}

func (n *Net) socket(addr netip.AddrPort) (net.PacketConn, func()) {
	link := &simnet.SimulatedLink{
		UplinkSettings: simnet.LinkSettings{MTU: 1500}, DownlinkSettings: simnet.LinkSettings{MTU: 1500},
		Latency: n.latency, UploadPacket: n,
	}
	conn := simnet.NewBlockingSimConn(net.UDPAddrFromAddrPort(addr), link)
	link.Start()
	n.AddNode(conn.LocalAddr(), link)
	return conn, func() {
		n.mu.Lock()
		delete(n.nodes, addr)
		n.mu.Unlock()
		_ = conn.Close()
		_ = link.Close()
	}
}

// SendPacket is simnet.Router's.
func (n *Net) SendPacket(p simnet.Packet) error {
	from, to := p.From.(*net.UDPAddr).AddrPort(), p.To.(*net.UDPAddr).AddrPort()
	n.mu.Lock()
	node, lose := n.nodes[to], n.drop
	lost := n.cut[from] || n.cut[to] || n.loss > 0 && n.dice.Float64() < n.loss
	var wait time.Duration
	if !lost && n.rate > 0 {
		wait, lost = n.wait(to, len(p.Data))
	}
	if !lost && n.jitter > 0 {
		wait += time.Duration(n.dice.Int64N(int64(n.jitter)))
	}
	twice := !lost && node != nil && n.double > 0 && n.dice.Float64() < n.double
	n.mu.Unlock()
	if twice {
		again := p
		again.Data = bytes.Clone(p.Data)
		time.AfterFunc(wait+time.Millisecond, func() { node.RecvPacket(again) })
	}
	switch {
	case node == nil || lost || lose != nil && lose(from, to): // like UDP: nobody there is no error
	case wait > 0:
		time.AfterFunc(wait, func() { node.RecvPacket(p) })
	default:
		node.RecvPacket(p)
	}
	return nil
}

// overhead is what Ethernet, IPv4 and UDP add to a packet on the wire, the gap between frames included.
const overhead = 66

// wait is how long a packet takes to be on the line to a node, behind those before it. Call with n.mu held.
func (n *Net) wait(to netip.AddrPort, size int) (d time.Duration, lost bool) {
	now := time.Now()
	free := n.until[to]
	if free.Before(now) {
		free = now
	}
	if waiting := int64(free.Sub(now)) * n.rate / 8 / int64(time.Second); waiting+int64(size) > int64(n.queue) {
		return 0, true
	}
	free = free.Add(time.Duration(int64(size+overhead) * 8 * int64(time.Second) / n.rate))
	n.until[to] = free
	return free.Sub(now), false
}

// AddNode is simnet.Router's.
func (n *Net) AddNode(addr net.Addr, r simnet.PacketReceiver) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.nodes[addr.(*net.UDPAddr).AddrPort()] = r
}

// finder is discovery on the network: who browses is told at once of who advertises.
type finder struct {
	net  *Net
	addr netip.AddrPort

	mu     sync.Mutex
	self   engine.Announcement
	to     engine.Sink
	silent bool
}

// silence takes f off the network without a goodbye.
func (f *finder) silence() {
	f.mu.Lock()
	f.silent = true
	f.mu.Unlock()
	f.net.mu.Lock()
	delete(f.net.ether, f)
	f.net.mu.Unlock()
}

func (f *finder) announcement() (engine.Announcement, engine.Sink) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.self, f.to
}

func (f *finder) hint() engine.Hint {
	self, _ := f.announcement()
	if self.Known {
		return engine.Hint{ID: self.ID, Addrs: []netip.AddrPort{f.addr}, How: "simulation", Known: true}
	}
	return engine.Hint{ID: self.ID, Name: self.Name, Info: self.Info, Addrs: []netip.AddrPort{f.addr}, How: "simulation"}
}

// Run is engine.Discovery's.
func (f *finder) Run(ctx context.Context, self engine.Announcement, to engine.Sink) error {
	f.mu.Lock()
	if f.to = to; f.self.ID.IsZero() { // an Update that came first is newer
		f.self = self
	}
	f.mu.Unlock()
	f.net.mu.Lock()
	f.net.ether[f] = true
	f.net.mu.Unlock()
	f.tell(true)
	<-ctx.Done()
	f.net.mu.Lock()
	delete(f.net.ether, f)
	f.net.mu.Unlock()
	f.tell(false)
	return nil
}

// Update is engine.Discovery's.
func (f *finder) Update(self engine.Announcement) {
	f.mu.Lock()
	f.self = self
	f.mu.Unlock()
	f.tell(true)
}

// Forget is engine.Discovery's; this discovery keeps nothing.
func (f *finder) Forget(engine.PeerID) {}

// Link is engine.Discovery's: the whole network is one.
func (f *finder) Link(netip.Addr) string { return "simulation" }

// Recheck is engine.Discovery's: it takes a second to see that a peer has vanished.
func (f *finder) Recheck(id engine.PeerID) {
	time.AfterFunc(time.Second, func() {
		f.net.mu.Lock()
		var others []*finder
		for o := range f.net.ether {
			others = append(others, o)
		}
		f.net.mu.Unlock()
		for _, o := range others {
			if self, _ := o.announcement(); self.ID == id && self.Advertise {
				return
			}
		}
		if _, to := f.announcement(); to != nil {
			to.Lost(id)
		}
	})
}

// tell introduces f and the others of its service to each other.
func (f *finder) tell(here bool) {
	f.net.mu.Lock()
	var others []*finder
	for o := range f.net.ether {
		if o != f {
			others = append(others, o)
		}
	}
	f.net.mu.Unlock()
	self, to := f.announcement()
	f.mu.Lock()
	silent := f.silent
	f.mu.Unlock()
	if silent || to == nil { // an update before Run is told by Run
		return
	}
	for _, o := range others {
		other, sink := o.announcement()
		if other.Service != self.Service {
			continue
		}
		if other.Browse {
			if here && self.Advertise {
				sink.Found(f.hint())
			} else {
				sink.Lost(self.ID)
			}
		}
		if here && self.Browse && other.Advertise {
			to.Found(o.hint())
		}
	}
}
