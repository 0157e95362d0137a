package ui

import (
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
	"multipeer/internal/history"
)

// invitationCard asks whether to connect.
type invitationCard struct {
	card
	peer   engine.PeerID
	title  *line
	accept *widget.Button
	at     place
	of     *engine.Invitation
}

func newInvitationCard(u *UI, p engine.Peer, accept, decline, block func()) *invitationCard {
	c := &invitationCard{peer: p.ID, title: newLine(tr("{{.Name}} wants to connect", "Name", p.Name), sizeBody, theme.ColorNameForeground, true)}
	text := hint(tr("Then you can send each other messages. Its ID starts with {{.ID}}.", "ID", p.ID.Short()))
	if w := u.warning(p); w != "" {
		text.full, text.color = w+". "+text.full, colorBad
	}
	face := newAvatar(40, colorCard)
	face.set(u.colorOf(p.ID), p.Name, "")
	c.accept = newButton(tr("Accept"), widget.HighImportance, accept)
	buttons := newFlow(gap, c.accept, newButton(tr("Decline"), widget.MediumImportance, decline), newButton(tr("Block…"), widget.LowImportance, block))
	c.init(c, false, newStacked(gapWide, newBeside(gapWide, container.NewCenter(face), newStacked(2, c.title, text)), buttons))
	return c
}

// invited shows a request to connect as a card.
func (u *UI) invited(i *engine.Invitation) {
	if u.invites[i.ID] != nil {
		return
	}
	answer := func(do func() error, text string) func() {
		return func() {
			u.closeInvitation(i, text)
			if err := do(); err != nil {
				u.say(tr("{{.Name}} has withdrawn the request.", "Name", i.Peer.Name))
			}
			u.settle()
		}
	}
	c := newInvitationCard(u, i.Peer,
		answer(i.Accept, tr("You let {{.Name}} connect", "Name", i.Peer.Name)),
		answer(i.Decline, tr("You declined {{.Name}}'s request to connect", "Name", i.Peer.Name)),
		func() { u.block(i.Peer.ID) })
	u.invites[i.ID], c.of = c, i
	t := u.talk(i.Peer.ID)
	t.rename(i.Peer.Name)
	c.at = u.add(t, history.Row{Kind: history.Notice, Text: tr("{{.Name}} asked to connect", "Name", i.Peer.Name)}, c)
	u.trace("invitation from %q", i.Peer.Name)
	u.attend(t, noteInvitation)
}

// closeInvitation puts what became of a request in its place.
func (u *UI) closeInvitation(i *engine.Invitation, text string) {
	c := u.invites[i.ID]
	if c == nil {
		return
	}
	delete(u.invites, i.ID)
	c.at.t.drop(c.at.seq)
	u.setRow(c.at, func(r *history.Row) { r.Text = text })
	u.dirty.resized = true
}

// withdrawn notes that a request was answered elsewhere, withdrawn, or has expired.
func (u *UI) withdrawn(i *engine.Invitation) {
	u.closeInvitation(i, tr("{{.Name}}'s request to connect was withdrawn", "Name", i.Peer.Name))
}

// asked tells whether a peer's request to connect is on screen.
func (u *UI) asked(id engine.PeerID) bool {
	for _, c := range u.invites {
		if c.peer == id {
			return true
		}
	}
	return false
}
