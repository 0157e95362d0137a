// Package ui is Multipeer's window: it shows the engine's values and calls its methods. It does not depend on networks
// or protocols.
//
// The engine's events reach Fyne's main thread only through bind.go; take_events.go turns them into what is shown.
// Everything else in this package runs on the main thread. Text from a peer is always shown as plain text, and is never
// Markdown or a translation key. A link in it opens only after the user agrees.
//
// The engine holds the current state, and the history holds the past. This package holds only the part of both that is
// on screen. Event and click handlers record in UI.dirty what they have changed, and settle updates the screen once.
//
// UI holds peers, conversations and pages. Each page, and each part such as transfers or dialogs, is a type that holds
// its own state and a pointer to UI. Widgets, thumbnails and the desktop are internal packages.
package ui

import (
	"context"
	"io"
	"sync/atomic"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/layout"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"multipeer/bridge/localsend"
	"multipeer/bridge/web"
	"multipeer/engine"
	"multipeer/icons"
	"multipeer/internal/history"
	"multipeer/internal/settings"
	"multipeer/ui/internal/desktop"
	"multipeer/ui/internal/widgets"
)

// Options are the parameters of New.
type Options struct {
	App        fyne.App
	Engine     *engine.Engine
	Do         func(func())       // runs a function on the main thread; fyne.Do except in tests
	Desktop    Desktop            // nil for the system's desktop
	Settings   *settings.Settings // nil for the defaults
	History    *history.Store     // nil for one in memory; the caller closes it after Close
	Downloads  string             // folder for received files; overrides the settings
	Interfaces []string           // interfaces that the engine uses; empty for all
	Welcome    bool               // ask for a name first; see Welcomes
	LocalSend  *localsend.Gateway // reaches LocalSend devices; nil for no gateway
	Version    string
	OpenLink   func(context.Context, web.Options) (browserLink, error) // nil for web.Open
	Trace      io.Writer                                               // where events and positions are traced for tests; nil for nowhere
	TraceLess  bool                                                    // omits the positions
}

// page is what the right side of the window shows.
type page int

const (
	pageEmpty page = iota
	pageTalk
	pageTransfers
	pageSettings
)

// UI is the window and its state. Methods must be called on the main thread unless they say otherwise.
type UI struct {
	o       Options
	e       *engine.Engine
	w       fyne.Window
	bind    *binding
	started time.Time

	self     engine.Self
	peers    map[engine.PeerID]engine.Peer
	talks    map[engine.PeerID]*talk // by peer; the zero ID is everyone
	current  *talk                   // nil while no conversation is open
	page     page
	problem  error
	finished bool
	over     atomic.Bool // set once the main thread has stopped
	end      func()      // exits the process; set by Run
	again    bool        // the program starts again after it ends
	dirty    dirty

	transfers  *transfers
	sending    *sending
	connecting *connecting
	outbox     *outbox
	pairings   *pairings
	invites    *invitations
	dialogs    *dialogs
	finder     *finder
	links      *browserLinks
	notes      *notifier
	outside    *progressOutside
	tracer     *tracer

	shell    *shell
	root     *fyne.Container
	side     *side
	pages    [4]fyne.CanvasObject // by page
	header   *header
	timeline *widgets.Timeline
	composer *composer
	home     *home
	moves    *transfersPage
	prefs    *settingsPage
	toast    *widgets.Toast
	banner   *banner
	menu     *widgets.PopMenu // the menu that was opened last
	tray     *desktop.Tray    // nil if there is none
}

// dirty is what has changed since the last settle.
type dirty struct {
	side, own, resized, transfers bool
	grew                          int // rows that were added to the current conversation
}

// New creates the window. Call Start to connect it to the engine.
func New(o Options) *UI {
	if o.Settings == nil {
		o.Settings = &settings.Settings{}
	}
	if o.History == nil {
		o.History = history.Memory()
	}
	u := &UI{
		o: o, e: o.Engine, self: o.Engine.Self(), started: time.Now(),
		peers: map[engine.PeerID]engine.Peer{}, talks: map[engine.PeerID]*talk{},
	}
	u.transfers = newTransfers(u)
	u.sending = newSending(u)
	u.connecting = &connecting{u: u}
	u.outbox = newOutbox(u)
	u.pairings = newPairings(u)
	u.invites = newInvitations(u)
	u.dialogs = &dialogs{u: u}
	u.finder = newFinder(u)
	u.links = &browserLinks{u: u}
	u.notes = newNotifier(u)
	u.outside = &progressOutside{u: u, percent: -1}
	u.tracer = newTracer(u)
	u.composer = &composer{u: u}
	u.o.Do = func(f func()) { // after its loop has ended, fyne.Do runs functions on the calling goroutine
		if !u.over.Load() {
			o.Do(f)
		}
	}
	if o.Desktop == nil {
		u.o.Desktop = desktop.New(o.App, desktopTexts, func() { u.o.Do(u.raise) })
	}
	if o.OpenLink == nil {
		u.o.OpenLink = func(ctx context.Context, opts web.Options) (browserLink, error) { return web.Open(ctx, opts) }
	}
	u.loadTalks()
	u.transfers.findRows()
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
	u.w.SetOnDropped(u.sending.dropped)
	u.w.SetCloseIntercept(u.closed)
	u.addShortcuts()
	return u
}

// Window returns the Fyne window.
func (u *UI) Window() fyne.Window { return u.w }

// Start processes the engine's events until Close or the end of ctx.
func (u *UI) Start(ctx context.Context) {
	u.bind = newBinding(ctx, u.o.Do, u.settle)
	u.bind.pump(u.e.Watch(u.bind.ctx), u.apply)
	u.bind.every(time.Second, u.second)
	if u.o.Trace != nil {
		u.tracer.frames()
		if !u.o.TraceLess {
			u.bind.every(200*time.Millisecond, u.tracer.layout) // the layout follows the events
		}
	}
	u.describeSelf()
	u.startTray()
}

// Close stops what Start began and waits for it. Messages that arrive in the meantime go into the history, because
// their senders already see them as delivered.
func (u *UI) Close() {
	u.over.Store(true)
	u.saveDraft()
	if u.bind != nil {
		u.links.stop()
	}
	u.notes.front = false
	if u.bind == nil {
		u.finished = true
		return
	}
	late := u.bind.close()
	u.finished = true
	for _, ev := range late {
		if m, ok := ev.(engine.Message); ok {
			u.receive(m)
		}
	}
}

// second updates what changes only with time.
func (u *UI) second() {
	u.toast.Age()
	u.outbox.sendWaiting()
	u.pairings.openWaiting()
	u.settle() // the last progress may not have been drawn yet
	if u.page == pageTransfers {
		u.moves.tick()
	}
}

// build creates all widgets, in the language and theme of the settings.
func (u *UI) build() {
	for _, t := range u.talks {
		t.forget()
	}
	u.side = newSide(u)
	u.header = newHeader(u)
	u.timeline = widgets.NewTimeline(newRows)
	u.home = newHome(u)
	u.moves = newTransfersPage(u)
	u.prefs = nil
	list := func() float32 { // the width of the list, which must stay visible
		if u.shell.narrow {
			return 0
		}
		return sideWidth
	}
	u.toast = widgets.NewToast(tr("Close"), list)
	u.banner = newBanner(u, list)

	u.composer.build()
	talk := widgets.NewPane(u.header.box, container.NewStack(u.composer.box, u.composer.barred), u.timeline)
	u.pages = [4]fyne.CanvasObject{u.home.box, talk, u.moves.box, container.NewStack()}
	main := container.NewStack(append([]fyne.CanvasObject{widgets.NewPanel(theme.ColorNameBackground, "", 0)}, u.pages[:]...)...)
	narrowed := func(bool) {
		u.header.refresh()
		u.dirty.side = true
		u.o.Do(u.settle) // not now: this runs during a layout of the window
	}
	u.shell = &shell{changed: narrowed, resized: u.resized}
	u.root = container.New(u.shell, u.side.box, main)
	u.w.SetContent(container.NewStack(u.root, u.banner.box, u.toast.Box))
	u.turn(u.page)
	u.side.refresh()
}

// rebuild creates all widgets again after the language or the theme has changed.
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
	u.updateTray()
}

// turn shows a page.
func (u *UI) turn(p page) {
	u.page = p
	for i, o := range u.pages {
		widgets.Show(o, page(i) == p)
	}
	if p == pageEmpty {
		u.home.refresh()
	}
	u.shell.onPage = p != pageEmpty
	u.arrange()
	u.dirty.side = true
}

// arrange lays out the window again after another page has come to the front.
func (u *UI) arrange() {
	if s := u.root.Size(); s.Width > 0 {
		u.shell.Layout(u.root.Objects, s)
		u.root.Refresh()
	}
}

// back leaves a page. In a narrow window it returns to the list, otherwise to the current conversation or the home
// page.
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

// resized closes the menu, whose position may now be wrong, and fits the open dialog to the new size.
func (u *UI) resized() {
	if u.menu != nil && u.menu.IsOpen() {
		u.menu.Close()
	}
	if m, ok := u.dialogs.open.(*widgets.Modal); ok {
		m.Fit()
		u.o.Do(func() { // shown again after the overlay has its new size too: otherwise it would not be centred
			if u.dialogs.open == hidden(m) {
				m.ShowAgain()
			}
		})
	}
}

// goHome shows the devices nearby.
func (u *UI) goHome() {
	u.choose(nil)
	u.settle()
}

// settle updates the screen after changes.
func (u *UI) settle() {
	if u.finished {
		return
	}
	u.transfers.showProgress()
	u.side.tiles.showProgress()
	u.outside.refresh()
	d := u.dirty
	u.dirty = dirty{}
	if d.side {
		u.side.refresh()
		u.updateTray()
	}
	switch u.page {
	case pageEmpty:
		if d.side || u.home.alone() {
			u.home.refresh()
		} else {
			u.home.tiles.showProgress()
		}
	case pageTalk:
		u.header.refresh()
		if d.grew > 0 {
			u.timeline.Grew(d.grew, d.own)
		} else if d.resized {
			u.timeline.Remeasure()
		}
	case pageTransfers:
		if d.transfers || d.resized {
			u.moves.refresh()
		}
	}
	u.banner.refresh()
	u.tracer.layout()
}

// choose opens a conversation; nil shows the home page.
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
		u.composer.entry.SetText(t.draft)
		u.composer.entry.PutCursorAtEnd()
		u.timeline.ShowRows(t)
	}
	u.turn(pageTalk)
	u.header.refresh()
	u.side.refresh()
	if !fyne.CurrentDevice().IsMobile() {
		u.w.Canvas().Focus(u.composer.entry)
	}
	u.trace("chosen %s", u.label(t))
}

// saveDraft saves the text in the composer as the draft of its conversation.
func (u *UI) saveDraft() {
	if t := u.current; t != nil && t.draft != u.composer.entry.Text {
		t.draft = u.composer.entry.Text
		t.save()
	}
}

func (u *UI) label(t *talk) string {
	if t.everyone() {
		return "everyone"
	}
	return t.name
}

// nameOf returns the name of a peer: the one that the user has given it, otherwise its own.
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

// downloads returns the folder for received files.
func (u *UI) downloads() string {
	switch {
	case u.o.Downloads != "":
		return u.o.Downloads
	case u.o.Settings.Downloads != "":
		return string(u.o.Settings.Downloads)
	}
	return desktop.Downloads()
}

// say shows text as a toast; it ignores an empty string.
func (u *UI) say(text string) {
	if text != "" {
		u.trace("toast %q", text)
		u.toast.Show(text)
	}
}

// copyText copies text to the clipboard.
func (u *UI) copyText(text string) {
	fyne.CurrentApp().Clipboard().SetContent(text)
	u.trace("copied %q", text)
}

// ShowFailure shows a window with the reason and the remedy if the program cannot start. When the user closes the
// window, it calls end, which must exit the process; see UI.leave.
func ShowFailure(a fyne.App, err error, end func()) {
	_ = speak("")
	w := a.NewWindow("Multipeer")
	text := widget.NewLabel(firstUpper(engine.CleanText(err.Error())) + ".")
	text.Wrapping = fyne.TextWrapWord
	quit := widgets.NewButton(tr("Quit"), widget.HighImportance, end)
	head := widgets.NewLine(tr("Multipeer cannot start"), widgets.SizeTitle, theme.ColorNameForeground, true)
	w.SetContent(widgets.Inset(container.NewBorder(head, widgets.Row(0, layout.NewSpacer(), quit), nil, nil, widgets.Inset(text, widgets.Gap, widgets.Gap, -widgets.Gap, -widgets.Gap)), widgets.EdgeWide, widgets.EdgeWide, widgets.EdgeWide, widgets.EdgeWide))
	w.Resize(fyne.NewSize(520, 220))
	w.CenterOnScreen()
	w.SetCloseIntercept(end)
	w.ShowAndRun()
}
