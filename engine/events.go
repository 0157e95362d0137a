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

// Event is a change in the engine: a Snapshot, a PeerChanged, PeerLost, PeerAdded, PeerRemoved, InvitationClosed,
// Conflict or Problem, or the new value of a Self, Message, *Invitation, *Offer, Transfer or Pairing.
type Event interface{ event() }

type (
	// Snapshot is the complete state: the first event of each Watch, and repeated whenever a reader fell too far
	// behind. It replaces what was reported.
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
	// PeerChanged reports a peer that was found or has changed, PeerLost one that is gone.
	PeerChanged struct{ Peer Peer }
	PeerLost    struct{ Peer Peer }
	// PeerAdded reports that a session has begun, before its first message to the same reader; the peer's context is known. A
	// connection that returns within 3 s continues the session.
	PeerAdded struct{ Peer Peer }
	// PeerRemoved reports that the session has ended, after its last message: once for each PeerAdded. Err is ErrBye or
	// ErrKicked if the other side ended it, ErrCancelled if this program did, ErrBusy if a program did not read (see
	// Handler.Receive), ErrClosed if this engine ended, or why the two can no longer connect, such as ErrLost.
	PeerRemoved struct {
		Peer Peer
		Err  error
	}
	// InvitationClosed reports that an invitation was answered, was withdrawn or has expired.
	InvitationClosed struct{ Invitation *Invitation }
	// Problem reports what keeps peers from being found; nil means it is over.
	Problem struct{ Err error }
)

func (Snapshot) event()         {}
func (Self) event()             {}
func (PeerChanged) event()      {}
func (PeerLost) event()         {}
func (PeerAdded) event()        {}
func (PeerRemoved) event()      {}
func (Message) event()          {}
func (*Invitation) event()      {}
func (InvitationClosed) event() {}
func (*Offer) event()           {}
func (Transfer) event()         {}
func (Pairing) event()          {}
func (Conflict) event()         {}
func (Problem) event()          {}
func (messageReceived) event()  {}
func (streamReceived) event()   {}

// messageReceived is a message in the queues of readers, which get the message itself.
type messageReceived struct {
	message Message
	held    *events.Held
}

// streamReceived passes a stream to the Handler that takes streams.
type streamReceived struct{ stream *Stream }

// Watch returns the engine's events as a sequence for one range loop: a Snapshot, then each change from the call of
// Watch on, until ctx or the engine ends. A second loop over it ends at once. A sequence that is never read keeps its queue until then. A Watch takes
// messages and is asked about invitations and offers, even if the loop ignores them; WatchState is for those that only
// observe.
//
// Every reader that has room gets every message, so its Body and Data are shared. Messages that are queued when ctx
// ends are still yielded, since their senders know them as delivered; those that a loop leaves behind go to another
// reader or the next Watch. A peer that is connected already is in Snapshot.Peers, without a PeerAdded. Messages with a
// Topic and streams do not appear.
func (e *Engine) Watch(ctx context.Context) iter.Seq[Event] {
	return e.watch(ctx, events.Messages|events.Offers|events.Invitations)
}

// WatchState is Watch for a program that only observes: it takes no messages, invitations and offers. What no other
// reader takes fails with ErrUnavailable.
func (e *Engine) WatchState(ctx context.Context) iter.Seq[Event] { return e.watch(ctx, 0) }

func (e *Engine) watch(ctx context.Context, wants events.Kind) iter.Seq[Event] {
	var r *events.Reader[Event]
	e.freeze(func(s Snapshot) { r = e.events.Subscribe(ctx, wants, s) })
	queued := e.events.Read(r, func() (ev Event) {
		e.freeze(func(s Snapshot) { ev = s })
		return ev
	})
	return func(yield func(Event) bool) {
		for ev := range queued {
			if m, ok := ev.(messageReceived); ok {
				ev = m.message
			}
			if !yield(ev) {
				return
			}
		}
	}
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
				if offer := publicOffer(e, o); !offer.claimed {
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
