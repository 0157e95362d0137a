package ui

import (
	"context"
	"errors"
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
	"multipeer/internal/history"
)

// pairingCard leads two people through comparing a code. It stands in the conversation and blocks nothing else.
type pairingCard struct {
	card
	peer    engine.PeerID
	title   *line
	text    *paragraph
	code    *line
	buttons *fyne.Container
	stage   engine.PairingStage
	actions pairingActions
	at      place
}

// pairingActions are what a pairing card can ask for.
type pairingActions struct {
	pick, cancel, reject func()
	confirm              func(code string)
}

func newPairingCard(p engine.Pairing, face color.NRGBA, actions pairingActions) *pairingCard {
	c := &pairingCard{
		peer: p.Peer, title: newLine("", sizeBody, theme.ColorNameForeground, true), text: hint(""),
		code: newLine("", sizeDigits, theme.ColorNameForeground, true), actions: actions, stage: -1,
	}
	c.buttons = newFlow(gap)
	c.code.fits = true
	a := newAvatar(40, colorCard)
	a.set(face, p.Name, "")
	head := newBeside(gapWide, container.NewCenter(a), newStacked(2, c.title, c.code, c.text))
	c.init(c, false, newStacked(gapWide, head, c.buttons))
	c.set(p)
	return c
}

// set shows a pairing as it is now; true if the height may have changed.
func (c *pairingCard) set(p engine.Pairing) bool {
	if p.Stage == c.stage {
		return false
	}
	c.stage = p.Stage
	c.buttons.RemoveAll()
	c.code.Hide()
	add := func(label string, importance widget.Importance, f func()) {
		c.buttons.Add(newButton(label, importance, f))
	}
	cancel := func(label string) { add(label, widget.MediumImportance, c.actions.cancel) }
	switch p.Stage {
	case engine.PairingAsked:
		c.title.set(tr("{{.Name}} wants to verify", "Name", p.Name))
		c.text.set(tr("You both compare six digits, once. Then you know that no other device is between yours."))
		add(tr("Compare"), widget.HighImportance, c.actions.pick)
		cancel(tr("Not now"))
	case engine.PairingWaiting, engine.PairingStarted:
		c.title.set(tr("Verifying {{.Name}}", "Name", p.Name))
		c.text.set(tr("Press Verify on {{.Name}}, too, within two minutes.", "Name", p.Name))
		cancel(tr("Cancel"))
	case engine.PairingCompare:
		if p.Code != "" {
			c.title.set(tr("The code is"))
			c.code.set(p.Code)
			c.code.Show()
			c.text.set(tr("{{.Name}}'s screen shows three codes. Make sure that this one is picked there.", "Name", p.Name))
			add(tr("Yes, this one was picked"), widget.HighImportance, func() { c.actions.confirm("") })
			add(tr("It is not among them"), widget.MediumImportance, c.actions.reject)
			break
		}
		c.title.set(tr("Which code does {{.Name}} show?", "Name", p.Name))
		c.text.set(tr("Look at its screen and pick the same one here."))
		for _, choice := range p.Choices {
			add(choice, widget.MediumImportance, func() { c.actions.confirm(choice) })
		}
		add(tr("None of them"), widget.LowImportance, c.actions.reject)
	case engine.PairingConfirmed:
		c.title.set(tr("Almost verified"))
		c.text.set(tr("Waiting for the yes on {{.Name}}.", "Name", p.Name))
		cancel(tr("Cancel"))
	case engine.PairingDone:
		c.title.set(tr("{{.Name}} is verified", "Name", p.Name))
		c.text.set(tr("You can be sure now that it is this device."))
	case engine.PairingFailed:
		c.title.set(tr("{{.Name}} was not verified", "Name", p.Name))
		c.text.set(pairingFailure(p))
	}
	show(c.buttons, len(c.buttons.Objects) > 0)
	c.Refresh()
	return true
}

// pairingFailure says why, and what to do.
func pairingFailure(p engine.Pairing) string {
	switch {
	case errors.Is(p.Err, engine.ErrMismatch):
		return tr("The codes differ. Another device may be between the two: nobody is trusted now. Try again in ten minutes, on another network.")
	case errors.Is(p.Err, engine.ErrTimeout):
		return tr("It took too long. Press Verify on both devices, one shortly after the other.")
	case errors.Is(p.Err, engine.ErrCancelled):
		return tr("Cancelled. Nothing has changed.")
	case errors.Is(p.Err, engine.ErrBusy):
		return tr("Another verification is under way, or there were too many today. Try again later.")
	}
	return reason(p.Err, p.Name, false)
}

// verify asks the peer of a conversation to compare codes, or takes up its wish to.
func (u *UI) verify(id engine.PeerID) {
	name := u.nameOf(u.talk(id))
	u.trace("verify %q", name)
	background(u.bind, func(ctx context.Context) (struct{}, error) { return struct{}{}, u.e.Pair(ctx, id) }, func(_ struct{}, err error) {
		switch {
		case err == nil:
		case errors.Is(err, engine.ErrMismatch), errors.Is(err, engine.ErrBusy):
			u.say(pairingFailure(engine.Pairing{Name: name, Err: err}))
		default:
			u.say(reason(err, name, false))
		}
	})
}

// paired shows a pairing in the conversation with its peer.
func (u *UI) paired(p engine.Pairing) {
	u.trace("pairing %q %s%s", p.Name, p.Stage, p.Code)
	c := u.pairings[p.Peer]
	if p.Stage.Final() {
		delete(u.pairings, p.Peer)
		u.dirty.side = true
	}
	if c != nil {
		u.setPairing(c, p)
		return
	}
	t := u.talk(p.Peer)
	t.rename(p.Name)
	if p.Stage == engine.PairingDone { // by a link
		choose := u.chooser()
		u.hideLink()
		u.add(t, history.Row{Kind: history.Notice, Text: tr("{{.Name}} is verified", "Name", p.Name)}, nil)
		choose(t)
	}
	if p.Stage.Final() {
		return // what ended before it was shown
	}
	id := p.Peer
	c = newPairingCard(p, u.colorOf(id), pairingActions{
		pick:    func() { u.verify(id) },
		cancel:  func() { u.e.CancelPairing(id) },
		reject:  func() { u.answered(u.e.RejectPairing(id)) },
		confirm: func(code string) { u.answered(u.e.ConfirmPairing(id, code)) },
	})
	u.pairings[id] = c
	c.at = u.add(t, history.Row{Kind: history.Notice, Text: c.title.full}, c)
	u.attend(t, noteVerify)
}

// setPairing brings the card of a pairing up to date; its row keeps how it ended.
func (u *UI) setPairing(c *pairingCard, p engine.Pairing) {
	if !c.set(p) {
		return
	}
	u.setRow(c.at, func(r *history.Row) { r.Text = c.title.full })
	u.dirty.resized = true
}

// answered tells what an answer to a pairing has come too late for; the card says the rest.
func (u *UI) answered(err error) {
	if err != nil && !errors.Is(err, engine.ErrMismatch) {
		u.say(tr("That verification is over already."))
	}
}

// warning says that a peer has the name of another one that is better known; empty if it has not.
func (u *UI) warning(p engine.Peer) string {
	if p.LooksLike.IsZero() {
		return ""
	}
	name := p.Name
	if other, ok := u.peers[p.LooksLike]; ok {
		name = other.Name
	}
	return tr("Not the {{.Name}} that you know", "Name", name)
}
