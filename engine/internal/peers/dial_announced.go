package peers

import (
	"context"
	"net/netip"
	"slices"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// The profile and other peers supply addresses where a peer may be. Each is dialled once; the program learns of the
// peers that prove their key there.

// target is a peer with addresses where it may be.
type target struct {
	id    PeerID
	addrs []netip.AddrPort
	by    PeerID // the peer that announced it; zero means the profile
}

// followTime is how long a target may take to answer and to greet.
const followTime = 2 * probeTime

// dialTarget dials t once. An announced address is worthless until t's key has answered there: until then no record
// is created, and the existing record of the peer does not change.
func (x *exchange) dialTarget(ctx context.Context, t target, how string) {
	m := x.m
	ctx, cancel := context.WithTimeout(ctx, followTime)
	defer cancel()
	m.mu.Lock()
	may := x.mayDialLocked(t)
	m.mu.Unlock()
	endpoint := m.dialer.open()
	if !may || endpoint == nil {
		return
	}
	conn, err := endpoint.DialAny(ctx, t.addrs, transport.KeyOf(t.id), transport.Session, probeTime)
	if err != nil {
		return
	}
	at := conn.RemoteAddr()
	conn.Close(wire.Duplicate)
	if p := x.proven(t, at, how); p != nil {
		m.dialer.dialPeer(ctx, p)
	}
}

// proven records that t answers at an address. It returns the peer if the caller has to dial it.
func (x *exchange) proven(t target, at netip.AddrPort, how string) *peer {
	m := x.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if !x.mayDialLocked(t) { // this may have changed in the meantime
		return nil
	}
	p := m.table.addLocked(t.id)
	if p == nil {
		return nil
	}
	if t.by.IsZero() { // the profile's addresses were all reached before
		for _, a := range t.addrs {
			p.reached(a)
		}
	}
	p.reached(at)
	if p.shown { // its dial loop takes care of it
		p.failures, p.suspect, p.retry = 0, false, true
		m.dialer.ensureLoopLocked(p)
		return nil
	}
	if p.how == "" {
		p.how, p.introducedBy = how, t.by
	}
	return p
}

// mayDialLocked reports whether a peer may be dialled because of a stored or announced address, without a
// request of the program.
func (x *exchange) mayDialLocked(t target) bool {
	m := x.m
	if !m.self.Browsing || m.self.Visible == VisibleToNobody || !m.dialer.mayShowToLocked(t.id) || t.id == m.self.ID {
		return false
	}
	p := m.peers[t.id]
	if p == nil && !t.by.IsZero() && m.profile.Peer(t.id).Trust == identity.Unknown && !x.mayIntroduceLocked(t) {
		return false
	}
	return p == nil || p.link == nil && p.accepting == 0 && !p.isDialledAtLocked(t.addrs)
}

// isDialledAtLocked reports whether the dial loop of p tries all of these addresses, or is about to. A second handshake
// in parallel with the first slows both down: when many devices start at once, each of them announces all the others,
// and the dials that follow would keep every processor busy.
func (p *peer) isDialledAtLocked(addrs []netip.AddrPort) bool {
	soon := p.looping && p.failures == 0 && now().Sub(p.dialDue) < transport.DialTimeout
	if p.dialling == nil && !soon {
		return false
	}
	own := p.all()
	return !slices.ContainsFunc(addrs, func(a netip.AddrPort) bool { return !slices.Contains(own, a) })
}

// mayIntroduceLocked reports whether there is room for one more announced stranger: in total, from one announcing
// peer, and at one address.
func (x *exchange) mayIntroduceLocked(t target) bool {
	m := x.m
	all, fromOne, there := 0, 0, 0
	for _, p := range m.peers {
		if p.how != exchanged || p.session != nil || m.profile.Peer(p.id).Trust != identity.Unknown {
			continue
		}
		all++
		if p.introducedBy == t.by {
			fromOne++
		}
		if p.link != nil && p.link.conn.RemoteAddr().Addr() == t.addrs[0].Addr() {
			there++
		}
	}
	if all >= maxIntroduced { // guard: gossip-strangers-met
		return false
	}
	if fromOne >= maxIntroduced*3/4 { // guard: gossip-per-peer
		return false
	}
	if there >= maxAnnouncedPerAddr { // guard: gossip-per-address
		return false
	}
	return true
}

// maxReports limits, for a connected peer, the number of other peers whose announcements of another address are stored.
const maxReports = 3

// reports holds, by announcing peer, the address at which that peer is connected to another one: the other peer may
// have moved, and our connection to it may be dead.
type reports map[PeerID]netip.AddrPort

// add stores the address that a peer has announced.
func (r *reports) add(by PeerID, at netip.AddrPort) {
	if *r == nil {
		*r = reports{}
	}
	for anyone := range *r {
		if _, known := (*r)[by]; known || len(*r) < maxReports {
			break
		}
		delete(*r, anyone)
	}
	(*r)[by] = at
}
