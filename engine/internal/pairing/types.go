package pairing

import (
	"fmt"
	"time"

	"multipeer/engine/internal/identity"
)

// Stage is engine.PairingStage.
type Stage int

// The stages of a pairing. The last two are final.
const (
	Asked Stage = iota
	Waiting
	Started
	Compare
	Confirmed
	Done
	Failed
)

func (s Stage) String() string {
	names := [...]string{"asked", "waiting", "started", "compare", "confirmed", "done", "failed"}
	if s >= 0 && int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("PairingStage(%d)", int(s))
}

// Final reports whether the stage cannot change any more.
func (s Stage) Final() bool { return s >= Done }

// View is engine.Pairing, field by field.
type View struct {
	Peer    identity.PeerID
	Name    string
	Stage   Stage
	Code    string
	Choices []string
	Until   time.Time
	Err     error
}
