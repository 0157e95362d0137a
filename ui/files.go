package ui

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/dialog"

	"multipeer/engine"
	"multipeer/internal/history"
	"multipeer/internal/keep"
)

// dropped takes files that were dropped on the window: for the conversation, or for the peer whose row they hit.
func (u *UI) dropped(at fyne.Position, uris []fyne.URI) {
	var paths []string
	for _, uri := range uris {
		if uri.Scheme() == "file" {
			paths = append(paths, filepath.FromSlash(uri.Path()))
		}
	}
	u.trace("drop at %.0f,%.0f %q", at.X, at.Y, paths)
	defer u.settle()
	if len(paths) == 0 {
		u.say(tr("Only files and folders can be dropped here."))
		return
	}
	t := u.current
	if u.page != pageTalk {
		t = nil
	}
	if id, ok := u.side.rowAt(at); ok && (t == nil || t.id != id) {
		hit := u.talk(id)
		if runtime.GOOS == "linux" { // X11 tells the place exactly, and Wayland none, which is no row
			u.choose(hit)
			u.offer(hit, paths)
			return
		}
		u.ask(tr("Send to {{.Name}}?", "Name", u.nameOf(hit)), trn("{{.N}} items were dropped on its name.", int64(len(paths))), tr("Send"), func() {
			u.choose(hit)
			u.offer(hit, paths)
		})
		return
	}
	if t == nil {
		u.wait(paths)
		return
	}
	u.offer(t, paths)
}

// tapped chooses a conversation because the user has: what waits to be sent goes there.
func (u *UI) tapped(t *talk) {
	u.choose(t)
	if len(u.waiting) > 0 {
		paths := u.waiting
		u.waiting = nil
		u.offer(t, paths)
	}
	u.settle()
}

// chooser returns what chooses a conversation after a while, unless the user does something else by then.
func (u *UI) chooser() func(*talk) {
	current, page := u.current, u.page
	return func(t *talk) {
		if u.current == current && u.page == page && (current == nil || u.entry.Text == "") && len(u.waiting) == 0 {
			u.choose(t)
		}
	}
}

// wait keeps paths until somebody is chosen to get them.
func (u *UI) wait(paths []string) {
	for _, p := range paths {
		if !slices.Contains(u.waiting, p) {
			u.waiting = append(u.waiting, p)
		}
	}
	u.choose(nil)
	u.shell.onPage = false // in a narrow window the list is what is needed now
	u.arrange()
	u.showEmpty()
	u.dirty.side = true
}

// offer offers paths to the peer of a conversation, or to everyone who is connected.
func (u *UI) offer(t *talk, paths []string) {
	to := []engine.PeerID{t.id}
	if t.everyone() {
		to = nil
		for id, p := range u.peers {
			if p.HasSession() {
				to = append(to, id)
			}
		}
		if len(to) == 0 {
			u.say(tr("Nobody is connected. Choose a device in the list, and the files go there."))
			u.wait(paths)
			return
		}
	}
	background(u.bind, func(ctx context.Context) ([]engine.Transfer, error) {
		return u.e.OfferEach(ctx, to, engine.OfferOptions{Keep: true}, paths...), nil
	}, func(offered []engine.Transfer, _ error) {
		for _, t := range offered {
			name := u.nameOf(u.talk(t.Peer))
			if t.ID == "" {
				u.say(reason(t.Err, name, false))
				continue
			}
			u.sources[t.ID] = paths
			u.trace("offered %q to %s", t.Names, name)
		}
	})
}

// attachMenu lets the user choose files or a folder.
func (u *UI) attachMenu() {
	if u.current == nil {
		return
	}
	at := fyne.CurrentApp().Driver().AbsolutePositionForObject(u.attach)
	u.showMenu([]action{
		{label: tr("Files…"), do: func() { u.attachPicked(false) }},
		{label: tr("Folder…"), do: func() { u.attachPicked(true) }},
		{label: tr("Text from the clipboard"), do: u.sendClipboard},
		{label: tr("Picture from the clipboard"), do: u.sendPicture},
	}, at) // there is no room below, so it opens above
}

func (u *UI) attachPicked(folder bool) {
	if t := u.current; t != nil {
		u.pick(folder, func(paths []string) { u.offer(t, paths) })
	}
}

// pick lets the user choose files, or one folder: with the system's own dialog where there is one.
func (u *UI) pick(folder bool, took func(paths []string)) {
	background(u.bind, func(ctx context.Context) ([]string, error) {
		return u.o.Desktop.Pick(ctx, folder)
	}, func(paths []string, err error) {
		switch {
		case errors.Is(err, errNoPicker):
			u.pickWithFyne(folder, took)
		case err != nil:
			u.say(reason(err, "", true))
		case len(paths) > 0:
			u.trace("picked %q", paths)
			took(paths)
		}
	})
}

func (u *UI) pickWithFyne(folder bool, took func(paths []string)) {
	path := func(uri fyne.URI) { took([]string{filepath.FromSlash(uri.Path())}) }
	var d dialog.Dialog
	if folder {
		d = dialog.NewFolderOpen(func(l fyne.ListableURI, err error) {
			if l != nil {
				path(l)
				u.settle()
			}
		}, u.w)
	} else {
		d = dialog.NewFileOpen(func(r fyne.URIReadCloser, err error) {
			if r != nil {
				uri := r.URI()
				_ = r.Close()
				path(uri)
				u.settle()
			}
		}, u.w)
	}
	u.open(d)
	d.Resize(u.w.Canvas().Size().Min(fyne.NewSize(760, 520)))
}

// transfer shows a transfer in the conversation with its peer.
func (u *UI) transfer(t engine.Transfer) {
	before, known := u.transfers[t.ID]
	if at, ok := u.rows[t.ID]; ok && t.Incoming && len(t.Saved) == 0 { // after a restart the history knows where it went
		if f := at.t.data(at.seq).File; f != nil {
			t.Saved = f.Paths
		}
	}
	u.transfers[t.ID] = t
	if !known {
		u.order = append(u.order, t.ID)
		u.pruneTransfers()
	}
	if known && before.State == t.State && t.State == engine.Moving {
		u.progress[t.ID] = true // it is drawn with the others, a few times a second
		return
	}
	u.dirty.transfers = true
	if t.State != engine.Offered {
		delete(u.offers, t.ID)
	}
	if at, ok := u.rows[t.ID]; ok {
		if !known || before.State != t.State {
			u.traceTransfer(t)
			u.setRow(at, func(r *history.Row) { r.File = keep.File(t) })
			u.dirty.side = true
		}
		u.showTransfer(t)
		if known && before.State != t.State {
			u.transferEnded(at.t, t)
		}
		return
	}
	if t.State.Final() && t.Ended.Before(u.started) { // of an earlier run, and in the history if that is kept
		return
	}
	talk := u.talk(t.Peer)
	talk.rename(t.PeerName)
	at := u.add(talk, keep.Transfer(t), nil)
	u.rows[t.ID] = at
	u.traceTransfer(t)
	if t.Incoming && t.State == engine.Offered {
		u.attend(talk, noteOffer)
	}
}

// transferEnded tells who does not look.
func (u *UI) transferEnded(t *talk, now engine.Transfer) {
	switch {
	case now.State == engine.Delivered && now.Incoming:
		u.notify(noteArrived)
	case now.State == engine.Failed:
		u.notify(noteFailed)
	}
}

// progressTick is how often progress is drawn: each time repaints the window.
const progressTick = 300 * time.Millisecond

// showProgress draws what has moved, if it is time.
func (u *UI) showProgress() {
	if len(u.progress) == 0 || time.Since(u.progressed) < progressTick {
		return
	}
	u.progressed = time.Now()
	for id := range u.progress {
		u.showTransfer(u.transfers[id])
	}
	clear(u.progress)
	u.dirty.transfers = true
}

// showTransfer brings the cards of a transfer up to date.
func (u *UI) showTransfer(t engine.Transfer) {
	for _, c := range u.cardsOf(t.ID) {
		if c.set(t) {
			u.dirty.resized = true
			if t.State == engine.Delivered {
				u.addPicture(c, t)
			}
		}
	}
}

func (u *UI) traceTransfer(t engine.Transfer) {
	u.trace("transfer %q %s incoming=%v", title(t), t.State, t.Incoming)
}

// newTransferItem makes the card of a row: of the transfer as it is, or, when the engine knows it no more, as it was.
func (u *UI) newTransferItem(at place, r history.Row) item {
	id := engine.TransferID(r.File.ID)
	t, known := u.transfers[id]
	if !known {
		t = transferOf(r, at.t)
		t.PeerName = u.nameOf(at.t)
	}
	return u.newCard(t)
}

// cardsOf are the cards of a transfer that are shown, or were a moment ago: in its conversation, and on the page of all.
func (u *UI) cardsOf(id engine.TransferID) (out []*transferCard) {
	if at, ok := u.rows[id]; ok {
		if c, ok := at.t.shown(at.seq).(*transferCard); ok {
			out = append(out, c)
		}
	}
	if c := u.moves.made[id]; c != nil {
		out = append(out, c)
	}
	return out
}

// maxTransfers is how many transfers the page of all has; of more, those that ended first are let go.
const maxTransfers = 1000

// pruneTransfers lets the oldest go that have ended.
func (u *UI) pruneTransfers() {
	if len(u.order) <= maxTransfers+100 {
		return
	}
	over := len(u.order) - maxTransfers
	u.order = slices.DeleteFunc(u.order, func(id engine.TransferID) bool {
		if over <= 0 || !u.transfers[id].State.Final() {
			return false
		}
		over--
		delete(u.transfers, id)
		delete(u.rows, id)
		delete(u.sources, id)
		delete(u.moves.made, id)
		delete(u.moves.moved, id)
		return true
	})
	u.moves.shown = nil
}

// newCard makes a card that follows its transfer.
func (u *UI) newCard(t engine.Transfer) *transferCard {
	c := newTransferCard(t, u.actions(t))
	c.setBarred(u.blocked(t.Peer))
	u.addPicture(c, t)
	u.examine(c, t)
	return c
}

// transferOf brings a transfer back from the history.
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
	if !out.State.Final() { // it is not known any more, so it does not go on
		out.State = engine.Cancelled
	}
	return out
}

// examine finds out what a person wants to know before accepting: the room on the disk, and names that are taken.
func (u *UI) examine(c *transferCard, t engine.Transfer) {
	o := u.offers[t.ID]
	if o == nil || u.bind == nil {
		return
	}
	dir := u.downloads()
	type found struct {
		free    string
		clashes []string
	}
	background(u.bind, func(context.Context) (found, error) {
		f := found{clashes: o.Conflicts(dir)}
		if n, err := engine.FreeSpace(dir); err == nil {
			f.free = tr("Goes to {{.Folder}}, where {{.Size}} are free", "Folder", filepath.Base(dir), "Size", size(int64(min(n, 1<<62))))
			if int64(min(n, 1<<62)) < t.Bytes {
				f.free = tr("Too large for {{.Folder}}: only {{.Size}} are free there", "Folder", filepath.Base(dir), "Size", size(int64(min(n, 1<<62))))
			}
		}
		return f, nil
	}, func(f found, _ error) {
		if c.ask(f.free, f.clashes, u.offersOf(t.Peer)) {
			u.dirty.resized = true
		}
	})
}

// offersOf counts the offers of a peer that wait for an answer.
func (u *UI) offersOf(id engine.PeerID) (n int) {
	for _, o := range u.offers {
		if o.Transfer.Peer == id {
			n++
		}
	}
	return n
}

// accept takes an offer into a folder.
func (u *UI) accept(id engine.TransferID, dir string, existing engine.Existing) {
	o := u.offers[id]
	if o == nil {
		return
	}
	background(u.bind, func(context.Context) (struct{}, error) {
		return struct{}{}, o.Accept(engine.AcceptOptions{Dir: dir, Existing: existing})
	}, func(_ struct{}, err error) {
		u.say(reason(err, o.Transfer.PeerName, true))
	})
}

// actions are what the buttons of a card do.
func (u *UI) actions(t engine.Transfer) transferActions {
	id := t.ID
	call := func(do func() error) {
		background(u.bind, func(context.Context) (struct{}, error) { return struct{}{}, do() }, func(_ struct{}, err error) {
			u.say(reason(err, t.PeerName, true))
		})
	}
	saved := func() []string {
		if now, ok := u.transfers[id]; ok {
			return now.Saved
		}
		return t.Saved
	}
	withSaved := func(do func(path string) error) func() {
		return func() {
			if s := saved(); len(s) > 0 {
				call(func() error { return do(s[0]) })
			}
		}
	}
	return transferActions{
		accept: func(e engine.Existing) { u.accept(id, u.downloads(), e) },
		acceptInto: func(e engine.Existing) {
			u.pick(true, func(paths []string) { u.accept(id, paths[0], e) })
		},
		acceptAll: func() {
			for other, o := range u.offers {
				if o.Transfer.Peer == t.Peer {
					u.accept(other, u.downloads(), engine.KeepBoth)
				}
			}
		},
		decline: func() {
			if o := u.offers[id]; o != nil {
				call(o.Decline)
			}
		},
		block:  func() { u.block(t.Peer) },
		cancel: func() { call(func() error { u.e.Cancel(id); return nil }) },
		pause:  func() { call(func() error { return u.e.Pause(id) }) },
		resume: func() { call(func() error { return u.e.Resume(id) }) },
		open:   withSaved(u.o.Desktop.Open),
		reveal: withSaved(u.o.Desktop.Reveal),
		copy: func() {
			if s := saved(); len(s) > 0 {
				u.copyText(s[0])
			}
		},
		retry: func() {
			if u.blocked(t.Peer) || u.e.Retry(id) == nil {
				return
			}
			paths := u.sources[id] // the engine knows it no more
			if len(paths) == 0 {
				paths = t.Paths
			}
			u.offer(u.talk(t.Peer), paths)
			u.settle()
		},
	}
}
