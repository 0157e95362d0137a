package ui

import (
	"path/filepath"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
)

// transferActions are what a transfer card can ask for.
type transferActions struct {
	accept                                                           func(engine.Existing)
	acceptInto                                                       func(engine.Existing)
	acceptAll                                                        func()
	decline, block, cancel, pause, resume, open, reveal, copy, retry func()
}

// transferCard shows an offer and then its transfer, from the question to the receipt.
type transferCard struct {
	card
	title   *line
	status  *line
	details *paragraph // of an offer: what is in it, and how much room there is
	failure *paragraph // the reason in full, on as many lines as it takes
	notes   *paragraph // what was renamed or left out
	icon    *widget.Icon
	picture *pictureBox
	bar     *thinBar
	barBox  *fyne.Container
	stop    *quietButton
	hold    *quietButton // pauses, or lets go on
	taken   *segments    // what becomes of names that are taken
	accept  *widget.Button
	buttons *fyne.Container
	actions transferActions
	now     engine.Transfer
	state   engine.TransferState
	waiting int      // offers of the same peer that wait for an answer
	free    string   // how much room the disk has, in words
	clashes []string // names that are taken where it would go
	barred  bool     // the peer is blocked: nothing goes there
}

func newTransferCard(t engine.Transfer, actions transferActions) *transferCard {
	c := &transferCard{
		title: newLine("", sizeBody, theme.ColorNameForeground, true), status: caption(""), icon: widget.NewIcon(iconFile), bar: newThinBar(),
		details: hint(""), failure: newParagraph("", sizeCaption, colorBad), notes: hint(""), actions: actions, state: -1,
	}
	c.title.tail = 10
	c.stop = iconButton(iconClose, tr("Cancel"), func() { c.actions.cancel() })
	c.hold = iconButton(iconPause, tr("Pause"), func() {
		if c.state == engine.Paused {
			c.actions.resume()
		} else {
			c.actions.pause()
		}
	})
	c.taken = newSegments([]string{tr("Keep both"), tr("Skip identical"), tr("Replace")}, 0, nil)
	c.barBox = inset(c.bar, gapTight, 0, 0, 0)
	c.buttons = newFlow(gap)
	c.picture = newPictureBox()
	head := newBesideRight(gap, newBeside(gapWide, newEmblem(c.icon, 40, 10), column(2, c.title, c.status, c.barBox)), row(0, c.hold, c.stop))
	c.init(c, !t.Incoming, newStacked(gap, head, c.picture, c.details, c.taken, c.failure, c.notes, c.buttons))
	c.set(t)
	return c
}

// AccessibilityLabel reads the card.
func (c *transferCard) AccessibilityLabel() string {
	return joined(c.title.full, c.status.full, c.failure.full)
}

// AccessibilityRole is that of a container.
func (c *transferCard) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleContainer }

// set shows t as it is now; true if the height changed.
func (c *transferCard) set(t engine.Transfer) bool {
	c.now = t
	c.title.set(title(t))
	if c.status.set(status(t)); c.wide { // where no conversation says with whom
		c.status.set(joined(withWhom(t), status(t)))
	}
	switch {
	case t.State == engine.Delivered:
		c.status.setColor(colorGood)
	case t.State == engine.Stalled, t.State == engine.Queued && t.Err != nil:
		c.status.setColor(colorBad)
	default:
		c.status.setColor(colorSubtle)
	}
	if t.Bytes > 0 {
		c.bar.set(float64(t.Done) / float64(t.Bytes))
	}
	if t.State == c.state {
		if t.State == engine.Offered && t.Incoming {
			return c.describe()
		}
		return false
	}
	c.state = t.State
	c.rebuild()
	return true
}

// describe says what an offer holds; true if that changed.
func (c *transferCard) describe() bool {
	before := c.details.full
	c.details.set(offerDetails(c.now, c.free, c.clashes))
	show(c.taken, len(c.clashes) > 0)
	return before != c.details.full
}

// ask tells what is known of an offer besides itself; true if the height changed.
func (c *transferCard) ask(free string, clashes []string, waiting int) bool {
	if c.state != engine.Offered || !c.now.Incoming {
		return false
	}
	c.free, c.clashes = free, clashes
	changed := c.describe()
	if waiting != c.waiting {
		c.waiting = waiting
		c.rebuild()
		changed = true
	}
	return changed
}

// setBarred tells whether the peer is blocked.
func (c *transferCard) setBarred(on bool) {
	if on != c.barred {
		c.barred = on
		c.rebuild()
	}
}

func (c *transferCard) existing() engine.Existing {
	return []engine.Existing{engine.KeepBoth, engine.SkipIdentical, engine.Replace}[c.taken.chosen]
}

// rebuild chooses which parts a state shows.
func (c *transferCard) rebuild() {
	t := c.now
	icon := iconFolder
	if t.Folders == 0 && t.Items == 1 {
		if icon = iconFile; len(t.Names) == 1 && mayPicture(t.Names[0]) {
			icon = iconPicture
		}
	}
	c.icon.SetResource(icon)
	begun := !t.State.Final() && t.State != engine.Offered
	asks := t.State == engine.Offered && t.Incoming
	show(c.details, asks)
	show(c.taken, asks && len(c.clashes) > 0)
	if asks {
		c.describe()
	}
	if t.State == engine.Failed {
		c.failure.set(reason(t.Err, t.PeerName, t.Incoming))
	}
	show(c.failure, t.State == engine.Failed)
	c.notes.set(notes(t))
	show(c.notes, t.State == engine.Delivered && c.notes.full != "")
	show(c.barBox, begun && t.State != engine.Queued)
	show(c.stop, begun || t.State == engine.Offered && !t.Incoming)
	show(c.hold, begun && t.State != engine.Finishing)
	if c.hold.SetIcon(iconPause); t.State == engine.Paused {
		c.hold.SetIcon(iconPlay)
	}
	c.buttons.RemoveAll()
	c.accept = nil
	add := func(label string, importance widget.Importance, f func()) *widget.Button {
		b := newButton(label, importance, f)
		c.buttons.Add(b)
		return b
	}
	switch {
	case asks:
		c.accept = add(tr("Accept"), widget.HighImportance, func() { c.actions.accept(c.existing()) })
		add(tr("Accept into…"), widget.MediumImportance, func() { c.actions.acceptInto(c.existing()) })
		if c.waiting > 1 {
			add(tr("Accept all {{.N}}", "N", c.waiting), widget.MediumImportance, c.actions.acceptAll)
		}
		add(tr("Decline"), widget.MediumImportance, c.actions.decline)
		add(tr("Block…"), widget.LowImportance, c.actions.block)
	case t.State == engine.Delivered && t.Incoming:
		add(tr("Show in folder"), widget.MediumImportance, c.actions.reveal)
		if len(t.Saved) == 1 && mayOpen(t.Saved[0]) {
			add(tr("Open"), widget.MediumImportance, c.actions.open)
		}
		add(tr("Copy path"), widget.LowImportance, c.actions.copy)
	case t.State > engine.Delivered && !t.Incoming && !c.barred:
		add(tr("Send again"), widget.MediumImportance, c.actions.retry)
	}
	show(c.buttons, len(c.buttons.Objects) > 0)
	c.Refresh()
}

// setPicture shows a thumbnail of what arrived or was sent.
func (c *transferCard) setPicture(p *thumbnail) {
	c.picture.set(p)
	c.Refresh()
}

// pictureBox shows a picture at the left, never wider than there is room nor larger than it is.
type pictureBox struct {
	widget.BaseWidget
	image *canvas.Image
	size  fyne.Size
}

func newPictureBox() *pictureBox {
	b := &pictureBox{image: &canvas.Image{FillMode: canvas.ImageFillStretch, CornerRadius: 8}}
	b.ExtendBaseWidget(b)
	b.Hide()
	return b
}

func (b *pictureBox) set(p *thumbnail) {
	b.image.Image, b.size = p.image, p.size
	b.image.Refresh()
	b.Show()
}

func (b *pictureBox) fitting(width float32) fyne.Size {
	if b.size.Width <= width || b.size.Width == 0 {
		return b.size
	}
	return fyne.NewSize(width, b.size.Height*width/b.size.Width)
}

func (b *pictureBox) heightFor(width float32) float32 { return b.fitting(width).Height }

func (b *pictureBox) CreateRenderer() fyne.WidgetRenderer {
	return widget.NewSimpleRenderer(container.New(pictureLayout{b}, b.image))
}

type pictureLayout struct{ b *pictureBox }

func (l pictureLayout) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSize(40, 20) }
func (l pictureLayout) Layout(o []fyne.CanvasObject, s fyne.Size) {
	o[0].Resize(l.b.fitting(s.Width))
	o[0].Move(fyne.NewPos(0, 0))
}

// offerDetails says what is in an offer, where it would go, and whether there is room.
func offerDetails(t engine.Transfer, free string, clashes []string) string {
	var lines []string
	if t.Items > 1 {
		names := t.Names[:min(len(t.Names), 5)]
		list := strings.Join(names, ", ")
		if rest := t.Items - int64(len(names)); rest > 0 {
			list += " " + trn("and {{.N}} more", rest)
		}
		lines = append(lines, list)
	}
	if free != "" {
		lines = append(lines, free)
	}
	if len(clashes) > 0 {
		s := strings.Join(clashes[:min(len(clashes), 3)], ", ")
		if rest := len(clashes) - 3; rest > 0 {
			s += " " + trn("and {{.N}} more", int64(rest))
		}
		lines = append(lines, tr("Already there: {{.Names}}", "Names", s))
	}
	return strings.Join(lines, "\n")
}

// notes lists what did not arrive under its own name, shortly.
func notes(t engine.Transfer) string {
	var lines []string
	for _, n := range t.Notes {
		if len(lines) == 4 {
			break
		}
		from, to := engine.CleanLine(n.Path), engine.CleanLine(filepath.Base(n.Saved))
		switch {
		case n.Saved != "":
			lines = append(lines, tr("{{.Name}} is now called {{.As}}", "Name", from, "As", to))
		case n.Err != nil:
			lines = append(lines, tr("{{.Name}} was left out: {{.Why}}", "Name", from, "Why", reason(n.Err, t.PeerName, t.Incoming)))
		}
	}
	if rest := t.Renamed + t.LeftOut - int64(len(lines)); rest > 0 && len(lines) > 0 {
		lines = append(lines, trn("and {{.N}} more", rest))
	}
	return strings.Join(lines, "\n")
}
