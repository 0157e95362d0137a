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
		for id := range e.peers {
			met[id] = true
		}
		e.mu.Unlock()
		if off {
			continue
		}
		e.visit(ctx, e.missing(met), "remembered", false)
	}
}

// target is a peer that may be at some addresses; the zero ID is whoever answers.
type target struct {
	id    PeerID
	addrs []netip.AddrPort
}

// missing lists the known peers that were not met, the last seen first.
func (e *Engine) missing(met map[PeerID]bool) (out []target) {
	records := e.profile.Peers()
	for id, r := range records {
		addrs := slices.DeleteFunc(slices.Clone(r.Addrs[:]), func(a netip.AddrPort) bool { return !a.IsValid() })
		if (r.Trust == identity.Seen || r.Trust == identity.Verified) && len(addrs) > 0 && !met[id] {
			out = append(out, target{id, addrs})
		}
	}
	slices.SortFunc(out, func(a, b target) int { return records[b.id].Last.Compare(records[a.id].Last) })
	return out[:min(len(out), recalled)]
}

// mayFollow tells whether a peer may be dialled because of an address that is kept or was told, and not because of the
// program. Call with Engine.mu held.
func (e *Engine) mayFollow(id PeerID) bool {
	if !e.self.Browsing || e.self.Visible == VisibleToNobody || !e.mayShowTo(id) || id == e.self.ID {
		return false
	}
	p := e.peers[id]
	if p == nil && e.profile.Peer(id).Trust == identity.Unknown && e.led() >= maxLed { // guard: told-strangers
		return false
	}
	return p == nil || p.link == nil
}

func (e *Engine) follows(id PeerID) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.mayFollow(id)
}

// visit dials targets, some at once, takes up with those that answer and returns them. wanted tells that the program has
// asked for it.
func (e *Engine) visit(ctx context.Context, targets []target, how string, wanted bool) (found []PeerID) {
	endpoint := e.open()
	if endpoint == nil {
		return nil
	}
	var (
		mu   sync.Mutex
		wg   sync.WaitGroup
		room = make(chan struct{}, knocks)
	)
	for _, t := range targets {
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			wg.Wait()
			return found
		}
		wg.Go(func() {
			defer func() { <-room }()
			if !wanted && !e.follows(t.id) {
				return
			}
			short, cancel := context.WithTimeout(ctx, knockTime)
			conn, err := endpoint.DialAny(short, t.addrs, t.id, transport.Session, knockTime)
			cancel()
			if err != nil {
				return
			}
			id, at := conn.Peer, conn.RemoteAddr()
			conn.Close(wire.Duplicate)
			greet, cancel := context.WithTimeout(ctx, transport.HelloTimeout)
			defer cancel()
			if e.meet(greet, id, at, how, wanted) == nil {
				mu.Lock()
				found = append(found, id)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return found
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
	var targets []target
	e.mu.Lock()
	for _, a := range addrs {
		known := false
		for _, p := range e.peers {
			known = known || p.link != nil && p.link.conn.RemoteAddr().Addr() == a.Addr()
		}
		if !known {
			targets = append(targets, target{addrs: []netip.AddrPort{a}})
		}
	}
	e.mu.Unlock()
	return e.visit(ctx, targets, "search", true), nil
}
