package engine

import "multipeer/engine/internal/events"

// conflictKey distinguishes a conflict from the peer's own state.
type conflictKey PeerID

// traitsOf defines how the queues of readers treat an event.
func traitsOf(ev Event) events.Traits {
	switch ev := ev.(type) {
	case SelfChanged:
		return events.Traits{State: "self", Change: true}
	case Problem:
		return events.Traits{State: "problem", Change: true}
	case PeerChanged:
		return events.Traits{State: ev.Peer.ID, Change: true}
	case PeerLost:
		return events.Traits{Ends: ev.Peer.ID, Change: true}
	case ConflictFound:
		return events.Traits{State: conflictKey(ev.Conflict.ID)}
	case TransferChanged:
		return events.Traits{State: ev.Transfer.ID}
	case MessageReceived:
		return events.Traits{
			Kind: events.Messages, Topic: ev.Message.Topic, Limited: true, From: ev.Message.From,
			Bytes: len(ev.Message.Body) + len(ev.Message.Data), Unreliable: ev.Message.Unreliable,
			Message: true, Held: ev.held,
		}
	case streamReceived:
		return events.Traits{Kind: events.Streams, Limited: true, From: ev.stream.Peer, Held: &ev.stream.held}
	case OfferReceived:
		return events.Traits{Kind: events.Offers, Limited: true, From: ev.Offer.Transfer.Peer}
	case InvitationReceived:
		return events.Traits{Kind: events.Invitations, Limited: true, From: ev.Invitation.Peer.ID, Bytes: len(ev.Invitation.Context), Question: true, Change: true}
	}
	return events.Traits{Change: true}
}

// abandon ends an event that no reader will take.
func abandon(ev Event) {
	if s, ok := ev.(streamReceived); ok { // no one else would close it
		s.stream.s.Abandon()
	}
}
