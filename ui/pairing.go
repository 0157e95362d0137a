package ui

import (
	"context"
	"errors"
	"image/color"
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
	"multipeer/internal/history"
	"multipeer/ui/internal/widgets"
)

// pairingCard guides two people through comparing a code. It is a row in the conversation, and does not block the rest
// of the window.
type pairingCard struct {
	widgets.Card
	steady
	peer    engine.PeerID
	face    *widgets.Avatar // of the device that the title is about
	faces   pairingFaces
	title   *widgets.Paragraph
	text    *widgets.Paragraph
	code    *widgets.Line
	buttons *fyne.Container
	stage   engine.PairingStage
	shown   string   // the code of the current attempt
	choices []string // its choices
	actions pairingActions
	at      place
}

// pairingActions are the actions of a pairing card.
type pairingActions struct {
	pick, cancel, reject func()
	confirm              func(code string)
}

// pairingFaces are the avatars of the two devices.
type pairingFaces struct {
	peer, own color.NRGBA
	ownName   string
}

func newPairingCard(p engine.Pairing, faces pairingFaces, actions pairingActions, u *UI) *pairingCard {
	c := &pairingCard{
		peer: p.Peer, steady: steady{u: u}, title: widgets.NewParagraph("", widgets.SizeBody, theme.ColorNameForeground), text: widgets.Hint(""),
		code: widgets.NewLine("", widgets.SizeDigits, theme.ColorNameForeground, true), actions: actions, stage: -1,
	}
	c.title.Bold = true
	c.buttons = widgets.NewFlow(widgets.Gap)
	c.code.Fits = true
	c.face, c.faces = widgets.NewAvatar(40, widgets.ColorCard), faces
	head := widgets.NewBeside(widgets.GapWide, container.NewCenter(c.face), widgets.NewStacked(2, c.title, c.code, c.text))
	c.Init(c, false, widgets.NewStacked(widgets.GapWide, head, c.buttons))
	c.set(p)
	return c
}

// set updates the card for a pairing. It reports whether the height may have changed.
func (c *pairingCard) set(p engine.Pairing) bool {
	if p.Stage == c.stage && p.Code == c.shown && slices.Equal(p.Choices, c.choices) {
		return false
	}
	if c.stage >= 0 {
		c.Shifted() // its buttons change
	}
	c.stage, c.shown, c.choices = p.Stage, p.Code, p.Choices
	p.Name = widgets.Shortened(p.Name, shownName)
	c.face.Set(c.faces.peer, p.Name, "")
	c.buttons.RemoveAll()
	c.code.Hide()
	add := func(label string, importance widget.Importance, f func()) {
		c.buttons.Add(widgets.NewButton(label, importance, f))
	}
	cancel := func(label string) { add(label, widget.MediumImportance, c.actions.cancel) }
	switch p.Stage {
	case engine.PairingAsked:
		c.title.SetText(tr("{{.Name}} wants to compare codes", "Name", p.Name))
		c.text.SetText(tr("Compare a six-digit code once to make sure nobody is intercepting the connection."))
		add(tr("Compare"), widget.HighImportance, c.press(c.actions.pick))
		cancel(tr("Not now"))
	case engine.PairingWaiting, engine.PairingStarted:
		c.title.SetText(tr("Verifying {{.Name}}", "Name", p.Name))
		c.text.SetText(tr("Now press Verify on {{.Name}}, within two minutes.", "Name", p.Name))
		cancel(tr("Cancel"))
	case engine.PairingCompare:
		if p.Code != "" {
			c.face.Set(c.faces.own, c.faces.ownName, "")
			c.title.SetText(tr("Your code"))
			c.code.SetText(p.Code)
			c.code.Show()
			c.text.SetText(tr("{{.Name}}'s screen shows three codes. Make sure that this one is selected there.", "Name", p.Name))
			add(tr("Yes, it's selected"), widget.HighImportance, c.press(func() { c.actions.confirm(p.Code) }))
			add(tr("My code isn't there"), widget.MediumImportance, c.actions.reject)
			add(tr("Not now"), widget.LowImportance, c.actions.cancel)
			break
		}
		c.title.SetText(tr("Which code does {{.Name}} show?", "Name", p.Name))
		c.text.SetText(tr("Look at its screen and choose the same code here."))
		for _, choice := range p.Choices {
			add(choice, widget.MediumImportance, c.press(func() { c.actions.confirm(choice) }))
		}
		add(tr("None of these"), widget.MediumImportance, c.actions.reject)
		add(tr("Not now"), widget.LowImportance, c.actions.cancel)
	case engine.PairingConfirmed:
		c.title.SetText(tr("Almost done"))
		c.text.SetText(tr("Waiting for confirmation on {{.Name}}.", "Name", p.Name))
		cancel(tr("Cancel"))
	case engine.PairingDone:
		c.title.SetText(tr("{{.Name}} is verified", "Name", p.Name))
		c.text.SetText(tr("You can be sure that messages and files from {{.Name}} really come from it.", "Name", p.Name))
	case engine.PairingFailed:
		c.title.SetText(tr("{{.Name}} was not verified", "Name", p.Name))
		c.text.SetText(pairingFailure(p))
	}
	widgets.Show(c.buttons, len(c.buttons.Objects) > 0)
	c.Refresh()
	return true
}

// pairingFailure explains why a pairing failed, and what to do.
func pairingFailure(p engine.Pairing) string {
	switch {
	case errors.Is(p.Err, engine.ErrMismatch):
		return tr("The codes don't match, so nothing was verified. Someone may be intercepting the connection. Try again in ten minutes on another network.")
	case errors.Is(p.Err, engine.ErrTimeout):
		return tr("Timed out. Press Verify on both devices within two minutes.")
	case errors.Is(p.Err, engine.ErrCancelled):
		return tr("Cancelled. Nothing has changed.")
	case errors.Is(p.Err, engine.ErrBusy):
		return tr("Another verification is in progress, or there were too many attempts today. Try again later.")
	}
	return reason(p.Err, p.Name, false)
}

// pairings are the verifications in progress.
type pairings struct {
	waiting string // a link that arrived while a dialog was open
	u       *UI
	cards   map[engine.PeerID]*pairingCard
	link    hidden // the dialog of a pairing link
}

func newPairings(u *UI) *pairings { return &pairings{u: u, cards: map[engine.PeerID]*pairingCard{}} }

// verify asks the peer to compare codes, or accepts the peer's request to do so.
func (ps *pairings) verify(id engine.PeerID) {
	name := ps.u.nameOf(ps.u.talk(id))
	ps.u.trace("verify %q", name)
	background(ps.u.bind, func(ctx context.Context) (struct{}, error) { return struct{}{}, ps.u.e.Pair(ctx, id) }, func(_ struct{}, err error) {
		switch {
		case err == nil:
		case errors.Is(err, engine.ErrMismatch), errors.Is(err, engine.ErrBusy):
			ps.u.say(pairingFailure(engine.Pairing{Name: name, Err: err}))
		default:
			ps.u.fail(err, name, false)
		}
	})
}

// take shows a pairing in the conversation with its peer.
func (ps *pairings) take(p engine.Pairing) {
	ps.u.trace("pairing %q %s%s", p.Name, p.Stage, p.Code)
	c := ps.cards[p.Peer]
	if p.Stage.Final() {
		delete(ps.cards, p.Peer)
		ps.u.dirty.side = true
	}
	if c != nil {
		ps.set(c, p)
		return
	}
	t := ps.u.talk(p.Peer)
	t.rename(p.Name)
	if p.Stage == engine.PairingDone { // verified by a link
		choose := ps.u.connecting.chooser()
		ps.hideLink()
		ps.u.add(t, history.Row{Kind: history.Notice, Text: tr("{{.Name}} is verified", "Name", p.Name)}, nil)
		choose(t)
	}
	if p.Stage.Final() {
		return // the pairing ended before it was shown
	}
	id := p.Peer
	c = newPairingCard(p, pairingFaces{ps.u.colorOf(id), colorOf(ps.u.self.ID, ps.u.o.Settings.Colour), ps.u.self.Name}, pairingActions{
		pick:    func() { ps.verify(id) },
		cancel:  func() { ps.u.e.CancelPairing(id) },
		reject:  func() { ps.answered(ps.u.e.RejectPairing(id)) },
		confirm: func(code string) { ps.answered(ps.u.e.ConfirmPairing(id, code)) },
	}, ps.u)
	ps.cards[id] = c
	c.at = ps.u.addQuestion(t, history.Row{Kind: history.Notice, Text: c.title.Text}, c)
	ps.u.notes.attend(attention{kind: noteVerify, from: t})
}

// set updates the card of a pairing. Its row keeps the outcome.
func (ps *pairings) set(c *pairingCard, p engine.Pairing) {
	if !c.set(p) {
		return
	}
	ps.u.setRow(c.at, func(r *history.Row) { r.Text = c.title.Text })
	ps.u.dirty.resized = true
}

// answered reports an answer that came too late. All other outcomes are on the card.
func (ps *pairings) answered(err error) {
	if err != nil && !errors.Is(err, engine.ErrMismatch) {
		ps.u.say(tr("This verification has already ended."))
	}
}
