// Package enginetest runs several engines on a simulated network, for tests of the engine, the window and other
// programs. Inside a testing/synctest bubble, a minute of protocol time takes an instant. Keys, and with them the order
// of the IDs, differ in each run unless Config.Profile keeps them.
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
	"multipeer/engine/discovery"

	"github.com/quic-go/quic-go/testutils/simnet"
)

// Net is a simulated network with its own discovery. Its methods may be called concurrently.
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
	rate    int64                        // bits per second towards each node; 0 means no limit
	queue   int                          // how many bytes may wait for the line to a node
	until   map[netip.AddrPort]time.Time // when the line to a node is free
	count   int
}

// New makes a network with the given one-way latency. The test's cleanup tears it down.
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

// Drop installs a function that decides which packets are lost; nil loses none.
func (n *Net) Drop(lose func(from, to netip.AddrPort) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.drop = lose
}

// Service returns a service type that no other test uses, for tests of programs on the real network.
func Service() string { return "t-" + strings.ToLower(crand.Text()[:12]) }

// Lose drops a fraction of all packets, 0 to 1. The random sequence is the same in every run.
func (n *Net) Lose(part float64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.loss = part
}

// Scatter delays each packet by up to jitter, so that some overtake others, and duplicates a fraction of them, 0 to
// 1, with the same random sequence.
func (n *Net) Scatter(jitter time.Duration, double float64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.jitter, n.double = jitter, double
}

// Limit limits the line to each node to bitsPerSecond. Up to queue bytes wait for it; packets beyond that are lost.
func (n *Net) Limit(bitsPerSecond int64, queue int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.rate, n.queue = bitsPerSecond, queue
}

// Cut takes an address off the network, or reconnects it. An engine that is reconnected announces itself again, and
// hears the others, as with multicast DNS.
func (n *Net) Cut(addr netip.AddrPort, off bool) {
	n.mu.Lock()
	back := n.cut[addr] && !off
	n.cut[addr] = off
	var reconnected []*finder
	for f := range n.ether {
		if back && f.addr == addr {
			reconnected = append(reconnected, f)
		}
	}
	n.mu.Unlock()
	for _, f := range reconnected {
		f.introduce(true)
	}
}

// Node is an engine that runs on the simulated network.
type Node struct {
	*engine.Engine
	Addr netip.AddrPort
	net  *Net
	find *finder // nil if the test supplied its own
	stop context.CancelFunc
	done chan error
}

// Start runs an engine with cfg on the network until the test ends or Stop is called. It returns when the engine runs.
func (n *Net) Start(cfg engine.Config) *Node {
	n.t.Helper()
	return n.StartAt(n.next(), cfg)
}

// StartAt is Start at an address that another engine used before, such as one that was killed.
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
	for range e.WatchState(ctx) { // until it runs, or has failed
		if e.Self().Running {
			break
		}
	}
	n.mu.Lock()
	n.running = append(n.running, node)
	n.mu.Unlock()
	return node
}

// next returns an unused address.
func (n *Net) next() netip.AddrPort {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.count++
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(n.count >> 8), byte(n.count)}), engine.DefaultPort)
}

// Socket returns a socket on the network for a peer that is not an engine. The caller must call closeIt at the end.
func (n *Net) Socket() (conn net.PacketConn, closeIt func()) { return n.socket(n.next()) }

// Stop ends the engine and waits for it. It is idempotent.
func (n *Node) Stop() error {
	n.stop()
	err := <-n.done
	n.net.mu.Lock()
	defer n.net.mu.Unlock()
	// Otherwise the network would hold on to the node.
	n.net.running = slices.DeleteFunc(n.net.running, func(o *Node) bool { return o == n })
	return err
}

// Kill ends the engine like a crash as far as its peers can see: it sends nothing more. Its profile is closed properly.
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
		Latency: n.latency, UploadPacket: router{n},
	}
	conn := simnet.NewBlockingSimConn(net.UDPAddrFromAddrPort(addr), link)
	link.Start()
	router{n}.AddNode(conn.LocalAddr(), link)
	return conn, func() {
		n.mu.Lock()
		delete(n.nodes, addr)
		n.mu.Unlock()
		_ = conn.Close()
		_ = link.Close()
	}
}

// router carries the packets of a Net, as a simnet.Router.
type router struct{ n *Net }

// SendPacket implements simnet.Router.
func (r router) SendPacket(p simnet.Packet) error {
	n := r.n
	from, to := p.From.(*net.UDPAddr).AddrPort(), p.To.(*net.UDPAddr).AddrPort()
	n.mu.Lock()
	node, lose := n.nodes[to], n.drop
	lost := n.cut[from] || n.cut[to] || n.loss > 0 && n.dice.Float64() < n.loss
	var wait time.Duration
	if !lost && n.rate > 0 {
		wait, lost = n.waitLocked(to, len(p.Data))
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
	case node == nil || lost || lose != nil && lose(from, to): // as with UDP, a missing receiver is not an error
	case wait > 0:
		time.AfterFunc(wait, func() { node.RecvPacket(p) })
	default:
		node.RecvPacket(p)
	}
	return nil
}

// overhead is what Ethernet, IPv4 and UDP add to a packet on the wire, including the gap between frames.
const overhead = 66

// waitLocked returns how long a packet takes on the line to a node, including the wait for packets ahead of it.
func (n *Net) waitLocked(to netip.AddrPort, size int) (d time.Duration, lost bool) {
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

// AddNode implements simnet.Router.
func (r router) AddNode(addr net.Addr, receiver simnet.PacketReceiver) {
	n := r.n
	n.mu.Lock()
	defer n.mu.Unlock()
	n.nodes[addr.(*net.UDPAddr).AddrPort()] = receiver
}

// finder is the network's discovery: a browsing node learns of advertising nodes at once.
type finder struct {
	net  *Net
	addr netip.AddrPort

	mu     sync.Mutex
	self   discovery.Announcement
	to     discovery.Sink
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

func (f *finder) announcement() (discovery.Announcement, discovery.Sink) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.self, f.to
}

func (f *finder) hint() discovery.Hint {
	self, _ := f.announcement()
	if self.Known {
		return discovery.Hint{ID: self.ID, Addrs: []netip.AddrPort{f.addr}, How: "simulation", Known: true}
	}
	return discovery.Hint{ID: self.ID, Name: self.Name, Info: self.Info, Addrs: []netip.AddrPort{f.addr}, How: "simulation"}
}

// Run implements discovery.Discovery.
func (f *finder) Run(ctx context.Context, self discovery.Announcement, to discovery.Sink) error {
	f.mu.Lock()
	f.to = to
	if f.self.ID.IsZero() { // an Update that came first is newer
		f.self = self
	}
	f.mu.Unlock()
	f.net.mu.Lock()
	f.net.ether[f] = true
	f.net.mu.Unlock()
	f.introduce(true)
	<-ctx.Done()
	f.net.mu.Lock()
	delete(f.net.ether, f)
	f.net.mu.Unlock()
	f.introduce(false)
	return nil
}

// Update implements discovery.Discovery.
func (f *finder) Update(self discovery.Announcement) {
	f.mu.Lock()
	f.self = self
	f.mu.Unlock()
	f.introduce(true)
}

// Forget implements discovery.Discovery; this discovery stores nothing.
func (f *finder) Forget(engine.PeerID) {}

// Link implements discovery.Discovery: the whole network is one link.
func (f *finder) Link(netip.Addr) string { return "simulation" }

// Recheck implements discovery.Discovery: it takes a second to notice that a peer has vanished.
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

// introduce makes f and the other finders of its service known to each other, or lost if here is false.
func (f *finder) introduce(here bool) {
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
	if silent || to == nil { // Run announces an update that came before it
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
