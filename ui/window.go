// Package ui is the window of Multipeer: it shows the engine's values and
// calls its methods, and knows nothing of networks or protocols.
//
// The engine's events cross to Fyne's main thread in bind.go alone; everything
// else in this package runs on the main thread. What a peer wrote is shown as
// plain text, never as Markdown, links or notifications.
package ui

import (
	"context"
	"fmt"
	"io"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/dialog"
	"fyne.io/fyne/v2/layout"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
	"multipeer/icons"
)

// Options are what a UI is made of.
type Options struct {
	App       fyne.App
	Engine    *engine.Engine
	Do        func(func()) // brings a function to the main thread; fyne.Do but for tests
	Desktop   Desktop
	Downloads string    // folder for what is received
	Trace     io.Writer // where tests read what happens and where things are; nil for nobody
}

// UI is the window with its state. All methods are for the main thread.
type UI struct {
	o    Options
	e    *engine.Engine
	w    fyne.Window
	bind *binding

	self     engine.Self
	peers    map[engine.PeerID]engine.Peer
	talks    map[engine.PeerID]*talk // by peer; the zero ID is everyone
	current  *talk                   // nil while nothing is chosen
	cards    map[engine.TransferID]*transferCard
	sources  map[engine.TransferID][]string // paths of what we offered, for Send again
	offers   map[engine.TransferID]*engine.Offer
	invites  map[string]*invitationCard // open ones
	pairings map[engine.PeerID]*pairingCard
	waiting  []string // dropped while nobody was chosen
	problem  error
	finished bool

	side     *side
	page     *fyne.Container
	header   *header
	timeline *timeline
	entry    *composer
	send     *widget.Button
	attach   *widget.Button
	empty    *emptyState
	toast    *toast
	dialog   dialog.Dialog
	link     dialog.Dialog     // while a link is shown
	traced   map[string]string // what the last AT line of each widget said
}

// New makes the window. Start brings it to life.
func New(o Options) *UI {
	u := &UI{
		o: o, e: o.Engine, self: o.Engine.Self(),
		peers: map[engine.PeerID]engine.Peer{}, talks: map[engine.PeerID]*talk{}, cards: map[engine.TransferID]*transferCard{},
		sources: map[engine.TransferID][]string{}, offers: map[engine.TransferID]*engine.Offer{}, invites: map[string]*invitationCard{}, pairings: map[engine.PeerID]*pairingCard{}, traced: map[string]string{},
	}
	u.w = o.App.NewWindow("Multipeer")
	u.w.SetIcon(fyne.NewStaticResource("app.png", icons.App))
	u.build()
	u.w.SetPadded(false)
	u.w.Resize(fyne.NewSize(980, 660))
	u.w.CenterOnScreen()
	u.w.SetMaster()
	u.w.SetOnDropped(u.dropped)
	u.w.Canvas().SetOnTypedKey(func(k *fyne.KeyEvent) {
		if k.Name == fyne.KeyEscape && u.dialog != nil { // dialogs do not close by themselves
			u.dialog.Hide()
		}
	})
	return u
}

// Window is the window itself.
func (u *UI) Window() fyne.Window { return u.w }

// Start begins to follow the engine until Close or the end of ctx.
func (u *UI) Start(ctx context.Context) {
	u.bind = newBinding(ctx, u.o.Do)
	u.bind.pump(u.e.Watch(u.bind.ctx), u.apply)
	u.bind.every(time.Second, u.toast.age)
	if u.o.Trace != nil {
		u.bind.every(200*time.Millisecond, u.traceLayout) // the layout follows the events
	}
}

// Close ends what Start began and waits for it.
func (u *UI) Close() {
	u.finished = true
	if u.bind != nil {
		u.bind.close()
	}
}

func (u *UI) build() {
	u.side = newSide(u)
	u.header = newHeader(u)
	u.timeline = newTimeline()
	u.entry = newComposer(u.sendText)
	u.send = widget.NewButtonWithIcon("", iconSend, u.sendText)
	u.send.Importance = widget.HighImportance
	u.attach = iconButton(iconAttach, u.attachMenu)
	u.empty = newEmptyState()
	u.toast = newToast()

	compose := inset(container.NewBorder(nil, nil, row(4, u.attach), row(0, u.send), inset(u.entry, 0, 0, 6, 8)), 8, 14, 14, 14)
	talk := container.NewBorder(column(0, u.header.box, widget.NewSeparator()), compose, nil, nil, u.timeline)
	u.page = container.NewStack(u.empty.box, talk)
	u.choose(nil)
	main := container.NewBorder(u.toast.box, nil, nil, nil, u.page)
	u.w.SetContent(container.New(sidebar(272), u.side.box, container.NewStack(newPanel(theme.ColorNameBackground, "", 0), main)))
}

// header is the top of a conversation.
type header struct {
	box    *fyne.Container
	face   *avatar
	group  *fyne.Container
	name   *line
	status *line
	button *widget.Button
	action func()
	verify *widget.Button
	check  func()
}

func newHeader(u *UI) *header {
	h := &header{face: newAvatar(38), name: newLine("", sizeTitle, theme.ColorNameForeground, true), status: caption("")}
	h.face.on = theme.ColorNameBackground
	h.group = container.New(fixed(fyne.NewSquareSize(38)), newPanel(colorTile, "", 19), inset(widget.NewIcon(iconEveryone), 8, 8, 8, 8))
	h.button = widget.NewButton("", func() { h.action() })
	h.verify = widget.NewButton("Verify", func() { h.check() })
	left := newBeside(12, container.NewStack(h.face, h.group), column(1, h.name, h.status))
	h.box = inset(newBesideRight(12, left, row(8, h.verify, h.button)), 12, 11, 20, 16)
	return h
}

// show fills the header for the current conversation.
func (u *UI) showHeader() {
	h, t := u.header, u.current
	if t == nil {
		return
	}
	if t.everyone() {
		h.face.Hide()
		h.group.Show()
		h.button.Hide()
		h.verify.Hide()
		h.name.set("Everyone")
		n := int64(0)
		for _, p := range u.peers {
			if p.HasSession() {
				n++
			}
		}
		if n == 0 {
			h.status.set("Nobody is connected yet")
		} else {
			h.status.set("Goes to the " + plural(n, "device", "devices") + " that you are connected with")
		}
		u.entry.SetPlaceHolder("Message everyone who is connected, or drop files")
		return
	}
	h.group.Hide()
	h.face.Show()
	p, here := u.peers[t.id]
	name := t.name
	if here {
		name = p.Name
	}
	h.face.set(t.id, name, dotOf(p, here))
	h.name.set(name)
	h.status.set(u.describe(p, here))
	h.status.setColor(colorSubtle)
	if here && !p.LooksLike.IsZero() {
		h.status.setColor(colorBad)
	}
	h.check = func() { u.verify(t.id) }
	if h.verify.Hidden = !here || !p.Confirmed || p.Trust == engine.TrustVerified || p.Trust == engine.TrustBlocked || u.pairings[t.id] != nil; !h.verify.Hidden {
		h.verify.Refresh()
	}
	u.entry.SetPlaceHolder("Message " + name + ", or drop files")
	h.button.Importance = widget.MediumImportance
	switch {
	case !here || p.Trust == engine.TrustBlocked || u.asked(t.id):
		h.button.Hide()
	case p.HasSession():
		h.button.Show()
		h.button.SetText("Disconnect")
		h.action = func() { u.e.Disconnect(t.id) }
	case p.State == engine.Connecting:
		h.button.Show()
		h.button.SetText("Waiting…")
		h.action = func() {}
	default:
		h.button.Show()
		h.button.Importance = widget.HighImportance
		h.button.SetText("Connect")
		h.action = func() { u.invite(t.id) }
	}
	h.button.Refresh()
	h.box.Refresh()
}

func (u *UI) describe(p engine.Peer, here bool) string {
	if !here {
		return "Not nearby"
	}
	if p.Err != nil && !p.HasSession() {
		return reason(p.Err, p.Name, false)
	}
	s := peerStatus(p)
	if w := u.warning(p); w != "" {
		s = w
	}
	s += " · ID " + p.ID.Short()
	if p.Addr.IsValid() {
		s += " · " + p.Addr.Addr().String()
	}
	return s
}

// emptyState says what to do while nobody is chosen.
type emptyState struct {
	box     *fyne.Container
	title   *line
	lines   []*line
	address *line
}

func newEmptyState() *emptyState {
	s := &emptyState{title: newLine("", sizeTitle, theme.ColorNameForeground, true), address: caption("")}
	s.title.text.Alignment, s.address.text.Alignment = fyne.TextAlignCenter, fyne.TextAlignCenter
	icon := widget.NewIcon(iconRadar)
	picture := container.New(fixed(fyne.NewSquareSize(84)), newPanel(colorTile, "", 42), inset(icon, 22, 22, 22, 22))
	col := column(6, container.NewCenter(picture), inset(s.title, 12, 4, 0, 0))
	for range 3 {
		l := newLine("", sizeBody, colorSubtle, false)
		l.text.Alignment = fyne.TextAlignCenter
		s.lines = append(s.lines, l)
		col.Add(l)
	}
	col.Add(inset(s.address, 14, 0, 0, 0))
	s.box = container.NewCenter(col)
	return s
}

func (u *UI) showEmpty() {
	s := u.empty
	text := [3]string{"Open Multipeer on another device in the same network.", "It appears on the left by itself.", "If it does not, type its address below the list."}
	title := "Looking for devices nearby"
	switch {
	case u.problem != nil:
		title = "Devices cannot be found"
		text = [3]string{problem(u.problem), "A device can still be reached by its address.", ""}
	case len(u.waiting) > 0:
		title = plural(int64(len(u.waiting)), "item waits", "items wait") + " to be sent"
		text = [3]string{"Choose on the left who gets it.", "Nothing is sent before that, and before the other side accepts.", ""}
	case len(u.peers) > 0:
		title = plural(int64(len(u.peers)), "device", "devices") + " nearby"
		text = [3]string{"Choose one on the left to talk,", "or drop files on its name.", ""}
	}
	s.title.set(title)
	for i, l := range s.lines {
		l.set(text[i])
		l.Hidden = text[i] == ""
	}
	address := "This device"
	if a := u.e.Addresses(); len(a) > 0 {
		address += " is at " + a[0].String()
	} else if u.self.Port != 0 {
		address += " listens on port " + fmt.Sprint(u.self.Port)
	}
	s.address.set(address + " · ID " + u.self.ID.Short())
	s.box.Refresh()
}

// toast is a line at the top that says what went wrong, for a while.
type toast struct {
	box   *fyne.Container
	text  *widget.Label
	until time.Time
}

const toastTime = 12 * time.Second

func newToast() *toast {
	t := &toast{text: widget.NewLabel("")}
	t.text.Wrapping = fyne.TextWrapWord
	closeButton := iconButton(theme.CancelIcon(), func() { t.box.Hide() })
	t.box = container.NewStack(newPanel(colorBanner, "", 0), inset(container.NewBorder(nil, nil, nil, container.New(layout.NewCenterLayout(), closeButton), t.text), 2, 2, 12, 10))
	t.box.Hide()
	return t
}

func (t *toast) show(text string) {
	t.text.SetText(text)
	t.until = time.Now().Add(toastTime)
	t.box.Show()
}

func (t *toast) age() {
	if t.box.Visible() && time.Now().After(t.until) {
		t.box.Hide()
	}
}

func (u *UI) say(text string) {
	if text != "" {
		u.trace("toast %q", text)
		u.toast.show(text)
	}
}

// ShowFailure is the window of a program that cannot start: it says why, and what to do.
func ShowFailure(a fyne.App, err error) {
	w := a.NewWindow("Multipeer")
	text := widget.NewLabel(firstUpper(engine.CleanText(err.Error())) + ".")
	text.Wrapping = fyne.TextWrapWord
	quit := widget.NewButton("Quit", a.Quit)
	quit.Importance = widget.HighImportance
	head := newLine("Multipeer cannot start", sizeTitle, theme.ColorNameForeground, true)
	w.SetContent(inset(container.NewBorder(head, row(0, layout.NewSpacer(), quit), nil, nil, inset(text, 8, 8, -8, -8)), 20, 20, 24, 24))
	w.Resize(fyne.NewSize(520, 220))
	w.CenterOnScreen()
	w.ShowAndRun()
}
