package ui

import (
	"slices"
	"time"

	"multipeer/engine"
	"multipeer/internal/chatlog"
	"multipeer/internal/history"
	"multipeer/transfer"
	"multipeer/ui/internal/widgets"
)

// transfers holds the offers and transfers that the engine has reported, and their rows in conversations.
type transfers struct {
	u          *UI
	all        map[engine.TransferID]engine.Transfer
	order      []engine.TransferID // in the order in which they first appeared
	past       []engine.TransferID // of earlier runs, from the history, newest first
	rows       map[engine.TransferID]place
	progress   map[engine.TransferID]bool // transfers that have moved since progressed
	progressed time.Time
	sources    map[engine.TransferID][]string // paths of the user's own offers, for retries
	offers     map[engine.TransferID]*engine.Offer
	counted    map[engine.TransferID][]counted // what offers showed in the last second, oldest first
	replaced   map[engine.TransferID]time.Time // when an offer last took the place of another one, on its card or below it
	pictures   *pictures
	places     folderPlaces
}

func newTransfers(u *UI) *transfers {
	ts := &transfers{
		u: u, all: map[engine.TransferID]engine.Transfer{}, rows: map[engine.TransferID]place{}, progress: map[engine.TransferID]bool{},
		sources: map[engine.TransferID][]string{}, offers: map[engine.TransferID]*engine.Offer{}, counted: map[engine.TransferID][]counted{}, replaced: map[engine.TransferID]time.Time{}, pictures: newPictures(),
	}
	ts.places.keep(string(u.o.Settings.Downloads), transfer.Place(u.o.Settings.DownloadsPlace))
	return ts
}

// offered keeps an offer until it is answered, and updates the cards of the peer's offers.
func (ts *transfers) offered(o *engine.Offer) {
	id := o.Transfer.ID
	isNew := ts.offers[id] != o
	others := slices.ContainsFunc(ts.offersFrom(o.Transfer.Peer), func(other engine.TransferID) bool { return other != id })
	if isNew && (len(ts.cardsOf(id)) > 0 || others) {
		ts.replaced[id] = time.Now()
	}
	ts.offers[id] = o
	ts.examineOf(o.Transfer.Peer)
}

// examineOf updates the cards of a peer's open offers, because each card shows how many there are.
func (ts *transfers) examineOf(peer engine.PeerID) {
	for id, o := range ts.offers {
		if o.Transfer.Peer == peer {
			for _, c := range ts.cardsOf(id) {
				ts.examine(c, o.Transfer)
			}
		}
	}
}

// findRows indexes the rows of recent transfers, which may still change.
func (ts *transfers) findRows() {
	const newest = 4 * pageRows
	for _, t := range ts.u.talks {
		from := t.first
		if t.next > from+newest {
			from = t.next - newest
		}
		for i, r := range ts.u.o.History.Rows(t.key, from, newest) {
			if r.File != nil {
				ts.rows[engine.TransferID(r.File.ID)] = place{t, from + uint64(i)}
				ts.past = append(ts.past, engine.TransferID(r.File.ID))
			}
		}
	}
	slices.SortStableFunc(ts.past, func(a, b engine.TransferID) int { return ts.at(b).Compare(ts.at(a)) })
	ts.past = ts.past[:min(len(ts.past), maxPast)]
}

// maxPast is how many transfers of earlier runs the transfers page lists.
const maxPast = 300

// at returns when a transfer last changed: its end, its start, or the time of its row.
func (ts *transfers) at(id engine.TransferID) time.Time {
	t := ts.all[id]
	switch {
	case !t.Ended.IsZero():
		return t.Ended
	case !t.Started.IsZero():
		return t.Started
	}
	if row, ok := ts.rows[id]; ok {
		return row.t.data(row.seq).At
	}
	return time.Time{}
}

// isReused reports whether a row belongs to an earlier transfer whose ID is used again.
func (ts *transfers) isReused(at place, t engine.Transfer) bool {
	before, known := ts.all[t.ID]
	if known {
		return before.Incoming && before.State.Final() && t.State == engine.Offered
	}
	f := at.t.data(at.seq).File
	if f == nil {
		return false
	}
	return f.Incoming != t.Incoming || t.State == engine.Offered && engine.TransferState(f.State).Final()
}

// take shows a transfer in the conversation with its peer.
func (ts *transfers) take(t engine.Transfer) {
	if at, ok := ts.rows[t.ID]; ok && (at.t.id != t.Peer || ts.isReused(at, t)) { // peers choose the IDs
		ts.forget(t.ID)
	}
	before, known := ts.all[t.ID]
	if at, ok := ts.rows[t.ID]; ok && t.Incoming && len(t.Saved) == 0 { // after a restart, only the history knows where the files are
		if f := at.t.data(at.seq).File; f != nil {
			t.Saved = f.Paths
		}
	}
	if t.Incoming { // an offer may have many long names
		t.Names = chatlog.FirstNames(t.Names, shownNames)
	}
	ts.noteCount(before, t)
	ts.all[t.ID] = t
	if !known {
		ts.order = append(ts.order, t.ID)
		ts.prune()
	}
	if known && before.State == t.State && t.State == engine.Moving {
		ts.progress[t.ID] = true // showProgress draws all progress at once, a few times a second
		return
	}
	ts.u.dirty.transfers = true
	if t.State != engine.Offered && ts.offers[t.ID] != nil {
		delete(ts.offers, t.ID)
		ts.examineOf(t.Peer)
	}
	if at, ok := ts.rows[t.ID]; ok {
		if !known || before.State != t.State {
			ts.trace(t)
			if chatlog.Accepted(t) {
				ts.u.o.History.Keep(at.t.key)
			}
			ts.u.setRow(at, func(r *history.Row) { r.File = chatlog.File(t) })
			ts.u.dirty.side = true
		}
		ts.show(t)
		if known && before.State != t.State {
			ts.ended(at.t, t)
		}
		return
	}
	if t.State.Final() && t.Ended.Before(ts.u.started) { // it is from an earlier run; the history has it, unless the history is off
		return
	}
	talk := ts.u.talk(t.Peer)
	talk.rename(t.PeerName)
	add := ts.u.addQuestion
	if chatlog.Accepted(t) {
		add = ts.u.add
	}
	at := add(talk, chatlog.Transfer(t), nil)
	ts.rows[t.ID] = at
	ts.trace(t)
	if t.Incoming && t.State == engine.Offered {
		ts.u.notes.attend(ts.offerAttention(talk, t))
	}
}

// ended notifies the user that a transfer was received or failed.
func (ts *transfers) ended(t *talk, now engine.Transfer) {
	switch {
	case now.State == engine.Delivered && now.Incoming:
		ts.u.notes.attend(attention{kind: noteArrived, from: t, what: tr("Files received: {{.What}}", "What", content(now))})
	case now.State == engine.Failed:
		ts.u.notes.attend(attention{kind: noteFailed, from: t})
	}
}

// progressTick is how often progress is drawn, since each update repaints the window.
const progressTick = 300 * time.Millisecond

// showProgress draws pending progress once progressTick has passed.
func (ts *transfers) showProgress() {
	if len(ts.progress) == 0 || time.Since(ts.progressed) < progressTick {
		return
	}
	ts.progressed = time.Now()
	for id := range ts.progress {
		ts.show(ts.all[id])
	}
	clear(ts.progress)
	ts.u.dirty.transfers = true
}

// named returns a transfer with the name that the user has given to the peer, if any.
func (ts *transfers) named(t engine.Transfer) engine.Transfer {
	if name := ts.u.o.Settings.Names[t.Peer.String()]; name != "" {
		t.PeerName = name
	}
	return t
}

// show updates the cards of a transfer.
func (ts *transfers) show(t engine.Transfer) {
	t = ts.named(t)
	for _, c := range ts.cardsOf(t.ID) {
		if c.set(t) {
			ts.u.dirty.resized = true
			if t.State == engine.Delivered {
				ts.addPicture(c, t)
			}
		}
	}
}

func (ts *transfers) trace(t engine.Transfer) {
	ts.u.trace("transfer %q %s incoming=%v", title(t), t.State, t.Incoming)
}

// newItem makes the card of a row: from the engine's transfer or, if the engine no longer knows it, from the row.
func (ts *transfers) newItem(at place, r history.Row) widgets.Item {
	id := engine.TransferID(r.File.ID)
	t, known := ts.all[id]
	if !known {
		t = transferOf(r, at.t)
		t.PeerName = ts.u.nameOf(at.t)
	}
	return ts.newCard(t)
}

// get returns a transfer of this run or of the history.
func (ts *transfers) get(id engine.TransferID) engine.Transfer {
	t, known := ts.all[id]
	if at, ok := ts.rows[id]; ok && !known {
		t = transferOf(at.t.data(at.seq), at.t)
	}
	return t
}

// cardsOf returns the cards of a transfer that are or were recently on screen: in its conversation and on the transfers
// page.
func (ts *transfers) cardsOf(id engine.TransferID) (out []*transferCard) {
	if at, ok := ts.rows[id]; ok {
		if c, ok := at.t.shown(at.seq).(*transferCard); ok {
			out = append(out, c)
		}
	}
	if c := ts.u.moves.made[id]; c != nil {
		out = append(out, c)
	}
	return out
}

// maxTransfers is how many transfers the transfers page keeps. Beyond that, it drops the oldest ended ones.
const maxTransfers = 1000

// prune drops the oldest ended transfers.
func (ts *transfers) prune() {
	if len(ts.order) <= maxTransfers+100 {
		return
	}
	over := len(ts.order) - maxTransfers
	ts.order = slices.DeleteFunc(ts.order, func(id engine.TransferID) bool {
		if over <= 0 || !ts.all[id].State.Final() {
			return false
		}
		over--
		delete(ts.all, id)
		delete(ts.counted, id)
		delete(ts.rows, id)
		delete(ts.sources, id)
		delete(ts.replaced, id)
		delete(ts.u.moves.made, id)
		delete(ts.u.moves.moved, id)
		return true
	})
	ts.u.moves.shown = nil
}

// forget drops a transfer from the page; its row stays in its conversation.
func (ts *transfers) forget(id engine.TransferID) {
	ts.order = slices.DeleteFunc(ts.order, func(other engine.TransferID) bool { return other == id })
	delete(ts.all, id)
	delete(ts.counted, id)
	delete(ts.rows, id)
	delete(ts.offers, id)
	delete(ts.sources, id)
	delete(ts.replaced, id)
	delete(ts.u.moves.made, id)
	delete(ts.u.moves.moved, id)
}

// newCard makes a card that follows its transfer.
func (ts *transfers) newCard(t engine.Transfer) *transferCard {
	t = ts.named(t)
	c := newTransferCard(t, ts.actions(t))
	c.steady.u = ts.u
	c.setBarred(ts.u.blocked(t.Peer))
	ts.offerAlways(c, t)
	ts.addPicture(c, t)
	ts.examine(c, t)
	return c
}

// transferOf restores a transfer from the history.
func transferOf(r history.Row, t *talk) engine.Transfer {
	f := r.File
	out := engine.Transfer{
		ID: engine.TransferID(f.ID), Peer: t.id, PeerName: t.name, Names: f.Names, Items: f.Items, Files: f.Files, Folders: f.Folders,
		Bytes: f.Bytes, Done: f.Bytes, State: engine.TransferState(f.State), Incoming: f.Incoming,
	}
	if f.Incoming {
		out.Saved = f.Paths
	} else {
		out.Paths = f.Paths
	}
	if !out.State.Final() { // the engine no longer knows the transfer, so it will not continue
		out.State = engine.Cancelled
	}
	out.Ended = r.At // the best that is known
	return out
}
