// Package peers holds what an engine knows about other devices, and the connections and sessions with them: it finds,
// dials and answers them, invites and admits them, and carries messages, streams and datagrams. What it needs from the
// engine around it is in its interfaces Host, Transfers and Pairings.
package peers

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"maps"
	"sync"
	"time"

	"multipeer/engine/discovery"
	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/peers/internal/asks"
	"multipeer/engine/internal/peers/internal/window"
	"multipeer/engine/internal/tasks"
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"

	"golang.org/x/time/rate"
)

// Config configures a Manager. All fields but Verify, AcceptIf and Context are required; the rest of the engine is
// attached by Attach.
type Config struct {
	Host    Host
	Finder  discovery.Discovery
	Profile *identity.Profile
	Tasks   *tasks.Group
	Ended   <-chan struct{} // closed when the engine has ended
	Log     *slog.Logger
	Panics  *slog.Logger // gets the panics of AcceptIf, and of handling what a peer sends

	Self       Self // the initial state
	Invite     Audience
	Accept     Audience
	MaxPeers   int
	Interfaces []string
	Context    json.RawMessage
	AcceptIf   func(from Peer, context json.RawMessage) bool
	Verify     func(id PeerID, certificate []byte) error
}

// Manager is the table of peers with everything that happens to them. Its lock comes before those of the transfers and
// the pairings. Its methods may be called concurrently.
type Manager struct {
	cfg       Config
	log       *slog.Logger
	profile   *identity.Profile
	tasks     *tasks.Group
	host      Host
	finder    discovery.Discovery
	transfers Transfers
	pairings  Pairings
	boot      string
	asks      *asks.Asks
	parking   *window.Budget // for the messages of all peers that wait for room in the program's queues
	links     links
	unread    unread
	// strangersEcho limits the echo streams of all strangers together.
	strangersEcho *rate.Limiter

	announcing sync.Mutex // serializes updates to discovery

	mu       sync.Mutex // shared by the parts below
	closed   bool
	self     Self
	context  json.RawMessage // sent with invitations and answers
	problem  error
	peers    map[PeerID]*peer
	endpoint *transport.Endpoint
	laneUDP  int // the ports that accept lanes; 0 means none
	laneTCP  int
	timed    int        // counts changes of the visibility
	lasting  Visibility // the visibility to return to

	table       peerTable
	dialer      dialer
	acceptor    acceptor
	sessions    sessions
	invitations invitations
	exchange    exchange
	conflicts   conflicts
}

// New returns a manager that does nothing before Open. Attach must be called before anything else.
func New(cfg Config) *Manager {
	m := &Manager{
		cfg: cfg, log: cfg.Log, profile: cfg.Profile, tasks: cfg.Tasks, host: cfg.Host, finder: cfg.Finder,
		boot: rand.Text()[:16], asks: asks.New(cfg.Profile), parking: window.NewBudget(maxParked), links: links{of: map[PeerID]*Link{}},
		unread: unread{tasks: cfg.Tasks, links: map[unreadLink]*unreadBytes{}},
		self:   cfg.Self, context: cfg.Context, peers: map[PeerID]*peer{},
	}
	m.strangersEcho = rate.NewLimiter(strangersEchoRate, echoChunk)
	m.table = peerTable{m}
	m.dialer = dialer{m, make(chan struct{}, maxDials), make(chan struct{}, maxDials)}
	m.acceptor = acceptor{m}
	m.sessions = sessions{m, map[PeerID]*session{}}
	m.invitations = invitations{m: m, kicked: map[PeerID]bool{}}
	m.exchange = newExchange(m)
	m.conflicts = newConflicts(m)
	return m
}

// Attach connects the other parts of the engine.
func (m *Manager) Attach(t Transfers, p Pairings) { m.transfers, m.pairings = t, p }

// Asks returns the limits on what peers may ask a person.
func (m *Manager) Asks() *asks.Asks { return m.asks }

// Open begins the run with an open socket.
func (m *Manager) Open(endpoint *transport.Endpoint, lanes *transport.Lanes) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if lanes != nil {
		m.laneUDP, m.laneTCP = lanes.Ports()
	}
	m.endpoint = endpoint
	m.self.Port, m.self.Running = endpoint.Port(), true
	m.publish(SelfChanged{m.selfViewLocked()})
}

// Find has discovery announce this engine and find others until ctx ends.
func (m *Manager) Find(ctx context.Context) {
	m.mu.Lock()
	announcement := m.self.announcement()
	m.mu.Unlock()
	if err := m.finder.Run(ctx, announcement, (*sink)(m)); err != nil && ctx.Err() == nil {
		(*sink)(m).Problem(err)
	}
}

// Start starts accepting and dialling. The addresses are dialled repeatedly.
func (m *Manager) Start(lanes *transport.Lanes, addresses []string) {
	m.tasks.Start(m.acceptor.acceptConns)
	if lanes != nil {
		m.tasks.Start(func(ctx context.Context) { m.acceptor.acceptLanes(ctx, lanes) })
	}
	for _, address := range addresses {
		m.tasks.Start(func(ctx context.Context) { m.dialer.keepDialling(ctx, address) })
	}
	m.tasks.Start(m.dialer.reconnectKnown)
	m.tasks.Start(m.exchange.announce)
	m.tasks.Start(m.exchange.dialHints)
}

// SayGoodbye closes every connection with Bye, so that the peers know at once.
func (m *Manager) SayGoodbye() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.peers {
		if p.link != nil {
			p.link.conn.Close(wire.Bye)
		}
	}
}

// Close ends all sessions. Nothing is found afterwards.
func (m *Manager) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.self.Running = false
	for _, p := range m.peers {
		if p.session != nil {
			p.session.window.End(wire.ErrClosed)
		}
	}
}

// Freeze calls f with what programs are shown, which does not change during the call.
func (m *Manager) Freeze(f func(Shown)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := Shown{Self: m.selfViewLocked(), Problem: m.problem, Peers: m.table.viewsLocked(), Conflicts: m.conflicts.listLocked()}
	for _, p := range m.peers {
		if p.invitation != nil {
			s.Invitations = append(s.Invitations, p.invitation)
		}
	}
	f(s)
}

// Shown is what programs are shown of the peers.
type Shown struct {
	Self        Self
	Peers       []Peer
	Invitations []*Invitation
	Conflicts   []Conflict
	Problem     error
}

// Self describes this engine.
func (m *Manager) Self() Self {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.selfViewLocked()
}

// selfViewLocked returns a copy of self.
func (m *Manager) selfViewLocked() Self {
	s := m.self
	s.Info = maps.Clone(s.Info)
	return s
}

// Update changes how this engine appears to others. change gets a copy, and must not change Port, Running and Visible.
func (m *Manager) Update(change func(*Self)) {
	m.announcing.Lock()
	defer m.announcing.Unlock()
	m.mu.Lock()
	old := m.self
	change(&m.self)
	changed := !old.equal(m.self)
	announcement := m.self.announcement()
	if changed {
		m.publish(SelfChanged{m.selfViewLocked()})
	}
	if old.Name != m.self.Name || !maps.Equal(old.Info, m.self.Info) || old.open() != m.self.open() {
		for _, p := range m.peers {
			if p.link != nil {
				p.link.Send(m.self.wireInfo())
			}
		}
	}
	ready := m.endpoint != nil
	m.mu.Unlock()
	if changed && ready {
		m.finder.Update(announcement)
	}
}

// Context returns what is sent with invitations and answers.
func (m *Manager) Context() json.RawMessage {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.context
}

// SetContext changes what is sent with invitations and answers from now on.
func (m *Manager) SetContext(encoded json.RawMessage) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.context = encoded
}

// Problem returns what currently keeps this engine from finding others, or nil.
func (m *Manager) Problem() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.problem
}

// Conflicts lists the identities that two devices have used since this engine started, newest first.
func (m *Manager) Conflicts() []Conflict {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.conflicts.listLocked()
}

// now is the clock; under testing/synctest it is the bubble's clock.
func now() time.Time { return time.Now() }

// afterFuncLocked runs f after d with the lock held, unless the engine ends first.
func (m *Manager) afterFuncLocked(d time.Duration, f func()) (stop func()) {
	stopped := make(chan struct{})
	m.tasks.Start(func(ctx context.Context) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-stopped:
		case <-timer.C:
			m.mu.Lock()
			defer m.mu.Unlock()
			f()
		case <-ctx.Done():
		}
	})
	return sync.OnceFunc(func() { close(stopped) })
}

func (m *Manager) publish(ev Event) (refused wire.Code) { return m.host.Publish(ev) }

// until calls try at once and after each change, until try returns true, ctx ends or the engine ends.
func (m *Manager) until(ctx context.Context, try func() bool) {
	for {
		changed := m.host.Changed()
		if ctx.Err() != nil || try() {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		case <-m.cfg.Ended:
			return
		}
	}
}

// knows reports whether a user here has accepted a peer, now or before.
func (m *Manager) knows(id PeerID) bool { return m.profile.Knows(id) }

var _ discovery.Sink = (*sink)(nil)
