// Package transfers runs offers and the transfers of files that they become: it sends and answers offers, opens lanes,
// has package transfer move the data over them, and resumes what was interrupted. It knows peers by their IDs, and
// connections by the interface Link. All methods of Manager may be called concurrently.
package transfers

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/tasks"
	"multipeer/engine/internal/wire"
	"multipeer/transfer"
)

const (
	// keptTransfers limits the finished transfers that are remembered, keptOffers the offers that no one accepted.
	keptTransfers = 500
	keptOffers    = 50
)

// Config is what a Manager needs.
type Config struct {
	Host    Host
	Asks    Asks
	Profile *identity.Profile
	Tasks   *tasks.Group
	Calls   *tasks.Group    // for the program's functions
	Ended   <-chan struct{} // closed when the engine is closed
	Log     *slog.Logger

	Service   string // the stored transfers of other services are left alone
	Spool     string // the folder for content that comes from readers; empty means a temporary one
	Copies    string // the file that records which received files are copies; empty means none
	MaxLanes  int
	TCP       bool // lanes may use TCP
	LanePorts bool // lanes have their own ports; otherwise they use the port of the session
}

// Manager holds the offers and transfers of one engine.
type Manager struct {
	host      Host
	asks      Asks
	profile   *identity.Profile
	tasks     *tasks.Group
	calls     *tasks.Group
	ended     <-chan struct{}
	log       *slog.Logger
	service   string
	copies    transfer.Copies // nil without a profile
	maxLanes  int
	tcp       bool
	lanePorts bool
	before    map[ID]time.Time // the transfers that had ended before New, and when; never modified later
	writer    storeWriter
	spool     spool

	// mu guards what follows and the fields of every item. While it is held, only leaf locks may be taken: those of a
	// run and of the store's writer, and those of the host that its interface allows.
	mu         sync.Mutex
	dialer     Dialer // set while the engine runs
	transfers  map[ID]*item
	discarding map[ID]chan struct{}     // transfers whose data is being removed; closed when that is done
	probing    map[identity.PeerID]bool // peers that a waiting transfer is dialling
	turns      turns
}

// New returns a manager with the transfers that the profile holds. They resume with Start.
func New(c Config) *Manager {
	m := &Manager{
		host: c.Host, asks: c.Asks, profile: c.Profile, tasks: c.Tasks, calls: c.Calls, ended: c.Ended, log: c.Log, service: c.Service,
		maxLanes: c.MaxLanes, tcp: c.TCP, lanePorts: c.LanePorts,
		before: map[ID]time.Time{}, transfers: map[ID]*item{}, discarding: map[ID]chan struct{}{}, probing: map[identity.PeerID]bool{},
	}
	if c.Spool != "" {
		if abs, err := filepath.Abs(c.Spool); err == nil { // the program may change its working directory
			c.Spool = abs
		}
	}
	m.spool.folder, m.spool.log, m.spool.tasks = c.Spool, c.Log, c.Tasks
	if c.Copies != "" {
		m.copies = &copies{path: c.Copies, log: c.Log}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.restoreLocked()
	return m
}

// Start resumes the stored transfers.
func (m *Manager) Start(d Dialer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dialer = d
	m.resumeLocked()
	m.startSaving()
}

// Flush stores what has not been stored yet, and returns when it is durable. The engine calls it at its end.
func (m *Manager) Flush() error { return m.writer.write(m.profile.KeepJob) }

// Close stores what has not been stored yet, and removes what is not needed any more. The engine calls it last.
func (m *Manager) Close() error {
	return errors.Join(m.Flush(), m.spool.clean(), m.spool.close())
}

// EndedBefore returns the transfers that had ended before New, and when.
func (m *Manager) EndedBefore() map[ID]time.Time { return maps.Clone(m.before) }

// now is the clock; under testing/synctest it is the bubble's clock.
func now() time.Time { return time.Now() }

// newLocked creates a record.
func (m *Manager) newLocked(id ID, peer identity.PeerID, name string, incoming bool) *item {
	m.trimLocked()
	return &item{
		view:  Transfer{ID: id, Peer: peer, PeerName: name, Incoming: incoming, State: Queued},
		order: int64(len(m.transfers)) + now().UnixNano(), decisions: m.profile.Decisions(peer),
		answer: make(chan offerAnswer, 1), start: make(chan attempt, 1), wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
}

// launchLocked runs f for t on a goroutine of the engine, with a context that stopLocked ends; it returns
// false if the engine is ending. From its return on, the transfer can be cancelled.
func (m *Manager) launchLocked(t *item, f func(ctx context.Context)) bool {
	return m.tasks.Start(func(context.Context) {
		defer t.cancel(nil)
		f(t.ctx)
	}, func(ctx context.Context) { t.ctx, t.cancel = context.WithCancelCause(ctx) })
}

// trimLocked forgets the oldest finished transfers, here and in the profile. Offers that no one has accepted
// are counted separately: strangers can make as many as they like, and must not push out what a person has accepted.
func (m *Manager) trimLocked() {
	var offers, others []*item
	for _, t := range m.orderedLocked() {
		switch {
		case !t.view.State.Final():
		case t.view.Incoming && !t.accepted: // guard: offers-kept
			offers = append(offers, t)
		default:
			others = append(others, t)
		}
	}
	forget := func(list []*item, kept int) {
		for _, t := range list[:max(0, len(list)-kept)] {
			if t.view.Incoming && t.view.State == Failed { // guard: failed-kept
				m.discardLocked(t) // nothing else would remove what has arrived for a month
			}
			delete(m.transfers, t.view.ID)
			m.writer.put(recordKey(m.service, t.view.ID), nil)
		}
	}
	forget(offers, keptOffers-1)
	forget(others, keptTransfers-1)
}

// orderedLocked lists the transfers in the order in which they were created.
func (m *Manager) orderedLocked() []*item {
	out := make([]*item, 0, len(m.transfers))
	for _, t := range m.transfers {
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b *item) int { return int(a.order - b.order) })
	return out
}

// ofLocked returns the transfer with this ID if it is with this peer, or nil.
func (m *Manager) ofLocked(peer identity.PeerID, id string) *item {
	if t := m.transfers[ID(id)]; t != nil && t.view.Peer == peer {
		return t
	}
	return nil
}

// List lists offers and transfers, running and finished, in the order in which they were created.
func (m *Manager) List() []Transfer {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Transfer
	for _, t := range m.orderedLocked() {
		out = append(out, t.currentViewLocked())
	}
	return out
}

// Freeze calls f with the transfers and the offers that wait for a person's answer, none of which changes in the
// meantime.
func (m *Manager) Freeze(f func(transfers []Transfer, offers []*Offer)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var views []Transfer
	var offers []*Offer
	for _, t := range m.orderedLocked() {
		views = append(views, t.view)
		if t.offer != nil && t.view.State == Offered && !t.held && !t.byPolicy {
			offers = append(offers, t.offer)
		}
	}
	f(views, offers)
}

// currentViewLocked returns the view with the values that change all the time.
func (t *item) currentViewLocked() Transfer {
	v := t.view
	v.Moved = t.moved
	if t.spooled == "" {
		v.Paths = t.paths
	}
	if t.run != nil {
		var moved int64
		v.Lanes, moved = t.run.details()
		v.Moved += moved
	}
	return v
}

// publishLocked publishes the current state of t.
func (m *Manager) publishLocked(t *item) {
	m.host.Publish(t.currentViewLocked())
}

// Wait waits until a transfer has ended and returns it.
func (m *Manager) Wait(ctx context.Context, id ID) (Transfer, error) {
	m.mu.Lock()
	t := m.transfers[id]
	m.mu.Unlock()
	if t == nil {
		return Transfer{}, wire.ErrUnknownOffer
	}
	select {
	case <-t.done:
	case <-ctx.Done():
		return Transfer{}, wire.EndOf(ctx)
	case <-m.ended:
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !t.view.State.Final() {
		return t.currentViewLocked(), wire.ErrClosed
	}
	return t.currentViewLocked(), nil
}
