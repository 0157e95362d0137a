// Package discovery finds peers on the local network and lets them find us:
// multicast DNS service discovery (RFC 6762, RFC 6763). What it reports are
// hints. Anyone on the network can forge one, so a hint only says where to
// dial; who is there is decided by the handshake, and whether somebody is
// still there by the conn.
//
// libp2p/zeroconf announces and answers. It reports no removals and no
// changes, keeps no cache and sends no known answers, so the other half is
// ours: a listener, a querier, a table with expiry and caps, and a watcher of
// the network's interfaces that re-registers after a change.
package discovery

import (
	"context"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"multipeer/engine/internal/identity"
)

// Announcement is what is told about ourselves.
type Announcement struct {
	ID        identity.PeerID
	Name      string // display name, at most 63 bytes
	Service   string // bare service type, such as "multipeer"
	Port      int    // UDP port of the endpoint
	Advertise bool   // let others find us
	Browse    bool   // find others
	// Known advertises the ID alone, for those who know it: no name and no info.
	Known bool
	// Info is the program's discovery info, valid by wire.ValidateInfo. It must not be changed any more.
	Info map[string]string
}

// Equal tells whether both say the same.
func (a Announcement) Equal(b Announcement) bool {
	return a.ID == b.ID && a.Name == b.Name && a.Service == b.Service && a.Port == b.Port &&
		a.Advertise == b.Advertise && a.Browse == b.Browse && a.Known == b.Known && maps.Equal(a.Info, b.Info)
}

// Hint is one peer as the network describes it. Nothing in it is proven.
type Hint struct {
	ID    identity.PeerID
	Name  string
	Info  map[string]string // not to be changed
	Addrs []netip.AddrPort  // IPv4 first
	How   string            // how it was found, for people: "mDNS"
	Known bool              // it wants to be seen only by those who know its ID
}

// Sink takes what a Discovery sees. Its methods are called from the discovery's goroutines and may block shortly.
type Sink interface {
	// Found tells a peer that appeared or whose description changed.
	Found(Hint)
	// Lost tells that a peer said goodbye or was not heard of for its time to live.
	Lost(identity.PeerID)
	// NetworkChanged tells that interfaces or addresses changed, or that the machine was asleep.
	NetworkChanged()
	// Problem tells what keeps discovery from working; nil when it works again.
	Problem(error)
}

// Config says how an MDNS looks for peers.
type Config struct {
	// Interfaces names the network interfaces to use. Empty means every one that is up and can do multicast, and
	// the loopback interface where there is no other.
	Interfaces []string
	// Known tells whom the user knows: announcements of others take no place from those. nil is nobody.
	Known func(identity.PeerID) bool
	Log   *slog.Logger
}

// Timing of RFC 6762 section 5.2, thinned out: five queries in the first 15 s find peers even where half of the
// packets are lost, one a minute later keeps the table fresh.
var querySchedule = []time.Duration{0, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second}

const (
	queryInterval = time.Minute
	recordTTL     = 120 * time.Second
	debounce      = 400 * time.Millisecond
)

// MDNS is discovery by multicast DNS. Its methods may be called concurrently.
type MDNS struct {
	cfg  Config
	kick chan struct{}
	ask  chan struct{} // a peer is in doubt

	mu    sync.Mutex
	self  Announcement
	table *table
	ifs   []iface
}

// New returns a stopped MDNS.
func New(cfg Config) *MDNS {
	if cfg.Known == nil {
		cfg.Known = func(identity.PeerID) bool { return false }
	}
	return &MDNS{cfg: cfg, kick: make(chan struct{}, 1), ask: make(chan struct{}, 1), table: newTable()}
}

// Update changes what is announced and whether others are looked for.
func (m *MDNS) Update(self Announcement) {
	m.mu.Lock()
	m.self = self
	m.mu.Unlock()
	m.poke()
}

func (m *MDNS) poke() {
	select {
	case m.kick <- struct{}{}:
	default:
	}
}

// Forget drops what is known of id, because nobody answers there. It is found again by a packet that comes a second
// from now or later.
func (m *MDNS) Forget(id identity.PeerID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.table.forget(id, time.Now())
}

// Recheck asks anew for a peer that does not answer, and drops it if nothing is heard (RFC 6762 section 10.4).
func (m *MDNS) Recheck(id identity.PeerID) {
	m.mu.Lock()
	m.table.doubt(id, time.Now())
	m.mu.Unlock()
	select {
	case m.ask <- struct{}{}:
	default:
	}
}

// Link names the interface whose network an address is on, or is empty.
func (m *MDNS) Link(a netip.Addr) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return linkOf(m.ifs, a)
}

// Run announces and browses until ctx ends, then says goodbye. It starts without a network too and goes on when
// one appears.
func (m *MDNS) Run(ctx context.Context, self Announcement, sink Sink) error {
	m.mu.Lock()
	if m.self.ID.IsZero() { // an Update that came first is newer
		m.self = self
	}
	m.mu.Unlock()

	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	l := newListener(m.cfg.Log)
	defer l.close()
	wg.Go(func() { l.read(ctx, func(p packet) { m.receive(p, sink) }) })

	changes := make(chan struct{}, 1)
	wg.Go(func() { watchNetwork(ctx, changes) })

	reg := &registrar{log: m.cfg.Log}
	defer reg.close()

	q := querier{next: time.NewTimer(0)}
	defer q.next.Stop()
	sweep := time.NewTicker(250 * time.Millisecond)
	defer sweep.Stop()
	var settle <-chan time.Time
	var asked time.Time // for a peer in doubt
	var askAgain <-chan time.Time
	problem := &problemReporter{sink: sink}

	reconcile := func() (changed bool) {
		m.mu.Lock()
		self := m.self
		m.mu.Unlock()
		now, err := usable(m.cfg.Interfaces)
		m.mu.Lock()
		changed = !slices.EqualFunc(now, m.ifs, iface.equal)
		m.ifs = now
		m.mu.Unlock()
		if err == nil {
			err = l.join(now)
		}
		if e := reg.reconcile(self, now); err == nil {
			err = e
		}
		problem.report(err)
		return changed
	}
	reconcile()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-m.kick:
			reconcile()
			q.restart(0)
		case <-m.ask:
			// Doubts that come faster share their queries: forged peers could make us flood the network otherwise.
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
			// A wake-up changes nothing that can be seen, but peers have to be asked anew all the same.
			reconcile()
			sink.NetworkChanged()
			q.restart(50 * time.Millisecond)
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

// receive takes one multicast packet from the listener.
func (m *MDNS) receive(p packet, sink Sink) {
	m.mu.Lock()
	i := slices.IndexFunc(m.ifs, func(f iface) bool { return f.Index == p.ifIndex })
	if i < 0 || !m.self.Browse || !m.ifs[i].sends(p.from) {
		m.mu.Unlock()
		return
	}
	now := time.Now()
	var found []Hint
	for _, s := range parse(p.data, m.self.Service, m.ifs[i]) {
		if s.id == m.self.ID {
			continue
		}
		if h, ok := m.table.see(s, p.from, now, m.cfg.Known(s.id)); ok {
			found = append(found, h)
		}
	}
	m.mu.Unlock()
	for _, h := range found {
		sink.Found(h)
	}
}

// problemReporter tells a problem once, and once that it is over.
type problemReporter struct {
	sink Sink
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
