package peers

// Event is a change of a peer, of this engine, or of the session between them. The set of types is closed.
type Event interface{ event() }

type (
	// SelfChanged reports a new name, port or mode.
	SelfChanged struct{ Self Self }
	// PeerChanged reports a peer that was found or has changed.
	PeerChanged struct{ Peer Peer }
	// PeerLost reports a peer that is gone.
	PeerLost struct{ Peer Peer }
	// PeerAdded reports that a session has begun.
	PeerAdded struct{ Peer Peer }
	// PeerRemoved reports that the session has ended, and why.
	PeerRemoved struct {
		Peer Peer
		Err  error
	}
	// StreamReceived passes a stream that the other program has opened.
	StreamReceived struct{ Stream *Stream }
	// InvitationReceived asks for a session.
	InvitationReceived struct{ Invitation *Invitation }
	// InvitationClosed reports that an invitation was answered, was withdrawn or has expired.
	InvitationClosed struct{ Invitation *Invitation }
	// ConflictFound reports an identity that two devices use.
	ConflictFound struct{ Conflict Conflict }
	// Problem reports what keeps peers from being found; nil means it is over.
	Problem struct{ Err error }
)

func (SelfChanged) event()        {}
func (PeerChanged) event()        {}
func (PeerLost) event()           {}
func (PeerAdded) event()          {}
func (PeerRemoved) event()        {}
func (StreamReceived) event()     {}
func (InvitationReceived) event() {}
func (InvitationClosed) event()   {}
func (ConflictFound) event()      {}
func (Problem) event()            {}
