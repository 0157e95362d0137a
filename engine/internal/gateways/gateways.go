// Package gateways holds the devices that gateways have found. These devices do not speak this engine's protocol: we
// have no session and no connection with them. Offers to and from them are transfers like all others, except that the
// gateway moves the data.
package gateways

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"multipeer/engine/gateway"
	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/tasks"
	"multipeer/engine/internal/wire"
)

// Peer is the view of a device.
type Peer struct {
	ID        identity.PeerID
	Via       string
	Device    gateway.Device // its name is safe to display
	Trust     identity.Trust
	LooksLike identity.PeerID
	Auto      identity.Auto
}

// Host is what gateways need from the engine around them.
type Host interface {
	// Changed reports a device that was found or has changed, Gone one that is gone. They must not call the manager.
	Changed(p Peer)
	Gone(p Peer)
	// TakeText passes text to the program. The error says why no reader has taken it.
	TakeText(from Peer, text string) error
	// TakeOffer passes an offer that came over a link to the transfers; Withdraw reports that the device withdrew it.
	TakeOffer(l *Link, o wire.Offer)
	Withdraw(l *Link, id string)
	// Wait waits until a transfer has ended, and returns why it was not delivered.
	Wait(ctx context.Context, id string) error
	// LinkDown reports that a device is gone.
	LinkDown(l *Link)
}

// maxDevices limits the number of devices across all gateways. maxStrangers limits those that no one has accepted,
// because an attacker can make up any number of them.
const (
	maxDevices   = 256
	maxStrangers = 192
)

// Config is what a Manager needs.
type Config struct {
	Host     Host
	Gateways []gateway.Gateway
	Profile  *identity.Profile
	Tasks    *tasks.Group
	Log      *slog.Logger
}

// Manager holds the devices of all gateways. Its methods may be called concurrently.
type Manager struct {
	host     Host
	gateways []gateway.Gateway
	profile  *identity.Profile
	tasks    *tasks.Group
	log      *slog.Logger

	// publishing keeps publications in the order of the changes. It is taken before any lock of the transfers.
	publishing sync.Mutex

	mu      sync.Mutex // guards what follows; only Profile.mu may be taken while it is held
	self    gateway.Self
	devices map[identity.PeerID]*Link

	count atomic.Int32 // how many devices there are
}

// New returns a manager without devices.
func New(c Config, self gateway.Self) *Manager {
	return &Manager{
		host: c.Host, gateways: c.Gateways, profile: c.Profile, tasks: c.Tasks, log: c.Log, self: self,
		devices: map[identity.PeerID]*Link{},
	}
}

// Run runs the gateways until ctx ends. Unanswered offers from devices end then, too.
func (m *Manager) Run(ctx context.Context) {
	defer context.AfterFunc(ctx, func() {
		for _, l := range m.links() {
			m.host.LinkDown(l)
		}
	})()
	var running sync.WaitGroup
	for _, g := range m.gateways {
		running.Go(func() {
			m.mu.Lock()
			self := m.self
			m.mu.Unlock()
			if err := g.Run(ctx, self, sink{m, g}); err != nil && ctx.Err() == nil {
				m.log.Error("a gateway has ended", "gateway", g.Name(), "err", err)
			}
		})
	}
	running.Wait()
}

// Update changes what the gateways announce.
func (m *Manager) Update(self gateway.Self) {
	m.mu.Lock()
	changed := m.self != self
	m.self = self
	m.mu.Unlock()
	if !changed {
		return
	}
	for _, g := range m.gateways {
		g.Update(self)
	}
}

// Link returns the link to a device, or nil.
func (m *Manager) Link(id identity.PeerID) *Link {
	if m.count.Load() == 0 { // messages to all peers pass through here
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.devices[id]
}

// Peer returns the view of a device.
func (m *Manager) Peer(id identity.PeerID) (Peer, bool) {
	l := m.Link(id)
	if l == nil {
		return Peer{}, false
	}
	return m.view(l), true
}

// Peers lists the devices.
func (m *Manager) Peers() []Peer {
	var out []Peer
	for _, l := range m.links() {
		out = append(out, m.view(l))
	}
	return out
}

func (m *Manager) links() []*Link {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Values(m.devices))
}

// Freeze calls f with the devices, none of which changes meanwhile.
func (m *Manager) Freeze(f func([]Peer)) {
	m.publishing.Lock()
	defer m.publishing.Unlock()
	f(m.Peers())
}

// Republish publishes the state of all devices. It is called when the user has decided about a peer, because a device's
// name may look like that peer's name.
func (m *Manager) Republish() {
	m.publishing.Lock()
	defer m.publishing.Unlock()
	for _, p := range m.Peers() {
		m.host.Changed(p)
	}
}

// Accepted records that the user has accepted an offer from a device, or that the device has accepted the user's offer.
// decisions is identity.Profile.Decisions at the time of the user's action. A device that proves no key stays a
// stranger, because another device could take its place.
func (m *Manager) Accepted(l *Link, name string, decisions int) {
	if !l.current().Proven { // guard: gateway-unproven
		return
	}
	taken := !m.profile.Impersonated(l.id, name).IsZero()
	m.tasks.Start(func(context.Context) { // the disk may be slow, and nothing waits for it
		err := m.profile.Accept(l.id, decisions, func(r *identity.Record) {
			if name != "" && (r.Name == "" || !taken) { // a name that belongs to another peer is not stored
				r.Name = name
			}
			r.Last = now()
		})
		if err != nil {
			m.log.Error("keeping a device", "err", err)
			return
		}
		m.Republish()
	})
}

// view returns the public view of a device.
func (m *Manager) view(l *Link) Peer {
	d := l.current()
	d.Name = wire.CleanLine(d.Name)
	if d.Name == "" {
		d.Name = "unnamed"
	}
	known := m.profile.Peer(l.id)
	return Peer{ID: l.id, Via: l.gateway.Name(), Device: d, Trust: known.Trust, LooksLike: m.profile.Impersonated(l.id, d.Name), Auto: known.Auto}
}

// found adds a device, or updates it. It returns nil if there are too many.
func (m *Manager) found(g gateway.Gateway, d gateway.Device) *Link {
	d.Name = shortName(d.Name)
	id := gateway.PeerID(g.Name(), d.Key)
	m.publishing.Lock()
	defer m.publishing.Unlock()
	m.mu.Lock()
	l := m.devices[id]
	limit := maxDevices
	if !m.profile.Knows(id) {
		limit = maxStrangers
	}
	if l == nil && len(m.devices) >= limit { // guard: gateway-devices
		m.mu.Unlock()
		return nil
	}
	fresh := l == nil
	if fresh {
		l = &Link{m: m, gateway: g, id: id, done: make(chan struct{}), texts: make(chan struct{}, 1), offers: map[string]*incoming{}}
		m.devices[id] = l
		m.count.Store(int32(len(m.devices)))
	}
	m.mu.Unlock()
	if l.update(d) || fresh {
		m.host.Changed(m.view(l))
	}
	return l
}

// lost removes a device.
func (m *Manager) lost(g gateway.Gateway, key string) {
	id := gateway.PeerID(g.Name(), key)
	m.publishing.Lock()
	m.mu.Lock()
	l := m.devices[id]
	delete(m.devices, id)
	m.count.Store(int32(len(m.devices)))
	m.mu.Unlock()
	if l != nil {
		close(l.done)
		m.host.Gone(m.view(l))
	}
	m.publishing.Unlock()
	if l != nil {
		m.host.LinkDown(l)
	}
}

// shortName cuts a name to the maximum length of a peer's name.
func shortName(name string) string {
	if len(name) > wire.MaxName {
		name = strings.ToValidUTF8(name[:wire.MaxName], "")
	}
	return strings.Clone(name) // it may be a part of a large message
}
