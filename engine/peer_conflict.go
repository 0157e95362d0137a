package engine

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
	// maxTwinAddrs limits how many addresses of a device announced with our ID are dialled.
	maxTwinAddrs = 8
	// twinEvery is the minimum interval between dials that check whether a device announced with our ID has our key.
	twinEvery = 30 * time.Second
)

// conflicts holds the known conflicts. It is guarded by Engine.mu.
type conflicts struct {
	e     *Engine
	known map[PeerID]Conflict
	told  map[PeerID]time.Time
	asks  *rate.Limiter
}

func newConflicts(e *Engine) conflicts {
	return conflicts{e, map[PeerID]Conflict{}, map[PeerID]time.Time{}, rate.NewLimiter(rate.Every(twinEvery), 1)}
}

// Conflicts lists the identities that two devices have used since this engine began, newest first.
func (e *Engine) Conflicts() []Conflict {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.conflicts.listLocked()
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
	e := cs.e
	if id == e.self.ID || e.knows(id) {
		cs.reportLocked(id, name, addrs...)
	}
}

// reportLocked is foundLocked for a peer that someone here has chosen.
func (cs *conflicts) reportLocked(id PeerID, name string, addrs ...netip.AddrPort) {
	e := cs.e
	_, had := cs.known[id]
	if !had && len(cs.known) >= maxConflicts {
		return
	}
	c := Conflict{id, name, addrs, now()}
	cs.known[id] = c
	if had && now().Sub(cs.told[id]) < conflictAgain {
		return
	}
	cs.told[id] = now()
	e.log.Warn("two devices use one identity", "id", id.Short(), "addrs", addrs)
	e.publish(ConflictFound{c})
}

// metTwin is called when a device has proven our own key.
func (cs *conflicts) metTwin(at netip.AddrPort) {
	e := cs.e
	e.mu.Lock()
	defer e.mu.Unlock()
	cs.foundLocked(e.self.ID, e.self.Name, at)
}

// askTwinLocked dials addresses where our own ID is announced: only a handshake shows whether that device has our
// key.
func (cs *conflicts) askTwinLocked(addrs []netip.AddrPort) {
	e := cs.e
	if e.endpoint == nil || !cs.asks.Allow() {
		return
	}
	own, _ := net.InterfaceAddrs()
	addrs = slices.DeleteFunc(slices.Clone(addrs), func(a netip.AddrPort) bool {
		return slices.ContainsFunc(own, func(n net.Addr) bool {
			p, err := netip.ParsePrefix(n.String())
			return err == nil && p.Addr() == a.Addr().Unmap().WithZone("")
		})
	})
	addrs = addrs[:min(len(addrs), maxTwinAddrs)]
	if len(addrs) == 0 {
		return
	}
	endpoint, id := e.endpoint, e.self.ID
	e.tasks.Start(func(ctx context.Context) {
		// This never succeeds; metTwin is called instead.
		_, err := endpoint.DialAny(ctx, addrs, id, transport.Session, knockTime)
		e.log.Debug("our own ID is announced elsewhere", "addrs", addrs, "err", err)
	})
}

// elsewhereLocked reports whether conn comes from another engine on another host than the connection of p: either a
// device has moved and restarted, or another device has its key.
func (p *peer) elsewhereLocked(conn *transport.Conn, boot string) bool {
	return p.link != nil && p.link.boot != boot && p.link.conn.RemoteAddr().Addr() != conn.RemoteAddr().Addr()
}
