package ui

import (
	"context"
	"errors"

	"multipeer/engine"
	"multipeer/internal/chatlog"
)

// receive shows a message from a peer.
func (u *UI) receive(m engine.Message) {
	r, all := chatlog.Message(m)
	t := u.talk(m.From)
	t.rename(m.Name)
	if all {
		r.Who = u.speaker(t)
		t = u.talk(engine.PeerID{})
	}
	u.add(t, r, nil)
	u.trace("message %q from %s", r.Text, m.Name)
	u.notes.attend(t, noteMessage)
}

// speaker names the sender of a message to everyone. A peer can give itself any name, so the start of its ID is added
// unless the peer is verified or the user has named it.
func (u *UI) speaker(t *talk) string {
	p := u.peers[t.id]
	name := u.nameOf(t)
	if u.o.Settings.Names[t.key] != "" || p.Trust == engine.TrustVerified && p.LooksLike.IsZero() {
		return name
	}
	return joined(name, t.id.Short(), u.warning(p))
}

// anyone reports whether any peer is connected.
func (u *UI) anyone() bool {
	for _, p := range u.peers {
		if p.HasSession() {
			return true
		}
	}
	return false
}

// invite asks the peer of a conversation to connect.
func (u *UI) invite(id engine.PeerID) {
	name := u.nameOf(u.talk(id))
	u.trace("invite %q", name)
	background(u.bind, func(ctx context.Context) (struct{}, error) { return struct{}{}, u.e.Invite(ctx, id) }, func(_ struct{}, err error) {
		if err != nil && !errors.Is(err, engine.ErrCancelled) {
			u.say(reason(err, name, false))
		}
	})
}
