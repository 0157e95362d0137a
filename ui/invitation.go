package ui

import (
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
	"multipeer/internal/history"
	"multipeer/ui/internal/widgets"
)

// shownName is how many characters of a peer's name a question shows, so that a long name does not hide the question.
const shownName = 40

// invitationCard asks the user whether to connect.
type invitationCard struct {
	widgets.Card
	steady
	peer    engine.PeerID
	title   *widgets.Paragraph
	accept  *widget.Button
	agree   func() // accepts, even if the card has just shifted
	decline func()
	at      place
	of      *engine.Invitation
}

func newInvitationCard(u *UI, p engine.Peer, accept, decline, block func()) *invitationCard {
	c := &invitationCard{peer: p.ID, steady: steady{u: u}, agree: accept, decline: decline, title: widgets.NewParagraph(tr("{{.Name}} wants to connect", "Name", widgets.Shortened(p.Name, shownName)), widgets.SizeBody, theme.ColorNameForeground)}
	c.title.Bold = true
	text := widgets.Hint(tr("You'll be able to exchange messages and files. Device ID: {{.ID}}", "ID", p.ID.Short()))
	if w := u.warning(p); w != "" {
		text.Text, text.Color = w+". "+text.Text, widgets.ColorBad
	}
	face := widgets.NewAvatar(40, widgets.ColorCard)
	face.Set(u.colorOf(p.ID), p.Name, "")
	c.accept = widgets.NewButton(tr("Accept"), widget.HighImportance, c.press(accept))
	buttons := widgets.NewFlow(widgets.Gap, c.accept, widgets.NewButton(tr("Decline"), widget.MediumImportance, decline), widgets.NewButton(tr("Block…"), widget.LowImportance, block))
	c.Init(c, false, widgets.NewStacked(widgets.GapWide, widgets.NewBeside(widgets.GapWide, container.NewCenter(face), widgets.NewStacked(2, c.title, text)), buttons))
	return c
}

// invitations are the requests to connect that wait for an answer.
type invitations struct {
	u    *UI
	open map[string]*invitationCard
}

func newInvitations(u *UI) *invitations {
	return &invitations{u: u, open: map[string]*invitationCard{}}
}

// take shows a request to connect as a card.
func (in *invitations) take(i *engine.Invitation) {
	if in.open[i.ID] != nil {
		return
	}
	answer := func(do func() error, text string) func() {
		return func() {
			in.close(i, text)
			if err := do(); err != nil {
				in.u.say(tr("{{.Name}} withdrew the request.", "Name", i.Peer.Name))
			}
			in.u.settle()
		}
	}
	c := newInvitationCard(in.u, i.Peer,
		answer(i.Accept, tr("You accepted {{.Name}}", "Name", i.Peer.Name)),
		answer(i.DeclineByPerson, tr("You declined {{.Name}}'s request to connect", "Name", i.Peer.Name)),
		func() { in.u.block(i.Peer.ID) })
	in.open[i.ID], c.of = c, i
	t := in.u.talk(i.Peer.ID)
	t.rename(i.Peer.Name)
	c.at = in.u.addQuestion(t, history.Row{Kind: history.Notice, Text: tr("{{.Name}} asked to connect", "Name", i.Peer.Name)}, c)
	in.u.trace("invitation from %q", i.Peer.Name)
	in.u.notes.attend(attention{
		kind: noteInvitation, from: t,
		accept: in.ifOpen(i, func(c *invitationCard) { c.agree() }), decline: in.ifOpen(i, func(c *invitationCard) { c.decline() }),
	})
}

// ifOpen returns a function that answers a request, unless the request has been answered or withdrawn in the meantime.
// Peers choose the IDs, so another request may have the same ID.
func (in *invitations) ifOpen(i *engine.Invitation, answer func(*invitationCard)) func() {
	return func() {
		if c := in.open[i.ID]; c != nil && c.of == i {
			answer(c)
		}
	}
}

// close replaces a request's card with a row that states the outcome.
func (in *invitations) close(i *engine.Invitation, text string) {
	c := in.open[i.ID]
	if c == nil {
		return
	}
	delete(in.open, i.ID)
	c.at.t.drop(c.at.seq)
	in.u.setRow(c.at, func(r *history.Row) { r.Text = text })
	in.u.dirty.resized = true
}

// withdrawn records that a request was answered elsewhere, was withdrawn, or has expired.
func (in *invitations) withdrawn(i *engine.Invitation) {
	in.close(i, tr("{{.Name}}'s request to connect was withdrawn", "Name", i.Peer.Name))
}

// asked reports whether a peer's request to connect is on screen.
func (in *invitations) asked(id engine.PeerID) bool {
	for _, c := range in.open {
		if c.peer == id {
			return true
		}
	}
	return false
}
