package engine

import (
	"context"
	"slices"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/wire"
)

// sink is the engine as discovery sees it.
type sink Engine

// Found takes a hint: the peer is shown at once, and a conn confirms or revokes it.
func (s *sink) Found(h Hint) {
	e := (*Engine)(s)
	e.mu.Lock()
	defer e.mu.Unlock()
	if h.ID == e.self.ID || e.closed {
		return
	}
	if h.Known && e.profile.Peer(h.ID).Trust == identity.Unknown { // it does not want to be seen by strangers
		e.forgetHint(h.ID)
		return
	}
	p := e.peer(h.ID)
	if p == nil {
		return
	}
	if !p.hint || !slices.Equal(p.addrs, h.Addrs) {
		p.failures, p.retry = 0, true // new addresses are worth a try at once
	}
	p.hint, p.addrs, p.shown = true, h.Addrs, true
	if p.link == nil {
		if h.Name != "" {
			p.name = wire.CleanName(h.Name)
		}
		if ValidateInfo(h.Info) == nil {
			p.info = h.Info
		}
	}
	if p.how == "" {
		p.how = h.How
	}
	e.changed(p)
	e.chase(p)
}

// Lost takes the end of a hint. A live conn knows better.
func (s *sink) Lost(id PeerID) {
	e := (*Engine)(s)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.forgetHint(id)
}

// forgetHint drops what discovery has told of a peer. Call with Engine.mu held.
func (e *Engine) forgetHint(id PeerID) {
	p := e.peers[id]
	if p == nil {
		return
	}
	addrs := p.addrs
	p.hint, p.addrs = false, nil
	if p.link != nil { // or a conn that breaks could not be made anew
		p.reached(p.link.conn.RemoteAddr())
	} else if p.session != nil {
		p.extra = append(addrs, p.extra...)
		p.extra = p.extra[:min(len(p.extra), 8)]
	}
	e.tidy(p)
}

// probeTimeout is how long a conn may take to answer after the network has changed.
// A path with long round trips gets three of them.
const probeTimeout = 700 * time.Millisecond

// NetworkChanged tries every path anew: conns that do not answer are closed and dialled again.
func (s *sink) NetworkChanged() {
	e := (*Engine)(s)
	e.log.Info("the network changed")
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range e.peers {
		p.failures, p.retry = 0, true
		p.poke()
		e.passOn()
		if l := p.link; l != nil {
			e.start(func(ctx context.Context) {
				if !l.alive(ctx, max(probeTimeout, 3*l.conn.RTT())) {
					l.conn.Close(wire.Timeout)
				}
			})
		}
	}
}

// Problem is what keeps this engine from finding others now; nil if nothing does. News of it is the event Problem.
func (e *Engine) Problem() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.problem
}

// Problem keeps what discovery complains of.
func (s *sink) Problem(err error) {
	e := (*Engine)(s)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.problem = err
	e.publish(Problem{err})
	if err != nil {
		e.log.Warn("finding peers", "err", err)
	}
}
