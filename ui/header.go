package ui

import (
	"fmt"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
)

// header is the top of a conversation.
type header struct {
	box    *fyne.Container
	back   *quietButton
	face   *avatar
	group  *fyne.Container
	name   *line
	mark   *fyne.Container
	status *line
	button *widget.Button
	action func()
	verify *widget.Button
	more   *quietButton
	said   string // what was laid out last
}

func newHeader(u *UI) *header {
	h := &header{face: newAvatar(36, theme.ColorNameBackground), name: newLine("", sizeTitle, theme.ColorNameForeground, true), status: caption(""), action: func() {}}
	h.name.fits = false
	h.group = newEmblem(widget.NewIcon(iconEveryone), 36, 18)
	h.back = iconButton(iconBack, tr("Back"), u.back)
	h.mark = newMark()
	h.button = newButton("", widget.MediumImportance, func() { h.action() })
	h.verify = newButton(tr("Verify"), widget.MediumImportance, func() {
		if u.current != nil {
			u.verify(u.current.id)
		}
	})
	h.more = iconButton(iconMore, tr("More"), func() {
		if t := u.current; t != nil {
			at := fyne.CurrentApp().Driver().AbsolutePositionForObject(h.more)
			u.showMenu(u.talkActions(t), at.AddXY(h.more.Size().Width-1e4, h.more.Size().Height+gapTight)) // its right edge under the button's
		}
	})
	left := newBeside(gapWide, container.NewStack(h.face, h.group), column(2, newNamed(h.name, h.mark), h.status))
	h.box = newHead(newBeside(gap, h.back, newBesideRight(gapWide, left, row(gap, h.verify, h.button, h.more))))
	return h
}

// newMark is the sign of trust behind a name.
func newMark() *fyne.Container {
	return container.New(fixed(fyne.NewSquareSize(16)), widget.NewIcon(iconVerified))
}

// setMark shows what is known of a peer's key.
func setMark(m *fyne.Container, p engine.Peer, trust engine.Trust) {
	icon := m.Objects[0].(*widget.Icon)
	res := fyne.Resource(iconVerified)
	switch {
	case trust == engine.TrustBlocked:
		res = iconBlocked
	case !p.LooksLike.IsZero():
		res = iconWarning
	case trust != engine.TrustVerified:
		show(m, false)
		return
	}
	if icon.Resource != res {
		icon.SetResource(res)
	}
	show(m, true)
}

// named is a name with a mark right behind it.
type named struct{ name, mark fyne.CanvasObject }

func newNamed(name *line, mark fyne.CanvasObject) *fyne.Container {
	return container.New(&named{name, mark}, name, mark)
}

func (l *named) used() float32 {
	if !l.mark.Visible() {
		return 0
	}
	return l.mark.MinSize().Width + gapTight
}

func (l *named) MinSize([]fyne.CanvasObject) fyne.Size {
	m := l.name.MinSize()
	return fyne.NewSize(m.Width+l.used(), m.Height)
}

func (l *named) Layout(_ []fyne.CanvasObject, s fyne.Size) {
	n := l.name.(*line)
	w := min(n.measure(n.full)+1, s.Width-l.used())
	n.Resize(fyne.NewSize(w, s.Height))
	n.Move(fyne.NewPos(0, 0))
	m := l.mark.MinSize()
	l.mark.Resize(m)
	l.mark.Move(fyne.NewPos(w+gapTight, (s.Height-m.Height)/2))
}

// showHeader fills the header for the current conversation.
func (u *UI) showHeader() {
	h, t := u.header, u.current
	show(h.back, u.shell.narrow)
	show(u.moves.back, u.shell.narrow)
	if u.prefs != nil {
		show(u.prefs.back, u.shell.narrow)
	}
	if t == nil {
		return
	}
	show(h.group, t.everyone())
	show(h.face, !t.everyone())
	blocked := u.blocked(t.id)
	if blocked != u.barred.Visible() {
		show(u.barred, blocked)
		show(u.compose, !blocked)
		u.pages[pageTalk].Refresh() // the two differ in height
	}
	if t.everyone() {
		show(h.button, false)
		show(h.verify, false)
		show(h.mark, false)
		h.name.set(tr("Everyone"))
		n := int64(0)
		for _, p := range u.peers {
			if p.HasSession() {
				n++
			}
		}
		if n == 0 {
			h.status.set(tr("Nobody is connected yet"))
		} else {
			if h.status.set(trn("Goes to the {{.N}} devices that you are connected with", n)); u.shell.narrow {
				h.status.set(trn("{{.N}} devices connected", n))
			}
		}
		if u.placeHolder(tr("Message everyone who is connected, or drop files")); u.shell.narrow {
			u.placeHolder(tr("Message"))
		}
		h.settle()
		return
	}
	p, here := u.peers[t.id]
	name := u.nameOf(t)
	h.face.set(u.colorOf(t.id), name, dotOf(p, here))
	h.name.set(name)
	h.status.set(u.describe(t, p, here))
	h.status.setColor(colorSubtle)
	if here && !p.LooksLike.IsZero() {
		h.status.setColor(colorBad)
	}
	setMark(h.mark, p, u.e.Trust(t.id))
	show(h.verify, !u.shell.narrow && here && p.Confirmed && p.Trust != engine.TrustVerified && p.Trust != engine.TrustBlocked && u.pairings[t.id] == nil)
	if u.placeHolder(tr("Message {{.Name}}, or drop files", "Name", name)); u.shell.narrow {
		u.placeHolder(tr("Message"))
	}
	u.headerButton(p, here)
	h.settle()
}

// newBarred stands where messages are written, for a peer that is blocked.
func newBarred(u *UI) *fyne.Container {
	free := newButton(tr("Unblock"), widget.MediumImportance, func() {
		if t := u.current; t != nil {
			u.setTrust(t.id, engine.TrustUnknown)()
		}
	})
	return inset(newBesideRight(gap, hint(tr("You have blocked this device. It cannot reach you, and you send it nothing.")), free), gapWide, gapWide, edge, edge)
}

// settle lays the header out anew if its widths have changed.
func (h *header) settle() {
	said := fmt.Sprint(h.name.full, h.mark.Visible(), h.verify.Visible(), h.button.Visible(), h.button.Text, h.back.Visible())
	if said != h.said {
		h.said = said
		h.box.Refresh()
	}
}

func (u *UI) placeHolder(text string) {
	if u.entry.PlaceHolder != text {
		u.entry.SetPlaceHolder(text)
	}
}

// headerButton is what one does most likely about a peer.
func (u *UI) headerButton(p engine.Peer, here bool) {
	h := u.header
	set := func(label string, importance widget.Importance, do func()) {
		h.action = do
		if h.button.Text != label || h.button.Importance != importance {
			h.button.Importance = importance
			h.button.SetText(label)
		}
		show(h.button, true)
	}
	switch {
	case !here || p.Trust == engine.TrustBlocked || u.asked(p.ID):
		show(h.button, false)
	case p.HasSession():
		show(h.button, false)
	case p.State == engine.Connecting:
		set(tr("Withdraw"), widget.MediumImportance, func() { u.e.Disconnect(p.ID) })
	default:
		set(tr("Connect"), widget.HighImportance, func() { u.invite(p.ID) })
	}
}

// describe is the line under a peer's name.
func (u *UI) describe(t *talk, p engine.Peer, here bool) string {
	switch {
	case u.e.Trust(t.id) == engine.TrustBlocked:
		return tr("Blocked")
	case !here:
		return tr("Not nearby")
	case u.shell.narrow && p.Err == nil && p.LooksLike.IsZero():
		return joined(peerState(p), "ID "+p.ID.Short())
	}
	if p.Err != nil && !p.HasSession() {
		return reason(p.Err, u.nameOf(t), false)
	}
	s := peerStatus(p)
	if w := u.warning(p); w != "" {
		s = w
	}
	if u.o.Settings.Names[t.key] != "" {
		s = joined(s, tr("calls itself {{.Name}}", "Name", p.Name))
	}
	s = joined(s, "ID "+p.ID.Short())
	if p.Addr.IsValid() {
		s = joined(s, p.Addr.Addr().String())
	}
	return s
}
