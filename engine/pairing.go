package engine

import (
	"time"

	"multipeer/engine/internal/pairing"
)

// PairingStage is the progress of a pairing. Its methods:
//
//	String() string   its name, such as "compare"
//	Final() bool      whether the stage can no longer change
type PairingStage = pairing.Stage

// The stages of a pairing. The last two are final.
const (
	PairingAsked     = pairing.Asked     // the peer asks; Pair picks it
	PairingWaiting   = pairing.Waiting   // we have asked; the peer's user has not picked this device yet
	PairingStarted   = pairing.Started   // both have picked each other; the codes are being computed
	PairingCompare   = pairing.Compare   // the codes are on both screens; call ConfirmPairing or RejectPairing
	PairingConfirmed = pairing.Confirmed // our user has confirmed; the other user has not yet
	PairingDone      = pairing.Done      // both users have confirmed: the peer is verified
	PairingFailed    = pairing.Failed    // Err is the reason
)

// Pairing is an attempt of two people to verify each other's device.
type Pairing struct {
	Peer  PeerID
	Name  string
	Stage PairingStage
	// Code is what the initiator's screen shows during the comparison, such as "541 152"; empty on the other side.
	Code string
	// Choices are three codes, one of which is on the initiator's screen: having to pick makes a person read both
	// screens. Empty on the initiator's side.
	Choices []string
	Until   time.Time // when the pairing fails by itself
	Err     error
}

func publicPairings(views []pairing.View) []Pairing {
	var out []Pairing
	for _, v := range views {
		out = append(out, Pairing(v))
	}
	return out
}
