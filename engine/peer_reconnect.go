package engine

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"multipeer/engine/internal/discovery"
	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// Where multicast does not reach, peers are found at their last addresses, or by probing every address nearby.

const (
	// recalled is how many known peers are looked for at their last addresses, most recently seen first.
	recalled = 32
	// knocks is how many addresses are dialled at once by reconnectKnown, peer exchange and Search.
	knocks = 8
	// knockTime is how long one of these dials may take.
	knockTime = 1500 * time.Millisecond
)

// recallAfter lists when known peers are looked for at their last addresses, counted from the start. Discovery gets
// the first chance, and devices that start at the same time need a moment.
var recallAfter = []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 15 * time.Second, 30 * time.Second}

// rememberedLocked lists the addresses where a peer was reached, for the next start.
func (p *peer) rememberedLocked() (out [4]netip.AddrPort) {
	n := 0
	add := func(a netip.AddrPort) {
		if a.IsValid() && !a.Addr().IsLoopback() && !slices.Contains(out[:n], a) && n < len(out) {
			out[n] = a
			n++
		}
	}
	if p.link != nil {
		add(p.link.conn.RemoteAddr())
	}
	for _, a := range p.all() {
		add(a)
	}
	return out
}

// reconnectKnown looks for known peers at their last addresses during the first half minute, unless this engine does
// not browse or must not be seen. It skips peers that were found meanwhile, and those that were seen once since the
// start: a peer that has left or no longer wants to be found must not be dialled again and again.
func (d *dialer) reconnectKnown(ctx context.Context) {
	e := d.e
	began, met := now(), map[PeerID]bool{}
	for _, after := range recallAfter {
		select {
		case <-time.After(after - now().Sub(began)):
		case <-ctx.Done():
			return
		}
		e.mu.Lock()
		off := !e.self.Browsing || e.self.Visible == VisibleToNobody
		for id, p := range e.peers {
			met[id] = met[id] || p.shown
		}
		e.mu.Unlock()
		if off {
			continue
		}
		some(ctx, d.missing(met), func(t target) { e.exchange.dialTarget(ctx, t, "remembered") })
	}
}

// missing lists the known peers that were not seen yet, most recently seen first.
func (d *dialer) missing(met map[PeerID]bool) (out []target) {
	e := d.e
	records := e.profile.Peers()
	for id, r := range records {
		addrs := slices.DeleteFunc(slices.Clone(r.Addrs[:]), func(a netip.AddrPort) bool { return !a.IsValid() })
		if (r.Trust == identity.Seen || r.Trust == identity.Verified) && len(addrs) > 0 && !met[id] {
			out = append(out, target{id: id, addrs: addrs})
		}
	}
	slices.SortFunc(out, func(a, b target) int { return records[b.id].Last.Compare(records[a.id].Last) })
	return out[:min(len(out), recalled)]
}

// dialAll dials addresses where a peer may be, several at once. It connects to those that answer and returns them.
func (d *dialer) dialAll(ctx context.Context, addrs []netip.AddrPort, how string) (found []PeerID) {
	endpoint := d.open()
	if endpoint == nil {
		return nil
	}
	var mu sync.Mutex
	some(ctx, addrs, func(at netip.AddrPort) {
		short, cancel := context.WithTimeout(ctx, knockTime)
		conn, err := endpoint.DialAny(short, []netip.AddrPort{at}, PeerID{}, transport.Session, knockTime)
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

// some calls do for each element of all, knocks at a time, until ctx ends.
func some[T any](ctx context.Context, all []T, do func(T)) {
	var wg sync.WaitGroup
	defer wg.Wait()
	room := make(chan struct{}, knocks)
	for _, t := range all {
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			return
		}
		wg.Go(func() {
			defer func() { <-room }()
			do(t)
		})
	}
}

// Search probes every address of this machine's networks, if they have at most 1024 addresses, for an engine on its
// default port, and connects to those that answer: for networks that do not carry multicast. It takes some seconds
// and sends one packet of 1,200 bytes to each address, twice. Only call it in response to a user's action. It returns
// the peers found, connected and without a session, as after Dial. An error gives the reason why not every address
// was probed, and the peers found are returned with it: ErrClosed, ErrNoNetwork if no interface is up, a network that
// is too large, the end of ctx, or an error of the system.
func (e *Engine) Search(ctx context.Context) ([]PeerID, error) {
	if e.dialer.open() == nil {
		return nil, ErrClosed
	}
	sweeping, cancel := ctx, func() {}
	if end, ok := ctx.Deadline(); ok { // leave time to dial the peers that answer
		sweeping, cancel = context.WithDeadline(ctx, end.Add(-knockTime))
	}
	addrs, err := discovery.Sweep(sweeping, e.cfg.Interfaces, DefaultPort)
	cancel()
	e.mu.Lock()
	known := map[netip.Addr]bool{}
	for _, p := range e.peers {
		if p.link != nil {
			known[p.link.conn.RemoteAddr().Addr()] = true
		}
	}
	e.mu.Unlock()
	addrs = slices.DeleteFunc(addrs, func(a netip.AddrPort) bool { return known[a.Addr()] })
	return e.dialer.dialAll(ctx, addrs, "search"), err
}
