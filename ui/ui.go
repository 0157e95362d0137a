// Package ui is the window of Multipeer: it shows the engine's values and
// calls its methods, and knows nothing of networks or protocols.
//
// The engine's events cross to Fyne's main thread in bind.go alone; everything
// else in this package runs on the main thread. What a peer wrote is shown as
// plain text, never as Markdown, links, notifications or keys of a translation.
//
// The engine holds what is, the history what was; what this package keeps is
// what of both is on screen. Handlers of events and of clicks note in UI.dirty
// what they have changed, and settle brings it to the screen once.
package ui

import (
	"context"
	"io"
	"sync/atomic"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/dialog"
	"fyne.io/fyne/v2/layout"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
	"multipeer/icons"
	"multipeer/internal/history"
	"multipeer/internal/settings"
)

// Options are what a UI is made of.
type Options struct {
	App        fyne.App
	Engine     *engine.Engine
	Do         func(func())       // brings a function to the main thread; fyne.Do but for tests
	Desktop    Desktop            // nil for the real one
	Settings   *settings.Settings // nil for the defaults
	History    *history.Store     // nil for one in memory; who made it closes it, after Close
	Downloads  string             // folder for what is received, instead of that of the settings
	Interfaces []string           // those that the engine uses; none is all
	Version    string
	Trace      io.Writer // where tests read what happens and where things are; nil for nobody
	TraceLess  bool      // leaves out where things are
}

// page is what the right side of the window shows.
type page int

const (
	pageEmpty page = iota
	pageTalk
	pageTransfers
	pageSettings
)

// UI is the window with its state. All methods are for the main thread.
type UI struct {
	o       Options
	e       *engine.Engine
	w       fyne.Window
	bind    *binding
	started time.Time

	self       engine.Self
	peers      map[engine.PeerID]engine.Peer
	talks      map[engine.PeerID]*talk // by peer; the zero ID is everyone
	current    *talk                   // nil while nobody is chosen
	page       page
	inviting   map[engine.PeerID]bool // because messages wait
	transfers  map[engine.TransferID]engine.Transfer
	order      []engine.TransferID // in which they were first seen
	rows       map[engine.TransferID]place
	progress   map[engine.TransferID]bool // that moved since progressed
	progressed time.Time
	sources    map[engine.TransferID][]string // paths of what we offered, to send again
	offers     map[engine.TransferID]*engine.Offer
	invites    map[string]*invitationCard // open ones
	pairings   map[engine.PeerID]*pairingCard
	waiting    []string // paths that wait for somebody to be chosen
	problem    error
	finished   bool
	over       atomic.Bool // the main thread runs nothing any more
	dirty      dirty

	shell    *shell
	root     *fyne.Container
	side     *side
	pages    [4]fyne.CanvasObject // by page
	header   *header
	timeline *timeline
	entry    *field
	send     *widget.Button
	compose  *fyne.Container
	barred   *fyne.Container // in its place where a peer is blocked
	attach   *quietButton
	empty    *emptyState
	moves    *transfersPage
	prefs    *settingsPage
	toast    *toast
	dialog   hidden   // what is open over the window
	link     hidden   // while a link is shown
	menu     *popMenu // that was opened last
	tray     *tray
	front    bool // the window has the user's eye
	quiet    map[note]time.Time
	pictures *pictures
	traced   map[string]string // what the last AT line of each widget said
}

// dirty is what has changed since settle.
type dirty struct {
	side, own, resized, transfers bool
	grew                          int // rows that were added to the current conversation
}

// New makes the window. Start brings it to life.
func New(o Options) *UI {
	if o.Settings == nil {
		o.Settings = &settings.Settings{}
	}
	if o.History == nil {
		o.History = history.Memory()
	}
	u := &UI{
		o: o, e: o.Engine, self: o.Engine.Self(), started: time.Now(), front: true,
		peers: map[engine.PeerID]engine.Peer{}, talks: map[engine.PeerID]*talk{}, inviting: map[engine.PeerID]bool{},
		transfers: map[engine.TransferID]engine.Transfer{}, rows: map[engine.TransferID]place{},
		sources: map[engine.TransferID][]string{}, progress: map[engine.TransferID]bool{}, offers: map[engine.TransferID]*engine.Offer{}, invites: map[string]*invitationCard{},
		pairings: map[engine.PeerID]*pairingCard{}, traced: map[string]string{}, quiet: map[note]time.Time{}, pictures: newPictures(),
	}
	u.o.Do = func(f func()) { // once Fyne's loop has ended it would run things wherever they are posted
		if !u.over.Load() {
			o.Do(f)
		}
	}
	if o.Desktop == nil {
		u.o.Desktop = NewDesktop(o.App, func() { u.o.Do(u.raise) })
	}
	u.loadTalks()
	u.findRows()
	u.w = o.App.NewWindow("Multipeer")
	u.w.SetIcon(fyne.NewStaticResource("app.png", icons.App))
	u.build()
	u.w.SetPadded(false)
	size := fyne.NewSize(980, 660)
	if s := o.Settings; s.Width > 0 {
		size = fyne.NewSize(s.Width, s.Height)
	}
	u.w.Resize(size)
	u.w.CenterOnScreen()
	u.w.SetMaster()
	u.w.SetOnDropped(u.dropped)
	u.w.SetCloseIntercept(u.closed)
	u.addShortcuts()
	return u
}

// Window is the window itself.
func (u *UI) Window() fyne.Window { return u.w }

// Start begins to follow the engine until Close or the end of ctx.
func (u *UI) Start(ctx context.Context) {
	u.bind = newBinding(ctx, u.o.Do, u.settle)
	u.bind.pump(u.e.Watch(u.bind.ctx), u.apply)
	u.bind.every(time.Second, u.second)
	if u.o.Trace != nil {
		u.traceFrames()
		if !u.o.TraceLess {
			u.bind.every(200*time.Millisecond, u.traceLayout) // the layout follows the events
		}
	}
	u.describeSelf()
	u.startTray()
}

// Close ends what Start began and waits for it. Messages that came meanwhile go into the history: their senders were
// told that they are delivered.
func (u *UI) Close() {
	u.over.Store(true)
	u.saveDraft()
	u.front = false
	if u.bind == nil {
		u.finished = true
		return
	}
	late := u.bind.close()
	u.finished = true
	for _, ev := range late {
		if m, ok := ev.(engine.MessageReceived); ok {
			u.receive(m.Message)
		}
	}
}

// second is for what changes with time alone.
func (u *UI) second() {
	u.toast.age()
	u.sendWaiting()
	u.settle() // the last progress may wait
	if u.page == pageTransfers {
		u.moves.tick()
	}
}

// build makes everything that is on screen, in the language and look of the settings.
func (u *UI) build() {
	for _, t := range u.talks {
		t.forget()
	}
	u.side = newSide(u)
	u.header = newHeader(u)
	u.timeline = newTimeline()
	u.entry = newComposer(u)
	u.send = widget.NewButtonWithIcon("", iconGo, u.sendText)
	u.send.Importance = widget.LowImportance
	u.attach = iconButton(iconAttach, tr("Attach"), u.attachMenu)
	u.empty = newEmptyState(u)
	u.moves = newTransfersPage(u)
	u.prefs = nil
	u.toast = newToast(u)

	u.compose = inset(container.NewBorder(nil, nil, u.attach, u.send, inset(u.entry, 0, 0, gap, gap)), gap, gapWide, gapWide, edge)
	u.barred = newBarred(u)
	u.barred.Hide()
	talk := newPane(u.header.box, container.NewStack(u.compose, u.barred), u.timeline)
	u.pages = [4]fyne.CanvasObject{u.empty.box, talk, u.moves.box, container.NewStack()}
	main := container.NewStack(append([]fyne.CanvasObject{newPanel(theme.ColorNameBackground, "", 0)}, u.pages[:]...)...)
	u.shell = &shell{changed: func(bool) { u.showHeader(); u.side.waiting.update(); u.dirty.side = true }, resized: u.resized}
	u.root = container.New(u.shell, u.side.box, main)
	u.w.SetContent(newPane(u.toast.box, nil, u.root))
	u.turn(u.page)
	u.side.refresh()
}

// rebuild makes the window anew after its language or look has changed.
func (u *UI) rebuild() {
	u.saveDraft()
	at := u.page
	u.build()
	if t := u.current; t != nil {
		u.current = nil
		u.choose(t)
	}
	if at == pageSettings {
		u.showSettings()
	}
	if u.tray != nil {
		u.tray.said = ""
		u.tray.update()
	}
}

// turn shows a page.
func (u *UI) turn(p page) {
	u.page = p
	for i, o := range u.pages {
		show(o, page(i) == p)
	}
	if p == pageEmpty {
		u.showEmpty()
	}
	u.shell.onPage = p != pageEmpty
	u.arrange()
	u.dirty.side = true
}

// arrange lays the window out after what is in front has changed.
func (u *UI) arrange() {
	if s := u.root.Size(); s.Width > 0 {
		u.shell.Layout(u.root.Objects, s)
		u.root.Refresh()
	}
}

// back leaves a page: in a narrow window to the list, else to nobody.
func (u *UI) back() {
	u.saveDraft()
	if u.shell.narrow {
		u.shell.onPage = false
		u.current = nil
		u.turn(pageEmpty)
		return
	}
	u.choose(u.current)
}

// resized closes what stands at a place that may be another now, and lets what is open fit.
func (u *UI) resized() {
	if u.menu != nil && u.menu.open() {
		u.menu.pop.Hide()
	}
	if m, ok := u.dialog.(*modal); ok {
		m.fit()
		u.o.Do(func() { // shown anew when the overlay, too, has the new size, or it would not stand in the middle
			if u.dialog == hidden(m) {
				m.pop.Hide()
				m.fit()
				m.pop.Show()
			}
		})
	}
}

// settle brings to the screen what has changed.
func (u *UI) settle() {
	if u.finished {
		return
	}
	u.showProgress()
	d := u.dirty
	u.dirty = dirty{}
	if d.side {
		u.side.refresh()
		if u.tray != nil {
			u.tray.update()
		}
	}
	switch u.page {
	case pageEmpty:
		u.showEmpty()
	case pageTalk:
		u.showHeader()
		if d.grew > 0 {
			u.timeline.grew(d.grew, d.own)
		} else if d.resized {
			u.timeline.remeasure()
		}
	case pageTransfers:
		if d.transfers || d.resized {
			u.moves.refresh()
		}
	}
	u.traceLayout()
}

// choose shows a conversation; nil shows what to do when there is none.
func (u *UI) choose(t *talk) {
	u.saveDraft()
	again := t != nil && t == u.current
	u.current = t
	if t == nil {
		u.turn(pageEmpty)
		return
	}
	t.unread = 0
	t.save()
	if !again {
		u.entry.SetText(t.draft)
		u.timeline.show(t)
	}
	u.turn(pageTalk)
	u.showHeader()
	u.side.refresh()
	if !fyne.CurrentDevice().IsMobile() {
		u.w.Canvas().Focus(u.entry)
	}
	u.trace("chosen %s", u.label(t))
}

// saveDraft keeps what stands in the field for the conversation that it belongs to.
func (u *UI) saveDraft() {
	if t := u.current; t != nil && t.draft != u.entry.Text {
		t.draft = u.entry.Text
		t.save()
	}
}

// away tells that nobody looks at the window.
func (u *UI) away() bool { return !u.front }

func (u *UI) label(t *talk) string {
	if t.everyone() {
		return "everyone"
	}
	return t.name
}

// nameOf is what a peer is called here: by this person, or by itself.
func (u *UI) nameOf(t *talk) string {
	if t.everyone() {
		return tr("Everyone")
	}
	if name := u.o.Settings.Names[t.key]; name != "" {
		return name
	}
	if p, ok := u.peers[t.id]; ok {
		return p.Name
	}
	if t.name == "" {
		return t.id.Short()
	}
	return t.name
}

// downloads is the folder for what is received.
func (u *UI) downloads() string {
	switch {
	case u.o.Downloads != "":
		return u.o.Downloads
	case u.o.Settings.Downloads != "":
		return u.o.Settings.Downloads
	}
	return Downloads()
}

// open shows a dialog; Escape closes it.
func (u *UI) open(d dialog.Dialog) {
	u.dialog = d
	d.SetOnClosed(func() { u.dialog = nil })
	d.Show()
}

// copyText puts text into the clipboard.
func (u *UI) copyText(text string) {
	fyne.CurrentApp().Clipboard().SetContent(text)
	u.trace("copied %q", text)
}

// ShowFailure is the window of a program that cannot start: it says why, and what to do.
func ShowFailure(a fyne.App, err error) {
	_ = speak("")
	w := a.NewWindow("Multipeer")
	text := widget.NewLabel(firstUpper(engine.CleanText(err.Error())) + ".")
	text.Wrapping = fyne.TextWrapWord
	quit := newButton(tr("Quit"), widget.HighImportance, a.Quit)
	head := newLine(tr("Multipeer cannot start"), sizeTitle, theme.ColorNameForeground, true)
	w.SetContent(inset(container.NewBorder(head, row(0, layout.NewSpacer(), quit), nil, nil, inset(text, gap, gap, -gap, -gap)), edgeWide, edgeWide, edgeWide, edgeWide))
	w.Resize(fyne.NewSize(520, 220))
	w.CenterOnScreen()
	w.ShowAndRun()
}
