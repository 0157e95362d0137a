package ui

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"multipeer/bridge/web"
	"multipeer/engine"
	"multipeer/transfer"
	"multipeer/ui/internal/widgets"
)

// linkQR is the side length of a link's QR code: small enough that the rest of the dialog fits into a low window.
const linkQR = 176

// browserLink is an open link for a browser, as web.Open returns it.
type browserLink interface {
	URLs() []string
	Missing() int // files of accepted uploads that have not arrived
	Close()
}

// browserLinks exchanges files with devices that have only a browser. Only one link is open at a time, until its dialog
// closes.
type browserLinks struct {
	u    *UI
	open *linkDialog // nil for none
}

// linkDialog shows a link, the browsers that use it, and what arrives.
type linkDialog struct {
	u       *UI
	m       *widgets.Modal
	link    browserLink
	paths   []string
	invite  *fyne.Container    // the QR code and the address, until a browser opens the link
	state   *widgets.Paragraph // what is happening now
	outcome *widgets.Paragraph // what has arrived or has been downloaded
	said    *widgets.Paragraph // the newest text of the visitor, apart from what this program says
	missing *widgets.Paragraph // how many files have not arrived
	asked   *widgets.Paragraph // what a visitor wants to send
	origin  *widgets.Paragraph // of the question: the visitor's address and the folder
	warning *widgets.Paragraph
	usual   []*widget.Button  // shown while there is no question
	copied  *widget.Button    // one of them; useless after opened
	answers []*widget.Button  // of a question
	accept  *widget.Button    // one of them
	opened  bool              // a visitor has opened the link: no one else can
	show    *widget.Button    // opens the folder
	asking  []*uploadQuestion // the first one is shown
	shown   *uploadQuestion   // nil if none is
	shownAt time.Time         // when that last changed, or its buttons moved
	moving  map[int]bool      // uploads in progress, by number
	folder  string
}

// uploadQuestion is an upload that waits for an answer.
type uploadQuestion struct {
	upload web.Upload
	free   string     // the folder and its free space, as text
	answer chan error // has a buffer of one
}

// start opens a link that shares paths and receives into the folder for received files.
func (bl *browserLinks) start(paths []string) {
	u := bl.u
	d := &linkDialog{u: u, paths: paths, folder: u.downloads(), moving: map[int]bool{}}
	options := web.Options{Name: u.self.Name, Interfaces: u.o.Interfaces, Paths: paths, Dir: d.folder, Ask: d.ask, OnEvent: d.post}
	u.trace("browser link %q", paths)
	bl.stop()
	background(u.bind, func(ctx context.Context) (browserLink, error) {
		if err := os.MkdirAll(d.folder, 0o755); err != nil {
			return nil, err
		}
		l, err := u.o.OpenLink(ctx, options)
		if err == nil && ctx.Err() != nil { // the window has closed in the meantime
			l.Close()
		}
		return l, err
	}, func(l browserLink, err error) {
		if err != nil {
			u.fail(err, "", true)
			return
		}
		bl.open = d
		d.link = l
		d.build()
	})
}

// button returns a button that opens a link that shares no files.
func (bl *browserLinks) button() *widget.Button {
	return widgets.NewButton(tr("A phone without Multipeer"), widget.MediumImportance, func() { bl.start(nil) })
}

// stop closes the link that is open.
func (bl *browserLinks) stop() {
	if bl.open == nil {
		return
	}
	d := bl.open
	bl.open = nil
	if d.m != nil {
		d.m.Hide()
	}
	bl.u.trace("browser link stopped")
	bl.u.bind.run(func(context.Context) { d.link.Close() })
}

// build makes and shows the dialog.
func (d *linkDialog) build() {
	u := d.u
	address := d.link.URLs()[0]
	u.trace("browser link at %q", address)
	picture, err := drawQR(address)
	if err != nil {
		u.fail(err, "", true)
		u.links.stop()
		return
	}
	code := canvas.NewImageFromImage(picture)
	code.FillMode, code.ScaleMode = canvas.ImageFillContain, canvas.ImageScalePixels
	centred := func(p *widgets.Paragraph) *widgets.Paragraph {
		p.Align = fyne.TextAlignCenter
		return p
	}
	what := tr("Scan this with the phone, or open the address in its browser. The phone can then send files here.")
	if len(d.paths) > 0 {
		what = trn("Scan this with the phone, or open the address in its browser, to download {{.N}} items. The phone can also send files here.", int64(len(d.paths)))
	}
	d.state = centred(widgets.NewParagraph(tr("Waiting for the phone…"), widgets.SizeBody, theme.ColorNameForeground))
	d.outcome = centred(widgets.Hint(""))
	d.outcome.Hide()
	d.said = centred(widgets.Hint(""))
	d.said.Hide()
	d.asked = widgets.NewParagraph("", widgets.SizeBody, theme.ColorNameForeground)
	d.asked.Hide()
	d.origin = widgets.Hint("")
	d.origin.Hide()
	d.missing = centred(widgets.NewParagraph("", widgets.SizeBody, widgets.ColorBad))
	d.missing.Hide()
	d.show = widgets.NewButton(tr("Show in folder"), widget.MediumImportance, nil)
	d.show.Hide()
	d.invite = widgets.NewStacked(widgets.Gap,
		container.NewCenter(container.New(widgets.Fixed(fyne.NewSquareSize(linkQR)), code)),
		centred(widgets.NewParagraph(address, widgets.SizeCode, theme.ColorNameForeground)),
		centred(widgets.Hint(what)))
	d.warning = centred(widgets.Hint(tr("Not encrypted: others on this network could read what you exchange.")))
	body := widgets.NewStacked(widgets.Gap, d.invite, d.state, d.asked, d.origin, d.missing, d.outcome, container.NewCenter(d.show), d.said, d.warning)
	d.m = u.dialogs.modal(tr("A phone without Multipeer"), body, 420, d.newButtons(address)...)
	d.m.Closed = d.closed
	d.m.Show()
}

// newButtons returns the buttons of the dialog. While the dialog asks about an upload, it shows only those that answer.
func (d *linkDialog) newButtons(address string) []fyne.CanvasObject {
	copied := widgets.NewButton(tr("Copy the address"), widget.MediumImportance, nil)
	copied.OnTapped = func() {
		d.u.copyText(address)
		copied.SetText(tr("Copied"))
	}
	stop := widgets.NewButton(tr("Stop sharing"), widget.MediumImportance, func() {
		if time.Since(d.shownAt) < lookAgain { // the user may have meant to answer
			hasty(d.u)
			return
		}
		d.m.Hide()
	})
	decline := widgets.NewButton(tr("Decline"), widget.MediumImportance, func() { d.answer(errors.New("declined")) })
	d.accept = widgets.NewButton(tr("Accept"), widget.HighImportance, func() { d.answer(nil) })
	d.copied, d.usual, d.answers = copied, []*widget.Button{copied, stop}, []*widget.Button{decline, d.accept}
	for _, b := range d.answers {
		b.Hide()
	}
	return []fyne.CanvasObject{copied, stop, decline, d.accept}
}

// closed stops the link, unless an upload is under way and the user wants it to continue.
func (d *linkDialog) closed() {
	if d.u.links.open != d {
		return
	}
	if len(d.moving) == 0 {
		d.u.links.stop()
		return
	}
	q := d.u.dialogs.warn(tr("Stop receiving?"), tr("Files that are complete stay in the folder. The rest will not be received."), tr("Stop"), d.u.links.stop)
	q.Declined = func() {
		if d.u.links.open == d {
			d.m.Show()
		}
	}
}

// refresh fits the dialog to its content.
func (d *linkDialog) refresh() {
	var first *uploadQuestion
	if len(d.asking) > 0 {
		first = d.asking[0]
	}
	if first != d.shown {
		d.shown, d.shownAt = first, time.Now()
	}
	title := tr("A phone without Multipeer")
	d.warning.Align = fyne.TextAlignCenter
	if first != nil {
		title = tr("{{.Device}} wants to send files", "Device", deviceText(first.upload.Visitor))
		d.asked.SetText(uploadText(first.upload))
		d.origin.SetText(joined(first.upload.Visitor.Addr.String(), first.free))
		d.warning.Align = fyne.TextAlignLeading
	}
	if d.m != nil {
		d.m.SetTitle(title)
	}
	widgets.Show(d.asked, first != nil)
	widgets.Show(d.origin, first != nil)
	widgets.Show(d.state, first == nil) // the title says who it is
	for _, b := range d.usual {
		widgets.Show(b, first == nil && !(b == d.copied && d.opened))
	}
	for _, b := range d.answers {
		widgets.Show(b, first != nil)
	}
	if d.m != nil && d.u.dialogs.open == hidden(d.m) {
		where := func() fyne.Position { return fyne.CurrentApp().Driver().AbsolutePositionForObject(d.accept) }
		before := where()
		d.m.ShowAgain()
		if where() != before { // text from a visitor has moved the buttons
			d.shownAt = time.Now()
		}
	}
}

// deviceText names a visitor's device.
func deviceText(v web.Visitor) string {
	if v.Device == "" {
		return tr("The phone")
	}
	return v.Device
}

// uploadText describes an upload.
func uploadText(up web.Upload) string {
	names := make([]string, 0, 3)
	for _, n := range up.Names[:min(len(up.Names), 3)] {
		names = append(names, quoted(engine.CleanLine(n), 40))
	}
	list := strings.Join(names, ", ")
	if rest := up.Items - len(names); rest > 0 {
		list += " " + trn("and {{.N}} more", int64(rest))
	}
	if up.Bytes == transfer.Unknown {
		return list + " (" + trn("size unknown, possibly up to {{.N}} more files", up.Files-1) + ")"
	}
	count := trn("{{.N}} files", up.Files)
	if up.Folders > 0 {
		count += ", " + trn("{{.N}} folders", up.Folders)
	}
	return list + " (" + count + ", " + size(up.Bytes) + ")"
}

// ask waits for the user's answer about an upload. It is called on a goroutine of the link.
func (d *linkDialog) ask(ctx context.Context, up web.Upload) error {
	q := &uploadQuestion{up, freeIn(d.folder, up.Bytes), make(chan error, 1)}
	d.u.o.Do(func() {
		d.asking = append(d.asking, q)
		d.u.trace("upload asked %d", up.Number)
		d.u.notes.attend(attention{kind: noteOffer})
		d.refresh()
	})
	select {
	case err := <-q.answer:
		return err
	case <-ctx.Done():
		d.u.o.Do(func() {
			delete(d.moving, up.Number) // the visitor may have given up just as the user answered
			d.drop(q)
		})
		return ctx.Err()
	}
}

// answer answers the question that is shown.
func (d *linkDialog) answer(err error) {
	if d.shown == nil {
		return
	}
	if time.Since(d.shownAt) < lookAgain { // the user may have meant the previous question
		hasty(d.u)
		return
	}
	q := d.shown
	q.answer <- err
	d.u.trace("upload answered %v", err == nil)
	if err == nil {
		d.moving[q.upload.Number] = true
		d.state.SetText(tr("Receiving from {{.Device}}", "Device", deviceText(q.upload.Visitor)))
	}
	d.drop(q)
}

// drop removes a question.
func (d *linkDialog) drop(q *uploadQuestion) {
	for i, other := range d.asking {
		if other == q {
			d.asking = append(d.asking[:i:i], d.asking[i+1:]...)
		}
	}
	d.refresh()
}

// post passes an event from the link's goroutine to the main thread.
func (d *linkDialog) post(ev web.Event) { d.u.o.Do(func() { d.take(ev) }) }

// take shows an event of the link.
func (d *linkDialog) take(ev web.Event) {
	u := d.u
	if u.finished {
		return
	}
	switch ev := ev.(type) {
	case web.Opened: // from now on only this browser can use the link
		d.invite.Hide()
		d.opened = true
		d.state.SetText(tr("{{.Device}} has opened the page.", "Device", deviceText(ev.Visitor)))
	case web.Sent:
		d.outcome.SetText(tr("{{.Device}} has downloaded {{.Name}}.", "Device", deviceText(ev.Visitor), "Name", widgets.Shortened(engine.CleanLine(ev.Name), 60)))
		d.outcome.Show()
	case web.NotSent:
		d.outcome.SetText(tr("{{.Device}} can't download {{.Name}}: a file was changed or removed. Create a new link.", "Device", deviceText(ev.Visitor), "Name", widgets.Shortened(engine.CleanLine(ev.Name), 60)))
		d.outcome.Show()
		u.notes.attend(attention{kind: noteFailed})
	case web.Progress:
		d.state.SetText(tr("Receiving {{.Done}} of {{.Total}}", "Done", size(ev.Bytes), "Total", size(max(ev.Upload.Bytes, ev.Bytes))))
		return // the height does not change
	case web.Said:
		d.said.SetText(tr("{{.Device}} says: {{.Text}}", "Device", deviceText(ev.Visitor), "Text", widgets.Shortened(engine.CleanLine(ev.Text), 500)))
		d.said.Show()
	case web.Received:
		d.received(ev)
	case web.Ended:
		d.ended(ev.Err)
		return
	}
	u.trace("browser link %T", ev)
	d.refresh()
}

func (d *linkDialog) received(ev web.Received) {
	delete(d.moving, ev.Upload.Number)
	d.state.SetText(tr("{{.Device}} has opened the page.", "Device", deviceText(ev.Upload.Visitor)))
	saved := ev.Result.Saved
	switch {
	case len(saved) == 0:
		d.outcome.SetText(strings.TrimSpace(tr("Nothing was received.") + " " + failure(ev.Err, deviceText(ev.Upload.Visitor), true)))
	case ev.Err != nil:
		d.outcome.SetText(trn("{{.N}} files arrived, but others did not.", ev.Result.Files))
	default:
		d.outcome.SetText(trn("{{.N}} files were saved to {{.Folder}}.", ev.Result.Files, "Folder", d.folder))
	}
	if said := notes(engine.Transfer{
		PeerName: deviceText(ev.Upload.Visitor), Incoming: true, Notes: ev.Result.Notes,
		Renamed: ev.Result.Renamed, LeftOut: ev.Result.LeftOut, Unkept: ev.Result.Unkept,
	}); said != "" {
		d.outcome.SetText(d.outcome.Text + "\n" + said)
	}
	d.outcome.Show()
	missing := d.link.Missing()
	d.missing.SetText(trn("{{.N}} files have not arrived. The phone can send them again.", int64(missing)))
	widgets.Show(d.missing, missing > 0)
	if len(saved) > 0 {
		path := filepath.Join(d.folder, filepath.FromSlash(saved[0]))
		d.show.OnTapped = func() {
			background(d.u.bind, func(context.Context) (struct{}, error) { return struct{}{}, d.u.o.Desktop.Reveal(path) }, func(_ struct{}, err error) {
				d.u.fail(err, "", true)
			})
		}
		d.show.Show()
	}
	if len(saved) == 0 || ev.Err != nil {
		d.u.notes.attend(attention{kind: noteFailed})
	} else {
		d.u.notes.attend(attention{kind: noteArrived})
	}
}

// ended reports that the link has closed on its own.
func (d *linkDialog) ended(why error) {
	if d.u.links.open != d {
		return
	}
	d.u.links.open = nil
	d.asking = nil
	if d.m != nil {
		d.m.Hide()
	}
	switch {
	case errors.Is(why, web.ErrGuessed):
		d.u.say(tr("The link was closed because someone tried to guess it."))
	case errors.Is(why, web.ErrExpired):
		d.u.say(tr("The link has expired. Create a new one to continue."))
	case why != nil && !errors.Is(why, web.ErrStopped):
		d.u.fail(why, "", true)
	}
}
