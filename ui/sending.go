package ui

import (
	"context"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
	"multipeer/ui/internal/thumbnail"
	"multipeer/ui/internal/widgets"
)

// sending offers files, and holds files for which the user has not chosen recipients yet.
type sending struct {
	u      *UI
	paths  []string               // files that wait for recipients
	chosen map[engine.PeerID]bool // the recipients chosen so far
}

func newSending(u *UI) *sending { return &sending{u: u, chosen: map[engine.PeerID]bool{}} }

// dropped offers files that were dropped on the window: to the peer whose row or tile they hit, otherwise in the open
// conversation. If none is open, the files wait for recipients.
func (s *sending) dropped(at fyne.Position, uris []fyne.URI) {
	u := s.u
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
	if id, ok := s.target(at); ok && (t == nil || t.id != id) {
		hit := u.talk(id)
		send := func() {
			u.choose(hit)
			s.offer(hit, paths)
		}
		// X11 reports the exact drop position; Wayland reports none, so nothing is hit. On other systems the user has
		// to confirm the recipient.
		if runtime.GOOS == "linux" && !s.mayBeMistaken(hit) {
			send()
			return
		}
		s.ask(hit, paths, send)
		return
	}
	if t == nil {
		s.wait(paths)
		return
	}
	s.offer(t, paths)
}

// target returns the peer whose row or tile is at a position in the window; the zero ID is Everyone.
func (s *sending) target(at fyne.Position) (engine.PeerID, bool) {
	if id, ok := s.u.side.rowAt(at); ok {
		return id, true
	}
	return s.u.home.tiles.at(at)
}

// tapped opens a conversation that the user tapped, and offers the files that wait for recipients.
func (s *sending) tapped(t *talk) { s.chosenBy(t, s.mayBeMistaken(t)) }

// chosenByName is tapped for a conversation that was found by name. Any device can have that name, so it asks the user
// before it sends anything to an unknown one.
func (s *sending) chosenByName(t *talk) {
	s.chosenBy(t, s.mayBeMistaken(t) || !t.everyone() && s.isRisky(t))
}

func (s *sending) chosenBy(t *talk, asks bool) {
	send := func() {
		s.u.choose(t)
		if len(s.paths) > 0 {
			s.offer(t, s.take())
		}
	}
	if len(s.paths) > 0 && asks {
		s.ask(t, s.paths, send)
	} else {
		send()
	}
	s.u.settle()
}

// mayBeMistaken reports whether the user may have meant another device: the list has just changed, or the device looks
// like another one.
func (s *sending) mayBeMistaken(t *talk) bool {
	return s.u.side.justReordered() || s.u.warning(s.u.peers[t.id]) != ""
}

// isRisky reports whether a device is unknown, or looks like another one.
func (s *sending) isRisky(t *talk) bool {
	p, here := s.u.peers[t.id]
	if !here {
		p = s.u.absent(t)
	}
	trust := s.u.e.Trust(t.id)
	return trust != engine.TrustSeen && trust != engine.TrustVerified || s.u.warning(p) != ""
}

// ask asks the user whether to send paths to a device.
func (s *sending) ask(t *talk, paths []string, send func()) {
	text := strings.Join(names(paths), ", ")
	if w := s.u.warning(s.u.peers[t.id]); w != "" {
		text = w + ".\n" + text
	}
	s.u.dialogs.ask(tr("Send to {{.Name}}?", "Name", widgets.Shortened(s.u.nameOf(t), shownName)), text, tr("Send"), send)
}

// wait keeps paths until the user chooses a recipient.
func (s *sending) wait(paths []string) {
	for _, p := range paths {
		if !slices.Contains(s.paths, p) {
			s.paths = append(s.paths, p)
		}
	}
	u := s.u
	u.choose(nil)
	u.shell.onPage = false // in a narrow window, show the devices to choose from
	u.arrange()
	s.changed()
}

// take returns the waiting paths and removes them from the list.
func (s *sending) take() []string {
	paths := s.paths
	s.paths = nil
	clear(s.chosen)
	s.u.dirty.side = true
	return paths
}

// cancel drops the waiting paths.
func (s *sending) cancel() {
	s.take()
	s.changed()
	s.u.settle()
}

// buttons returns buttons that pick files before recipients are chosen.
func (s *sending) buttons() *fyne.Container {
	pick := func(folder bool) func() {
		return func() { s.u.dialogs.pick(folder, s.wait) }
	}
	return widgets.NewFlow(widgets.Gap,
		widgets.NewButton(tr("Send files…"), widget.HighImportance, pick(false)),
		widgets.NewButton(tr("Folder…"), widget.MediumImportance, pick(true)))
}

// toggle adds a peer to the recipients of the waiting files, or removes it.
func (s *sending) toggle(id engine.PeerID) {
	if s.u.side.justReordered() {
		hasty(s.u)
		return
	}
	if s.chosen[id] {
		delete(s.chosen, id)
	} else {
		s.chosen[id] = true
	}
	s.changed()
}

// changed shows the waiting files and their recipients.
func (s *sending) changed() {
	s.u.dirty.side = true
	s.u.home.refresh()
	s.u.side.refresh()
}

// recipients returns the chosen peers that are nearby.
func (s *sending) recipients() (to []engine.PeerID) {
	for id := range s.chosen {
		if _, here := s.u.peers[id]; here {
			to = append(to, id)
		}
	}
	slices.SortFunc(to, engine.PeerID.Compare)
	return to
}

// send offers the waiting files to the chosen peers.
func (s *sending) send() {
	u, to := s.u, s.recipients()
	if len(to) == 0 {
		return
	}
	u.transfers.offerTo(to, s.take())
	if len(to) == 1 {
		u.choose(u.talk(to[0]))
	} else {
		u.showTransfers() // the page shows the offers to all recipients
	}
	u.settle()
}

// offer offers paths to the peer of a conversation, or to every connected peer if the user confirms that.
func (s *sending) offer(t *talk, paths []string) {
	u := s.u
	if !t.everyone() {
		u.transfers.offerTo([]engine.PeerID{t.id}, paths)
		return
	}
	var to []engine.PeerID
	for id, p := range u.peers {
		if p.HasSession() {
			to = append(to, id)
		}
	}
	if len(to) == 0 {
		u.say(tr("No one is connected. Choose a device to send the files to."))
		s.wait(paths)
		return
	}
	q := u.dialogs.ask(trn("Send to {{.N}} devices?", int64(len(to))), strings.Join(names(paths), ", "), tr("Send"), func() {
		u.transfers.offerTo(to, paths)
		u.showTransfers() // each offer has a card on that page; the conversation with everyone has none
	})
	q.Declined = func() { s.wait(paths) }
}

// offerTo offers paths to peers.
func (ts *transfers) offerTo(to []engine.PeerID, paths []string) {
	u := ts.u
	background(u.bind, func(ctx context.Context) ([]engine.Transfer, error) {
		return u.e.OfferEach(ctx, to, engine.OfferOptions{Keep: true, Person: true, Preview: previewOf(ctx, paths)}, paths...)
	}, func(offered []engine.Transfer, _ error) { // each transfer has its own error
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

// previewOf returns a small copy of the first picture among paths, or nil.
func previewOf(ctx context.Context, paths []string) []byte {
	for _, p := range paths[:min(len(paths), mostListed)] {
		if !thumbnail.MayBe(p) {
			continue
		}
		if b, err := thumbnail.MakePreview(ctx, p, engine.MaxPreview); err == nil {
			return b
		}
		return nil // the offer must not wait for one picture after the other
	}
	return nil
}
