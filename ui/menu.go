package ui

import (
	"context"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/widget"

	"golang.org/x/net/idna"

	"multipeer/engine"
	"multipeer/internal/chatlog"
	"multipeer/internal/history"
	"multipeer/ui/internal/widgets"
)

// autoBytes is the default limit on what a verified peer may send per day without asking.
const autoBytes = 1_000_000_000

// showMenu opens a menu at a position. It does nothing if there are no actions.
func (u *UI) showMenu(actions []widgets.Action, at fyne.Position) {
	if len(actions) > 0 {
		u.menu = widgets.OpenMenu(actions, u.w.Canvas(), at)
	}
}

// talkActions returns the menu of a conversation and its peer.
func (u *UI) talkActions(t *talk) (items []widgets.Action) {
	id := t.id
	p, here := u.peers[id]
	add := func(label string, do func()) {
		items = append(items, widgets.Action{Label: label, Do: func() { do(); u.settle() }})
	}
	takeAway := func(label string, do func()) {
		add(label, do)
		items[len(items)-1].Danger = true
	}
	line := func() { items = append(items, widgets.Action{}) }
	trust := engine.TrustUnknown
	if !t.everyone() {
		trust = u.e.Trust(id)
	}
	if trust == engine.TrustBlocked {
		add(tr("Unblock"), u.setTrust(id, engine.TrustUnknown))
	} else {
		if t != u.current || u.page != pageTalk {
			add(tr("Message"), func() { u.choose(t) })
		}
		add(tr("Send files…"), func() { u.choose(t); u.composer.attachPicked(false) })
		add(tr("Send a folder…"), func() { u.choose(t); u.composer.attachPicked(true) })
		add(tr("Paste clipboard text"), func() { u.choose(t); u.composer.pasteText() })
	}
	if !t.everyone() && trust != engine.TrustBlocked {
		line()
		switch {
		case !here:
		case p.Via != "":
		case p.HasSession():
			add(tr("Disconnect"), func() { u.e.Disconnect(id) })
		case p.State == engine.Found:
			add(tr("Connect"), func() { u.invite(id) })
		}
		if here && p.Confirmed && u.comparable(p) && trust != engine.TrustVerified && u.pairings.cards[id] == nil {
			add(tr("Verify"), func() { u.choose(t); u.verify(id) })
		}
		if trust == engine.TrustVerified {
			u.autoActions(t, p, here, add)
		}
	}
	if !t.everyone() {
		if trust != engine.TrustBlocked {
			t.favouriteAction(add)
		}
		add(tr("Rename…"), func() { u.rename(t) })
	}
	line()
	if t.Count() > 0 {
		takeAway(tr("Clear the conversation…"), func() { u.clearTalk(t) })
	}
	if t.everyone() || trust == engine.TrustBlocked {
		return items
	}
	takeAway(tr("Block…"), func() { u.block(id) })
	if trust != engine.TrustUnknown {
		takeAway(tr("Forget…"), func() { u.forget(id) })
	}
	return items
}

// favouriteAction adds the menu item that adds a peer to the favourites or removes it.
func (t *talk) favouriteAction(add func(string, func())) {
	u := t.u
	label, on := tr("Add to favourites"), true
	if u.o.Settings.Favourite(t.key) {
		label, on = tr("Remove from favourites"), false
	}
	add(label, func() {
		u.o.Settings.SetFavourite(t.key, on)
		u.keepSettings()
		u.trace("favourite %q %v", t.name, on)
		u.dirty.side = true
	})
}

// autoActions adds the menu items that turn automatic receiving on or off for a verified peer.
func (u *UI) autoActions(t *talk, p engine.Peer, here bool, add func(string, func())) {
	auto := func(a engine.AutoAccept) {
		background(u.bind, func(context.Context) (struct{}, error) { return struct{}{}, u.e.SetAutoAccept(t.id, a) }, func(_ struct{}, err error) {
			u.trace("auto %d", a.Bytes)
			u.fail(err, u.nameOf(t), true)
		})
	}
	switch {
	case p.AutoAccept.Bytes > 0:
		add(tr("Ask before receiving files"), func() { auto(engine.AutoAccept{}) })
	case here:
		add(tr("Receive automatically…"), func() {
			n := u.autoBytes()
			u.dialogs.ask(tr("Receive files from {{.Name}} automatically?", "Name", u.nameOf(t)), tr("Up to {{.Size}} a day is saved to {{.Folder}} without asking.", "Size", size(n), "Folder", u.downloads()), tr("Turn on"), func() {
				auto(engine.AutoAccept{Bytes: n, Dir: u.downloads()})
			})
		})
	}
}

func (u *UI) autoBytes() int64 {
	if n := u.o.Settings.AutoBytes; n > 0 {
		return n
	}
	return autoBytes
}

// setTrust returns a function that saves a trust decision about a peer.
func (u *UI) setTrust(id engine.PeerID, t engine.Trust) func() {
	name := u.nameOf(u.talk(id))
	return func() {
		background(u.bind, func(context.Context) (struct{}, error) { return struct{}{}, u.e.SetTrust(id, t) }, func(_ struct{}, err error) {
			u.trace("trust %q %q", name, t)
			u.fail(err, name, true)
			u.judged(id)
			if u.page == pageSettings {
				u.prefs.people()
			}
		})
	}
}

// blocked reports whether a peer is blocked: nothing is accepted from it or sent to it.
func (u *UI) blocked(id engine.PeerID) bool {
	return !id.IsZero() && u.e.Trust(id) == engine.TrustBlocked
}

// judged updates the available actions after a peer's trust has changed.
func (u *UI) judged(id engine.PeerID) {
	u.dirty.side, u.dirty.resized, u.dirty.transfers = true, true, true
	t, barred := u.talk(id), u.blocked(id)
	t.forget()
	for _, it := range t.live {
		if d, ok := it.(*dayItem); ok {
			it = d.item
		}
		if c, ok := it.(*transferCard); ok {
			c.setBarred(barred)
		}
	}
	for _, c := range u.moves.made {
		if c.now.Peer == id {
			c.setBarred(barred)
		}
	}
}

// forget asks the user whether to forget the trust decision about a peer.
func (u *UI) forget(id engine.PeerID) {
	u.dialogs.warn(tr("Forget {{.Name}}?", "Name", u.nameOf(u.talk(id))), tr("You'll have to accept and verify it again next time."), tr("Forget"), u.setTrust(id, engine.TrustUnknown))
}

// block asks the user whether to block a peer.
func (u *UI) block(id engine.PeerID) {
	name := u.nameOf(u.talk(id))
	text := tr("{{.Name}} won't be able to connect or send you anything. You can unblock it at any time.", "Name", name)
	if u.e.Trust(id) == engine.TrustVerified {
		text += " " + tr("You would then have to verify it again.")
	}
	u.dialogs.warn(tr("Block {{.Name}}?", "Name", name), text, tr("Block"), u.setTrust(id, engine.TrustBlocked))
}

// rename lets the user give a peer a local name.
func (u *UI) rename(t *talk) {
	entry := u.newField(t.name)
	entry.SetText(u.o.Settings.Names[t.key])
	var m *widgets.Modal
	keep := func() {
		name := strings.TrimSpace(entry.Text)
		if name != "" {
			if engine.ValidateName(name) != nil {
				u.say(badName())
				return
			}
		}
		m.Hide()
		u.o.Settings.SetName(t.key, name)
		u.keepSettings()
		u.trace("named %q", name)
		for id := range u.peers {
			if p, known := u.e.Peer(id); known {
				u.peers[id] = u.compared(p)
			}
		}
		u.dirty.side = true
		u.settle()
	}
	entry.OnSubmitted = func(string) { keep() }
	entry.OnEscape = func() { m.Hide() }
	text := widgets.Hint(tr("Only you see this name. Leave it empty to use the device's own name."))
	m = u.dialogs.modal(tr("Rename device"), widgets.NewStacked(widgets.Gap, text, entry), 420,
		widgets.NewButton(tr("Cancel"), widget.MediumImportance, func() { m.Hide() }), widgets.NewButton(tr("Save"), widget.HighImportance, keep))
	m.Show()
	u.w.Canvas().Focus(entry)
}

// clearTalk asks the user whether to clear a conversation.
func (u *UI) clearTalk(t *talk) {
	u.dialogs.warn(tr("Clear the conversation with {{.Name}}?", "Name", u.nameOf(t)), tr("Messages and the file list are removed from this device. The files stay on disk, and the other person keeps their copy."), tr("Clear"), func() {
		background(u.bind, func(context.Context) (struct{}, error) { return struct{}{}, u.o.History.Clear(t.key) }, func(_ struct{}, err error) {
			u.fail(err, "", true)
			u.cleared(t)
		})
	})
}

// cleared updates the window after the rows of a conversation were deleted.
func (u *UI) cleared(t *talk) {
	for id, at := range u.transfers.rows {
		if at.t == t {
			delete(u.transfers.rows, id)
		}
	}
	t.unread = 0
	t.forget()
	t.prune()
	u.restoreOpen(t)
	if t == u.current {
		u.timeline.ShowRows(t)
	}
	u.trace("cleared %s", u.label(t))
	u.dirty.side = true
}

// restoreOpen adds open requests and running transfers back to a conversation that was cleared.
func (u *UI) restoreOpen(t *talk) {
	for _, c := range u.invites.open {
		if c.at.t == t {
			c.at = u.addQuestion(t, history.Row{Kind: history.Notice, Text: c.title.Text}, c)
		}
	}
	for _, c := range u.pairings.cards {
		if c.at.t == t {
			c.at = u.addQuestion(t, history.Row{Kind: history.Notice, Text: c.title.Text}, c)
		}
	}
	for _, id := range u.transfers.order {
		if tr := u.transfers.all[id]; tr.Peer == t.id && !tr.State.Final() {
			u.transfers.rows[id] = u.addQuestion(t, chatlog.Transfer(tr), nil)
		}
	}
}

// webLink matches links that can be opened in a browser.
var webLink = regexp.MustCompile(`https?://[^\s<>"'` + "`" + `]{1,1000}`)

// linksIn returns the positions of the links in a text, without trailing punctuation.
func linksIn(text string) (found [][2]int) {
	for _, at := range webLink.FindAllStringIndex(text, maxLinks) {
		link := strings.TrimRight(text[at[0]:at[1]], ".,;:!?)")
		found = append(found, [2]int{at[0], at[0] + len(link)})
	}
	return found
}

// maxLinks is the maximum number of links that are found in a message.
const maxLinks = 50

// openLinkIn opens a link that the user tapped in a message.
func (ds *dialogs) openLinkIn(link string) {
	if target, err := url.Parse(link); err == nil && target.Host != "" {
		ds.openWeb(target)
	}
}

// hostText returns the host of a link in ASCII, because letters of other scripts can look like those of a known host.
func hostText(target *url.URL) string {
	host, err := idna.Punycode.ToASCII(target.Host)
	if err != nil || strings.ContainsFunc(host, func(r rune) bool { return r > unicode.MaxASCII }) {
		return strconv.QuoteToASCII(target.Host)
	}
	return engine.CleanLine(host)
}

// selectText shows a message in a dialog where parts of it can be selected.
func (ds *dialogs) selectText(text string) {
	label := widget.NewLabel(widgets.Shortened(text, mostSelectable))
	label.Wrapping, label.Selectable = fyne.TextWrapWord, true
	ds.list(tr("Select text"), label, 560, 480)
}

// mostSelectable is how many characters of a message can be selected. Fyne is too slow at laying out longer text.
const mostSelectable = 20_000

// messageMenu opens the context menu of a message.
func (u *UI) messageMenu(at place, pos fyne.Position) {
	r := at.t.data(at.seq)
	items := []widgets.Action{{Label: tr("Copy"), Do: func() { u.copyText(r.Text) }}, {Label: tr("Select text…"), Do: func() { u.dialogs.selectText(r.Text) }}}
	for _, b := range widgets.Blocks(r.Text) {
		if b.Code && len(items) < 5 {
			items = append(items, widgets.Action{Label: tr("Copy the code"), Do: func() { u.copyText(b.Text) }})
		}
	}
	for _, at := range linksIn(r.Text)[:min(len(linksIn(r.Text)), 4)] {
		l := r.Text[at[0]:at[1]]
		target, err := url.Parse(l)
		if err != nil || target.Host == "" {
			continue
		}
		items = append(items,
			widgets.Action{Label: tr("Copy the link to {{.Host}}", "Host", hostText(target)), Do: func() { u.copyText(l) }},
			widgets.Action{Label: tr("Open {{.Host}}…", "Host", hostText(target)), Do: func() { u.dialogs.openWeb(target) }})
	}
	if r.State == history.Failed && !u.blocked(at.t.id) {
		items = append(items, widgets.Action{Label: tr("Try again"), Do: func() { u.outbox.sendAgain(at) }})
	}
	u.showMenu(items, pos)
}

// openWeb asks the user and then opens a page that a peer linked to: a link may not lead where it seems to.
func (ds *dialogs) openWeb(target *url.URL) {
	u := ds.u
	ds.ask(tr("Open {{.Host}} in the browser?", "Host", hostText(target)), widgets.Shortened(engine.CleanLine(target.String()), 300), tr("Open"), func() {
		background(u.bind, func(context.Context) (struct{}, error) { return struct{}{}, u.o.Desktop.OpenLink(target) }, func(_ struct{}, err error) {
			u.fail(err, "", true)
		})
	})
}
