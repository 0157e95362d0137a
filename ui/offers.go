package ui

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"time"

	"fyne.io/fyne/v2"

	"multipeer/engine"
	"multipeer/internal/chatlog"
	"multipeer/transfer"
	"multipeer/ui/internal/thumbnail"
	"multipeer/ui/internal/widgets"
)

// examine looks up what the user needs before accepting an offer: free disk space and name conflicts.
func (ts *transfers) examine(c *transferCard, t engine.Transfer) {
	o := ts.offers[t.ID]
	if o == nil || ts.u.bind == nil {
		return
	}
	dir := ts.u.downloads()
	if c.previewed != o {
		ts.preview(c, o)
	}
	type found struct {
		free    string
		clashes []string
	}
	background(ts.u.bind, func(context.Context) (found, error) {
		f := found{clashes: o.Conflicts(dir)}
		f.free = freeIn(dir, t.Bytes)
		return f, nil
	}, func(f found, _ error) {
		if c.ask(f.free, f.clashes, ts.offersFrom(t.Peer)) {
			ts.u.dirty.resized = true
		}
	})
}

// freeIn says where files are saved, and how much space is free there, or that bytes do not fit. It is empty if the free
// space is unknown.
func freeIn(dir string, bytes int64) string {
	n, err := transfer.FreeSpace(dir)
	if err != nil {
		return ""
	}
	free := int64(min(n, 1<<62))
	details := []any{"Folder", filepath.Base(dir), "Size", size(free)}
	if free < bytes {
		return tr("Too large for {{.Folder}}: only {{.Size}} is free there", details...)
	}
	return tr("Saves to {{.Folder}} ({{.Size}} free)", details...)
}

// previewBox is the size in which the preview of an offer is shown.
var previewBox = fyne.NewSize(240, 180)

// preview shows the picture that came with an offer in a card, if there is one and it can be decoded.
func (ts *transfers) preview(c *transferCard, o *engine.Offer) {
	shown := c.previewed != nil && len(c.previewed.Preview) > 0
	c.previewed = o
	if len(o.Preview) == 0 {
		if shown {
			c.setPreview(o, nil)
			ts.u.dirty.resized = true
		}
		return
	}
	background(ts.u.bind, func(context.Context) (*thumbnail.Thumbnail, error) {
		return thumbnail.DecodePreview(o.Preview, previewBox)
	}, func(p *thumbnail.Thumbnail, err error) {
		c.setPreview(o, p)
		ts.u.dirty.resized = true
		ts.u.trace("preview of %q: %v", o.Transfer.Names, err)
	})
}

// offersFrom returns a peer's unanswered offers, in the order of their IDs.
func (ts *transfers) offersFrom(peer engine.PeerID) (ids []engine.TransferID) {
	for id, o := range ts.offers {
		if o.Transfer.Peer == peer {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// shownOffer is an offer as the user sees it.
type shownOffer struct {
	offer *engine.Offer
	seen  *engine.Transfer // what the user saw; nil if no card shows the offer
}

// shownOffer returns the offer that a card shows. It returns false if there is none, or if it has just been replaced.
func (ts *transfers) shownOffer(id engine.TransferID) (shownOffer, bool) {
	s := shownOffer{offer: ts.offers[id]}
	if s.offer == nil {
		return s, false
	}
	if time.Since(ts.replaced[id]) < lookAgain {
		hasty(ts.u)
		return s, false
	}
	if seen, ok := ts.seen(id); ok {
		s.seen = &seen
	}
	return s, true
}

// counted is an offer with its previous totals, which were shown until a moment ago.
type counted struct {
	until time.Time
	offer engine.Transfer
}

// noteCount records the previous totals of an offer when its sender has counted more.
func (ts *transfers) noteCount(before, now engine.Transfer) {
	if now.State != engine.Offered || !now.Incoming {
		delete(ts.counted, now.ID)
		return
	}
	if before.ID != now.ID || before.Files == now.Files && before.Folders == now.Folders && before.Bytes == now.Bytes {
		return
	}
	recent := slices.DeleteFunc(ts.counted[now.ID], func(c counted) bool { return time.Since(c.until) >= lookAgain })
	ts.counted[now.ID] = append(recent, counted{time.Now(), before})
}

// seen returns an offer with totals that the user has had time to read: those of a second ago, or else its first ones.
func (ts *transfers) seen(id engine.TransferID) (engine.Transfer, bool) {
	for _, c := range ts.counted[id] {
		if time.Since(c.until) < lookAgain {
			return c.offer, true
		}
	}
	t, ok := ts.all[id]
	return t, ok
}

// clashes returns the names that an offer's cards list as existing in the folder for received files.
func (ts *transfers) clashes(id engine.TransferID) (names []string) {
	for _, c := range ts.cardsOf(id) {
		names = append(names, c.clashes...)
	}
	return names
}

// accept accepts the offer that the user has seen into a folder. existing applies only to the names in shown: files
// that were not shown are neither replaced nor merged. An offer that was withdrawn in the meantime is not accepted,
// even if another one has its ID.
func (ts *transfers) accept(s shownOffer, dir string, existing transfer.Existing, shown []string) {
	o, opts := s.offer, engine.AcceptOptions{Dir: dir, Existing: transfer.KeepBoth, Person: true, Seen: s.seen}
	opts.Choose = func(name string) transfer.Existing {
		if slices.Contains(shown, name) {
			return existing
		}
		if there, err := os.Lstat(filepath.Join(dir, name)); err == nil && there.Mode().IsRegular() {
			return transfer.SkipIdentical // the user's file stays as it is: an identical file is not sent again, and a different one gets a number
		}
		return transfer.KeepBoth
	}
	usual := dir == ts.u.downloads() // otherwise the user has just chosen it
	background(ts.u.bind, func(context.Context) (struct{}, error) {
		if usual {
			opts.Place = ts.places.of(dir)
		} else {
			opts.Place = ts.places.choose(dir)
		}
		return struct{}{}, o.Accept(opts)
	}, func(_ struct{}, err error) {
		ts.u.fail(err, o.Transfer.PeerName, true)
	})
}

// offerAlways adds a switch to the card of an offer, with which the user accepts all further files of a verified peer.
func (ts *transfers) offerAlways(c *transferCard, t engine.Transfer) {
	u := ts.u
	p, here := u.peers[t.Peer]
	if !here || !t.Incoming || t.State != engine.Offered || p.Trust != engine.TrustVerified || p.Via != "" || p.AutoAccept.Bytes > 0 {
		return
	}
	n := u.autoBytes()
	c.always.Name = tr("Always accept from {{.Name}}, up to {{.Size}} a day", "Name", widgets.Shortened(t.PeerName, shownName), "Size", roundSize(n))
	c.actions.always = func() {
		ts.inBackground(func(context.Context) error {
			return u.e.SetAutoAccept(t.Peer, engine.AutoAccept{Bytes: n, Dir: u.downloads()})
		})
		u.trace("always %q", t.PeerName)
	}
	c.alwaysText.SetText(c.always.Name)
	c.rebuild()
}

// offerAttention draws the user's attention to an offer. Its buttons accept the offer only as the notification
// describes it. While the size is unknown there are no buttons, so the user answers in the window.
func (ts *transfers) offerAttention(from *talk, t engine.Transfer) attention {
	a := attention{kind: noteOffer, from: from, what: tr("Wants to send {{.What}}", "What", content(t))}
	if t.Counting {
		return a
	}
	still := func() *engine.Offer { // peers choose the IDs, so another offer may have the same one
		o := ts.offers[t.ID]
		if o == nil || o.Transfer.Peer != t.Peer || !sameOffer(o.Transfer, t) {
			return nil
		}
		return o
	}
	a.accept = func() {
		if o := still(); o != nil {
			ts.accept(shownOffer{o, &t}, ts.u.downloads(), transfer.KeepBoth, nil)
		}
	}
	a.decline = func() {
		if still() != nil {
			ts.actions(t).decline()
		}
	}
	return a
}

// sameOffer reports whether two offers of a peer are equal, as far as the user can see.
func sameOffer(a, b engine.Transfer) bool {
	return slices.Equal(chatlog.FirstNames(a.Names, shownNames), chatlog.FirstNames(b.Names, shownNames)) &&
		a.Items == b.Items && a.Files == b.Files && a.Folders == b.Folders && a.Bytes == b.Bytes && a.Note == b.Note
}

// actions returns the handlers of a card's buttons.
func (ts *transfers) actions(t engine.Transfer) transferActions {
	id := t.ID
	call := func(do func() error) {
		background(ts.u.bind, func(context.Context) (struct{}, error) { return struct{}{}, do() }, func(_ struct{}, err error) {
			ts.u.fail(err, t.PeerName, true)
		})
	}
	saved := func() []string {
		if now, ok := ts.all[id]; ok {
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
	retry := func() {
		if ts.u.blocked(t.Peer) || ts.u.e.Retry(id) == nil {
			return
		}
		paths := ts.sources[id] // the engine no longer knows the transfer
		if len(paths) == 0 {
			paths = t.Paths
		}
		ts.u.sending.offer(ts.u.talk(t.Peer), paths)
		ts.u.settle()
	}
	return transferActions{
		accept: func(e transfer.Existing) bool {
			s, ok := ts.shownOffer(id)
			if ok {
				ts.accept(s, ts.u.downloads(), e, ts.clashes(id))
			}
			return ok
		},
		acceptInto: func() {
			if s, ok := ts.shownOffer(id); ok {
				ts.u.dialogs.pick(true, func(paths []string) { ts.accept(s, paths[0], transfer.KeepBoth, nil) })
			}
		},
		acceptAll: func(counted []engine.TransferID) {
			for _, other := range counted {
				if s, ok := ts.shownOffer(other); ok && s.offer.Transfer.Peer == t.Peer {
					ts.accept(s, ts.u.downloads(), transfer.KeepBoth, nil)
				}
			}
		},
		decline: func() {
			if o := ts.offers[id]; o != nil {
				call(o.DeclineByPerson)
			}
		},
		block: func() { ts.u.block(t.Peer) },
		cancel: func() {
			end := func() { call(func() error { return ts.u.e.Cancel(id) }) }
			now := ts.all[id]
			if now.Done == 0 {
				end()
				return
			}
			ts.u.dialogs.confirm(tr("Cancel this transfer?"), tr("{{.Done}} of {{.All}} has arrived. If you cancel, it will be deleted, and sending again will start from the beginning. To keep it, pause instead.", "Done", size(now.Done), "All", size(now.Bytes)),
				tr("Keep going"), tr("Cancel transfer"), end)
		},
		pause:      func() { call(func() error { return ts.u.e.Pause(id) }) },
		resume:     func() { call(func() error { return ts.u.e.Resume(id) }) },
		open:       withSaved(ts.u.o.Desktop.Open),
		reveal:     withSaved(ts.u.o.Desktop.Reveal),
		openFile:   func(path string) { call(func() error { return ts.u.o.Desktop.Open(path) }) },
		revealFile: func(path string) { call(func() error { return ts.u.o.Desktop.Reveal(path) }) },
		copy:       func() { ts.copyFiles(saved()) },
		drag:       func(paths []string) { ts.dragOut(paths, nil) },
		retry:      retry,
		enterPIN:   func() { ts.enterPIN(ts.u.peers[t.Peer], retry) },
	}
}
