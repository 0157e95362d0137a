package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
)

const cardWidth = 460

// card is the frame of everything in a timeline that is more than words.
type card struct {
	widget.BaseWidget
	out  bool
	body fyne.CanvasObject
	back *panel
	in   *fyne.Container
}

func (c *card) init(self fyne.Widget, out bool, body fyne.CanvasObject) {
	c.out, c.body = out, body
	c.back = newPanel(colorCard, colorBorder, 14)
	c.in = container.NewStack(c.back, inset(body, 12, 12, 14, 14))
	c.ExtendBaseWidget(self)
}

func (c *card) heightFor(width float32) float32 { return c.in.MinSize().Height }

func (c *card) CreateRenderer() fyne.WidgetRenderer {
	return widget.NewSimpleRenderer(container.New(cardLayout{c}, c.in))
}

// cardLayout puts the card at the side of who sent it.
type cardLayout struct{ c *card }

func (l cardLayout) MinSize(o []fyne.CanvasObject) fyne.Size {
	return fyne.NewSize(200, o[0].MinSize().Height)
}

func (l cardLayout) Layout(o []fyne.CanvasObject, s fyne.Size) {
	w := min(cardWidth, s.Width)
	x := float32(0)
	if l.c.out {
		x = s.Width - w
	}
	o[0].Resize(fyne.NewSize(w, o[0].MinSize().Height))
	o[0].Move(fyne.NewPos(x, 0))
}

// transferActions are what a transfer card can ask for.
type transferActions struct {
	accept, decline, cancel, pause, resume, open, reveal, retry func()
}

// transferCard shows an offer and then its transfer, from the question to the receipt.
type transferCard struct {
	card
	title   *line
	status  *line
	failure *widget.Label // the reason in full, on as many lines as it takes
	icon    *widget.Icon
	bar     *thinBar
	barBox  *fyne.Container
	stop    *widget.Button
	hold    *widget.Button // pauses, or lets go on
	accept  *widget.Button
	buttons *fyne.Container
	more    *fyne.Container
	failed  *fyne.Container
	actions transferActions
	state   engine.TransferState
	files   bool // shows the icon of a file
}

func newTransferCard(t engine.Transfer, actions transferActions) *transferCard {
	c := &transferCard{
		title: newLine("", sizeBody, "foreground", true), status: caption(""),
		icon: widget.NewIcon(iconFile), bar: newThinBar(), actions: actions, state: -1, files: true,
	}
	c.title.tail = 10
	c.failure = widget.NewLabel("")
	c.failure.Wrapping, c.failure.Importance, c.failure.SizeName = fyne.TextWrapWord, widget.DangerImportance, theme.SizeNameCaptionText
	c.stop = iconButton(theme.CancelIcon(), func() { c.actions.cancel() })
	c.hold = iconButton(theme.MediaPauseIcon(), func() {
		if c.state == engine.Paused {
			c.actions.resume()
		} else {
			c.actions.pause()
		}
	})
	c.barBox = inset(c.bar, 5, 1, 0, 0)
	c.buttons = row(8)
	c.more = inset(c.buttons, 10, 0, 0, 0)
	text := column(2, c.title, c.status, c.barBox)
	c.failed = inset(c.failure, -4, -8, 46, -8)
	head := newBesideRight(8, newBeside(12, newTile(c.icon), text), row(2, c.hold, c.stop))
	c.init(c, !t.Incoming, column(0, head, c.failed, c.more))
	c.set(t)
	return c
}

// heightFor wraps the reason for the width first.
func (c *transferCard) heightFor(width float32) float32 {
	if c.failed.Visible() {
		c.failure.Resize(fyne.NewSize(min(cardWidth, width)-28-38, 1))
	}
	return c.card.heightFor(width)
}

// set shows t as it is now; true if the height changed.
func (c *transferCard) set(t engine.Transfer) bool {
	c.title.set(title(t))
	c.status.set(status(t))
	c.status.setColor(colorSubtle)
	if t.State == engine.Delivered {
		c.status.setColor(colorGood)
	}
	if file := t.Folders == 0 && t.Items == 1; file != c.files {
		c.files = file
		if c.icon.SetResource(iconFolder); file {
			c.icon.SetResource(iconFile)
		}
	}
	if t.Bytes > 0 {
		c.bar.set(float64(t.Done) / float64(t.Bytes))
	}
	c.troubled(t)
	if t.State == c.state {
		return false
	}
	c.state = t.State
	c.layoutFor(t)
	return true
}

// troubled colours the line of a transfer that does not move.
func (c *transferCard) troubled(t engine.Transfer) {
	if t.State == engine.Stalled || t.State == engine.Queued && t.Err != nil {
		c.status.setColor(theme.ColorNameError)
	}
}

// layoutFor chooses which parts a state shows.
func (c *transferCard) layoutFor(t engine.Transfer) {
	shown := func(o fyne.CanvasObject, on bool) {
		if on {
			o.Show()
		} else {
			o.Hide()
		}
	}
	begun := !t.State.Final() && t.State != engine.Offered
	if t.State == engine.Failed {
		c.failure.SetText(reason(t.Err, t.PeerName, t.Incoming))
	}
	shown(c.failed, t.State == engine.Failed)
	shown(c.barBox, begun && t.State != engine.Queued)
	shown(c.stop, begun || t.State == engine.Offered && !t.Incoming)
	shown(c.hold, begun && t.State != engine.Finishing)
	if c.hold.SetIcon(theme.MediaPauseIcon()); t.State == engine.Paused {
		c.hold.SetIcon(theme.MediaPlayIcon())
	}
	c.buttons.RemoveAll()
	add := func(label string, importance widget.Importance, f func()) *widget.Button {
		b := widget.NewButton(label, f)
		b.Importance = importance
		c.buttons.Add(b)
		return b
	}
	switch {
	case t.State == engine.Offered && t.Incoming:
		c.accept = add("Accept", widget.HighImportance, c.actions.accept)
		add("Decline", widget.MediumImportance, c.actions.decline)
	case t.State == engine.Delivered && t.Incoming:
		add("Show in folder", widget.MediumImportance, c.actions.reveal)
		if len(t.Saved) == 1 && mayOpen(t.Saved[0]) {
			add("Open", widget.MediumImportance, c.actions.open)
		}
	case t.State > engine.Delivered && !t.Incoming:
		add("Send again", widget.MediumImportance, c.actions.retry)
	}
	shown(c.more, len(c.buttons.Objects) > 0)
	c.in.Refresh()
	c.Refresh()
}

// invitationCard asks whether to connect.
type invitationCard struct {
	card
	peer    engine.PeerID
	title   *line
	text    *line
	accept  *widget.Button
	buttons *fyne.Container
	more    *fyne.Container
}

func newInvitationCard(p engine.Peer, accept, decline func()) *invitationCard {
	c := &invitationCard{
		peer:  p.ID,
		title: newLine(p.Name+" wants to connect", sizeBody, "foreground", true),
		text:  caption("Then you can send each other messages. Its ID starts with " + p.ID.Short() + "."),
	}
	face := newAvatar(42)
	face.on = colorCard
	face.set(p.ID, p.Name, "")
	c.accept = widget.NewButton("Accept", accept)
	c.accept.Importance = widget.HighImportance
	c.buttons = row(8, c.accept, widget.NewButton("Decline", decline))
	c.more = inset(c.buttons, 10, 0, 0, 0)
	c.init(c, false, column(0, newBeside(12, face, column(2, c.title, c.text)), c.more))
	return c
}

// close replaces the question by what became of it.
func (c *invitationCard) close(text string) {
	c.more.Hide()
	c.text.set(text)
	c.in.Refresh()
	c.Refresh()
}
