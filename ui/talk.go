package ui

import (
	"maps"
	"slices"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
	"multipeer/internal/history"
	"multipeer/internal/keep"
)

// talk is a conversation with one peer, or with everyone. Its rows are in the history; what is here is what of them is
// on screen, or was a moment ago.
type talk struct {
	id         engine.PeerID
	key        string // in the history
	name       string // that the peer gave itself when it was last seen
	unread     int
	draft      string
	savedDraft string // as the history has it
	last       time.Time
	refused    int       // how often in a row its program took no message
	invited    time.Time // when its peer was last asked to connect for what waits
	open       []uint64  // own messages that are not delivered yet, in their order

	u           *UI
	first, next uint64 // the numbers of its rows, next is free
	pages       map[uint64][]history.Row
	live        map[uint64]item // cards that are more than their row; they stay
	made, old   map[uint64]item // rows that were shown; two generations, of which the older one is dropped
}

// place is a row of a talk.
type place struct {
	t   *talk
	seq uint64
}

const (
	pageRows = 64
	maxPages = 16
	// generation is how many rows are made before the ones not shown meanwhile are let go.
	generation = 120
	// maxOpen is how many messages wait for one peer.
	maxOpen = 500
)

func (t *talk) everyone() bool { return t.id.IsZero() }

// talk finds a conversation, or begins it.
func (u *UI) talk(id engine.PeerID) *talk {
	t := u.talks[id]
	if t != nil {
		return t
	}
	t = &talk{id: id, u: u, key: keep.Everyone, name: u.peers[id].Name, live: map[uint64]item{}}
	if !id.IsZero() {
		t.key = id.String()
	}
	t.forget()
	u.talks[id] = t
	return t
}

// loadTalks brings back the conversations of the history.
func (u *UI) loadTalks() {
	for key, k := range u.o.History.Talks() {
		var id engine.PeerID
		if key != keep.Everyone {
			var err error
			if id, err = engine.ParsePeerID(key); err != nil {
				continue
			}
		}
		t := u.talk(id)
		t.name, t.unread, t.draft, t.savedDraft, t.last, t.open = k.Name, k.Unread, k.Draft, k.Draft, k.Last, k.Open
		for _, seq := range slices.Clone(t.open) {
			r, ok := u.o.History.Row(t.key, seq)
			switch {
			case !ok:
				t.close(seq)
			case r.State == history.Sending:
				u.setRow(place{t, seq}, func(r *history.Row) {
					r.State, r.Unsure, r.Note = history.Failed, true, tr("The program ended before it was known.")
				})
			}
		}
	}
}

// forget drops what is on screen of a talk; the rows are read anew.
func (t *talk) forget() {
	t.first, t.next = t.u.o.History.Bounds(t.key)
	t.pages, t.made, t.old = map[uint64][]history.Row{}, map[uint64]item{}, map[uint64]item{}
}

// count is rows'.
func (t *talk) count() int { return int(t.next - t.first) }

// row is rows'.
func (t *talk) row(i int) item {
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
		t.made, t.old = map[uint64]item{}, t.made
	}
	t.made[seq] = it
	return it
}

// dated puts the day above the first row of each.
func (t *talk) dated(seq uint64, r history.Row, it item) item {
	day := func(at time.Time) string { return at.Local().Format(time.DateOnly) }
	if seq > t.first && day(t.data(seq-1).At) == day(r.At) {
		return it
	}
	d := &dayItem{line: newNotice(dayName(r.At)), item: it}
	d.ExtendBaseWidget(d)
	return d
}

// data reads a row, of which pages are kept.
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

// keep puts a row into the page that has it.
func (t *talk) keep(seq uint64, r history.Row) {
	if p := t.pages[seq/pageRows]; p != nil {
		p[seq%pageRows] = r
	}
}

// shown is the item of a row, if there is one.
func (t *talk) shown(seq uint64) item {
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

// drop lets the item of a row be made anew.
func (t *talk) drop(seq uint64) {
	delete(t.live, seq)
	delete(t.made, seq)
	delete(t.old, seq)
}

// prune lets go what belongs to rows that are gone.
func (t *talk) prune() {
	gone := func(seq uint64) bool { return seq < t.first }
	t.open = slices.DeleteFunc(t.open, gone)
	for _, m := range []map[uint64]item{t.live, t.made, t.old} {
		maps.DeleteFunc(m, func(seq uint64, _ item) bool { return gone(seq) })
	}
}

// rename takes the name that a peer gives itself.
func (t *talk) rename(name string) {
	if name != "" && name != t.name {
		t.name = name
		t.save()
	}
}

// save keeps what is known besides the rows.
func (t *talk) save() {
	if t.count() == 0 && t.draft == t.savedDraft {
		return
	}
	t.savedDraft = t.draft
	t.u.o.History.Update(t.key, func(k *history.Talk) {
		k.Name, k.Unread, k.Draft, k.Open = t.name, t.unread, t.draft, slices.Clone(t.open)
	})
}

// close takes a message off those that are not delivered.
func (t *talk) close(seq uint64) {
	if i := slices.Index(t.open, seq); i >= 0 {
		t.open = slices.Delete(t.open, i, i+1)
		t.save()
	}
}

// add appends a row to a conversation; card is its item if that is more than the row.
func (u *UI) add(t *talk, r history.Row, card item) place {
	if r.At.IsZero() {
		r.At = time.Now()
	}
	seq := u.o.History.Append(t.key, r)
	first, _ := u.o.History.Bounds(t.key)
	gone := int(first - t.first)
	t.first, t.next, t.last = first, seq+1, r.At
	t.keep(seq, r)
	if card != nil {
		t.live[seq] = t.dated(seq, r, card)
	}
	if gone > 0 { // the oldest went
		t.prune()
		if t == u.current {
			u.timeline.shrank(gone)
		}
	}
	switch {
	case t == u.current:
		u.dirty.grew++
		u.dirty.own = u.dirty.own || r.Own
	case !r.Own && r.Kind != history.Notice || card != nil && !r.Own:
		t.unread++
	}
	if t == u.current && u.away() && !r.Own && r.Kind != history.Notice {
		t.unread++
	}
	t.save()
	u.dirty.side = true
	return place{t, seq}
}

// setRow changes a row, in the history and on screen.
func (u *UI) setRow(at place, change func(*history.Row)) {
	t := at.t
	if at.seq < t.first || at.seq >= t.next {
		return
	}
	r := t.data(at.seq)
	change(&r)
	u.o.History.Set(t.key, at.seq, r)
	t.keep(at.seq, r)
	if r.Kind == history.Text && r.Own && (r.State == history.Delivered || r.State == history.Failed) {
		t.close(at.seq)
	}
	switch it := t.shown(at.seq).(type) {
	case *bubble:
		b := u.said(at, r)
		it.retry = b.retry
		it.update(b.stamp, b.bad)
	case *notice:
		it.text.set(r.Text)
	}
	u.dirty.resized = u.dirty.resized || t == u.current
}

// newItem makes what shows a row.
func (u *UI) newItem(t *talk, seq uint64, r history.Row) item {
	switch {
	case r.Kind == history.Notice:
		return newNotice(r.Text)
	case r.Kind == history.Transfer && r.File != nil:
		return u.newTransferItem(place{t, seq}, r)
	}
	return newBubble(u.said(place{t, seq}, r))
}

// said is what a row's bubble shows.
func (u *UI) said(at place, r history.Row) said {
	s := said{text: r.Text, who: r.Who, out: r.Own, stamp: r.At.Local().Format("15:04"), copy: u.copyText}
	name := u.nameOf(at.t)
	switch r.State {
	case history.Queued:
		s.stamp = tr("Goes to {{.Name}} when it is back", "Name", name)
		if u.inviting[at.t.id] {
			s.stamp = tr("Waiting for {{.Name}} to accept…", "Name", name)
		}
		if at.t.everyone() {
			s.stamp = tr("Waits until somebody is connected")
		}
	case history.Sending:
		s.stamp = tr("Sending…")
	case history.Delivered:
		s.stamp = joined(s.stamp, tr("Delivered"))
		if r.Note != "" {
			s.stamp = joined(r.At.Local().Format("15:04"), r.Note)
		}
	case history.Failed:
		s.stamp, s.bad = tr("Not delivered. {{.Why}}", "Why", r.Note), true
		if r.Unsure {
			s.stamp = tr("It may not have arrived. {{.Why}}", "Why", r.Note)
		}
		if !u.blocked(at.t.id) {
			s.retry = func() { u.sendAgain(at) }
		}
	}
	s.menu = func(pos fyne.Position) { u.messageMenu(at, pos) }
	return s
}

// dayItem is a row with the day above it.
type dayItem struct {
	widget.BaseWidget
	line *notice
	item item
}

func (d *dayItem) heightFor(width float32) float32 {
	return d.line.heightFor(width) + itemGap + d.item.heightFor(width)
}

func (d *dayItem) CreateRenderer() fyne.WidgetRenderer {
	return widget.NewSimpleRenderer(newStacked(itemGap, d.line, d.item))
}
