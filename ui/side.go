package ui

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
	"multipeer/internal/history"
	"multipeer/internal/keep"
)

// side is the left of the window: this device, a search, everyone, the transfers, who is nearby, and a field for an
// address.
type side struct {
	u         *UI
	box       *fyne.Container
	face      *avatar
	name      *line
	id        *line
	search    *field
	everyone  *peerRow
	transfers *peerRow
	list      *fyne.Container
	near      *line
	hits      *fyne.Container // what a search found in conversations
	hitsHead  *line
	scroll    *container.Scroll
	rows      map[engine.PeerID]*peerRow
	order     []engine.PeerID
	nobody    *paragraph
	pair      *fyne.Container
	waiting   *waiting
	address   *field
	dialling  bool
	sought    string // what hits are for
	searching int    // counts searches, of which the last one counts
}

// peerRow is one line of the list.
type peerRow struct {
	*tapRow
	face   *avatar
	name   *line
	mark   *fyne.Container
	status *line
	badge  *badge
}

const faceSize = 36

func newPeerRow(face fyne.CanvasObject, tapped func()) *peerRow {
	r := &peerRow{name: newLine("", sizeBody, theme.ColorNameForeground, true), mark: newMark(), status: caption(""), badge: newBadge()}
	r.mark.Hide()
	if face == nil {
		r.face = newAvatar(faceSize, colorSidebar)
		face = r.face
	}
	r.tapRow = newTapRow(newBesideRight(gap, newBeside(gapWide, face, column(2, newNamed(r.name, r.mark), r.status)), r.badge), tapped)
	r.label = func() string {
		s := joined(r.name.full, r.status.full)
		if r.badge.n > 0 {
			s = joined(s, trn("{{.N}} unread", int64(r.badge.n)))
		}
		return s
	}
	return r
}

// badge counts what was not seen yet.
type badge struct {
	widget.BaseWidget
	n    int
	back *panel
	text *line
}

func newBadge() *badge {
	b := &badge{back: newPanel(theme.ColorNamePrimary, "", 9), text: centred(newLine("", sizeSmall, theme.ColorNameForegroundOnPrimary, true))}
	b.text.fits = true
	b.ExtendBaseWidget(b)
	b.Hide()
	return b
}

func (b *badge) set(n int) {
	if n == b.n {
		return
	}
	b.n = n
	if n == 0 {
		b.Hide()
		return
	}
	b.text.set(fmt.Sprint(min(n, 99)))
	b.Show()
	b.Refresh()
}

// unread shows how much was not seen yet.
func (r *peerRow) unread(n int) {
	if before := r.badge.n; before != n {
		r.badge.set(n)
		r.content.Refresh() // the name gets the width that is left
	}
}

func (b *badge) CreateRenderer() fyne.WidgetRenderer {
	return widget.NewSimpleRenderer(container.NewStack(b.back, inset(b.text, 2, 2, 6, 6)))
}

func newSide(u *UI) *side {
	s := &side{u: u, rows: map[engine.PeerID]*peerRow{}, face: newAvatar(faceSize, colorSidebar)}
	s.name, s.id = newLine("", sizeName, theme.ColorNameForeground, true), caption("")
	buttons := row(0, iconButton(iconQR, tr("Pair another device"), u.showLink), iconButton(iconSettings, tr("Settings"), u.showSettings))
	me := container.New(least(headHeight), inset(newBesideRight(gapTight, newBeside(gapWide, s.face, column(2, s.name, s.id)), buttons), 0, 0, edge, gap))

	s.search = newField(u, tr("Search"))
	s.search.SetIcon(iconSearch)
	s.search.OnChanged = func(string) { s.seek() }
	s.search.escape = func() {
		s.search.SetText("")
		u.w.Canvas().Unfocus()
	}
	s.search.OnSubmitted = func(string) {
		if len(s.order) > 0 {
			u.tapped(u.talk(s.order[0]))
		}
	}

	s.everyone = newPeerRow(newEmblem(widget.NewIcon(iconEveryone), faceSize, faceSize/2), func() { u.tapped(u.talk(engine.PeerID{})) })
	s.everyone.name.full, s.everyone.status.full = tr("Everyone"), tr("Nobody connected")
	s.transfers = newPeerRow(newEmblem(widget.NewIcon(iconTransfers), faceSize, faceSize/2), u.showTransfers)
	s.transfers.name.full, s.transfers.status.full = tr("Transfers"), tr("None yet")

	s.near, s.hitsHead = heading(tr("DEVICES")), heading(tr("IN CONVERSATIONS"))
	s.list, s.hits = column(gapTight), column(gapTight)
	s.nobody = hint(tr("Nobody yet. Devices with Multipeer on this network appear here by themselves."))
	head := func(l *line) fyne.CanvasObject { return inset(l, gapWide, gapTight, gap, gap) }
	list := newStackedInset(stacked{gap: gapTight, left: gap, right: gap, bottom: gap}, s.everyone, s.transfers, head(s.near), inset(s.list, 0, 0, 0, 0), s.nobodyBox(), head(s.hitsHead), s.hits)
	shown, scroll := newScroll(list)
	s.scroll = scroll

	s.address = newField(u, tr("Address or link"))
	s.address.OnSubmitted = s.dial
	connect := iconButton(iconGo, tr("Connect"), func() { s.dial(s.address.Text) })
	bottom := inset(container.NewBorder(nil, nil, nil, connect, s.address), gap, gapWide, edge, gap)

	s.waiting = newWaiting(u)
	top := newStacked(0, me, s.waiting.box, inset(s.search, 0, gap, edge, edge))
	s.box = container.NewStack(newPanel(colorSidebar, "", 0), container.NewBorder(top, bottom, nil, nil, shown))
	return s
}

func (s *side) nobodyBox() fyne.CanvasObject {
	s.pair = newFlow(gap, newButton(tr("Pair another device"), widget.MediumImportance, s.u.showLink), s.u.newSearch(), s.u.newDoctor())
	s.pair.Hide()
	return newStackedInset(stacked{left: gap, right: gap, gap: gapWide}, s.nobody, s.pair)
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
	choose := s.u.chooser()
	background(s.u.bind, func(ctx context.Context) (engine.PeerID, error) { return s.u.e.Dial(ctx, address) }, func(id engine.PeerID, err error) {
		s.busy(false)
		if err != nil {
			s.u.say(reason(err, address, false))
			return
		}
		s.address.SetText("")
		s.u.trace("dialled %s", id.Short())
		choose(s.u.talk(id))
	})
}

// dotOf is the colour of a peer's dot.
func dotOf(p engine.Peer, here bool) fyne.ThemeColorName {
	switch {
	case !here:
		return ""
	case p.State == engine.Connected:
		return colorDot
	case p.Err != nil:
		return colorBad
	}
	return ""
}

// listed is a peer, or an old conversation.
type listed struct {
	p    engine.Peer
	here bool
	name string
	last time.Time
}

// listed is who is in the list: who is connected first, then who is near, then old conversations, each by use; sought is a part of the name, or the
// beginning of the ID.
func (s *side) listed(sought string) (all []listed, connected int64) {
	u := s.u
	for _, p := range u.peers {
		if p.HasSession() {
			connected++
		}
		l := listed{p: p, here: true, name: p.Name}
		if t := u.talks[p.ID]; t != nil {
			l.name, l.last = u.nameOf(t), t.last
		}
		all = append(all, l)
	}
	for id, t := range u.talks {
		if _, here := u.peers[id]; !here && !t.everyone() && t.count() > 0 {
			all = append(all, listed{engine.Peer{ID: id, Name: t.name}, false, u.nameOf(t), t.last})
		}
	}
	if q := strings.ToLower(sought); q != "" {
		all = slices.DeleteFunc(all, func(l listed) bool {
			return !strings.Contains(strings.ToLower(l.name), q) && !l.p.ID.HasPrefix(sought)
		})
	}
	rank := func(l listed) int {
		switch {
		case l.p.HasSession():
			return 0
		case l.here:
			return 1
		}
		return 2
	}
	slices.SortFunc(all, func(a, b listed) int {
		return cmp.Or(rank(a)-rank(b), b.last.Compare(a.last), strings.Compare(strings.ToLower(a.name), strings.ToLower(b.name)), a.p.ID.Compare(b.p.ID))
	})
	return all, connected
}

// refresh brings the list up to date.
func (s *side) refresh() {
	u := s.u
	s.face.set(colorOf(u.self.ID, u.o.Settings.Colour), u.self.Name, "")
	s.name.set(u.self.Name)
	s.id.set(joined("ID "+u.self.ID.Short(), visibleTo(u.self)))
	all, connected := s.listed(s.sought)
	names := map[string]int{}
	for _, l := range all {
		names[l.name]++
	}
	order := make([]engine.PeerID, 0, len(all))
	for _, l := range all {
		order = append(order, l.p.ID)
		s.refreshRow(l, names[l.name] > 1)
	}
	relayout := false
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
		relayout = true
	}
	for o, on := range map[fyne.CanvasObject]bool{
		s.everyone: s.sought == "", s.transfers: s.sought == "", s.nobody: len(order) == 0, s.hitsHead: len(s.hits.Objects) > 0,
		s.pair: len(order) == 0 && s.sought == "" && u.shell.narrow, // beside the list the page has it
	} {
		if on != o.Visible() {
			show(o, on)
			relayout = true
		}
	}
	s.waiting.update()
	switch {
	case s.sought != "":
		s.nobody.set(tr("No device with this name."))
	case u.problem != nil:
		s.nobody.set(problem(u.problem))
	default:
		s.nobody.set(tr("Nobody yet. Devices with Multipeer on this network appear here by themselves."))
	}
	if relayout {
		s.scroll.Content.Refresh()
		s.scroll.Refresh()
	}
	if connected == 0 {
		s.everyone.status.set(tr("Nobody connected"))
	} else {
		s.everyone.status.set(trn("{{.N}} devices connected", connected))
	}
	room := u.talks[engine.PeerID{}]
	s.everyone.choose(room != nil && room == u.current && u.page == pageTalk)
	if room != nil {
		s.everyone.unread(room.unread)
	}
	s.transfers.choose(u.page == pageTransfers)
	s.transfers.status.set(u.transfersLine())
	s.transfers.unread(len(u.offers))
}

// refreshRow brings one row up to date; double tells that another has the same name.
func (s *side) refreshRow(l listed, double bool) {
	u, id := s.u, l.p.ID
	r := s.rows[id]
	if r == nil {
		r = newPeerRow(nil, func() { u.tapped(u.talk(id)) })
		r.menu = func(at fyne.Position) { u.showMenu(u.talkActions(u.talk(id)), at) }
		s.rows[id] = r
	}
	trust := l.p.Trust
	state, color := tr("Not nearby"), colorSubtle
	if l.here {
		state = joined(kindName(l.p.Info["kind"]), peerState(l.p))
		if w := u.warning(l.p); w != "" {
			state, color = w, colorBad
		}
		switch {
		case u.asked(id):
			state = tr("Wants to connect")
		case u.offersOf(id) > 0:
			state = tr("Files are waiting")
		}
	} else if trust = u.e.Trust(id); trust == engine.TrustBlocked {
		state = tr("Blocked")
	}
	if double { // equal names are told apart by their keys
		state = joined(id.Short(), state)
	}
	r.status.setColor(color)
	r.face.set(u.colorOf(id), l.name, dotOf(l.p, l.here))
	r.name.set(l.name)
	marked := r.mark.Visible()
	setMark(r.mark, l.p, trust)
	if marked != r.mark.Visible() {
		r.content.Refresh()
	}
	r.status.set(state)
	t := u.talks[id]
	r.choose(t != nil && t == u.current && u.page == pageTalk)
	r.face.standOn(colorSidebar)
	if r.selected {
		r.face.standOn(theme.ColorNameSelection)
	}
	if t != nil {
		r.unread(t.unread)
	}
}

// rowAt finds the peer whose row is at a place in the window.
func (s *side) rowAt(at fyne.Position) (engine.PeerID, bool) {
	if !s.box.Visible() {
		return engine.PeerID{}, false
	}
	d := fyne.CurrentApp().Driver()
	in := func(o fyne.CanvasObject) bool {
		p := d.AbsolutePositionForObject(o)
		return at.X >= p.X && at.Y >= p.Y && at.X < p.X+o.Size().Width && at.Y < p.Y+o.Size().Height
	}
	if !in(s.scroll) {
		return engine.PeerID{}, false
	}
	if s.everyone.Visible() && in(s.everyone) {
		return engine.PeerID{}, true
	}
	for id, r := range s.rows {
		if in(r) {
			return id, true
		}
	}
	return engine.PeerID{}, false
}

// seek searches for what stands in the field: names at once, conversations in the background.
func (s *side) seek() {
	u := s.u
	text := strings.TrimSpace(s.search.Text)
	s.sought = text
	s.searching++
	n := s.searching
	if len([]rune(text)) < 2 {
		s.found(nil)
	} else if u.bind != nil {
		background(u.bind, func(ctx context.Context) ([]history.Hit, error) {
			return u.o.History.Search(ctx, text, 20), nil
		}, func(hits []history.Hit, _ error) {
			if n == s.searching {
				s.found(hits[:min(len(hits), 50)])
			}
		})
	}
	s.refresh()
}

// found lists rows of conversations; a tap shows one in its place.
func (s *side) found(hits []history.Hit) {
	u := s.u
	s.hits.Objects = nil
	for _, h := range hits {
		var id engine.PeerID
		if h.Talk != keep.Everyone {
			var err error
			if id, err = engine.ParsePeerID(h.Talk); err != nil {
				continue
			}
		}
		text := h.Row.Text
		if h.Row.File != nil {
			text = strings.Join(h.Row.File.Names, ", ")
		}
		t := u.talk(id)
		head := newLine(u.nameOf(t), sizeCaption, theme.ColorNameForeground, true)
		when := caption(shortTime(h.Row.At))
		when.fits = true
		r := newTapRow(column(2, newBesideRight(gap, head, when), caption(snippet(text, s.sought))), func() {
			u.choose(t)
			u.timeline.goTo(int(h.Seq - t.first))
			u.settle()
		})
		s.hits.Add(r)
	}
	show(s.hitsHead, len(hits) > 0)
	s.hits.Refresh()
	s.scroll.Content.Refresh()
	s.scroll.Refresh()
	u.trace("found %d", len(hits))
}

// waiting says above the list, where that is all there is, what waits to be sent.
type waiting struct {
	u    *UI
	box  *fyne.Container
	text *paragraph
}

func newWaiting(u *UI) *waiting {
	w := &waiting{u: u, text: newParagraph("", sizeBody, theme.ColorNameForeground)}
	drop := newLinkText(tr("Do not send"), func() { u.waiting = nil; u.dirty.side = true; u.settle() })
	body := newStackedInset(stacked{gap: gapTight, top: gapWide, bottom: gapWide, left: edge, right: edge}, w.text, row(0, drop))
	w.box = inset(container.NewStack(newPanel(colorTile, "", 0), body), 0, gap, 0, 0)
	w.box.Hide()
	return w
}

func (w *waiting) update() {
	n := len(w.u.waiting)
	if n > 0 {
		w.text.set(trn("{{.N}} items wait to be sent", int64(n)) + ": " + strings.Join(names(w.u.waiting), ", ") + ". " + tr("Choose in the list where to send."))
	}
	if on := n > 0 && w.u.shell.narrow; on != w.box.Visible() {
		show(w.box, on)
		w.u.side.box.Refresh()
	}
}

// snippet is the part of a text round what was sought, on one line.
func snippet(text, sought string) string {
	text = strings.Join(strings.Fields(text), " ")
	lower := []rune(strings.ToLower(text))
	runes := []rune(text)
	if len(lower) != len(runes) { // a case that changes the length
		return string(runes[:min(len(runes), 60)])
	}
	at := strings.Index(string(lower), strings.ToLower(sought))
	if at < 0 {
		return string(runes[:min(len(runes), 60)])
	}
	from := max(0, len([]rune(string(lower)[:at]))-12)
	s := string(runes[from:min(len(runes), from+60)])
	if from > 0 {
		s = "…" + s
	}
	return s
}
