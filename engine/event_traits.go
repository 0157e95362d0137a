package engine

import (
	"multipeer/engine/internal/events"
	"multipeer/engine/internal/wire"
)

// conflictKey distinguishes a conflict from the peer's own state.
type conflictKey PeerID

// traitsOf defines how the queues of readers treat an event.
func traitsOf(ev Event) events.Traits {
	switch ev := ev.(type) {
	case Self:
		return events.Traits{State: "self", Change: true}
	case Problem:
		return events.Traits{State: "problem", Change: true}
	case PeerChanged:
		return events.Traits{State: ev.Peer.ID, Change: true}
	case PeerLost:
		return events.Traits{Ends: ev.Peer.ID, Change: true}
	case Conflict:
		return events.Traits{State: conflictKey(ev.ID)}
	case Transfer:
		return events.Traits{State: ev.ID}
	case messageReceived:
		return events.Traits{
			Kind: events.Messages, Topic: ev.message.Topic, Limited: true, From: ev.message.From,
			Bytes: len(ev.message.Body) + len(ev.message.Data), Unreliable: ev.message.Unreliable,
			Message: true, Held: ev.held,
		}
	case streamReceived:
		return events.Traits{Kind: events.Streams, Limited: true, From: ev.stream.Peer, Held: &ev.stream.held}
	case *Offer:
		return events.Traits{Kind: events.Offers, Limited: true, From: ev.Transfer.Peer}
	case *Invitation:
		return events.Traits{Kind: events.Invitations, Limited: true, From: ev.Peer.ID, Bytes: len(ev.Context), Question: true, Change: true}
	}
	return events.Traits{Change: true}
}

// abandon ends an event that no reader will take.
func abandon(ev Event) {
	if s, ok := ev.(streamReceived); ok { // no one else would close it
		s.stream.s.Abandon(wire.Unavailable)
	}
}
