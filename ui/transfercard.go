package ui

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"multipeer/bridge/localsend"
	"multipeer/engine"
	"multipeer/transfer"
	"multipeer/ui/internal/desktop"
	"multipeer/ui/internal/thumbnail"
	"multipeer/ui/internal/widgets"
)

// transferActions are the actions of a transfer card.
type transferActions struct {
	accept                                                           func(transfer.Existing) bool // returns false if there is no such offer
	acceptInto                                                       func()
	acceptAll                                                        func([]engine.TransferID)
	enterPIN                                                         func()
	always                                                           func() // nil if the peer's files cannot be accepted automatically
	decline, block, cancel, pause, resume, open, reveal, copy, retry func()
	openFile, revealFile                                             func(path string)
	drag                                                             func(paths []string)
}

// transferCard shows an offer and then its transfer, from the request to the result.
type transferCard struct {
	widgets.Card
	steady
	title      *widgets.Line
	status     *widgets.Line
	details    *widgets.Paragraph // of an offer: its content and the free disk space
	failure    *widgets.Paragraph // the complete reason, on as many lines as needed
	notes      *widgets.Paragraph // renamed or skipped files
	icon       *widget.Icon
	pictures   *widgets.Album
	preview    *fyne.Container // the picture that came with the offer
	previewed  *engine.Offer   // the offer whose preview is shown
	files      *fyne.Container // the first few received files
	bar        *widgets.ThinBar
	barBox     *fyne.Container
	stop       *widgets.QuietButton
	hold       *widgets.QuietButton // pauses or resumes
	always     *widgets.Toggle      // accepts all further files of the peer along with this offer
	alwaysText *widgets.Paragraph
	alwaysRow  *fyne.Container
	taken      *widgets.Segments // what to do with existing names
	accept     *widget.Button
	buttons    *fyne.Container
	actions    transferActions
	now        engine.Transfer
	state      engine.TransferState
	waiting    []engine.TransferID // unanswered offers of the same peer that the card counts
	free       string              // the free disk space, as text
	clashes    []string            // names that exist in the target folder
	barred     bool                // the peer is blocked, so nothing can be sent again
}

func newTransferCard(t engine.Transfer, actions transferActions) *transferCard {
	c := &transferCard{
		title: widgets.NewLine("", widgets.SizeBody, theme.ColorNameForeground, true), status: widgets.Caption(""), icon: widget.NewIcon(widgets.IconFile), bar: widgets.NewThinBar(),
		details: widgets.Hint(""), failure: widgets.NewParagraph("", widgets.SizeCaption, widgets.ColorBad), notes: widgets.Hint(""), actions: actions, state: -1,
	}
	c.stop = widgets.NewIconButton(widgets.IconClose, tr("Cancel"), func() { c.actions.cancel() })
	c.hold = widgets.NewIconButton(widgets.IconPause, tr("Pause"), func() {
		if c.state == engine.Paused {
			c.actions.resume()
		} else {
			c.actions.pause()
		}
	})
	c.taken = widgets.NewSegments([]string{tr("Skip identical files"), tr("Keep both"), tr("Replace")}, 0, nil)
	c.always = widgets.NewToggle("", widgets.ToggleStates{On: tr("on"), Off: tr("off")}, false, func(bool) {})
	c.alwaysText = widgets.Hint("")
	c.alwaysRow = widgets.NewBesideRight(widgets.Gap, c.alwaysText, c.always)
	c.barBox = widgets.Inset(c.bar, widgets.GapTight, 0, 0, 0)
	c.buttons = widgets.NewFlow(widgets.Gap)
	c.pictures = widgets.NewAlbum()
	c.preview = widgets.Row(0)
	c.files = widgets.NewStacked(0)
	what := widgets.NewDragSource(widgets.NewBeside(widgets.GapWide, widgets.NewEmblem(c.icon, 40, 10), widgets.Column(2, c.title, c.status, c.barBox)), func() { c.actions.drag(c.onDisk()) })
	head := widgets.NewBesideRight(widgets.Gap, what, widgets.Row(0, c.hold, c.stop))
	c.Init(c, !t.Incoming, widgets.NewStacked(widgets.Gap, head, c.preview, c.pictures, c.files, c.details, c.taken, c.alwaysRow, c.failure, c.notes, c.buttons))
	c.set(t)
	return c
}

// AccessibilityLabel returns the title, the status and the failure.
func (c *transferCard) AccessibilityLabel() string {
	return joined(c.title.Text, c.status.Text, c.failure.Text)
}

// AccessibilityRole returns the container role.
func (c *transferCard) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleContainer }

// set updates the card for t. It reports whether the height changed.
func (c *transferCard) set(t engine.Transfer) bool {
	c.now = t
	c.title.Tail = 0
	if t.Items == 1 {
		c.title.Tail = 10 // a cut file name keeps its extension
	}
	c.title.SetText(title(t))
	said := status(t)
	if c.Wide && (t.State != engine.Offered || !t.Incoming) { // outside a conversation, the card must name the peer
		said = joined(said, otherSide(t))
	}
	if t.State.Final() && !t.Ended.IsZero() {
		said = joined(said, t.Ended.Local().Format("15:04"))
	}
	c.status.SetText(said)
	switch {
	case isOwnEnd(t):
		c.status.SetColor(widgets.ColorSubtle)
	case t.State == engine.Delivered && t.LeftOut > 0, t.State > engine.Delivered:
		c.status.SetColor(widgets.ColorBad)
	case t.State == engine.Stalled, t.State == engine.Queued && t.Err != nil:
		c.status.SetColor(widgets.ColorBad)
	default:
		c.status.SetColor(widgets.ColorSubtle)
	}
	if t.Bytes > 0 {
		c.bar.Set(float64(t.Done) / float64(t.Bytes))
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

// isOwnEnd reports whether the user has ended a transfer: that is nothing to be alarmed about.
func isOwnEnd(t engine.Transfer) bool {
	return t.State == engine.Declined && t.Incoming || t.State == engine.Cancelled && !t.ByPeer
}

// describe updates the details of an offer. It reports whether they changed.
func (c *transferCard) describe() bool {
	before := c.details.Text
	c.details.SetText(offerDetails(c.now, c.free, c.clashes))
	widgets.Show(c.taken, len(c.clashes) > 0)
	return before != c.details.Text
}

// ask adds what was looked up about an offer. It reports whether the height may have changed.
func (c *transferCard) ask(free string, clashes []string, waiting []engine.TransferID) bool {
	if c.state != engine.Offered || !c.now.Incoming {
		return false
	}
	c.free, c.clashes = free, clashes
	changed := c.describe()
	if !slices.Equal(waiting, c.waiting) {
		c.waiting = waiting
		c.Shifted()
		c.rebuild()
		changed = true
	}
	return changed
}

// setPreview shows the picture that came with an offer, or none. The buttons below it move.
func (c *transferCard) setPreview(of *engine.Offer, p *thumbnail.Thumbnail) {
	if c.previewed != of {
		return // the offer was replaced in the meantime
	}
	c.preview.RemoveAll()
	if p != nil {
		image := canvas.NewImageFromImage(p.Image)
		image.CornerRadius = 6
		c.preview.Add(container.New(widgets.Fixed(p.Size), image))
	}
	widgets.Show(c.preview, p != nil && !c.now.State.Final())
	c.Shifted()
	c.Refresh()
}

// setBarred sets whether the peer is blocked.
func (c *transferCard) setBarred(on bool) {
	if on != c.barred {
		c.barred = on
		c.rebuild()
	}
}

// acceptCounted accepts the offers that the card has counted.
func (c *transferCard) acceptCounted() { c.actions.acceptAll(c.waiting) }

// acceptShown accepts the offer, and all further files of the peer if the user has chosen that.
func (c *transferCard) acceptShown() {
	if c.actions.accept(c.existing()) && c.always.On && c.actions.always != nil {
		c.actions.always()
	}
}

func (c *transferCard) existing() transfer.Existing {
	return []transfer.Existing{transfer.SkipIdentical, transfer.KeepBoth, transfer.Replace}[c.taken.Chosen]
}

// rebuild shows the parts that fit the current state.
func (c *transferCard) rebuild() {
	t := c.now
	if t.State > engine.Delivered && !isOwnEnd(t) {
		c.icon.SetResource(widgets.IconFailed)
	} else {
		c.icon.SetResource(contentIcon(t))
	}
	begun := !t.State.Final() && t.State != engine.Offered
	asks := t.State == engine.Offered && t.Incoming
	widgets.Show(c.details, asks)
	widgets.Show(c.taken, asks && len(c.clashes) > 0)
	widgets.Show(c.alwaysRow, asks && c.actions.always != nil)
	if asks {
		c.describe()
	}
	if t.State == engine.Failed {
		c.failure.SetText(reason(t.Err, t.PeerName, t.Incoming))
	}
	widgets.Show(c.failure, t.State == engine.Failed)
	widgets.Show(c.preview, len(c.preview.Objects) > 0 && !t.State.Final())
	c.notes.SetText(notes(t))
	widgets.Show(c.notes, t.State == engine.Delivered && c.notes.Text != "")
	widgets.Show(c.barBox, begun && t.State != engine.Queued)
	widgets.Show(c.stop, begun || t.State == engine.Offered && !t.Incoming)
	widgets.Show(c.hold, begun && t.Via == "" && t.State != engine.Finishing && !(t.State == engine.Paused && t.ByPeer)) // only the side that paused a transfer can resume it
	c.hold.SetIcon(widgets.IconPause)
	if t.State == engine.Paused {
		c.hold.SetIcon(widgets.IconPlay)
	}
	c.buttons.RemoveAll()
	c.accept = nil
	add := func(label string, importance widget.Importance, f func()) *widget.Button {
		b := widgets.NewButton(label, importance, f)
		c.buttons.Add(b)
		return b
	}
	switch {
	case asks:
		c.accept = add(tr("Accept"), widget.HighImportance, c.press(c.acceptShown))
		add(tr("Decline"), widget.MediumImportance, c.actions.decline)
		add(tr("Accept and save to…"), widget.MediumImportance, c.press(func() { c.actions.acceptInto() }))
		add(tr("Block…"), widget.LowImportance, c.actions.block)
		if len(c.waiting) > 1 { // last, because it may appear while the user aims at another button
			add(tr("Accept all {{.N}}", "N", len(c.waiting)), widget.MediumImportance, c.press(c.acceptCounted))
		}
	case t.State == engine.Delivered && t.Incoming:
		add(tr("Show in folder"), widget.MediumImportance, c.actions.reveal)
		if len(t.Saved) == 1 && desktop.MayOpen(t.Saved[0]) {
			add(tr("Open"), widget.MediumImportance, c.actions.open)
		}
		add(tr("Copy"), widget.LowImportance, c.actions.copy)
	case errors.Is(t.Err, localsend.ErrPIN) && !c.barred:
		add(tr("Enter the PIN…"), widget.MediumImportance, c.actions.enterPIN)
	case t.State > engine.Delivered && !t.Incoming && !c.barred:
		add(tr("Send again"), widget.MediumImportance, c.actions.retry)
	}
	widgets.Show(c.buttons, len(c.buttons.Objects) > 0)
	c.listFiles()
	c.Refresh()
}

// contentIcon returns the icon of what is transferred: a folder, one or several files, or pictures only.
func contentIcon(t engine.Transfer) fyne.Resource {
	notPicture := func(name string) bool { return !thumbnail.MayBe(name) }
	switch {
	case t.Folders > 0:
		return widgets.IconFolder
	case int64(len(t.Names)) == t.Items && !slices.ContainsFunc(t.Names, notPicture):
		return widgets.IconPicture
	case t.Items > 1:
		return widgets.IconFiles
	}
	return widgets.IconFile
}

// listFiles lists the first few received files, each with a link. Pictures are in the album.
func (c *transferCard) listFiles() {
	c.files.RemoveAll()
	if c.state == engine.Delivered && c.now.Incoming && len(c.now.Saved) > 1 {
		for _, path := range c.now.Saved {
			if len(c.files.Objects) == shownNames {
				break
			}
			if !thumbnail.MayBe(path) {
				c.files.Add(c.fileRow(path))
			}
		}
	}
	widgets.Show(c.files, len(c.files.Objects) > 0)
}

// fileRow shows one received file with a link that opens the file, or shows it in its folder if it must not be opened.
func (c *transferCard) fileRow(path string) fyne.CanvasObject {
	name := widgets.NewLine(engine.CleanLine(filepath.Base(path)), widgets.SizeCaption, theme.ColorNameForeground, false)
	name.Tail = 10
	link := widgets.NewLinkText(tr("Show in folder"), func() { c.actions.revealFile(path) })
	if desktop.MayOpen(path) {
		link = widgets.NewLinkText(tr("Open"), func() { c.actions.openFile(path) })
	}
	row := widgets.NewDragSource(widgets.NewBesideRight(widgets.Gap, name, link), func() { c.actions.drag([]string{path}) })
	return container.New(widgets.Least(fileRowHeight), row)
}

// onDisk returns the files and folders of the transfer that are whole on this device.
func (c *transferCard) onDisk() []string {
	switch {
	case !c.now.Incoming:
		return c.now.Paths
	case c.state == engine.Delivered:
		return c.now.Saved
	}
	return nil
}

// fileRowHeight is enough for a finger.
const fileRowHeight = 32

// shownNames is the maximum number of names of an offer that are shown.
const shownNames = 5

// shownClash is how many characters of an existing name are shown.
const shownClash = 60

// shownNote is how many characters of a note are shown.
const shownNote = 300

// noteLine returns the sender's note on one line.
func noteLine(note string) string {
	return widgets.Shortened(engine.CleanLine(strings.Join(strings.Fields(note), " ")), shownNote)
}

// quoted returns text of a peer in quotation marks, which it cannot end itself.
func quoted(text string, most int) string {
	return "“" + widgets.Shortened(strings.NewReplacer("“", "'", "”", "'", "\"", "'").Replace(text), most) + "”"
}

// offerDetails describes an offer: its note, its names, the free space in the target folder, and the names that exist
// there.
func offerDetails(t engine.Transfer, free string, clashes []string) string {
	var lines []string
	if t.Via != "" {
		lines = append(lines, tr("Sent with {{.Program}}", "Program", t.Via))
	}
	if note := noteLine(t.Note); note != "" {
		lines = append(lines, quoted(note, shownNote))
	}
	if t.Items > 1 {
		names := t.Names[:min(len(t.Names), shownNames)]
		list := strings.Join(names, ", ")
		if rest := t.Items - int64(len(names)); rest > 0 {
			list += " " + trn("and {{.N}} more", rest)
		}
		lines = append(lines, list)
	}
	if free != "" {
		lines = append(lines, free)
	}
	if len(clashes) > 0 { // list all of them, because the user's choice applies to these names
		var names []string
		for _, name := range clashes {
			names = append(names, widgets.Shortened(engine.CleanLine(name), shownClash))
		}
		lines = append(lines, tr("Already there: {{.Names}}", "Names", strings.Join(names, ", ")))
	}
	return strings.Join(lines, "\n")
}

// notes lists the first files that were renamed, skipped, or saved without some of their attributes.
func notes(t engine.Transfer) string {
	var lines []string
	for _, n := range t.Notes {
		if len(lines) == 4 {
			break
		}
		from, to := engine.CleanLine(n.Path), engine.CleanLine(filepath.Base(n.Saved))
		switch {
		case n.Saved != "" && n.Err != nil:
			lines = append(lines, tr("{{.Name}}: {{.Why}}", "Name", from, "Why", unkept(n.Err)))
		case n.Saved != "":
			lines = append(lines, tr("{{.Name}} was saved as {{.As}}", "Name", from, "As", to))
		case n.Err != nil:
			lines = append(lines, tr("Skipped {{.Name}}: {{.Why}}", "Name", from, "Why", reason(n.Err, t.PeerName, t.Incoming)))
		}
	}
	if rest := t.Renamed + t.LeftOut + t.Unkept - int64(len(lines)); rest > 0 && len(lines) > 0 {
		lines = append(lines, trn("and {{.N}} more", rest))
	}
	return strings.Join(lines, "\n")
}
