package peers

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"slices"
	"time"

	"multipeer/engine/internal/transport"

	"golang.org/x/time/rate"
)

// Conflict is an identity that two devices use at once, each of which has proven its key: a profile was copied, or a
// disk cloned. What is sent to it reaches one of the two. To resolve it, give one of them an empty profile folder.
type Conflict struct {
	ID    PeerID           // Self().ID if the other device has this device's own identity
	Name  string           // safe to display
	Addrs []netip.AddrPort // the addresses of the other device, or of both devices of a peer
	At    time.Time        // when it was last seen
}

const (
	// conflictAgain is the interval at which a lasting conflict is reported again.
	conflictAgain = time.Minute
	// maxConflicts limits how many are stored. Only known peers and this device itself can have one.
	maxConflicts = 64
	// maxOwnIDAddrs limits how many addresses are dialled when a device is announced with our ID.
	maxOwnIDAddrs = 8
	// ownIDEvery is the minimum interval between dials that check whether a device announced with our ID has our key.
	ownIDEvery = 30 * time.Second
)

// conflicts holds the known conflicts. It is guarded by Manager.mu.
type conflicts struct {
	m        *Manager
	known    map[PeerID]Conflict
	reported map[PeerID]time.Time
	asks     *rate.Limiter
}

func newConflicts(m *Manager) conflicts {
	return conflicts{m, map[PeerID]Conflict{}, map[PeerID]time.Time{}, rate.NewLimiter(rate.Every(ownIDEvery), 1)}
}

func (cs *conflicts) listLocked() (out []Conflict) {
	for _, c := range cs.known {
		c.Addrs = slices.Clone(c.Addrs)
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b Conflict) int { return cmp.Or(b.At.Compare(a.At), a.ID.Compare(b.ID)) })
	return out
}

// foundLocked reports an identity that is used at several addresses. Strangers are ignored: a stranger could cause
// such reports as often as it likes.
func (cs *conflicts) foundLocked(id PeerID, name string, addrs ...netip.AddrPort) {
	m := cs.m
	if id == m.self.ID || m.knows(id) {
		cs.reportLocked(id, name, addrs...)
	}
}

// reportLocked is foundLocked for a peer that the user has accepted.
func (cs *conflicts) reportLocked(id PeerID, name string, addrs ...netip.AddrPort) {
	m := cs.m
	_, had := cs.known[id]
	if !had && len(cs.known) >= maxConflicts {
		return
	}
	c := Conflict{id, name, addrs, now()}
	cs.known[id] = c
	if had && now().Sub(cs.reported[id]) < conflictAgain {
		return
	}
	cs.reported[id] = now()
	m.log.Warn("two devices use one identity", "id", id.Short(), "addrs", addrs)
	m.publish(ConflictFound{c})
}

// metOwnKey is called when a device has proven our own key.
func (cs *conflicts) metOwnKey(at netip.AddrPort) {
	m := cs.m
	m.mu.Lock()
	defer m.mu.Unlock()
	cs.foundLocked(m.self.ID, m.self.Name, at)
}

// dialOwnIDLocked dials addresses where our own ID is announced: only a handshake shows whether that device has our
// key.
func (cs *conflicts) dialOwnIDLocked(addrs []netip.AddrPort) {
	m := cs.m
	if m.endpoint == nil || !cs.asks.Allow() {
		return
	}
	own, _ := net.InterfaceAddrs()
	addrs = slices.DeleteFunc(slices.Clone(addrs), func(a netip.AddrPort) bool {
		return slices.ContainsFunc(own, func(n net.Addr) bool {
			p, err := netip.ParsePrefix(n.String())
			return err == nil && p.Addr() == a.Addr().Unmap().WithZone("")
		})
	})
	addrs = addrs[:min(len(addrs), maxOwnIDAddrs)]
	if len(addrs) == 0 {
		return
	}
	endpoint, id := m.endpoint, m.self.ID
	m.tasks.Start(func(ctx context.Context) {
		// This never succeeds; metOwnKey is called instead.
		_, err := endpoint.DialAny(ctx, addrs, transport.KeyOf(id), transport.Session, probeTime)
		m.log.Debug("our own ID is announced elsewhere", "addrs", addrs, "err", err)
	})
}
