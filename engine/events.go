package engine

import (
	"context"
	"iter"

	"multipeer/engine/internal/events"
	"multipeer/engine/internal/gateways"
	"multipeer/engine/internal/pairing"
	"multipeer/engine/internal/peers"
	"multipeer/engine/internal/transfers"
	"multipeer/engine/internal/wire"
)

// Event is a change in the engine. The set of types is closed; switch over them.
type Event interface{ event() }

type (
	// Snapshot is the complete state: the first event of each Watch, repeated if a reader fell too far behind.
	Snapshot struct {
		Self        Self
		Peers       []Peer
		Invitations []*Invitation
		Offers      []*Offer
		Transfers   []Transfer
		Pairings    []Pairing
		Conflicts   []Conflict
		Problem     error
	}
	// SelfChanged reports a new name, port or mode.
	SelfChanged struct{ Self Self }
	// PeerChanged reports a peer that was found or has changed (foundPeer).
	PeerChanged struct{ Peer Peer }
	// PeerLost reports a peer that is gone (lostPeer).
	PeerLost struct{ Peer Peer }
	// PeerAdded reports that a session has begun: once on each side, regardless of which side dialled or invited,
	// when the other program's context is known (peer_added). If a connection breaks and is back within 3 s after the
	// break was noticed (see Reconnecting), it is the same session. PeerAdded comes before any message or stream of
	// the session, PeerRemoved after the last.
	PeerAdded struct{ Peer Peer }
	// PeerRemoved reports that the session has ended: once for each PeerAdded (peer_removed). Err is the reason: ErrBye
	// or ErrKicked if the other side has ended it, ErrCancelled if this program has, ErrClosed if this engine has
	// ended, ErrLost or ErrTimeout if the peer has stopped responding or the network is gone, ErrBusy if it has too
	// much to handle, ErrBlocked, ErrRefused, ErrIdentity or ErrVersion if the two can no longer connect.
	PeerRemoved struct {
		Peer Peer
		Err  error
	}
	// MessageReceived delivers a message.
	MessageReceived struct {
		Message Message
		held    *events.Held
	}
	// streamReceived passes a stream to the Handler that takes streams.
	streamReceived struct{ stream *Stream }
	// InvitationReceived asks for a session; nothing happens before Accept.
	InvitationReceived struct{ Invitation *Invitation }
	// InvitationClosed reports an invitation that was answered or withdrawn, or has expired.
	InvitationClosed struct{ Invitation *Invitation }
	// OfferReceived asks to accept files; nothing is stored before Accept.
	OfferReceived struct{ Offer *Offer }
	// TransferChanged reports the newest state of an offer or a transfer, at most ten times a second each.
	TransferChanged struct{ Transfer Transfer }
	// PairingChanged reports a pairing that a peer asks for, or one that has progressed.
	PairingChanged struct{ Pairing Pairing }
	// ConflictFound reports that two devices use the same identity: either this device's own or a known peer's. It is
	// repeated every minute while the conflict lasts. A program must show it to the user: anything sent to that
	// identity may reach either device.
	ConflictFound struct{ Conflict Conflict }
	// Problem reports what keeps peers from being found; nil means that the problem is over.
	Problem struct{ Err error }
)

func (Snapshot) event()           {}
func (SelfChanged) event()        {}
func (PeerChanged) event()        {}
func (PeerLost) event()           {}
func (PeerAdded) event()          {}
func (PeerRemoved) event()        {}
func (MessageReceived) event()    {}
func (streamReceived) event()     {}
func (InvitationReceived) event() {}
func (InvitationClosed) event()   {}
func (OfferReceived) event()      {}
func (TransferChanged) event()    {}
func (PairingChanged) event()     {}
func (ConflictFound) event()      {}
func (Problem) event()            {}

// Watch returns the engine's events as a sequence: a Snapshot first, then each change from the moment of the call. It
// must be read by one range loop, which ends when the engine or ctx does. When ctx ends, messages already queued are
// still yielded: their senders have been notified that they were delivered. Messages that a loop leaves unread when it
// breaks go to another reader that has not received them, or to the next Watch. Watch may be called before Run, and any
// number of times. A peer that is connected already is in Snapshot.Peers only, without a PeerAdded. A Watch loop takes
// messages and is asked about invitations and offers, and the first answer of any reader counts; it gets no streams:
// see HandleStream. With several readers of messages, a message is delivered once one of them has room for it; a reader
// that is slower misses it. A program that only observes uses WatchState.
func (e *Engine) Watch(ctx context.Context) iter.Seq[Event] {
	return e.watch(ctx, events.Messages|events.Offers|events.Invitations)
}

// WatchState is Watch for a program that only observes the state: it takes no messages and is not asked about offers
// and invitations. If no other reader takes them, their senders get ErrUnavailable.
func (e *Engine) WatchState(ctx context.Context) iter.Seq[Event] { return e.watch(ctx, 0) }

func (e *Engine) watch(ctx context.Context, wants events.Kind) iter.Seq[Event] {
	var r *events.Reader[Event]
	e.freeze(func(s Snapshot) { r = e.events.Subscribe(wants, s) })
	return e.events.Read(ctx, r, func() (ev Event) {
		e.freeze(func(s Snapshot) { ev = s })
		return ev
	})
}

// freeze calls f with the complete state, which does not change during the call.
func (e *Engine) freeze(f func(Snapshot)) {
	e.peers.Freeze(func(shown peers.Shown) {
		s := Snapshot{
			Self: e.publicSelf(shown.Self), Problem: shown.Problem, Peers: publicPeers(shown.Peers),
			Conflicts: publicConflicts(shown.Conflicts),
		}
		e.gateways.Freeze(func(devices []gateways.Peer) {
			s.Peers = byName(append(s.Peers, devicePeers(devices)...))
			freezeRest(e, s, shown, f)
		})
	})
}

// freezeRest adds to s what package peers and the gateways do not know, and calls f.
func freezeRest(e *Engine, s Snapshot, shown peers.Shown, f func(Snapshot)) {
	for _, i := range shown.Invitations {
		if inv := e.publicInvitation(i); !inv.claimed {
			s.Invitations = append(s.Invitations, inv)
		}
	}
	e.pairings.Freeze(func(pairings []pairing.View) {
		e.transfers.Freeze(func(list []transfers.Transfer, offers []*transfers.Offer) {
			s.Pairings = publicPairings(pairings)
			s.Transfers = publicTransfers(list)
			for _, o := range offers {
				if offer := publicOffer(o); !offer.claimed {
					s.Offers = append(s.Offers, offer)
				}
			}
			f(s)
		})
	})
}

// unreadCode returns the code for the other side when no reader takes an event of a kind.
func (e *Engine) unreadCode(kind events.Kind) wire.Code {
	if e.events.HasReader(kind, "") {
		return wire.Busy
	}
	return wire.Unavailable
}
