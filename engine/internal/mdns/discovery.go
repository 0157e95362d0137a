// Package mdns finds peers on the local network and makes this device discoverable, by multicast DNS service
// discovery (RFC 6762, RFC 6763). It reports hints. Anyone on the network can forge one, so a hint only says where to
// dial; the handshake identifies the peer, and the connection shows whether the peer is still there.
//
// libp2p/zeroconf sends the first query after a start or a network change, and listens briefly. It reports no removals
// and no changes, keeps no cache and sends no known answers, and its responder answers everything, from anywhere and
// without a rate limit. So this package adds a listener, a querier, a table with expiry and caps, a rate-limited
// responder, and a watcher of the network interfaces.
package mdns

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"multipeer/engine/discovery"
	"multipeer/engine/internal/identity"

	"github.com/libp2p/zeroconf/v2"
)

// Config configures how a Finder looks for peers.
type Config struct {
	// Interfaces names the network interfaces to use. Empty means every one that is up and supports multicast, and
	// the loopback interface if there is no other.
	Interfaces []string
	// Known reports whether the user knows a peer: announcements by unknown peers take no table entry from known
	// ones. Nil means that no peer is known.
	Known func(identity.PeerID) bool
	Log   *slog.Logger
}

// The query timing of RFC 6762 section 5.2, thinned out: five queries in the first 15 s find peers even if half of the
// packets are lost; after that, one query a minute keeps the table fresh.
var querySchedule = []time.Duration{0, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second}

const (
	queryInterval = time.Minute
	recordTTL     = 120 * time.Second
	debounce      = 400 * time.Millisecond
)

// Finder is discovery by multicast DNS. Its methods may be called concurrently.
type Finder struct {
	cfg  Config
	kick chan struct{}
	ask  chan struct{} // signals that a peer is in doubt
	due  chan struct{} // signals that the responder has something to send

	mu    sync.Mutex
	self  discovery.Announcement
	table *table
	ifs   []iface
	own   *responder
}

// New returns a stopped Finder.
func New(cfg Config) *Finder {
	if cfg.Known == nil {
		cfg.Known = func(identity.PeerID) bool { return false }
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Finder{
		cfg: cfg, kick: make(chan struct{}, 1), ask: make(chan struct{}, 1), due: make(chan struct{}, 1),
		table: newTable(), own: newResponder(cfg.Log),
	}
}

// Update changes what is announced, and whether the Finder looks for other devices.
func (m *Finder) Update(self discovery.Announcement) {
	m.mu.Lock()
	m.self = self
	m.mu.Unlock()
	m.poke()
}

func (m *Finder) poke() {
	select {
	case m.kick <- struct{}{}:
	default:
	}
}

// Forget drops what is known about id, because nothing answers at its address. A packet that arrives at least one
// second from now adds it again.
func (m *Finder) Forget(id identity.PeerID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.table.forget(id, time.Now())
}

// Recheck queries again for a peer that does not answer, and drops it if it is not heard from (RFC 6762 section 10.4).
func (m *Finder) Recheck(id identity.PeerID) {
	m.mu.Lock()
	m.table.doubt(id, time.Now())
	m.mu.Unlock()
	select {
	case m.ask <- struct{}{}:
	default:
	}
}

// Link returns the interface whose network an address is on, or "".
func (m *Finder) Link(a netip.Addr) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return linkOf(m.ifs, a)
}

// Run announces and browses until ctx ends, then says goodbye. It also starts without a network, and continues when
// one appears.
func (m *Finder) Run(ctx context.Context, self discovery.Announcement, sink discovery.Sink) error {
	m.mu.Lock()
	if m.self.ID.IsZero() { // an earlier Update is newer
		m.self = self
	}
	m.mu.Unlock()

	var wg sync.WaitGroup
	defer wg.Wait()
	// The sockets are read until the goodbyes are sent.
	reading, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	l := newListener(m.cfg.Log)
	defer l.leave()
	wg.Go(func() { l.read(reading, func(p packet) { m.receive(p, sink) }) })

	changes := make(chan struct{}, 1)
	wg.Go(func() { watchNetwork(ctx, m.cfg.Interfaces, changes) })

	answers := time.NewTimer(0)
	defer answers.Stop()
	defer m.takeLeave(l)

	library := browsing{ended: make(chan error, 1)}
	defer library.stop()

	q := querier{next: time.NewTimer(queryInterval)}
	defer q.next.Stop()
	sweep := time.NewTicker(250 * time.Millisecond)
	defer sweep.Stop()
	var settle <-chan time.Time
	var asked time.Time // for a peer in doubt
	var askAgain <-chan time.Time
	problem := &problemReporter{sink: sink}

	reconcile := func() {
		m.mu.Lock()
		self := m.self
		m.mu.Unlock()
		now, err := usable(m.cfg.Interfaces)
		if err == nil {
			err = l.join(now)
		}
		m.mu.Lock()
		m.ifs = now
		byes, e := m.own.reconcile(self, now, time.Now())
		m.mu.Unlock()
		if err == nil {
			err = e
		}
		for _, o := range byes {
			l.send(o)
		}
		answers.Reset(0)
		problem.report(err)
	}
	// queryAll queries everyone, as after a start. The library requests multicast answers, and also receives unicast
	// ones; on Linux our own IPv4 socket receives no unicast.
	queryAll := func() {
		m.mu.Lock()
		browses, service, ifs := m.self.Browse && l.err == nil && len(m.ifs) > 0, m.self.Service, m.ifs
		m.mu.Unlock()
		q.restart(0)
		if !browses || !library.due(time.Now()) {
			return
		}
		q.alone = true
		library.start(ctx, func(ctx context.Context) error {
			return browse(ctx, service, ifs, func(e *zeroconf.ServiceEntry) { m.hear(e, service, sink) })
		})
	}
	reconcile()
	queryAll()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-m.kick:
			reconcile()
			q.restart(0)
		case <-m.ask:
			// Doubts in quick succession share their queries: otherwise forged peers could make us flood the network.
			if wait := doubtful - time.Since(asked); wait > 0 && askAgain == nil {
				askAgain = time.After(wait)
			} else if wait <= 0 {
				asked = time.Now()
				q.restart(0)
			}
		case <-askAgain:
			askAgain, asked = nil, time.Now()
			q.restart(0)
		case <-changes:
			if settle == nil {
				settle = time.After(debounce)
			}
		case <-settle:
			settle = nil
			// A wake-up changes nothing visible, but peers have to be queried again anyway.
			reconcile()
			sink.NetworkChanged()
			queryAll()
		case err := <-library.ended:
			if err != nil { // our own queries continue
				m.cfg.Log.Debug("browsing", "err", err)
			}
		case <-m.due:
			answers.Reset(0)
		case <-answers.C:
			m.sendDue(l, answers)
		case <-q.next.C:
			m.query(l, &q)
		case <-sweep.C:
			m.mu.Lock()
			lost := m.table.sweep(time.Now())
			m.mu.Unlock()
			for _, id := range lost {
				sink.Lost(id)
			}
		}
	}
}

// sendDue sends what the responder has due.
func (m *Finder) sendDue(l *listener, next *time.Timer) {
	now := time.Now()
	m.mu.Lock()
	out, again := m.own.due(now)
	m.mu.Unlock()
	for _, o := range out {
		l.send(o)
	}
	if !again.IsZero() {
		next.Reset(again.Sub(now))
	}
}

// takeLeave says goodbye on all links.
func (m *Finder) takeLeave(l *listener) {
	m.mu.Lock()
	byes := m.own.close()
	m.mu.Unlock()
	for _, o := range byes {
		l.send(o)
	}
}

// linkFor finds the interface on which a packet arrived; false if it is not one of ours. If the system does not report
// the interface, it is the one whose network the sender is on.
func linkFor(ifs []iface, p packet) (iface, bool) {
	from := p.from.Addr()
	i := slices.IndexFunc(ifs, func(f iface) bool {
		switch {
		case p.ifIndex != 0:
			return f.Index == p.ifIndex
		case from.Zone() != "":
			return f.Name == from.Zone()
		}
		return f.sends(from)
	})
	if i < 0 {
		return iface{}, false
	}
	// A packet to the group comes from this link, whatever its source: several networks may share one link (RFC 6762
	// section 11).
	if f := ifs[i]; !p.group && !f.sends(from) { // guard: mdns-on-link
		return iface{}, false
	}
	return ifs[i], true
}

// receive processes one packet from the listener.
func (m *Finder) receive(p packet, sink discovery.Sink) {
	m.mu.Lock()
	f, ok := linkFor(m.ifs, p)
	if !ok {
		m.mu.Unlock()
		return
	}
	p.ifIndex = f.Index
	now := time.Now()
	if isQuery(p.data) {
		news := m.own.ask(p, now)
		m.mu.Unlock()
		if news {
			select {
			case m.due <- struct{}{}:
			default:
			}
		}
		return
	}
	if !m.self.Browse || p.from.Port() != mdnsPort { // RFC 6762 section 6: responses come from port 5353
		m.mu.Unlock()
		return
	}
	sightings := parse(p.data, m.self.Service, f)
	for i := range sightings {
		sightings[i].multicast = !p.direct
	}
	found := m.seeLocked(sightings, p.from.Addr(), now)
	m.mu.Unlock()
	for _, h := range found {
		sink.Found(h)
	}
}

// hear processes an entry of the library. The library does not report the link, so the entry may be from any of them.
func (m *Finder) hear(e *zeroconf.ServiceEntry, service string, sink discovery.Sink) {
	now := time.Now()
	m.mu.Lock()
	if !m.self.Browse { // the library may still be browsing
		m.mu.Unlock()
		return
	}
	var found []discovery.Hint
	for _, f := range m.ifs {
		s, ok := sightingOn(e, service, f, now)
		if !ok || service != m.self.Service {
			continue
		}
		if len(m.ifs) > 1 { // a link-local address may belong to any link, so it does not identify this one
			s.addrs = slices.DeleteFunc(s.addrs, func(a netip.AddrPort) bool { return a.Addr().IsLinkLocalUnicast() })
		}
		if len(s.addrs) > 0 {
			found = append(found, m.seeLocked([]sighting{s}, s.addrs[0].Addr(), now)...)
		}
	}
	m.mu.Unlock()
	for _, h := range found {
		sink.Found(h)
	}
}

// seeLocked records sightings and returns the hints that are new.
func (m *Finder) seeLocked(all []sighting, from netip.Addr, now time.Time) (found []discovery.Hint) {
	for _, s := range all {
		if s.id == m.self.ID {
			if s.ttl > 0 && !isOwn(from) { // another device has our identity, or claims it
				found = append(found, discovery.Hint{ID: s.id, Addrs: s.addrs, How: "mDNS"})
			}
			continue
		}
		if h, ok := m.table.see(s, from, now, m.cfg.Known(s.id)); ok {
			found = append(found, h)
		}
	}
	return found
}

// isOwn reports whether an address belongs to this device, on any interface.
func isOwn(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if a.IsLoopback() || !a.IsValid() {
		return true
	}
	own, err := net.InterfaceAddrs()
	return err != nil || slices.ContainsFunc(own, func(n net.Addr) bool {
		p, err := netip.ParsePrefix(n.String())
		return err == nil && p.Addr() == a
	})
}

// browsing runs the library, one run at a time.
type browsing struct {
	cancel context.CancelFunc // nil while it does not run
	done   chan struct{}
	ended  chan error // the result of a run that ended by itself
	began  time.Time  // when the last run began
}

// due reports whether a run may begin, and counts it.
func (b *browsing) due(now time.Time) bool {
	if !b.began.IsZero() && now.Sub(b.began) < libraryEvery { // guard: library-often
		return false
	}
	b.began = now
	return true
}

// start stops the current run and starts a new one.
func (b *browsing) start(ctx context.Context, run func(context.Context) error) {
	b.stop()
	ctx, b.cancel = context.WithCancel(ctx)
	b.done = make(chan struct{})
	go func(done chan struct{}) {
		defer close(done)
		err := run(ctx)
		if ctx.Err() != nil {
			return
		}
		select {
		case b.ended <- err:
		default:
		}
	}(b.done)
}

// stop stops the current run and waits for it.
func (b *browsing) stop() {
	if b.cancel != nil {
		b.cancel()
		<-b.done
		b.cancel = nil
	}
}

// problemReporter reports each problem once, and once when it is over.
type problemReporter struct {
	sink discovery.Sink
	last string
}

func (p *problemReporter) report(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != p.last {
		p.last = text
		p.sink.Problem(err)
	}
}
