package ui

import (
	"errors"
	"maps"
	"slices"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
	"multipeer/internal/chatlog"
	"multipeer/internal/history"
	"multipeer/ui/internal/widgets"
)

// talk is a conversation with one peer or with everyone. Its rows are in the history; a talk caches the rows that are
// or were recently on screen.
type talk struct {
	id         engine.PeerID
	key        string // in the history
	name       string // the name that the peer last announced
	likeness   likeness
	unread     int
	draft      string
	savedDraft string // the draft in the history
	last       time.Time
	lastOwn    time.Time // when the user last sent something
	refused    int       // how often in a row the peer's program refused a message
	invited    time.Time // when waiting messages last asked the peer to connect
	open       []uint64  // own messages that are not delivered yet, in order

	u           *UI
	first, next uint64 // the sequence numbers of its rows; next is the first free one
	pages       map[uint64][]history.Row
	live        map[uint64]widgets.Item // cards with more state than their row; they are never dropped to save space
	made, old   map[uint64]widgets.Item // items of rows that were shown, in two generations; the older generation is dropped first
}

// place identifies a row of a talk.
type place struct {
	t   *talk
	seq uint64
}

const (
	pageRows = 64
	maxPages = 16
	// generation is how many items are created before the items that were not shown again are dropped.
	generation = 120
	// maxOpen is how many messages may wait for one peer.
	maxOpen = 500
)

func (t *talk) everyone() bool { return t.id.IsZero() }

// talk returns the conversation with a peer, and creates it if needed.
func (u *UI) talk(id engine.PeerID) *talk {
	t := u.talks[id]
	if t != nil {
		return t
	}
	t = &talk{id: id, u: u, key: chatlog.Everyone, name: u.peers[id].Name, live: map[uint64]widgets.Item{}}
	if !id.IsZero() {
		t.key = id.String()
	}
	t.forget()
	u.talks[id] = t
	if len(u.talks) > maxTalks { // guard: talks-listed
		u.pruneTalks(t)
	}
	return t
}

// maxTalks is how many conversations are kept before unanswered ones with strangers are dropped.
const maxTalks = 300

// pruneTalks drops the oldest unanswered conversations with strangers, up to a quarter of maxTalks. It keeps those with
// anything saved or open.
func (u *UI) pruneTalks(but *talk) {
	var idle []*talk
	for _, t := range u.talks {
		if t != but && t != u.current && !t.everyone() && u.stranger(t) && u.o.History.Held(t.key) && t.draft == "" && len(t.open) == 0 &&
			len(t.live) == 0 && len(u.transfers.offersFrom(t.id)) == 0 && u.pairings.cards[t.id] == nil {
			idle = append(idle, t)
		}
	}
	slices.SortFunc(idle, func(a, b *talk) int { return a.last.Compare(b.last) })
	for _, t := range idle[:min(len(idle), maxTalks/4)] {
		delete(u.talks, t.id)
	}
	u.dirty.side = true
}

// stranger reports whether a peer is one that the user has not accepted: it is unknown and has no session.
func (u *UI) stranger(t *talk) bool {
	p, here := u.peers[t.id]
	if t.everyone() || p.HasSession() {
		return false
	}
	if here {
		return p.Trust == engine.TrustUnknown
	}
	return u.e.Trust(t.id) == engine.TrustUnknown
}

// loadTalks restores the conversations from the history.
func (u *UI) loadTalks() {
	for key, k := range u.o.History.Talks() {
		var id engine.PeerID
		if key != chatlog.Everyone {
			var err error
			if id, err = engine.ParsePeerID(key); err != nil {
				continue
			}
		}
		t := u.talk(id)
		t.name = k.Name
		t.unread = k.Unread
		t.draft = k.Draft
		t.savedDraft = k.Draft
		t.last = k.Last
		t.lastOwn = k.Own
		t.open = k.Open
		for _, seq := range slices.Clone(t.open) {
			r, ok := u.o.History.Row(t.key, seq)
			switch {
			case !ok:
				t.close(seq)
			case r.State == history.Sending:
				u.setRow(place{t, seq}, func(r *history.Row) {
					r.State, r.Unsure, r.Note = history.Failed, true, tr("Multipeer quit before delivery was confirmed.")
				})
			}
		}
	}
}

// forget drops the cached rows of a talk, so that they are read again.
func (t *talk) forget() {
	t.first, t.next = t.u.o.History.Bounds(t.key)
	t.pages, t.made, t.old = map[uint64][]history.Row{}, map[uint64]widgets.Item{}, map[uint64]widgets.Item{}
}

// Count returns the number of rows, for a widgets.Timeline.
func (t *talk) Count() int { return int(t.next - t.first) }

// Row returns row i, for a widgets.Timeline.
func (t *talk) Row(i int) widgets.Item {
	seq := t.first + uint64(i)
	if it := t.live[seq]; it != nil {
		return it
	}
	if it := t.made[seq]; it != nil {
		return it
	}
	it := t.old[seq]
	if it == nil {
		r := t.data(seq)
		it = t.dated(seq, r, t.u.newItem(t, seq, r))
	}
	if len(t.made) >= generation {
		t.made, t.old = map[uint64]widgets.Item{}, t.made
	}
	t.made[seq] = it
	return it
}

// dated adds a day heading above the first row of each day.
func (t *talk) dated(seq uint64, r history.Row, it widgets.Item) widgets.Item {
	day := func(at time.Time) string { return at.Local().Format(time.DateOnly) }
	if seq > t.first && day(t.data(seq-1).At) == day(r.At) {
		return it
	}
	d := &dayItem{line: widgets.NewNotice(dayName(r.At)), item: it}
	d.ExtendBaseWidget(d)
	return d
}

// data returns a row. It caches the rows in pages.
func (t *talk) data(seq uint64) history.Row {
	n := seq / pageRows
	p, ok := t.pages[n]
	if !ok {
		if len(t.pages) >= maxPages {
			clear(t.pages)
		}
		from := max(t.first, n*pageRows)
		p = make([]history.Row, pageRows)
		for i, r := range t.u.o.History.Rows(t.key, from, int((n+1)*pageRows-from)) {
			p[int(from-n*pageRows)+i] = r
		}
		t.pages[n] = p
	}
	return p[seq%pageRows]
}

// keep updates a row in its cached page.
func (t *talk) keep(seq uint64, r history.Row) {
	if p := t.pages[seq/pageRows]; p != nil {
		p[seq%pageRows] = r
	}
}

// shown returns the item of a row, if it exists.
func (t *talk) shown(seq uint64) widgets.Item {
	it := t.live[seq]
	if it == nil {
		it = t.made[seq]
	}
	if it == nil {
		it = t.old[seq]
	}
	if d, ok := it.(*dayItem); ok {
		return d.item
	}
	return it
}

// drop drops the item of a row, so that it is created again.
func (t *talk) drop(seq uint64) {
	delete(t.live, seq)
	delete(t.made, seq)
	delete(t.old, seq)
}

// prune drops the state of rows that no longer exist.
func (t *talk) prune() {
	gone := func(seq uint64) bool { return seq < t.first }
	t.open = slices.DeleteFunc(t.open, gone)
	for _, m := range []map[uint64]widgets.Item{t.live, t.made, t.old} {
		maps.DeleteFunc(m, func(seq uint64, _ widgets.Item) bool { return gone(seq) })
	}
}

// rename sets the name that the peer announces.
func (t *talk) rename(name string) {
	if name != "" && name != t.name {
		t.name = name
		t.save()
	}
}

// save saves everything except the rows.
func (t *talk) save() {
	if t.Count() == 0 && t.draft == t.savedDraft {
		return
	}
	t.savedDraft = t.draft
	verified := t.u.peers[t.id].Trust == engine.TrustVerified || t.everyone()
	t.u.o.History.Update(t.key, func(k *history.Talk) {
		k.OneSided = k.OneSided && !verified
		k.Name = t.name
		k.Unread = t.unread
		k.Draft = t.draft
		k.Open = slices.Clone(t.open)
	})
}

// close removes a message from the undelivered ones.
func (t *talk) close(seq uint64) {
	if i := slices.Index(t.open, seq); i >= 0 {
		t.open = slices.Delete(t.open, i, i+1)
		t.save()
	}
}

// add appends a row to a conversation. card is its item if it has more state than the row.
func (u *UI) add(t *talk, r history.Row, card widgets.Item) place {
	if r.At.IsZero() {
		r.At = time.Now()
	}
	return u.place(t, r, card, u.o.History.Append(t.key, r))
}

// addQuestion is add for a peer's requests. A stranger's request is not written to disk until the user answers it.
func (u *UI) addQuestion(t *talk, r history.Row, card widgets.Item) place {
	if !u.stranger(t) {
		return u.add(t, r, card)
	}
	if r.At.IsZero() {
		r.At = time.Now()
	}
	return u.place(t, r, card, u.o.History.Hold(t.key, r))
}

// place shows a row that is already in the history.
func (u *UI) place(t *talk, r history.Row, card widgets.Item, seq uint64) place {
	first, _ := u.o.History.Bounds(t.key)
	gone := int(first - t.first)
	t.first, t.next, t.last = first, seq+1, r.At
	if r.Own {
		t.lastOwn = r.At
	}
	t.keep(seq, r)
	if card != nil {
		t.live[seq] = t.dated(seq, r, card)
	}
	if gone > 0 { // rows were dropped, and other rows may have moved to their numbers
		t.prune()
		t.pages, t.made, t.old = map[uint64][]history.Row{}, map[uint64]widgets.Item{}, map[uint64]widgets.Item{}
		if t == u.current {
			u.timeline.Shrank(gone)
		}
	}
	switch {
	case t == u.current:
		u.dirty.grew++
		u.dirty.own = u.dirty.own || r.Own
	case !r.Own && r.Kind != history.Notice || card != nil && !r.Own:
		t.unread++
	}
	if t == u.current && u.notes.away() && !r.Own && r.Kind != history.Notice {
		t.unread++
	}
	t.save()
	u.dirty.side = true
	return place{t, seq}
}

// setRow changes a row in the history and on screen.
func (u *UI) setRow(at place, change func(*history.Row)) {
	t := at.t
	if at.seq < t.first || at.seq >= t.next {
		return
	}
	r := t.data(at.seq)
	if t.everyone() && (!r.Own || r.Kind != history.Text) { // rows were dropped, and another row has moved to this number
		t.close(at.seq)
		return
	}
	change(&r)
	u.o.History.Set(t.key, at.seq, r)
	t.keep(at.seq, r)
	if r.Kind == history.Text && r.Own && (r.State == history.Delivered || r.State == history.Failed) {
		t.close(at.seq)
	}
	switch it := t.shown(at.seq).(type) {
	case *widgets.Bubble:
		b := u.said(at, r)
		it.Retry = b.Retry
		it.Update(b.Stamp, b.Bad)
	case *widgets.Notice:
		it.Text.SetText(r.Text)
	}
	u.dirty.resized = u.dirty.resized || t == u.current
}

// newItem makes the item that shows a row.
func (u *UI) newItem(t *talk, seq uint64, r history.Row) widgets.Item {
	switch {
	case r.Kind == history.Notice:
		return widgets.NewNotice(r.Text)
	case r.Kind == history.Transfer && r.File != nil:
		return u.transfers.newItem(place{t, seq}, r)
	}
	return widgets.NewBubble(u.said(place{t, seq}, r))
}

// said returns the content of a row's bubble.
func (u *UI) said(at place, r history.Row) widgets.Said {
	s := widgets.Said{Links: widgets.Links{Find: linksIn, Open: u.dialogs.openLinkIn}, Text: r.Text, Who: r.Who, Out: r.Own, Stamp: r.At.Local().Format("15:04"), Copy: u.copyText, Words: widgets.BubbleWords{Again: tr("Try again"), All: tr("Copy the whole message")}}
	name := u.nameOf(at.t)
	switch r.State {
	case history.Queued:
		s.Stamp = tr("Sends when {{.Name}} is back", "Name", name)
		if err := u.peers[at.t.id].Err; errors.Is(err, engine.ErrBlocked) || errors.Is(err, engine.ErrRefused) {
			s.Stamp = tr("Not delivered yet")
		} else if u.outbox.inviting[at.t.id] {
			s.Stamp = tr("Waiting for {{.Name}} to accept…", "Name", name)
		}
		if at.t.everyone() {
			s.Stamp = tr("Sends when someone connects")
		}
	case history.Sending:
		s.Stamp = tr("Sending…")
	case history.Delivered:
		s.Stamp = joined(s.Stamp, tr("Delivered"))
		if r.Note != "" {
			s.Stamp = joined(r.At.Local().Format("15:04"), r.Note)
		}
	case history.Failed:
		s.Stamp, s.Bad = tr("Not delivered. {{.Why}}", "Why", r.Note), true
		if r.Unsure {
			s.Stamp = tr("May not have been delivered. {{.Why}}", "Why", r.Note)
		}
		if !u.blocked(at.t.id) {
			s.Retry = func() { u.outbox.sendAgain(at) }
		}
	}
	s.Menu = func(pos fyne.Position) { u.messageMenu(at, pos) }
	return s
}

// dayItem is a row with a day heading.
type dayItem struct {
	widget.BaseWidget
	line *widgets.Notice
	item widgets.Item
}

func (d *dayItem) HeightFor(width float32) float32 {
	return d.line.HeightFor(width) + widgets.ItemGap + d.item.HeightFor(width)
}

// Shifted implements widgets.Shifting.
func (d *dayItem) Shifted() {
	if s, ok := d.item.(widgets.Shifting); ok {
		s.Shifted()
	}
}

func (d *dayItem) CreateRenderer() fyne.WidgetRenderer {
	return widget.NewSimpleRenderer(widgets.NewStacked(widgets.ItemGap, d.line, d.item))
}
