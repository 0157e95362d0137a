package ui

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
	"multipeer/ui/internal/widgets"
)

// header is the top of a conversation.
type header struct {
	steady  // tracks the buttons: the peer can move them by changing its name or connection
	box     *fyne.Container
	back    *widgets.QuietButton
	face    *widgets.Avatar
	group   *fyne.Container
	name    *widgets.Line
	mark    *fyne.Container
	status  *widgets.Line
	button  *widget.Button
	action  func()
	verify  *widget.Button
	more    *widgets.QuietButton
	alert   *fyne.Container    // below the header: the peer looks like another one
	alarm   *widgets.Paragraph // what is wrong
	check   *widget.Button     // verifies the peer
	connect *widget.Button     // connects despite the warning
	said    string             // the content that was last laid out
	alerted alertState         // at the last refresh
	buttons headButtons        // at the last refresh
}

// headButtons is the state that determines where the header's buttons are and what they do.
type headButtons struct {
	talk           string // the key of the conversation
	verify, button bool   // whether they are shown
	label          string
}

// alertState is the state that determines where the alert's buttons are.
type alertState struct {
	talk                  string // the key of the conversation
	shown, check, connect bool
	text                  string
}

func newHeader(u *UI) *header {
	h := &header{steady: steady{u: u}, face: widgets.NewAvatar(36, theme.ColorNameBackground), name: widgets.NewLine("", widgets.SizeTitle, theme.ColorNameForeground, true), status: widgets.Caption(""), action: func() {}}
	h.name.Fits = false
	h.group = widgets.NewEmblem(widget.NewIcon(widgets.IconEveryone), 36, 18)
	h.back = widgets.NewIconButton(widgets.IconBack, tr("Back"), u.back)
	h.mark = newMark()
	h.button = widgets.NewButton("", widget.MediumImportance, h.press(func() { h.action() }))
	h.verify = widgets.NewButton(tr("Verify"), widget.MediumImportance, h.press(func() {
		if u.current != nil {
			u.verify(u.current.id)
		}
	}))
	h.more = widgets.NewIconButton(widgets.IconMore, tr("More"), func() {
		if t := u.current; t != nil {
			at := fyne.CurrentApp().Driver().AbsolutePositionForObject(h.more)
			u.showMenu(u.talkActions(t), at.AddXY(h.more.Size().Width-1e4, h.more.Size().Height+widgets.GapTight)) // the large negative X aligns the menu's right edge with the button's
		}
	})
	left := widgets.NewBeside(widgets.GapWide, container.NewStack(h.face, h.group), widgets.Column(2, widgets.NewNamed(h.name, h.mark), h.status))
	head := widgets.NewHead(widgets.NewBeside(widgets.Gap, h.back, widgets.NewBesideRight(widgets.GapWide, left, widgets.Row(widgets.Gap, h.verify, h.button, h.more))))
	h.alarm = widgets.NewParagraph("", widgets.SizeBody, widgets.ColorBad)
	h.check = widgets.NewButton(tr("Verify"), widget.MediumImportance, h.verify.OnTapped)
	h.connect = widgets.NewButton(tr("Connect anyway"), widget.MediumImportance, h.press(func() { h.action() }))
	block := widgets.NewButton(tr("Block…"), widget.MediumImportance, h.press(func() {
		if u.current != nil {
			u.block(u.current.id)
		}
	}))
	body := widgets.NewStackedInset(widgets.Stacked{Gap: widgets.Gap, Top: widgets.GapWide, Bottom: widgets.GapWide, Left: widgets.Edge, Right: widgets.Edge}, h.alarm, widgets.NewFlow(widgets.Gap, h.check, h.connect, block))
	h.alert = container.NewStack(widgets.NewPanel(widgets.ColorBanner, "", 0), body)
	h.alert.Hide()
	h.box = widgets.NewStacked(0, head, h.alert)
	return h
}

// warn shows an alert below the header if a peer looks like another one that the user knows.
func (h *header) warn(p engine.Peer, here bool) {
	like := p.LooksLike
	on := !like.IsZero() && p.Trust != engine.TrustBlocked
	if on {
		name := widgets.Shortened(h.u.nameOf(h.u.talk(like)), shownName)
		h.alarm.SetText(tr("This is not the {{.Name}} you know. Its ID is {{.ID}}; the one you know has {{.Known}}. Find out whose device it is before you connect.", "Name", name, "ID", p.ID.Short(), "Known", like.Short()))
		widgets.Show(h.check, here && p.Confirmed && h.u.comparable(p))
		widgets.Show(h.connect, here && !p.HasSession() && p.State == engine.Found && p.Via == "")
	}
	if on != h.alert.Visible() {
		widgets.Show(h.alert, on)
		h.u.pages[pageTalk].Refresh()
	}
	h.noteAlert(on)
}

// noteAlert makes the alert ignore a press if it has just changed. By its name and its connection, the peer determines
// whether the alert is shown, how high it is, and which buttons it has.
func (h *header) noteAlert(on bool) {
	now := alertState{}
	if t := h.u.current; t != nil {
		now.talk = t.key
	}
	if on {
		now.shown, now.text = true, h.alarm.Text
		now.check, now.connect = h.check.Visible(), h.connect.Visible()
	}
	before := h.alerted
	h.alerted = now
	if now != before && now.talk == before.talk {
		h.Shifted()
		h.u.timeline.Moved()
	}
}

// newMark returns the trust icon next to a name.
func newMark() *fyne.Container {
	return container.New(widgets.Fixed(fyne.NewSquareSize(16)), widget.NewIcon(widgets.IconVerified))
}

// setMark shows how far a peer is trusted: blocked, a lookalike, verified, or no mark.
func setMark(m *fyne.Container, p engine.Peer, trust engine.Trust) {
	icon := m.Objects[0].(*widget.Icon)
	res := fyne.Resource(widgets.IconVerified)
	switch {
	case trust == engine.TrustBlocked:
		res = widgets.IconBlocked
	case !p.LooksLike.IsZero():
		res = widgets.IconWarning
	case trust != engine.TrustVerified:
		widgets.Show(m, false)
		return
	}
	if icon.Resource != res {
		icon.SetResource(res)
	}
	widgets.Show(m, true)
}

// refresh updates the header for the current conversation.
func (h *header) refresh() {
	t := h.u.current
	widgets.Show(h.back, h.u.shell.narrow)
	widgets.Show(h.u.moves.back, h.u.shell.narrow)
	if h.u.prefs != nil {
		widgets.Show(h.u.prefs.back, h.u.shell.narrow)
	}
	if t == nil {
		return
	}
	widgets.Show(h.group, t.everyone())
	widgets.Show(h.face, !t.everyone())
	blocked := h.u.blocked(t.id)
	if blocked != h.u.composer.barred.Visible() {
		widgets.Show(h.u.composer.barred, blocked)
		widgets.Show(h.u.composer.box, !blocked)
		h.u.pages[pageTalk].Refresh() // the refusal and the composer differ in height
	}
	if t.everyone() {
		h.u.composer.await(false)
		h.warn(engine.Peer{}, false)
		widgets.Show(h.button, false)
		widgets.Show(h.verify, false)
		widgets.Show(h.mark, false)
		h.name.SetText(tr("Everyone"))
		h.status.SetText(h.recipients())
		h.invite(tr("Message all connected devices, or drop files"))
		h.settle()
		return
	}
	p, here := h.u.peers[t.id]
	if !here {
		p = h.u.absent(t)
	}
	name := h.u.nameOf(t)
	h.face.Set(h.u.colorOf(t.id), name, dotOf(p, here))
	h.name.SetText(name)
	h.status.SetText(h.describe(t, p, here))
	h.status.SetColor(widgets.ColorSubtle)
	if !p.LooksLike.IsZero() {
		h.status.SetColor(widgets.ColorBad)
	}
	setMark(h.mark, p, h.u.e.Trust(t.id))
	widgets.Show(h.verify, !h.u.shell.narrow && here && p.Confirmed && h.u.comparable(p) && p.Trust != engine.TrustVerified && p.Trust != engine.TrustBlocked && h.u.pairings.cards[t.id] == nil && !h.u.invites.asked(t.id))
	asked := h.u.invites.asked(t.id)
	h.u.composer.await(asked)
	if asked {
		h.u.composer.placeHolder(tr("To reply, accept the request"))
	} else {
		h.invite(tr("Message {{.Name}}, or drop files", "Name", name))
	}
	h.warn(p, here)
	h.setButton(p, here)
	h.settle()
}

// namedRecipients is the largest number of recipients of a message to everyone that are named.
const namedRecipients = 3

// recipients says who gets a message to everyone.
func (h *header) recipients() string {
	var names []string
	for _, p := range h.u.peers {
		if !p.HasSession() {
			continue
		}
		name := p.Name
		if t := h.u.talks[p.ID]; t != nil {
			name = h.u.nameOf(t)
		}
		names = append(names, widgets.Shortened(name, shownName))
	}
	slices.Sort(names)
	n := int64(len(names))
	switch {
	case n == 0:
		return tr("No one is connected yet")
	case n <= namedRecipients:
		return tr("Sends to {{.Names}}", "Names", strings.Join(names, ", "))
	case h.u.shell.narrow:
		return trn("{{.N}} devices connected", n)
	}
	return trn("Sends to all {{.N}} connected devices", n)
}

// invite sets the placeholder of the message field: text, or one word in a narrow window.
func (h *header) invite(text string) {
	if h.u.shell.narrow {
		text = tr("Message")
	}
	h.u.composer.placeHolder(text)
}

// noteButtons makes the buttons ignore a press if a change of the peer's state has just replaced one of them.
func (h *header) noteButtons() {
	now := headButtons{verify: h.verify.Visible(), button: h.button.Visible(), label: h.button.Text}
	if t := h.u.current; t != nil {
		now.talk = t.key
	}
	before := h.buttons
	h.buttons = now
	if now != before && now.talk == before.talk {
		h.Shifted()
	}
}

// settle lays out the header again if the widths in it have changed.
func (h *header) settle() {
	h.noteButtons()
	said := fmt.Sprint(h.name.Text, h.mark.Visible(), h.verify.Visible(), h.button.Visible(), h.button.Text, h.back.Visible())
	if said != h.said {
		h.said = said
		h.box.Refresh()
	}
}

// setButton sets the button to the most likely action for a peer.
func (h *header) setButton(p engine.Peer, here bool) {
	set := func(label string, importance widget.Importance, do func()) {
		h.action = do
		if h.button.Text != label || h.button.Importance != importance {
			h.button.Importance = importance
			h.button.SetText(label)
		}
		widgets.Show(h.button, true)
	}
	switch {
	case !here || p.Trust == engine.TrustBlocked || h.u.invites.asked(p.ID):
		widgets.Show(h.button, false)
	case takesTexts(p), errors.Is(p.Err, engine.ErrBlocked), errors.Is(p.Err, engine.ErrRefused):
		widgets.Show(h.button, false)
	case p.State == engine.Connecting:
		set(tr("Withdraw"), widget.MediumImportance, func() { h.u.e.Disconnect(p.ID) })
	case !p.LooksLike.IsZero(): // the alert has the button
		h.action = func() { h.u.invite(p.ID) }
		widgets.Show(h.button, false)
	default:
		set(tr("Connect"), widget.HighImportance, func() { h.u.invite(p.ID) })
	}
}

// describe returns the line below a peer's name.
func (h *header) describe(t *talk, p engine.Peer, here bool) string {
	switch {
	case h.u.e.Trust(t.id) == engine.TrustBlocked:
		return tr("Blocked")
	case !here && !p.LooksLike.IsZero():
		return joined(h.u.warning(p), "ID "+p.ID.Short())
	case !here:
		return tr("Not nearby")
	case h.u.shell.narrow && p.Err == nil && p.LooksLike.IsZero():
		return joined(peerState(p), "ID "+p.ID.Short())
	}
	if errors.Is(p.Err, engine.ErrBlocked) || errors.Is(p.Err, engine.ErrRefused) {
		return tr("Unreachable") // do not reveal that the peer has blocked or refused this device
	}
	if p.Err != nil && !p.HasSession() {
		return reason(p.Err, h.u.nameOf(t), false)
	}
	s := peerStatus(p)
	if w := h.u.warning(p); w != "" {
		s = w
	}
	if h.u.o.Settings.Names[t.key] != "" {
		s = joined(s, tr("device name: {{.Name}}", "Name", p.Name))
	}
	s = joined(s, "ID "+p.ID.Short())
	if p.Addr.IsValid() {
		s = joined(s, p.Addr.Addr().String())
	}
	return s
}
