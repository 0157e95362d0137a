package ui

import (
	"context"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
)

// autoBytes is what the window lets a verified peer send in a day without asking; the terminal knows other sizes.
const autoBytes = 1_000_000_000

// peerMenu is what the second mouse button offers on a peer's row.
func (u *UI) peerMenu(id engine.PeerID, at fyne.Position) {
	items := u.peerActions(id)
	if len(items) == 0 {
		return
	}
	widget.ShowPopUpMenuAtPosition(fyne.NewMenu("", items...), u.w.Canvas(), at)
}

// peerActions are what can be done about a peer now.
func (u *UI) peerActions(id engine.PeerID) (items []*fyne.MenuItem) {
	p, here := u.peers[id]
	name := u.nameOf(u.talk(id))
	trust := u.e.Trust(id)
	add := func(label string, do func()) { items = append(items, fyne.NewMenuItem(label, do)) }
	set := func(t engine.Trust) func() {
		return func() {
			background(u.bind, func(context.Context) (struct{}, error) { return struct{}{}, u.e.SetTrust(id, t) }, func(_ struct{}, err error) {
				u.trace("trust %q %q", name, t)
				u.say(reason(err, name, true))
			})
		}
	}
	if trust == engine.TrustBlocked {
		add("Unblock", set(engine.TrustUnknown))
		return items
	}
	switch {
	case !here:
	case p.HasSession():
		add("Disconnect", func() { u.e.Disconnect(id) })
	case p.State == engine.Found:
		add("Connect", func() { u.invite(id) })
	}
	if here && p.Confirmed && trust != engine.TrustVerified && u.pairings[id] == nil {
		add("Verify", func() { u.choose(u.talk(id)); u.verify(id) })
	}
	if trust == engine.TrustVerified {
		auto := func(a engine.AutoAccept) {
			background(u.bind, func(context.Context) (struct{}, error) { return struct{}{}, u.e.SetAutoAccept(id, a) }, func(_ struct{}, err error) {
				u.say(reason(err, name, true))
			})
		}
		if p.AutoAccept.Bytes > 0 {
			add("Ask for each file again", func() { auto(engine.AutoAccept{}) })
		} else if here {
			add("Take files without asking…", func() {
				u.ask("Take files of "+name+" without asking?", "Up to "+size(autoBytes)+" a day go to "+u.o.Downloads+".", "Take them", func() {
					auto(engine.AutoAccept{Bytes: autoBytes, Dir: u.o.Downloads})
				})
			})
		}
	}
	add("Block…", func() {
		u.ask("Block "+name+"?", "It cannot connect or ask for anything any more, whatever it is called.", "Block", set(engine.TrustBlocked))
	})
	if trust != engine.TrustUnknown {
		add("Forget…", func() {
			u.ask("Forget "+name+"?", "It is a stranger from then on, and has to be accepted and verified again.", "Forget", set(engine.TrustUnknown))
		})
	}
	return items
}
