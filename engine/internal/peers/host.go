package peers

import (
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// Host is what the table of peers needs from the engine. The manager's lock and that of a window may be held during
// each call, so the methods must not call the manager.
type Host interface {
	// Publish passes an event to the program. If the other side waits for the outcome and no reader takes the event,
	// the code is the reason; otherwise it is 0.
	Publish(ev Event) (refused wire.Code)
	// Deliver passes a message to the program, and returns the answer for the other side.
	Deliver(msg Message) wire.Code
	// Changed returns a channel that is closed when a peer changes.
	Changed() <-chan struct{}
}

// Transfers is what the table of peers needs from the offers and transfers. The manager's lock may be held during each
// call except Take and AcceptLane.
type Transfers interface {
	// Take handles a message about offers that came over a link.
	Take(l *Link, msg wire.Message)
	AcceptLane(lane *transport.LaneConn, place *transport.Waiting)
	// LinkUp and LinkDown report a connection.
	LinkUp(id PeerID)
	LinkDown(l *Link, err error)
	// Drop ends the transfers with a peer that refuses this engine.
	Drop(id PeerID, err error)
	// Busy reports whether any transfer with the peer needs the connection to it. Moves reports whether any of them is
	// expecting lanes.
	Busy(id PeerID) bool
	Moves(id PeerID) bool
}

// Pairings is what the table of peers needs from the pairings. The manager's lock may be held during each call except
// Take.
type Pairings interface {
	// Take handles a message about a pairing that came over a link.
	Take(l *Link, msg wire.Message) error
	LinkDown(id PeerID, err error)
	// IsOpen reports whether strangers may connect to pair, Has whether a pairing with a peer is in progress.
	IsOpen() bool
	Has(id PeerID) bool
}
