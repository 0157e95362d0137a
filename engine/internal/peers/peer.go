package peers

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"multipeer/engine/internal/transport"
)

// peer is what the engine knows about one key. All fields are guarded by Manager.mu.
type peer struct {
	id   PeerID
	name string
	info map[string]string
	// The service type, and whether the peer wants to be found by every device of that service on its network.
	service string
	open    bool
	how     string
	hint    bool      // discovery sees it now
	heard   bool      // seen by multicast
	renamed time.Time // when discovery last changed its name
	// invitesAgain means that Config.Invite is about to be applied again.
	invitesAgain bool
	addrs        []netip.AddrPort // from discovery
	extra        []netip.AddrPort // typed by a person, or the remote address of a connection

	link         *Link
	accepting    int                // incoming connections being acknowledged
	dialling     context.CancelFunc // cancels our dial in progress
	dialled      chan struct{}      // closed when that dial has ended
	looping      bool               // a dial loop is running
	dialDue      time.Time          // when the first dial after a change is or was due in the dial loop
	wake         chan struct{}      // wakes the dial loop after a change
	failures     int
	retry        bool // dial now, regardless of the backoff
	wanted       bool // the program has asked for it
	shown        bool // the program knows it: it was found, asked for, or has answered
	reports      reports
	introducedBy PeerID // the peer that announced it
	err          error
	suspect      bool // its connection died; if the next dial fails, it is lost

	state      State
	session    *session      // set while Connected or Reconnecting
	accepted   string        // the ID of the peer's invitation that began the session, if any
	busyPause  time.Duration // the pause after it last had no room for a session
	busyUntil  time.Time     // Config.Invite does not invite it until then
	declined   bool          // has declined our policy's invitation, on this connection
	away       int           // counts breaks of the session's connection
	broken     time.Time     // when its last useful connection broke
	rtt        time.Duration // round-trip time of that connection
	asked      *asking       // our invitation, waiting for the peer's answer
	invitation *Invitation   // the peer's invitation, waiting for our answer
}

// all lists the addresses to dial, without duplicates.
func (p *peer) all() []netip.AddrPort {
	out := slices.Clone(p.addrs)
	for _, a := range p.extra {
		if !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

// reached stores the remote address of a connection.
func (p *peer) reached(a netip.AddrPort) {
	if a.IsValid() && !slices.Contains(p.all(), a) {
		p.extra = append([]netip.AddrPort{a}, p.extra[:min(len(p.extra), 3)]...)
	}
}

// setName changes the display name of a connected peer.
func (p *peer) setName(name string) {
	p.name = name
	p.link.name.Store(&name)
}

func (p *peer) wakeDialLoop() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

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

// elsewhereLocked reports whether conn comes from another engine on another host than the connection of p: either a
// device has moved and restarted, or another device has its key.
func (p *peer) elsewhereLocked(conn *transport.Conn, boot string) bool {
	return p.link != nil && p.link.boot != boot && p.link.conn.RemoteAddr().Addr() != conn.RemoteAddr().Addr()
}
