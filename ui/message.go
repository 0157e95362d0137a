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
		r.Who = u.speaker(t, m)
		t = u.talk(engine.PeerID{})
	}
	u.add(t, r, nil)
	u.trace("message %q from %s", r.Text, m.Name)
	u.notes.attend(attention{kind: noteMessage, from: u.talk(m.From)})
}

// speaker returns the sender's name for a message to everyone. A peer can choose any name, so the start of its ID is
// added unless the peer is verified or the user has named it.
func (u *UI) speaker(t *talk, m engine.Message) string {
	if name := u.o.Settings.Names[t.key]; name != "" {
		return name
	}
	from, here := u.peers[m.From]
	if !here || from.Name != m.Name { // the name in the message is not the peer's current one
		from = engine.Peer{ID: m.From, Name: m.Name, Trust: u.e.Trust(m.From), LooksLike: u.e.LooksLike(m.From, m.Name)}
	}
	if from.Trust == engine.TrustVerified && from.LooksLike.IsZero() {
		return m.Name
	}
	return joined(m.Name, m.From.Short(), u.warning(from))
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
	background(u.bind, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, u.e.InviteWith(ctx, id, engine.InviteOptions{Person: true})
	}, func(_ struct{}, err error) {
		if err != nil && !errors.Is(err, engine.ErrCancelled) {
			u.fail(err, name, false)
		}
	})
}
