package peers

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// Where multicast does not reach, peers are found at their last known addresses, or by probing every address nearby.

const (
	// maxReconnected is how many known peers are looked for at their last addresses, most recently seen first.
	maxReconnected = 32
	// maxProbes is how many addresses are dialled at once by reconnectKnown, peer exchange and Search.
	maxProbes = 8
	// probeTime is how long one of these dials may take.
	probeTime = 1500 * time.Millisecond
)

// reconnectAfter lists when known peers are looked for at their last addresses, counted from the start. Discovery gets
// the first chance, and devices that start at the same time need a moment.
var reconnectAfter = []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 15 * time.Second, 30 * time.Second}

// reconnectKnown looks for known peers at their last addresses during the first half minute, unless this engine does
// not browse or must not be seen. It skips peers that were found in the meantime, and those that were seen once since
// the start: a peer that has left or no longer wants to be found must not be dialled repeatedly.
func (d *dialer) reconnectKnown(ctx context.Context) {
	m := d.m
	began, met := now(), map[PeerID]bool{}
	for _, after := range reconnectAfter {
		select {
		case <-time.After(after - now().Sub(began)):
		case <-ctx.Done():
			return
		}
		m.mu.Lock()
		off := !m.self.Browsing || m.self.Visible == VisibleToNobody
		for id, p := range m.peers {
			met[id] = met[id] || p.shown
		}
		m.mu.Unlock()
		if off {
			continue
		}
		forEach(ctx, d.missing(met), func(t target) { m.exchange.dialTarget(ctx, t, "remembered") })
	}
}

// missing lists the known peers that were not seen yet, most recently seen first.
func (d *dialer) missing(met map[PeerID]bool) (out []target) {
	m := d.m
	records := m.profile.Peers()
	for id, r := range records {
		addrs := slices.DeleteFunc(slices.Clone(r.Addrs[:]), func(a netip.AddrPort) bool { return !a.IsValid() })
		if (r.Trust == identity.Seen || r.Trust == identity.Verified) && len(addrs) > 0 && !met[id] {
			out = append(out, target{id: id, addrs: addrs})
		}
	}
	slices.SortFunc(out, func(a, b target) int { return records[b.id].Last.Compare(records[a.id].Last) })
	return out[:min(len(out), maxReconnected)]
}

// dialAll dials addresses where a peer may be, several at once. It connects to those that answer and returns them. If
// this engine is hidden from strangers, it does not reveal itself to strangers that answer.
func (d *dialer) dialAll(ctx context.Context, addrs []netip.AddrPort, how string) (found []PeerID) {
	endpoint := d.open()
	if endpoint == nil {
		return nil
	}
	pin := transport.KeyThat(func(id PeerID) bool {
		d.m.mu.Lock()
		defer d.m.mu.Unlock()
		if !d.mayShowToLocked(id) { // guard: search-hidden
			return false
		}
		return true
	})
	var mu sync.Mutex
	forEach(ctx, addrs, func(at netip.AddrPort) {
		short, cancel := context.WithTimeout(ctx, probeTime)
		conn, err := endpoint.DialAny(short, []netip.AddrPort{at}, pin, transport.Session, probeTime)
		cancel()
		if err != nil {
			return
		}
		id, at := conn.Peer, conn.RemoteAddr()
		conn.Close(wire.Duplicate)
		greet, cancel := context.WithTimeout(ctx, transport.HelloTimeout)
		defer cancel()
		if d.dialWanted(greet, id, at, how) == nil {
			mu.Lock()
			found = append(found, id)
			mu.Unlock()
		}
	})
	return found
}

// forEach calls do for each element of all, maxProbes at a time, until ctx ends.
func forEach[T any](ctx context.Context, all []T, do func(T)) {
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, maxProbes)
	for _, t := range all {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		wg.Go(func() {
			defer func() { <-slots }()
			do(t)
		})
	}
}
