package engine

import (
	"maps"
	"time"

	"multipeer/engine/internal/peers"
	"multipeer/engine/internal/wire"
)

// Self describes this engine.
func (e *Engine) Self() Self { return e.publicSelf(e.peers.Self()) }

// SetName changes the display name, in the profile and for all who see us. The error is ErrInvalid, or comes from the
// profile's disk.
func (e *Engine) SetName(name string) error {
	if hasEnded(e) {
		return ErrClosed
	}
	if err := ValidateName(name); err != nil {
		return err
	}
	if err := e.profile.SetName(name); err != nil {
		return err
	}
	e.peers.Update(func(s *peers.Self) { s.Name = name })
	return nil
}

// SetInfo changes the discovery info for all who see us, connected or not. The error is ErrInvalid.
func (e *Engine) SetInfo(info map[string]string) error {
	if err := wire.ValidateInfo(info); err != nil {
		return err
	}
	info = maps.Clone(info)
	e.peers.Update(func(s *peers.Self) { s.Info = info })
	return nil
}

// SetContext changes what is sent with invitations and answers from now on; existing sessions keep the context they
// have. Errors are those of Config.Context.
func (e *Engine) SetContext(v any) error {
	encoded, err := encodeContext(v)
	if err != nil {
		return err
	}
	e.peers.SetContext(encoded)
	return nil
}

// SetPolicies changes Config.Invite and Config.Accept. Sessions that exist are not affected; peers that the new policy
// includes are invited at once. The error is ErrInvalid.
func (e *Engine) SetPolicies(invite, accept Audience) error {
	if err := checkPolicies(invite, accept); err != nil {
		return err
	}
	e.peers.SetPolicies(invite, accept)
	return nil
}

// SetLooking sets whether others can find this engine, and whether it looks for others (startLookingForPeers; the
// opposite of Config.Hidden and Config.Blind). Sessions are not affected.
func (e *Engine) SetLooking(advertise, browse bool) {
	e.peers.Update(func(s *peers.Self) { s.Advertising, s.Browsing = advertise, browse })
}

// SetVisible changes who can see this engine, for the duration d or, if d is 0, until the next call; after d, the
// previous value is restored. Strangers that are connected without a session are disconnected if the new value no
// longer includes them. Errors are ErrInvalid, and ErrClosed if d is not 0 and the engine is not running.
func (e *Engine) SetVisible(v Visibility, d time.Duration) error { return e.peers.SetVisible(v, d) }

// Problem returns what currently keeps this engine from finding others, or nil. Changes are reported by the event
// Problem.
func (e *Engine) Problem() error { return e.peers.Problem() }
