package ui

import (
	"cmp"
	"context"
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

// side is the left part of the window: this device, a search field, Everyone, the transfers, and a list of devices. In
// a narrow window it is the first page, and shows the devices nearby as tiles.
type side struct {
	u         *UI
	box       *fyne.Container
	face      *widgets.Avatar
	name      *widgets.Line
	id        *widgets.Line
	search    *widgets.Field
	home      *peerRow // shown in a wide window
	everyone  *peerRow
	transfers *peerRow
	list      *fyne.Container
	near      *widgets.Line
	nearHead  *fyne.Container
	hits      *fyne.Container // search results from conversations
	hitsHead  *fyne.Container
	scroll    *widgets.Scroll
	rows      map[engine.PeerID]*peerRow
	order     []engine.PeerID
	ordered   string    // the search text when order was set
	reordered time.Time // when order last changed without a change of the search text
	here      []listed  // the devices nearby that match the search, in the order of the list
	nobody    *widgets.Paragraph
	pair      *fyne.Container
	tiles     *deviceTiles // shown in a narrow window
	tray      *sendTray    // shown in a narrow window
	// absentLink opens the dialog for devices that are not listed.
	absentLink fyne.CanvasObject
	send       *fyne.Container // picks what to send, in a narrow window
	stops      stops
	sought     string // the search text of hits
	searching  int    // counts searches, so that the results of older ones can be dropped
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

	s.search = newSearchField(u, tr("Search"), s.seek)
	s.search.OnEscape = func() {
		s.search.SetText("")
		u.w.Canvas().Unfocus()
	}
	s.search.OnSubmitted = func(string) {
		if t := s.best(); t != nil {
			u.sending.chosenByName(t)
		}
	}

	s.home = newPeerRow(widgets.NewEmblem(widget.NewIcon(widgets.IconRadar), faceSize, faceSize/2), u.goHome)
	s.home.name.Text = tr("Nearby")
	s.everyone = newPeerRow(widgets.NewEmblem(widget.NewIcon(widgets.IconEveryone), faceSize, faceSize/2), func() { u.sending.tapped(u.talk(engine.PeerID{})) })
	s.everyone.name.Text, s.everyone.status.Text = tr("Everyone"), tr("No one connected")
	s.transfers = newPeerRow(widgets.NewEmblem(widget.NewIcon(widgets.IconTransfers), faceSize, faceSize/2), u.showTransfers)
	s.transfers.name.Text, s.transfers.status.Text = tr("Transfers"), tr("No transfers yet")

	s.near = widgets.Heading(tr("DEVICES"))
	s.list, s.hits = widgets.Column(widgets.GapTight), widgets.Column(widgets.GapTight)
	s.nobody = widgets.Hint(tr("No devices yet. Devices running Multipeer on this network appear here automatically."))
	head := func(l *widgets.Line) *fyne.Container {
		return widgets.Inset(l, widgets.GapWide, widgets.GapTight, widgets.Gap, widgets.Gap)
	}
	s.nearHead, s.hitsHead = head(s.near), head(widgets.Heading(tr("IN CONVERSATIONS")))
	s.tiles, s.tray = newDeviceTiles(u), newSendTray(u)
	list := widgets.NewStackedInset(widgets.Stacked{Gap: widgets.GapTight, Left: widgets.Gap, Right: widgets.Gap, Bottom: widgets.Gap}, s.tiles.box, s.home, s.everyone, s.transfers, s.nearHead, widgets.Inset(s.list, 0, 0, 0, 0), s.nobodyBox(), s.hitsHead, s.hits)
	shown, scroll := widgets.NewScroll(list)
	s.scroll = scroll
	s.tiles.scrolled(scroll)
	s.stops = stops{canvas: u.w.Canvas(), scroll: scroll, all: s.rowStops}

	s.send = u.sending.buttons()
	s.absentLink = container.NewCenter(widgets.NewLinkText(tr("Device not listed?"), u.connecting.show))
	absent := widgets.Inset(widgets.NewStacked(widgets.Gap, s.send, s.absentLink), widgets.Gap, widgets.GapWide, widgets.Edge, widgets.Edge)
	top := widgets.NewStacked(0, me, widgets.Inset(s.search, 0, widgets.Gap, widgets.Edge, widgets.Edge))
	bottom := widgets.NewStacked(0, absent, s.tray.box)
	s.box = container.NewStack(widgets.NewPanel(widgets.ColorSidebar, "", 0), widgets.NewPane(top, bottom, shown))
	return s
}

func (s *side) nobodyBox() fyne.CanvasObject {
	s.u.connecting.narrow = s.u.connecting.newNarrowCard()
	s.pair = s.u.connecting.narrow.box
	s.pair.Hide()
	return widgets.NewStackedInset(widgets.Stacked{Left: widgets.Gap, Right: widgets.Gap, Gap: widgets.GapWide}, s.nobody, s.pair)
}

// dotOf returns the colour of a peer's dot.
func dotOf(p engine.Peer, here bool) fyne.ThemeColorName {
	switch {
	case !here:
		return ""
	case p.State == engine.Connected:
		return widgets.ColorDot
	case p.Err != nil: // the text below the name gives the reason
		return widgets.ColorSubtle
	}
	return ""
}

// listed is a row of the list: a peer, or the conversation with a device that is not nearby.
type listed struct {
	p         engine.Peer
	here      bool
	favourite bool
	name      string
	last      time.Time
}

// listed returns the rows of the list: first the favourites, then connected peers, known peers nearby, strangers,
// devices that look like another one, and conversations with devices that are not nearby. Each group is sorted by last
// use. sought filters by a part of the name or the beginning of the ID.
func (s *side) listed(sought string) (all []listed, connected int64) {
	u := s.u
	all = make([]listed, 0, len(u.peers)+len(u.talks))
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
			all = append(all, listed{p: u.absent(t), name: u.nameOf(t), last: t.last})
		}
	}
	for i := 0; i < len(all) && len(u.o.Settings.Favourites) > 0; i++ {
		all[i].favourite = u.o.Settings.Favourite(all[i].p.ID.String())
	}
	if q := strings.ToLower(sought); q != "" {
		all = slices.DeleteFunc(all, func(l listed) bool {
			return !strings.Contains(strings.ToLower(l.name), q) && !l.p.ID.HasPrefix(sought)
		})
	}
	rank := func(l listed) int {
		switch {
		case l.here && l.favourite:
			return 0
		case !l.here:
			return 5
		case !l.p.LooksLike.IsZero():
			return 4
		case l.p.HasSession():
			return 1
		case l.p.Trust == engine.TrustUnknown:
			return 3
		}
		return 2
	}
	slices.SortFunc(all, func(a, b listed) int {
		return cmp.Or(rank(a)-rank(b), b.last.Compare(a.last), strings.Compare(strings.ToLower(a.name), strings.ToLower(b.name)), a.p.ID.Compare(b.p.ID))
	})
	return all, connected
}

// best returns the conversation that best matches the text in the search field; nil for none. As in Engine.FindPeer,
// known devices come first, even if they are not nearby, and devices that look like another one come last.
func (s *side) best() *talk {
	all, _ := s.listed(s.search.Text)
	if len(all) == 0 {
		return nil
	}
	rank := func(l listed) int {
		switch {
		case !l.p.LooksLike.IsZero():
			return 2
		case s.u.e.Trust(l.p.ID) == engine.TrustUnknown:
			return 1
		}
		return 0
	}
	return s.u.talk(slices.MinFunc(all, func(a, b listed) int { return rank(a) - rank(b) }).p.ID)
}

// justReordered reports whether devices in the list have just moved without the user's doing.
func (s *side) justReordered() bool { return time.Since(s.reordered) < lookAgain }

// refresh updates the list.
func (s *side) refresh() {
	u := s.u
	s.face.Set(colorOf(u.self.ID, u.o.Settings.Colour), u.self.Name, "")
	s.name.SetText(u.self.Name)
	s.id.SetText(joined("ID "+u.self.ID.Short(), visibleTo(u.self)))
	all, connected := s.listed(s.sought)
	tiled := u.shell.narrow && s.sought == "" // the devices nearby are tiles instead of rows
	double := repeated(all)
	order := make([]engine.PeerID, 0, len(all))
	var rows []fyne.CanvasObject
	for _, l := range all {
		order = append(order, l.p.ID)
		s.refreshRow(l, double[l.name])
		if !tiled || !l.here {
			rows = append(rows, s.rows[l.p.ID])
		}
	}
	relayout := false
	if !slices.Equal(order, s.order) {
		if s.ordered == s.sought && len(s.order) > 0 {
			s.reordered = time.Now()
		}
		s.order, s.ordered = order, s.sought
		for id := range s.rows {
			if !slices.Contains(order, id) {
				delete(s.rows, id)
			}
		}
	}
	if !slices.Equal(rows, s.list.Objects) {
		s.list.Objects = rows
		s.list.Refresh()
		relayout = true
	}
	s.here = slices.DeleteFunc(all, func(l listed) bool { return !l.here })
	var nearby []listed
	if tiled {
		nearby = s.here
	}
	if s.tiles.refresh(nearby) {
		relayout = true
	}
	s.near.SetText(tr("DEVICES"))
	if tiled && len(nearby) > 0 {
		s.near.SetText(tr("EARLIER"))
	}
	found := len(s.hits.Objects) > 0
	missing := len(order) == 0 && !found // there is nothing to list
	// In a wide window, the page next to the list has the card.
	lonely := len(order) == 0 && s.sought == "" && u.shell.narrow
	for o, on := range map[fyne.CanvasObject]bool{
		s.home: s.sought == "" && !u.shell.narrow, s.everyone: s.sought == "", s.transfers: s.sought == "", s.nobody: missing, s.hitsHead: found,
		s.pair:      lonely,
		s.tiles.box: len(nearby) > 0, s.nearHead: len(rows) > 0 || missing, s.absentLink: !lonely && (u.shell.narrow || u.page != pageEmpty), s.send: u.shell.narrow && len(u.sending.paths) == 0 && !lonely,
	} {
		if on != o.Visible() {
			widgets.Show(o, on)
			relayout = true
		}
	}
	s.stops.arrange()
	if s.tray.refresh(u.shell.narrow) {
		relayout = true
	}
	switch {
	case s.sought != "":
		s.nobody.SetText(tr("No matching devices."))
	case u.problem != nil:
		s.nobody.SetText(problem(u.problem))
	default:
		s.nobody.SetText(tr("No devices yet. Devices running Multipeer on this network appear here automatically."))
	}
	if s.pair.Visible() && u.connecting.narrow.refresh(u) {
		relayout = true
	}
	if relayout {
		s.relayout()
	}
	if connected == 0 {
		s.everyone.status.SetText(tr("No one connected"))
	} else {
		s.everyone.status.SetText(trn("{{.N}} devices connected", connected))
	}
	everyone := u.talks[engine.PeerID{}]
	s.everyone.Choose(everyone != nil && everyone == u.current && u.page == pageTalk)
	if everyone != nil {
		s.everyone.unread(everyone.unread)
	}
	s.home.Choose(u.page == pageEmpty)
	s.home.status.SetText(tr("No devices nearby"))
	n := int64(0)
	for _, p := range u.peers {
		if p.Trust != engine.TrustBlocked {
			n++
		}
	}
	if n > 0 {
		s.home.status.SetText(trn("{{.N}} devices", n))
	}
	s.transfers.Choose(u.page == pageTransfers)
	s.transfers.status.SetText(u.transfers.line())
	s.transfers.unread(len(u.transfers.offers))
}

// relayout lays out the list again after the size of a part has changed.
func (s *side) relayout() {
	s.scroll.Content.Refresh()
	s.scroll.Refresh()
	s.box.Refresh()
}

// refreshRow updates one row; double is set if another row has the same name.
func (s *side) refreshRow(l listed, double bool) {
	u, id := s.u, l.p.ID
	r := s.rows[id]
	if r == nil {
		r = newPeerRow(nil, func() { u.sending.tapped(u.talk(id)) })
		r.OnMenu = func(at fyne.Position) { u.showMenu(u.talkActions(u.talk(id)), at) }
		s.rows[id] = r
	}
	state, warns := s.stateOf(l)
	if kind := kindName(l.p.Info["kind"]); l.here && !warns && !s.asks(id) {
		state = joined(kind, state)
	}
	color := widgets.ColorSubtle
	if warns {
		color = widgets.ColorBad
	}
	if double { // devices with the same name are distinguished by ID
		state = joined(id.Short(), state)
	}
	r.status.SetColor(color)
	r.face.Set(u.colorOf(id), l.name, dotOf(l.p, l.here))
	named, marked := r.name.Text, r.mark.Visible()
	r.name.SetText(l.name)
	trust := l.p.Trust
	if !l.here {
		trust = u.e.Trust(id)
	}
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

// asks reports whether a peer is waiting for the user's answer.
func (s *side) asks(id engine.PeerID) bool {
	return s.u.invites.asked(id) || len(s.u.transfers.offersFrom(id)) > 0
}

// stateOf returns the status of a device in the list, and whether it is a warning.
func (s *side) stateOf(l listed) (state string, warns bool) {
	u, id := s.u, l.p.ID
	if w := u.warning(l.p); w != "" {
		state, warns = w, true
	}
	wants := ""
	switch {
	case !l.here && u.e.Trust(id) == engine.TrustBlocked:
		return tr("Blocked"), false
	case !l.here && !warns:
		return tr("Not nearby"), false
	case !l.here:
		return state, true
	case u.invites.asked(id):
		wants = tr("Wants to connect")
	case len(u.transfers.offersFrom(id)) > 0:
		wants = tr("Wants to send files")
	}
	switch {
	case warns: // a request does not hide the warning
		return joined(state, wants), true
	case wants != "":
		return wants, false
	}
	return peerState(l.p), false
}

// rowStops returns the rows that the arrow keys reach, from top to bottom.
func (s *side) rowStops() (all []stop) {
	if s.sought == "" {
		if s.home.Visible() {
			all = append(all, stop{s.home, s.home.TapRow})
		}
		all = append(all, stop{s.everyone, s.everyone.TapRow}, stop{s.transfers, s.transfers.TapRow})
	}
	for _, o := range s.list.Objects {
		r := o.(*peerRow)
		all = append(all, stop{r, r.TapRow})
	}
	for _, o := range s.hits.Objects {
		r := o.(*widgets.TapRow)
		all = append(all, stop{r, r})
	}
	return all
}

// rowAt returns the peer whose row or tile is at a position in the window; the zero ID is Everyone.
func (s *side) rowAt(at fyne.Position) (engine.PeerID, bool) {
	if !s.box.Visible() || !covers(s.scroll, at) {
		return engine.PeerID{}, false
	}
	if s.everyone.Visible() && covers(s.everyone, at) {
		return engine.PeerID{}, true
	}
	for _, o := range s.list.Objects {
		if covers(o, at) {
			return s.idOf(o.(*peerRow)), true
		}
	}
	return s.tiles.at(at)
}

// idOf returns the peer of a row.
func (s *side) idOf(row *peerRow) (id engine.PeerID) {
	for id, r := range s.rows {
		if r == row {
			return id
		}
	}
	return id
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

// found lists search results in conversations. A tap shows a result in its conversation.
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
		r := widgets.NewTapRow(widgets.Column(2, widgets.NewBesideRight(widgets.Gap, head, when), newSnippet(text, s.sought)), func() {
			u.choose(t)
			u.timeline.GoTo(int(h.Seq - t.first))
			u.settle()
		})
		s.hits.Add(r)
	}
	s.hits.Refresh()
	s.refresh()
	s.relayout()
	u.trace("found %d", len(hits))
}

// newSnippet shows the part of text around the sought string, which is bold.
func newSnippet(text, sought string) fyne.CanvasObject {
	text = snippet(text, sought)
	lower, sought := strings.ToLower(text), strings.ToLower(sought)
	at := strings.Index(lower, sought)
	if at < 0 || len(lower) != len(text) { // folding the case changed the positions
		return widgets.Caption(text)
	}
	end := at + len(sought)
	before, match := widgets.Caption(text[:at]), widgets.NewLine(text[at:end], widgets.SizeCaption, theme.ColorNameForeground, true)
	before.Fits, match.Fits = true, true
	return widgets.NewBeside(0, widgets.Row(0, before, match), widgets.Caption(text[end:]))
}

// snippet returns the part of text around the sought string, on one line.
func snippet(text, sought string) string {
	text = strings.Join(strings.Fields(text), " ")
	lower := []rune(strings.ToLower(text))
	runes := []rune(text)
	if len(lower) != len(runes) { // folding the case changed the number of characters
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
