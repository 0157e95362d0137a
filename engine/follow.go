package engine

import (
	"context"
	"net/netip"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// Peers that are said to be somewhere, by the profile or by other peers, are dialled there once; the program learns of
// those that answer with their key.

// target is a peer that may be at some addresses.
type target struct {
	id    PeerID
	addrs []netip.AddrPort
	by    PeerID // who has told of it; zero is the profile
}

// followTime is how long one may take to answer and to greet.
const followTime = 2 * knockTime

// follow dials t once. What is said of a place is worth nothing before t's key has answered there: until then there is no
// record of it, and what is known of the peer stays as it is.
func (e *Engine) follow(ctx context.Context, t target, how string) {
	ctx, cancel := context.WithTimeout(ctx, followTime)
	defer cancel()
	e.mu.Lock()
	may := e.mayFollow(t)
	e.mu.Unlock()
	endpoint := e.open()
	if !may || endpoint == nil {
		return
	}
	conn, err := endpoint.DialAny(ctx, t.addrs, t.id, transport.Session, knockTime)
	if err != nil {
		return
	}
	at := conn.RemoteAddr()
	conn.Close(wire.Duplicate)
	if p := e.proven(t, at, how); p != nil {
		e.dialPeer(ctx, p)
	}
}

// proven takes up with t, which is at an address now. It returns the record if the caller is to dial it.
func (e *Engine) proven(t target, at netip.AddrPort, how string) *peer {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.mayFollow(t) { // it may have changed meanwhile
		return nil
	}
	p := e.peer(t.id)
	if p == nil {
		return nil
	}
	if t.by.IsZero() { // it was reached at all of these before
		for _, a := range t.addrs {
			p.reached(a)
		}
	}
	p.reached(at)
	if p.shown { // it is looked after
		p.failures, p.suspect, p.retry = 0, false, true
		e.chase(p)
		return nil
	}
	if p.how == "" {
		p.how, p.ledBy = how, t.by
	}
	return p
}

// mayFollow tells whether a peer may be dialled because of an address that is kept or was told, and not because of the
// program. Call with Engine.mu held.
func (e *Engine) mayFollow(t target) bool {
	if !e.self.Browsing || e.self.Visible == VisibleToNobody || !e.mayShowTo(t.id) || t.id == e.self.ID {
		return false
	}
	p := e.peers[t.id]
	if p == nil && !t.by.IsZero() && e.profile.Peer(t.id).Trust == identity.Unknown && !e.mayLead(t) {
		return false
	}
	return p == nil || p.link == nil
}

// mayLead tells whether there is room for one more stranger that was told of: among all of them, among those of one
// teller, and at one address. Call with Engine.mu held.
func (e *Engine) mayLead(t target) bool {
	all, his, there := 0, 0, 0
	for _, p := range e.peers {
		if p.how != exchanged || p.session != nil || e.profile.Peer(p.id).Trust != identity.Unknown {
			continue
		}
		all++
		if p.ledBy == t.by {
			his++
		}
		if p.link != nil && p.link.conn.RemoteAddr().Addr() == t.addrs[0].Addr() {
			there++
		}
	}
	if all >= maxLed { // guard: told-strangers
		return false
	}
	if his >= maxLed*3/4 { // guard: told-by-one
		return false
	}
	if there >= maxToldPerAddr { // guard: told-at-one
		return false
	}
	return true
}

// maxRumours is of how many tellers a peer keeps where it is said to be while there is a conn to it elsewhere.
const maxRumours = 3

// rumours is where others have a conn to a peer, by teller: it may have moved, and the conn to it be dead.
type rumours map[PeerID]netip.AddrPort

// hear keeps what one more teller says.
func (r *rumours) hear(by PeerID, at netip.AddrPort) {
	if *r == nil {
		*r = rumours{}
	}
	for anyone := range *r {
		if _, known := (*r)[by]; known || len(*r) < maxRumours {
			break
		}
		delete(*r, anyone)
	}
	(*r)[by] = at
}
