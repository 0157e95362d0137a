package engine

import (
	"encoding/json"

	"multipeer/engine/internal/events"
	"multipeer/engine/internal/peers"
	"multipeer/engine/internal/wire"
)

// peersHost is the engine as package peers sees it.
type peersHost struct{ e *Engine }

func (h peersHost) Publish(ev peers.Event) wire.Code {
	e := h.e
	public := e.publicEvent(ev)
	switch public := public.(type) {
	case streamReceived:
		return e.streams.take(e, public.stream)
	case *Invitation:
		if refused, claimed := e.invitations.ask(e, public.Peer.ID, public.Peer.Addr.Addr(), public, public.Decline); claimed {
			public.claimed = true
			return refused
		}
		if !e.events.Publish(public) {
			return e.unreadCode(events.Invitations)
		}
	default:
		if changed, ok := ev.(peers.SelfChanged); ok {
			e.gateways.Update(gatewaySelf(changed.Self))
		}
		e.events.Publish(public)
	}
	return 0
}

func (h peersHost) Deliver(m peers.Message) wire.Code {
	e := h.e
	switch {
	case m.Reply != 0:
		e.requests.takeReply(m)
		return 0
	case m.Ask != 0:
		return e.requests.takeRequest(e, m)
	case e.events.Publish(messageReceived{publicMessage(m), new(events.Held)}):
		return 0
	case e.events.HasReader(events.Messages, m.Topic):
		return peers.Later
	}
	return wire.Unavailable
}

func (h peersHost) Changed() <-chan struct{} { return h.e.events.Changed() }

// publicEvent returns the event that programs see. The lock of the peers may be held.
func (e *Engine) publicEvent(ev peers.Event) Event {
	switch ev := ev.(type) {
	case peers.SelfChanged:
		return e.publicSelf(ev.Self)
	case peers.PeerChanged:
		return PeerChanged{publicPeer(ev.Peer)}
	case peers.PeerLost:
		return PeerLost{publicPeer(ev.Peer)}
	case peers.PeerAdded:
		return PeerAdded{publicPeer(ev.Peer)}
	case peers.PeerRemoved:
		return PeerRemoved{publicPeer(ev.Peer), ev.Err}
	case peers.StreamReceived:
		return streamReceived{e.newStream(ev.Stream)}
	case peers.InvitationReceived:
		return e.publicInvitation(ev.Invitation)
	case peers.InvitationClosed:
		return InvitationClosed{e.publicInvitation(ev.Invitation)}
	case peers.ConflictFound:
		return Conflict(ev.Conflict)
	case peers.Problem:
		return Problem(ev)
	}
	panic("an event without a public form")
}

func (e *Engine) publicSelf(s peers.Self) Self {
	return Self{
		ID: s.ID, Name: s.Name, Service: s.Service, Port: s.Port, Running: s.Running, Advertising: s.Advertising,
		Browsing: s.Browsing, Info: s.Info, Visible: s.Visible, VisibleTo: s.VisibleTo, PairingUntil: e.pairings.Until(),
	}
}

func publicPeer(p peers.Peer) Peer {
	return Peer{
		ID: p.ID, Name: p.Name, State: p.State, Trust: p.Trust, Confirmed: p.Confirmed, Addrs: p.Addrs, Addr: p.Addr,
		RTT: p.RTT, How: p.How, Heard: p.Heard, Context: p.Context, Info: p.Info, LooksLike: p.LooksLike,
		AutoAccept: publicAutoAccept(p.Auto), Err: p.Err,
	}
}

func publicPeers(list []peers.Peer) []Peer {
	out := make([]Peer, 0, len(list))
	for _, p := range list {
		out = append(out, publicPeer(p))
	}
	return out
}

func publicConflicts(list []peers.Conflict) []Conflict {
	var out []Conflict
	for _, c := range list {
		out = append(out, Conflict(c))
	}
	return out
}

// publicInvitation returns the Invitation that programs see for i, always the same one. The lock of the peers is held.
func (e *Engine) publicInvitation(i *peers.Invitation) *Invitation {
	if i.Handle == nil {
		i.Handle = &Invitation{ID: i.ID, Peer: publicPeer(i.Peer), Context: i.Context, peers: e.peers, invitation: i}
	}
	return i.Handle.(*Invitation)
}

// acceptIfFor returns Config.AcceptIf as package peers calls it. A panic leaves the invitation to the policy.
func acceptIfFor(e *Engine) func(peers.Peer, json.RawMessage) bool {
	if e.cfg.AcceptIf == nil {
		return nil
	}
	return func(from peers.Peer, context json.RawMessage) (admitted bool) {
		recoverPanic(e, "Config.AcceptIf", func() { admitted = e.cfg.AcceptIf(publicPeer(from), context) }, func() { admitted = false })
		return admitted
	}
}

// verifyFor returns Config.Verify as package peers calls it. A panic refuses the peer.
func verifyFor(e *Engine) func(PeerID, []byte) error {
	if e.cfg.Verify == nil {
		return nil
	}
	return func(id PeerID, certificate []byte) (err error) {
		recoverPanic(e, "Config.Verify", func() { err = e.cfg.Verify(id, certificate) }, func() { err = errPanicked })
		return err
	}
}
