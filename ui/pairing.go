package ui

import (
	"context"
	"errors"
	"fmt"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
)

// pairingCard leads two people through comparing a code. It stands in the conversation and blocks nothing else.
type pairingCard struct {
	card
	peer    engine.PeerID
	title   *line
	text    *widget.Label
	code    *line
	buttons *fyne.Container
	more    *fyne.Container
	stage   engine.PairingStage
	actions pairingActions
}

// pairingActions are what a pairing card can ask for.
type pairingActions struct {
	pick, cancel, reject func()
	confirm              func(code string)
}

func newPairingCard(p engine.Pairing, actions pairingActions) *pairingCard {
	c := &pairingCard{
		peer: p.Peer, title: newLine("", sizeBody, "foreground", true), text: widget.NewLabel(""),
		code: newLine("", 30, "foreground", true), actions: actions, stage: -1,
	}
	c.text.Wrapping, c.text.SizeName = fyne.TextWrapWord, theme.SizeNameCaptionText
	c.buttons = row(8)
	c.more = inset(c.buttons, 6, 0, 0, 0)
	c.code.fits = true
	face := newAvatar(42)
	face.on = colorCard
	face.set(p.Peer, p.Name, "")
	head := newBeside(12, face, column(0, c.title, container.NewStack(c.code)))
	c.init(c, false, column(0, head, inset(c.text, -4, -6, -8, -8), c.more))
	c.set(p)
	return c
}

// heightFor wraps the text for the width first.
func (c *pairingCard) heightFor(width float32) float32 {
	c.text.Resize(fyne.NewSize(min(cardWidth, width)-28+16, 1))
	return c.card.heightFor(width)
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
		b := widget.NewButton(label, f)
		b.Importance = importance
		c.buttons.Add(b)
	}
	cancel := func(label string) { add(label, widget.MediumImportance, c.actions.cancel) }
	switch p.Stage {
	case engine.PairingAsked:
		c.title.set(p.Name + " wants to verify")
		c.text.SetText("You both compare six digits, once. Then you know that no other device is between yours.")
		add("Compare", widget.HighImportance, c.actions.pick)
		cancel("Not now")
	case engine.PairingWaiting, engine.PairingStarted:
		c.title.set("Verifying " + p.Name)
		c.text.SetText("Press Verify on " + p.Name + ", too, within two minutes.")
		cancel("Cancel")
	case engine.PairingCompare:
		if p.Code != "" {
			c.title.set("The code is")
			c.code.set(p.Code)
			c.code.Show()
			c.text.SetText(p.Name + "'s screen shows three codes. Make sure that this one is picked there.")
			add("It was picked there", widget.HighImportance, func() { c.actions.confirm("") })
			add("It is not there", widget.MediumImportance, c.actions.reject)
			break
		}
		c.title.set("Which code does " + p.Name + " show?")
		c.text.SetText("Look at its screen and pick the same one here.")
		for _, choice := range p.Choices {
			add(choice, widget.MediumImportance, func() { c.actions.confirm(choice) })
		}
		add("None", widget.LowImportance, c.actions.reject)
	case engine.PairingConfirmed:
		c.title.set("Almost verified")
		c.text.SetText("Waiting for the yes on " + p.Name + ".")
		cancel("Cancel")
	case engine.PairingDone:
		c.title.set(p.Name + " is verified")
		c.text.SetText("From now on you can be sure that it is this device, whatever it is called.")
	case engine.PairingFailed:
		c.title.set(p.Name + " was not verified")
		c.text.SetText(pairingFailure(p))
	}
	c.more.Hidden = len(c.buttons.Objects) == 0
	c.in.Refresh()
	c.Refresh()
	return true
}

// pairingFailure says why, and what to do.
func pairingFailure(p engine.Pairing) string {
	switch {
	case errors.Is(p.Err, engine.ErrMismatch):
		return "The codes differ. Another device may be between the two: nobody is trusted now. Try again in ten minutes, on another network."
	case errors.Is(p.Err, engine.ErrTimeout):
		return "It took too long. Press Verify on both devices, one shortly after the other."
	case errors.Is(p.Err, engine.ErrCancelled):
		return "Cancelled. Nothing has changed."
	case errors.Is(p.Err, engine.ErrBusy):
		return "Another verification is under way, or there were too many today. Try again later."
	}
	return reason(p.Err, p.Name, false)
}

// verify asks the peer of a conversation to compare codes, or takes up its wish to.
func (u *UI) verify(id engine.PeerID) {
	name := u.peers[id].Name
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

// paired shows a pairing in the conversation with its peer; true if its card has changed its height.
func (u *UI) paired(p engine.Pairing) bool {
	u.trace("pairing %q %s%s", p.Name, p.Stage, p.Code)
	c := u.pairings[p.Peer]
	if p.Stage.Final() {
		delete(u.pairings, p.Peer)
	}
	if c != nil {
		return c.set(p)
	}
	if p.Stage == engine.PairingDone { // by a link
		u.hideLink()
		t := u.talk(p.Peer)
		t.name = p.Name
		u.add(t, newNotice(p.Name+" is verified"), false)
		u.choose(t)
	}
	if p.Stage.Final() {
		return false // what ended before it was shown
	}
	id := p.Peer
	c = newPairingCard(p, pairingActions{
		pick:   func() { u.verify(id) },
		cancel: func() { u.e.CancelPairing(id) },
		reject: func() { u.settle(u.e.RejectPairing(id)) },
		confirm: func(code string) {
			u.settle(u.e.ConfirmPairing(id, code))
		},
	})
	u.pairings[id] = c
	t := u.talk(id)
	if t.name == "" {
		t.name = p.Name
	}
	u.add(t, c, false)
	if u.current == nil {
		u.choose(t)
	}
	return false
}

// settle tells what an answer to a pairing has come too late for; the card says the rest.
func (u *UI) settle(err error) {
	if err != nil && !errors.Is(err, engine.ErrMismatch) {
		u.say("That verification is over already.")
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
	return fmt.Sprintf("Not the %s that you know", name)
}
