package ui

import (
	"context"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"fyne.io/fyne/v2"

	"multipeer/engine"
)

// dropped offers files that were dropped on the window: to the peer whose row they hit, or in the open conversation.
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
		if runtime.GOOS == "linux" { // X11 reports the exact drop position; Wayland reports none, which never hits a row
			u.choose(hit)
			u.offer(hit, paths)
			return
		}
		u.dialogs.ask(tr("Send to {{.Name}}?", "Name", u.nameOf(hit)), trn("Send the {{.N}} dropped items?", int64(len(paths))), tr("Send"), func() {
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

// tapped opens a conversation that the user tapped, and offers the paths that were waiting for a recipient.
func (u *UI) tapped(t *talk) {
	u.choose(t)
	if len(u.waiting) > 0 {
		paths := u.waiting
		u.waiting = nil
		u.offer(t, paths)
	}
	u.settle()
}

// chooser returns a function that opens a conversation later, unless the user has done something else by then.
func (u *UI) chooser() func(*talk) {
	current, page := u.current, u.page
	return func(t *talk) {
		if u.current == current && u.page == page && (current == nil || u.composer.entry.Text == "") && len(u.waiting) == 0 {
			u.choose(t)
		}
	}
}

// wait keeps paths until the user chooses a recipient.
func (u *UI) wait(paths []string) {
	for _, p := range paths {
		if !slices.Contains(u.waiting, p) {
			u.waiting = append(u.waiting, p)
		}
	}
	u.choose(nil)
	u.shell.onPage = false // in a narrow window the user needs the list now
	u.arrange()
	u.empty.refresh()
	u.dirty.side = true
}

// offer offers paths to the peer of a conversation, or to every connected peer if the user confirms that.
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
			u.say(tr("No one is connected. Choose a device to send the files to."))
			u.wait(paths)
			return
		}
		q := u.dialogs.ask(trn("Send to {{.N}} devices?", int64(len(to))), strings.Join(names(paths), ", "), tr("Send"), func() {
			u.transfers.offerTo(to, paths)
			u.showTransfers() // each has a card there; the conversation with everyone has none
		})
		q.Declined = func() { u.wait(paths) }
		return
	}
	u.transfers.offerTo(to, paths)
}

// offerTo offers paths to peers.
func (ts *transfers) offerTo(to []engine.PeerID, paths []string) {
	u := ts.u
	background(u.bind, func(ctx context.Context) ([]engine.Transfer, error) {
		return u.e.OfferEach(ctx, to, engine.OfferOptions{Keep: true}, paths...), nil
	}, func(offered []engine.Transfer, _ error) {
		for _, t := range offered {
			name := u.nameOf(u.talk(t.Peer))
			if t.ID == "" {
				u.fail(t.Err, name, false)
				continue
			}
			ts.sources[t.ID] = paths
			u.trace("offered %q to %s", t.Names, name)
		}
	})
}
