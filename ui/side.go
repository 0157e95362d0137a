package ui

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
	"multipeer/internal/chatlog"
	"multipeer/internal/history"
	"multipeer/ui/internal/widgets"
)

// side is the left side of the window: this device, a search field, Everyone, the transfers, the devices nearby, and
// a field for an address.
type side struct {
	u         *UI
	box       *fyne.Container
	face      *widgets.Avatar
	name      *widgets.Line
	id        *widgets.Line
	search    *widgets.Field
	everyone  *peerRow
	transfers *peerRow
	list      *fyne.Container
	near      *widgets.Line
	hits      *fyne.Container // search results from conversations
	hitsHead  *widgets.Line
	scroll    *container.Scroll
	rows      map[engine.PeerID]*peerRow
	order     []engine.PeerID
	nobody    *widgets.Paragraph
	pair      *fyne.Container
	waiting   *waiting
	address   *widgets.Field
	dialling  bool
	sought    string // the search text that hits belong to
	searching int    // counts searches, so that the results of older ones are dropped
}

// peerRow is one row of the list.
type peerRow struct {
	*widgets.TapRow
	face   *widgets.Avatar
	name   *widgets.Line
	mark   *fyne.Container
	status *widgets.Line
	badge  *widgets.Badge
}

const faceSize = 36

func newPeerRow(face fyne.CanvasObject, tapped func()) *peerRow {
	r := &peerRow{name: widgets.NewLine("", widgets.SizeBody, theme.ColorNameForeground, true), mark: newMark(), status: widgets.Caption(""), badge: widgets.NewBadge()}
	r.mark.Hide()
	if face == nil {
		r.face = widgets.NewAvatar(faceSize, widgets.ColorSidebar)
		face = r.face
	}
	r.TapRow = widgets.NewTapRow(widgets.NewBesideRight(widgets.Gap, widgets.NewBeside(widgets.GapWide, face, widgets.Column(2, widgets.NewNamed(r.name, r.mark), r.status)), r.badge), tapped)
	r.Label = func() string {
		s := joined(r.name.Text, r.status.Text)
		if r.badge.N > 0 {
			s = joined(s, trn("{{.N}} unread", int64(r.badge.N)))
		}
		return s
	}
	return r
}

// unread sets the number of unread items.
func (r *peerRow) unread(n int) {
	if before := r.badge.N; before != n {
		r.badge.Set(n)
		r.Content.Refresh() // the name gets the remaining width
	}
}

func newSide(u *UI) *side {
	s := &side{u: u, rows: map[engine.PeerID]*peerRow{}, face: widgets.NewAvatar(faceSize, widgets.ColorSidebar)}
	s.name, s.id = widgets.NewLine("", widgets.SizeName, theme.ColorNameForeground, true), widgets.Caption("")
	buttons := widgets.Row(0, widgets.NewIconButton(widgets.IconQR, tr("Pair a device"), u.pairings.showLink), widgets.NewIconButton(widgets.IconSettings, tr("Settings"), u.showSettings))
	me := container.New(widgets.Least(widgets.HeadHeight), widgets.Inset(widgets.NewBesideRight(widgets.GapTight, widgets.NewBeside(widgets.GapWide, s.face, widgets.Column(2, s.name, s.id)), buttons), 0, 0, widgets.Edge, widgets.Gap))

	s.search = u.newField(tr("Search"))
	s.search.SetIcon(widgets.IconSearch)
	s.search.OnChanged = func(string) { s.seek() }
	s.search.OnEscape = func() {
		s.search.SetText("")
		u.w.Canvas().Unfocus()
	}
	s.search.OnSubmitted = func(string) {
		if len(s.order) > 0 {
			u.tapped(u.talk(s.order[0]))
		}
	}

	s.everyone = newPeerRow(widgets.NewEmblem(widget.NewIcon(widgets.IconEveryone), faceSize, faceSize/2), func() { u.tapped(u.talk(engine.PeerID{})) })
	s.everyone.name.Text, s.everyone.status.Text = tr("Everyone"), tr("No one connected")
	s.transfers = newPeerRow(widgets.NewEmblem(widget.NewIcon(widgets.IconTransfers), faceSize, faceSize/2), u.showTransfers)
	s.transfers.name.Text, s.transfers.status.Text = tr("Transfers"), tr("No transfers yet")

	s.near, s.hitsHead = widgets.Heading(tr("DEVICES")), widgets.Heading(tr("IN CONVERSATIONS"))
	s.list, s.hits = widgets.Column(widgets.GapTight), widgets.Column(widgets.GapTight)
	s.nobody = widgets.Hint(tr("No devices yet. Devices running Multipeer on this network appear here automatically."))
	head := func(l *widgets.Line) fyne.CanvasObject {
		return widgets.Inset(l, widgets.GapWide, widgets.GapTight, widgets.Gap, widgets.Gap)
	}
	list := widgets.NewStackedInset(widgets.Stacked{Gap: widgets.GapTight, Left: widgets.Gap, Right: widgets.Gap, Bottom: widgets.Gap}, s.everyone, s.transfers, head(s.near), widgets.Inset(s.list, 0, 0, 0, 0), s.nobodyBox(), head(s.hitsHead), s.hits)
	shown, scroll := widgets.NewScroll(list)
	s.scroll = scroll

	s.address = u.newField(tr("Connect by address or link"))
	s.address.OnSubmitted = s.dial
	connect := widgets.NewIconButton(widgets.IconGo, tr("Connect"), func() { s.dial(s.address.Text) })
	bottom := widgets.Inset(container.NewBorder(nil, nil, nil, connect, s.address), widgets.Gap, widgets.GapWide, widgets.Edge, widgets.Gap)

	s.waiting = newWaiting(u)
	top := widgets.NewStacked(0, me, s.waiting.box, widgets.Inset(s.search, 0, widgets.Gap, widgets.Edge, widgets.Edge))
	s.box = container.NewStack(widgets.NewPanel(widgets.ColorSidebar, "", 0), container.NewBorder(top, bottom, nil, nil, shown))
	return s
}

func (s *side) nobodyBox() fyne.CanvasObject {
	s.pair = widgets.NewFlow(widgets.Gap, widgets.NewButton(tr("Pair a device"), widget.MediumImportance, s.u.pairings.showLink), s.u.links.button(), s.u.finder.newSearch(), s.u.finder.newDoctor())
	s.pair.Hide()
	return widgets.NewStackedInset(widgets.Stacked{Left: widgets.Gap, Right: widgets.Gap, Gap: widgets.GapWide}, s.nobody, s.pair)
}

// dial connects to an address or link that the user typed.
func (s *side) dial(address string) {
	address = strings.TrimSpace(address)
	if address == "" || s.dialling {
		return
	}
	if strings.HasPrefix(address, "multipeer:") {
		s.u.pairings.openLink(address, false)
		return
	}
	s.connectTo(address)
}

// busy disables the address field while a dial is in progress.
func (s *side) busy(on bool) {
	s.dialling = on
	if on {
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
			if errors.Is(err, engine.ErrInvalid) {
				s.u.say(tr("This is not an address. Enter one such as 192.168.1.20 or ben.local, or a link."))
				return
			}
			s.u.fail(err, address, false)
			return
		}
		s.address.SetText("")
		s.u.trace("dialled %s", id.Short())
		choose(s.u.talk(id))
	})
}

// dotOf returns the colour of a peer's dot.
func dotOf(p engine.Peer, here bool) fyne.ThemeColorName {
	switch {
	case !here:
		return ""
	case p.State == engine.Connected:
		return widgets.ColorDot
	case p.Err != nil:
		return widgets.ColorBad
	}
	return ""
}

// listed is a row of the list: a peer, or an old conversation.
type listed struct {
	p    engine.Peer
	here bool
	name string
	last time.Time
}

// listed returns the rows of the list: connected peers first, then peers nearby, then old conversations, each group
// sorted by last use. sought filters by a part of the name or the beginning of the ID.
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
		if _, here := u.peers[id]; !here && !t.everyone() && t.Count() > 0 {
			all = append(all, listed{u.absent(t), false, u.nameOf(t), t.last})
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

// refresh updates the list.
func (s *side) refresh() {
	u := s.u
	s.face.Set(colorOf(u.self.ID, u.o.Settings.Colour), u.self.Name, "")
	s.name.SetText(u.self.Name)
	s.id.SetText(joined("ID "+u.self.ID.Short(), visibleTo(u.self)))
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
		s.pair: len(order) == 0 && s.sought == "" && u.shell.narrow, // in a wide window the page next to the list has it
	} {
		if on != o.Visible() {
			widgets.Show(o, on)
			relayout = true
		}
	}
	s.oneStop()
	s.waiting.update()
	switch {
	case s.sought != "":
		s.nobody.SetText(tr("No matching devices."))
	case u.problem != nil:
		s.nobody.SetText(problem(u.problem))
	default:
		s.nobody.SetText(tr("No devices yet. Devices running Multipeer on this network appear here automatically."))
	}
	if relayout {
		s.scroll.Content.Refresh()
		s.scroll.Refresh()
	}
	if connected == 0 {
		s.everyone.status.SetText(tr("No one connected"))
	} else {
		s.everyone.status.SetText(trn("{{.N}} devices connected", connected))
	}
	room := u.talks[engine.PeerID{}]
	s.everyone.Choose(room != nil && room == u.current && u.page == pageTalk)
	if room != nil {
		s.everyone.unread(room.unread)
	}
	s.transfers.Choose(u.page == pageTransfers)
	s.transfers.status.SetText(u.transfers.line())
	s.transfers.unread(len(u.transfers.offers))
}

// refreshRow updates one row; double means that another row has the same name.
func (s *side) refreshRow(l listed, double bool) {
	u, id := s.u, l.p.ID
	r := s.rows[id]
	if r == nil {
		r = newPeerRow(nil, func() { u.tapped(u.talk(id)) })
		r.OnMenu = func(at fyne.Position) { u.showMenu(u.talkActions(u.talk(id)), at) }
		s.rows[id] = r
	}
	trust := l.p.Trust
	state, color := tr("Not nearby"), widgets.ColorSubtle
	if l.here {
		state = joined(kindName(l.p.Info["kind"]), peerState(l.p))
		if w := u.warning(l.p); w != "" {
			state, color = w, widgets.ColorBad
		}
		wants := ""
		switch {
		case u.invites.asked(id):
			wants = tr("Wants to connect")
		case u.transfers.offersOf(id) > 0:
			wants = tr("Wants to send files")
		}
		if wants != "" && color == widgets.ColorBad { // the question does not hide the warning
			state = joined(state, wants)
		} else if wants != "" {
			state = wants
		}
	} else if trust = u.e.Trust(id); trust == engine.TrustBlocked {
		state = tr("Blocked")
	} else if w := u.warning(l.p); w != "" {
		state, color = w, widgets.ColorBad
	}
	if double { // their IDs distinguish devices with equal names
		state = joined(id.Short(), state)
	}
	r.status.SetColor(color)
	r.face.Set(u.colorOf(id), l.name, dotOf(l.p, l.here))
	named, marked := r.name.Text, r.mark.Visible()
	r.name.SetText(l.name)
	setMark(r.mark, l.p, trust)
	if named != r.name.Text || marked != r.mark.Visible() {
		r.Content.Refresh() // the mark follows the name
	}
	r.status.SetText(state)
	t := u.talks[id]
	r.Choose(t != nil && t == u.current && u.page == pageTalk)
	r.face.StandOn(widgets.ColorSidebar)
	if r.Selected {
		r.face.StandOn(theme.ColorNameSelection)
	}
	if t != nil {
		r.unread(t.unread)
	}
}

// stop is a row that the arrow keys reach. In the tree of widgets it is shown.
type stop struct {
	shown fyne.Focusable
	row   *widgets.TapRow
}

// stops are the rows that the arrow keys reach, from top to bottom.
func (s *side) stops() (rows []stop) {
	if s.sought == "" {
		rows = append(rows, stop{s.everyone, s.everyone.TapRow}, stop{s.transfers, s.transfers.TapRow})
	}
	for _, id := range s.order {
		rows = append(rows, stop{s.rows[id], s.rows[id].TapRow})
	}
	for _, o := range s.hits.Objects {
		r := o.(*widgets.TapRow)
		rows = append(rows, stop{r, r})
	}
	return rows
}

// oneStop makes the list one stop for Tab: the row that has the focus or is selected, or else the first one.
func (s *side) oneStop() {
	rows := s.stops()
	focused := s.u.w.Canvas().Focused()
	at := 0
	for i, r := range rows {
		if r.row.Selected {
			at = i
		}
		if focused == r.shown {
			at = i
			break
		}
	}
	for i, r := range rows {
		r.row.Skip(i != at)
		r.row.OnFocus = func() { s.reveal(r.shown.(fyne.CanvasObject)) }
		r.row.OnMove = func(by int) { s.move(i + by) }
	}
}

// move moves the focus to the row with an index, if there is one.
func (s *side) move(to int) {
	rows := s.stops()
	if to < 0 || to >= len(rows) {
		return
	}
	rows[to].row.Skip(false)
	s.u.w.Canvas().Focus(rows[to].shown)
	s.oneStop()
}

// reveal scrolls a row into view.
func (s *side) reveal(r fyne.CanvasObject) {
	d := fyne.CurrentApp().Driver()
	top := d.AbsolutePositionForObject(r).Y - d.AbsolutePositionForObject(s.scroll).Y
	bottom := top + r.Size().Height
	offset := s.scroll.Offset
	switch {
	case top < 0:
		offset.Y += top
	case bottom > s.scroll.Size().Height:
		offset.Y += bottom - s.scroll.Size().Height
	default:
		return
	}
	s.scroll.ScrollToOffset(offset)
}

// rowAt returns the peer whose row is at a position in the window; the zero ID is Everyone.
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

// seek searches for the text in the search field: names at once, conversations in the background.
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

// found lists search results from conversations. A tap shows the result in its conversation.
func (s *side) found(hits []history.Hit) {
	u := s.u
	s.hits.Objects = nil
	for _, h := range hits {
		var id engine.PeerID
		if h.Talk != chatlog.Everyone {
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
		head := widgets.NewLine(u.nameOf(t), widgets.SizeCaption, theme.ColorNameForeground, true)
		when := widgets.Caption(shortTime(h.Row.At))
		when.Fits = true
		r := widgets.NewTapRow(widgets.Column(2, widgets.NewBesideRight(widgets.Gap, head, when), widgets.Caption(snippet(text, s.sought))), func() {
			u.choose(t)
			u.timeline.GoTo(int(h.Seq - t.first))
			u.settle()
		})
		s.hits.Add(r)
	}
	s.oneStop()
	widgets.Show(s.hitsHead, len(hits) > 0)
	s.hits.Refresh()
	s.scroll.Content.Refresh()
	s.scroll.Refresh()
	u.trace("found %d", len(hits))
}

// waiting shows above the list which files wait to be sent, in a narrow window, where the page is hidden.
type waiting struct {
	u    *UI
	box  *fyne.Container
	text *widgets.Paragraph
}

func newWaiting(u *UI) *waiting {
	w := &waiting{u: u, text: widgets.NewParagraph("", widgets.SizeBody, theme.ColorNameForeground)}
	drop := widgets.NewLinkText(tr("Cancel sending"), func() { u.waiting = nil; u.dirty.side = true; u.settle() })
	body := widgets.NewStackedInset(widgets.Stacked{Gap: widgets.GapTight, Top: widgets.GapWide, Bottom: widgets.GapWide, Left: widgets.Edge, Right: widgets.Edge}, w.text, widgets.Row(0, drop))
	w.box = widgets.Inset(container.NewStack(widgets.NewPanel(widgets.ColorTile, "", 0), body), 0, widgets.Gap, 0, 0)
	w.box.Hide()
	return w
}

func (w *waiting) update() {
	n := len(w.u.waiting)
	if n > 0 {
		w.text.SetText(trn("{{.N}} items ready to send", int64(n)) + ": " + strings.Join(names(w.u.waiting), ", ") + ". " + tr("Choose a device to send to."))
	}
	if on := n > 0 && w.u.shell.narrow; on != w.box.Visible() {
		widgets.Show(w.box, on)
		w.u.side.box.Refresh()
	}
}

// snippet returns the part of text around the sought string, on one line.
func snippet(text, sought string) string {
	text = strings.Join(strings.Fields(text), " ")
	lower := []rune(strings.ToLower(text))
	runes := []rune(text)
	if len(lower) != len(runes) { // changing the case changed the length
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
