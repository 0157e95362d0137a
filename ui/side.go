package ui

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/layout"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
)

// side is the left of the window: this device, everyone, who is nearby, and a field for an address.
type side struct {
	u        *UI
	box      *fyne.Container
	face     *avatar
	name     *line
	id       *line
	edit     *nameEntry
	shownAs  *fyne.Container
	everyone *peerRow
	list     *fyne.Container
	scroll   *container.Scroll
	rows     map[engine.PeerID]*peerRow
	order    []engine.PeerID
	nobody   *fyne.Container
	address  *widget.Entry
	dialling bool
}

// peerRow is one line of the list.
type peerRow struct {
	*tapRow
	face   *avatar
	name   *line
	status *line
	badge  *badge
}

func newPeerRow(tapped func()) *peerRow {
	r := &peerRow{face: newAvatar(34), name: newLine("", sizeBody, theme.ColorNameForeground, true), status: caption(""), badge: newBadge()}
	body := newBesideRight(8, newBeside(11, r.face, column(1, r.name, r.status)), r.badge)
	r.tapRow = newTapRow(body, tapped)
	return r
}

// badge counts what was not seen yet.
type badge struct {
	widget.BaseWidget
	back *panel
	text *line
}

func newBadge() *badge {
	b := &badge{back: newPanel(theme.ColorNamePrimary, "", 9), text: newLine("", sizeSmall, theme.ColorNameForegroundOnPrimary, true)}
	b.text.text.Alignment = fyne.TextAlignCenter
	b.ExtendBaseWidget(b)
	b.Hide()
	return b
}

func (b *badge) set(n int) {
	if n == 0 {
		b.Hide()
		return
	}
	b.text.set(fmt.Sprint(min(n, 99)))
	b.Show()
}

func (b *badge) CreateRenderer() fyne.WidgetRenderer {
	return widget.NewSimpleRenderer(container.NewStack(b.back, inset(b.text, 2, 2, 6, 6)))
}

func newSide(u *UI) *side {
	s := &side{u: u, rows: map[engine.PeerID]*peerRow{}}
	s.face = newAvatar(38)
	s.name, s.id = newLine("", sizeBody+1, theme.ColorNameForeground, true), caption("")
	s.edit = newNameEntry(s.rename, s.stopEditing)
	s.edit.Hide()
	pencil := iconButton(iconEdit, s.startEditing)
	s.shownAs = newBesideRight(4, column(1, s.name, s.id), row(0, iconButton(iconQR, u.showLink), pencil))
	me := inset(newBeside(11, s.face, container.NewStack(s.shownAs, s.edit)), 12, 12, 16, 8)

	s.everyone = newPeerRow(func() { u.choose(u.talk(engine.PeerID{})) })
	s.everyone.face.Hide()
	group := container.New(fixed(fyne.NewSquareSize(34)), newPanel(colorTile, "", 17), inset(widget.NewIcon(iconEveryone), 7, 7, 7, 7))
	s.everyone.name.full, s.everyone.status.full = "Everyone", "Nobody connected"
	s.everyone.content = newBesideRight(8, newBeside(11, group, column(1, s.everyone.name, s.everyone.status)), s.everyone.badge)

	heading := newLine("NEARBY", sizeSmall, colorSubtle, true)
	s.list = column(1)
	hint := widget.NewLabel("Nobody yet. Devices with Multipeer on this network appear here by themselves.")
	hint.Wrapping, hint.Importance = fyne.TextWrapWord, widget.LowImportance
	hint.SizeName = theme.SizeNameCaptionText
	s.nobody = inset(hint, 0, 0, 10, 10)
	s.scroll = container.NewVScroll(inset(s.list, 0, 8, 8, 8))

	s.address = widget.NewEntry()
	s.address.SetPlaceHolder("Address or link")
	s.address.OnSubmitted = s.dial
	connect := iconButton(iconGo, func() { s.dial(s.address.Text) })
	bottom := inset(container.NewBorder(nil, nil, nil, connect, s.address), 8, 14, 12, 8)

	top := column(0, me, inset(s.everyone, 0, 0, 8, 8), inset(heading, 14, 6, 18, 8))
	s.box = container.NewStack(newPanel(colorSidebar, "", 0), container.NewBorder(top, bottom, nil, nil, container.NewStack(container.New(layout.NewVBoxLayout(), s.nobody), s.scroll)))
	return s
}

func (s *side) startEditing() {
	s.edit.SetText(s.u.self.Name)
	s.shownAs.Hide()
	s.edit.Show()
	s.u.w.Canvas().Focus(s.edit)
}

func (s *side) stopEditing() {
	s.edit.Hide()
	s.shownAs.Show()
}

func (s *side) rename(name string) {
	name = strings.TrimSpace(name)
	if err := engine.ValidateName(name); err != nil {
		s.u.say(reason(err, "", true))
		return
	}
	s.stopEditing()
	background(s.u.bind, func(context.Context) (struct{}, error) { return struct{}{}, s.u.e.SetName(name) }, func(_ struct{}, err error) {
		s.u.trace("renamed %q", name)
		s.u.say(reason(err, "", true))
	})
}

// dial connects to a typed address or link.
func (s *side) dial(address string) {
	address = strings.TrimSpace(address)
	if address == "" || s.dialling {
		return
	}
	if strings.HasPrefix(address, "multipeer:") {
		s.u.openLink(address)
		return
	}
	s.connectTo(address)
}

// busy keeps the field from being used while a dial is under way.
func (s *side) busy(on bool) {
	if s.dialling = on; on {
		s.address.Disable()
	} else {
		s.address.Enable()
	}
}

// connectTo dials an address or a ticket.
func (s *side) connectTo(address string) {
	s.busy(true)
	background(s.u.bind, func(ctx context.Context) (engine.PeerID, error) { return s.u.e.Dial(ctx, address) }, func(id engine.PeerID, err error) {
		s.busy(false)
		if err != nil {
			s.u.say(reason(err, address, false))
			return
		}
		s.address.SetText("")
		s.u.trace("dialled %s", id.Short())
		s.u.choose(s.u.talk(id))
	})
}

// dotOf is the colour of a peer's dot.
func dotOf(p engine.Peer, here bool) fyne.ThemeColorName {
	switch {
	case !here:
		return ""
	case p.State == engine.Connected:
		return colorGood
	case p.Err != nil:
		return colorBad
	}
	return ""
}

// refresh brings the list up to date: who is connected first, then who is near, then old conversations.
func (s *side) refresh() {
	u := s.u
	s.face.set(u.self.ID, u.self.Name, "")
	s.name.set(u.self.Name)
	s.id.set("You · " + u.self.ID.Short())
	type shownPeer struct {
		p    engine.Peer
		here bool
	}
	var all []shownPeer
	connected := int64(0)
	for _, p := range u.peers {
		if p.HasSession() {
			connected++
		}
		all = append(all, shownPeer{p, true})
	}
	for id, t := range u.talks {
		if _, here := u.peers[id]; !here && !t.everyone() && len(t.items) > 0 {
			all = append(all, shownPeer{engine.Peer{ID: id, Name: t.name}, false})
		}
	}
	rank := func(s shownPeer) int {
		switch {
		case s.p.HasSession():
			return 0
		case s.here:
			return 1
		}
		return 2
	}
	slices.SortFunc(all, func(a, b shownPeer) int {
		return cmp.Or(rank(a)-rank(b), strings.Compare(strings.ToLower(a.p.Name), strings.ToLower(b.p.Name)), strings.Compare(string(a.p.ID[:]), string(b.p.ID[:])))
	})
	names := map[string]int{}
	for _, r := range all {
		names[r.p.Name]++
	}
	order := make([]engine.PeerID, 0, len(all))
	for _, sp := range all {
		id := sp.p.ID
		order = append(order, id)
		r := s.rows[id]
		if r == nil {
			r = newPeerRow(func() { u.choose(u.talk(id)) })
			r.menu = func(at fyne.Position) { u.peerMenu(id, at) }
			s.rows[id] = r
		}
		name, state := sp.p.Name, "Not nearby"
		if sp.here {
			state = peerStatus(sp.p)
			r.status.setColor(colorSubtle)
			if w := u.warning(sp.p); w != "" {
				state = w
				r.status.setColor(colorBad)
			}
		}
		if names[name] > 1 { // equal names are told apart by their keys
			state += " · " + id.Short()
		}
		r.face.set(id, name, dotOf(sp.p, sp.here))
		r.name.set(name)
		r.status.set(state)
		t := u.talks[id]
		r.choose(t != nil && t == u.current)
		r.face.standOn(colorSidebar)
		if r.selected {
			r.face.standOn(theme.ColorNameSelection)
		}
		if t != nil {
			r.badge.set(t.unread)
		}
	}
	if !slices.Equal(order, s.order) {
		s.order = order
		s.list.Objects = nil
		for _, id := range order {
			s.list.Objects = append(s.list.Objects, s.rows[id])
		}
		for id := range s.rows {
			if !slices.Contains(order, id) {
				delete(s.rows, id)
			}
		}
		s.list.Refresh()
		s.scroll.Refresh()
	}
	if s.nobody.Hidden = len(order) > 0; !s.nobody.Hidden {
		s.nobody.Refresh()
	}
	if connected == 0 {
		s.everyone.status.set("Nobody connected")
	} else {
		s.everyone.status.set(plural(connected, "device", "devices") + " connected")
	}
	room := u.talks[engine.PeerID{}]
	s.everyone.choose(room != nil && room == u.current)
	if room != nil {
		s.everyone.badge.set(room.unread)
	}
}

// rowAt finds the peer whose row is at a place in the window.
func (s *side) rowAt(at fyne.Position) (engine.PeerID, bool) {
	d := fyne.CurrentApp().Driver()
	for id, r := range s.rows {
		p := d.AbsolutePositionForObject(r)
		if at.X >= p.X && at.Y >= p.Y && at.X < p.X+r.Size().Width && at.Y < p.Y+r.Size().Height {
			return id, true
		}
	}
	return engine.PeerID{}, false
}
