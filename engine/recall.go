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

// Where multicast does not reach, a peer is found where it was before, or by asking every address nearby.

const (
	// recalled is how many peers are looked for where they were, those that were here last.
	recalled = 32
	// knocks is how many are dialled at once, by recall and by Search.
	knocks = 8
	// knockTime is how long one of these may take.
	knockTime = 1500 * time.Millisecond
)

// recallAfter is when known peers are looked for where they were, counted from the start: discovery goes first, and
// devices that start together need a moment.
var recallAfter = []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 15 * time.Second, 30 * time.Second}

// remembered lists where a peer was reached, for the next start. Call with Engine.mu held.
func (p *peer) remembered() (out [4]netip.AddrPort) {
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

// recall looks for known peers where they were, in the first half minute, unless this engine looks for nobody or is not
// to be seen. Who is found by multicast meanwhile is left alone, and so is who was met once: a peer that has left or
// does not want to be found any more is not chased.
func (e *Engine) recall(ctx context.Context) {
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
		some(ctx, e.missing(met), func(t target) { e.follow(ctx, t, "remembered") })
	}
}

// missing lists the known peers that were not met, the last seen first.
func (e *Engine) missing(met map[PeerID]bool) (out []target) {
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

// visit dials addresses where somebody may be, some at once, takes up with those that answer and returns them.
func (e *Engine) visit(ctx context.Context, addrs []netip.AddrPort, how string) (found []PeerID) {
	endpoint := e.open()
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
		if e.meet(greet, id, at, how) == nil {
			mu.Lock()
			found = append(found, id)
			mu.Unlock()
		}
	})
	return found
}

// some calls do for each of all, for knocks of them at once, until ctx ends.
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

// Search asks every address of the networks that this machine is on, where they have at most 1024 of them, whether
// an engine listens there on its default port, and connects to those that do: for networks that do not carry multicast.
// It takes some seconds and one packet of 1,200 bytes for each address, twice. Only call it for a user's act. The peers
// that were found are returned, reached and without a session, as after Dial. Errors are ErrClosed, ErrNoNetwork if there is
// no such network, and those of the system.
func (e *Engine) Search(ctx context.Context) ([]PeerID, error) {
	if e.open() == nil {
		return nil, ErrClosed
	}
	addrs, err := discovery.Sweep(ctx, e.cfg.Interfaces, DefaultPort)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	known := map[netip.Addr]bool{}
	for _, p := range e.peers {
		if p.link != nil {
			known[p.link.conn.RemoteAddr().Addr()] = true
		}
	}
	e.mu.Unlock()
	addrs = slices.DeleteFunc(addrs, func(a netip.AddrPort) bool { return known[a.Addr()] })
	return e.visit(ctx, addrs, "search"), nil
}
