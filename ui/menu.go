package ui

import (
	"context"
	"net/url"
	"regexp"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
	"multipeer/internal/history"
	"multipeer/internal/keep"
)

// autoBytes is what a verified peer may send in a day without asking, where nothing else is set.
const autoBytes = 1_000_000_000

// talkActions are what can be done about a conversation and its peer now.
func (u *UI) talkActions(t *talk) (items []action) {
	id, name := t.id, u.nameOf(t)
	p, here := u.peers[id]
	add := func(label string, do func()) {
		items = append(items, action{label: label, do: func() { do(); u.settle() }})
	}
	takeAway := func(label string, do func()) {
		add(label, do)
		items[len(items)-1].danger = true
	}
	line := func() { items = append(items, action{}) }
	trust := engine.TrustUnknown
	if !t.everyone() {
		trust = u.e.Trust(id)
	}
	if trust == engine.TrustBlocked {
		add(tr("Unblock"), u.setTrust(id, engine.TrustUnknown))
	} else {
		add(tr("Message"), func() { u.choose(t) })
		add(tr("Send files…"), func() { u.choose(t); u.attachPicked(false) })
		add(tr("Send a folder…"), func() { u.choose(t); u.attachPicked(true) })
		add(tr("Send the clipboard"), func() { u.choose(t); u.sendClipboard() })
	}
	if !t.everyone() && trust != engine.TrustBlocked {
		line()
		switch {
		case !here:
		case p.HasSession():
			add(tr("Disconnect"), func() { u.e.Disconnect(id) })
		case p.State == engine.Found:
			add(tr("Connect"), func() { u.invite(id) })
		}
		if here && p.Confirmed && trust != engine.TrustVerified && u.pairings[id] == nil {
			add(tr("Verify"), func() { u.choose(t); u.verify(id) })
		}
		if trust == engine.TrustVerified {
			u.autoActions(t, p, here, add)
		}
	}
	if !t.everyone() {
		add(tr("Name it for me…"), func() { u.rename(t) })
	}
	line()
	if t.count() > 0 {
		takeAway(tr("Clear the conversation…"), func() { u.clearTalk(t) })
	}
	if t.everyone() || trust == engine.TrustBlocked {
		return items
	}
	takeAway(tr("Block…"), func() { u.block(id) })
	if trust != engine.TrustUnknown {
		takeAway(tr("Forget…"), func() {
			u.warn(tr("Forget {{.Name}}?", "Name", name), tr("It is a stranger from then on, and has to be accepted and verified again."), tr("Forget"), u.setTrust(id, engine.TrustUnknown))
		})
	}
	return items
}

// autoActions let a verified peer send without asking, or no longer.
func (u *UI) autoActions(t *talk, p engine.Peer, here bool, add func(string, func())) {
	auto := func(a engine.AutoAccept) {
		background(u.bind, func(context.Context) (struct{}, error) { return struct{}{}, u.e.SetAutoAccept(t.id, a) }, func(_ struct{}, err error) {
			u.trace("auto %d", a.Bytes)
			u.say(reason(err, u.nameOf(t), true))
		})
	}
	switch {
	case p.AutoAccept.Bytes > 0:
		add(tr("Ask for each file again"), func() { auto(engine.AutoAccept{}) })
	case here:
		add(tr("Take files without asking…"), func() {
			n := u.autoBytes()
			u.ask(tr("Take files of {{.Name}} without asking?", "Name", u.nameOf(t)), tr("Up to {{.Size}} a day go to {{.Folder}}.", "Size", size(n), "Folder", u.downloads()), tr("Take them"), func() {
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

// setTrust returns what keeps a decision about a peer.
func (u *UI) setTrust(id engine.PeerID, t engine.Trust) func() {
	name := u.nameOf(u.talk(id))
	return func() {
		background(u.bind, func(context.Context) (struct{}, error) { return struct{}{}, u.e.SetTrust(id, t) }, func(_ struct{}, err error) {
			u.trace("trust %q %q", name, t)
			u.say(reason(err, name, true))
			u.judged(id)
			if u.page == pageSettings {
				u.prefs.people()
			}
		})
	}
}

// blocked tells whether nothing may come from a peer, and nothing goes there.
func (u *UI) blocked(id engine.PeerID) bool {
	return !id.IsZero() && u.e.Trust(id) == engine.TrustBlocked
}

// judged brings up to date what may be done with a peer of whom something else is thought now.
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

// block asks whether to block a peer.
func (u *UI) block(id engine.PeerID) {
	name := u.nameOf(u.talk(id))
	u.warn(tr("Block {{.Name}}?", "Name", name), tr("It can no longer connect or send you anything. You can unblock it later."), tr("Block"), u.setTrust(id, engine.TrustBlocked))
}

// rename lets this person call a peer something else.
func (u *UI) rename(t *talk) {
	entry := newField(u, t.name)
	entry.SetText(u.o.Settings.Names[t.key])
	var m *modal
	keep := func() {
		name := strings.TrimSpace(entry.Text)
		if name != "" {
			if err := engine.ValidateName(name); err != nil {
				u.say(reason(err, "", true))
				return
			}
		}
		m.Hide()
		u.o.Settings.SetName(t.key, name)
		u.keepSettings()
		u.trace("named %q", name)
		u.dirty.side = true
		u.settle()
	}
	entry.OnSubmitted = func(string) { keep() }
	entry.escape = func() { m.Hide() }
	text := hint(tr("Only you see this name. Leave it empty for the name that the device gives itself."))
	m = u.newModal(tr("What is this device called?"), newStacked(gap, text, entry), 420,
		newButton(tr("Cancel"), widget.MediumImportance, func() { m.Hide() }), newButton(tr("Keep"), widget.HighImportance, keep))
	m.show()
	u.w.Canvas().Focus(entry)
}

// clearTalk asks whether to forget a conversation.
func (u *UI) clearTalk(t *talk) {
	u.warn(tr("Clear the conversation with {{.Name}}?", "Name", u.nameOf(t)), tr("Messages and the list of files are forgotten here. The files themselves stay, and so does what the other side has."), tr("Clear"), func() {
		background(u.bind, func(context.Context) (struct{}, error) { return struct{}{}, u.o.History.Clear(t.key) }, func(_ struct{}, err error) {
			u.say(reason(err, "", true))
			u.cleared(t)
		})
	})
}

// cleared drops what was shown of a conversation whose rows are gone.
func (u *UI) cleared(t *talk) {
	for id, at := range u.rows {
		if at.t == t {
			delete(u.rows, id)
		}
	}
	t.unread = 0
	t.forget()
	t.prune()
	u.askAnew(t)
	if t == u.current {
		u.timeline.show(t)
	}
	u.trace("cleared %s", u.label(t))
	u.dirty.side = true
}

// askAnew puts what still waits for an answer, or moves, into a conversation that was cleared.
func (u *UI) askAnew(t *talk) {
	for _, c := range u.invites {
		if c.at.t == t {
			c.at = u.add(t, history.Row{Kind: history.Notice, Text: c.title.full}, c)
		}
	}
	for _, c := range u.pairings {
		if c.at.t == t {
			c.at = u.add(t, history.Row{Kind: history.Notice, Text: c.title.full}, c)
		}
	}
	for _, id := range u.order {
		if tr := u.transfers[id]; tr.Peer == t.id && !tr.State.Final() {
			u.rows[id] = u.add(t, keep.Transfer(tr), nil)
		}
	}
}

// link matches what may be opened in a browser.
var webLink = regexp.MustCompile(`https?://[^\s<>"'` + "`" + `]{1,1000}`)

// messageMenu is what the second button offers on a message.
func (u *UI) messageMenu(at place, pos fyne.Position) {
	r := at.t.data(at.seq)
	items := []action{{label: tr("Copy"), do: func() { u.copyText(r.Text) }}}
	for _, b := range blocks(r.Text) {
		if b.code && len(items) < 5 {
			items = append(items, action{label: tr("Copy the code"), do: func() { u.copyText(b.text) }})
		}
	}
	for _, l := range webLink.FindAllString(r.Text, 4) {
		l = strings.TrimRight(l, ".,;:!?)")
		target, err := url.Parse(l)
		if err != nil || target.Host == "" {
			continue
		}
		items = append(items,
			action{label: tr("Copy the link to {{.Host}}", "Host", engine.CleanLine(target.Host)), do: func() { u.copyText(l) }},
			action{label: tr("Open {{.Host}}…", "Host", engine.CleanLine(target.Host)), do: func() { u.openWeb(target) }})
	}
	if r.State == history.Failed && !u.blocked(at.t.id) {
		items = append(items, action{label: tr("Try again"), do: func() { u.sendAgain(at) }})
	}
	u.showMenu(items, pos)
}

// openWeb opens a page that a peer has named, after asking: where it leads is not where it seems to.
func (u *UI) openWeb(target *url.URL) {
	u.ask(tr("Open {{.Host}} in the browser?", "Host", engine.CleanLine(target.Host)), shortened(engine.CleanLine(target.String()), 300), tr("Open"), func() {
		background(u.bind, func(context.Context) (struct{}, error) { return struct{}{}, u.o.Desktop.OpenLink(target) }, func(_ struct{}, err error) {
			u.say(reason(err, "", true))
		})
	})
}
