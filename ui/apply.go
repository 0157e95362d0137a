package ui

import (
	"context"
	"path/filepath"

	"multipeer/engine"
)

// apply takes a batch of the engine's events, on the main thread.
func (u *UI) apply(batch []engine.Event) {
	if u.finished {
		return
	}
	resized := false
	for _, ev := range batch {
		resized = u.take(ev) || resized
	}
	u.side.refresh()
	u.showHeader()
	if u.current == nil {
		u.showEmpty()
	}
	if resized {
		u.timeline.remeasure()
	}
	u.traceLayout()
}

// take handles one event; true if a row that is shown has changed its height.
func (u *UI) take(ev engine.Event) (resized bool) {
	switch ev := ev.(type) {
	case engine.Snapshot:
		u.self, u.problem = ev.Self, ev.Problem
		clear(u.peers)
		for _, p := range ev.Peers {
			u.peers[p.ID] = p
		}
		for _, i := range ev.Invitations {
			u.invited(i)
		}
		open := map[engine.PeerID]bool{}
		for _, p := range ev.Pairings {
			open[p.Peer] = true
		}
		for id, c := range u.pairings {
			if !open[id] { // it has ended while nobody looked
				delete(u.pairings, id)
				resized = c.set(engine.Pairing{Peer: id, Name: u.nameOf(u.talk(id)), Stage: engine.PairingFailed, Err: engine.ErrCancelled}) || resized
			}
		}
		for _, p := range ev.Pairings {
			resized = u.paired(p) || resized
		}
		for _, o := range ev.Offers {
			u.offers[o.Transfer.ID] = o
		}
		for _, t := range ev.Transfers {
			resized = u.transfer(t) || resized
		}
	case engine.SelfChanged:
		u.self = ev.Self
	case engine.Problem:
		if u.problem = ev.Err; ev.Err != nil && u.current != nil {
			u.say(problem(ev.Err))
		}
	case engine.PeerChanged:
		if _, known := u.peers[ev.Peer.ID]; !known {
			u.trace("peer %q", ev.Peer.Name)
		}
		u.peers[ev.Peer.ID] = ev.Peer
		if t := u.talks[ev.Peer.ID]; t != nil {
			t.name = ev.Peer.Name
		}
	case engine.PeerLost:
		delete(u.peers, ev.Peer.ID)
		u.trace("lost %q", ev.Peer.Name)
	case engine.PeerAdded:
		u.add(u.talk(ev.Peer.ID), newNotice("Connected with "+ev.Peer.Name), false)
		u.trace("connected %q", ev.Peer.Name)
	case engine.PeerRemoved:
		u.add(u.talk(ev.Peer.ID), newNotice("Disconnected"), false)
		u.trace("disconnected %q", ev.Peer.Name)
	case engine.MessageReceived:
		u.receive(ev.Message)
	case engine.InvitationReceived:
		u.invited(ev.Invitation)
	case engine.InvitationClosed:
		if c := u.invites[ev.Invitation.ID]; c != nil {
			delete(u.invites, ev.Invitation.ID)
			c.close("Answered or withdrawn.")
			return true
		}
	case engine.PairingChanged:
		return u.paired(ev.Pairing)
	case engine.OfferReceived:
		u.offers[ev.Offer.Transfer.ID] = ev.Offer
	case engine.TransferChanged:
		return u.transfer(ev.Transfer)
	}
	return resized
}

// asked tells whether a peer's request to connect is on screen.
func (u *UI) asked(id engine.PeerID) bool {
	for _, c := range u.invites {
		if c.peer == id {
			return true
		}
	}
	return false
}

// invited shows a request to connect as a card.
func (u *UI) invited(i *engine.Invitation) {
	if u.invites[i.ID] != nil {
		return
	}
	var c *invitationCard
	answer := func(do func() error, text string) func() {
		return func() {
			delete(u.invites, i.ID) // the closing event must not replace the words
			c.close(text)
			u.timeline.remeasure()
			if err := do(); err != nil {
				u.say(i.Peer.Name + " has withdrawn the request.")
			}
		}
	}
	c = newInvitationCard(i.Peer, answer(i.Accept, "You accepted."), answer(i.Decline, "You declined."))
	u.invites[i.ID] = c
	t := u.talk(i.Peer.ID)
	t.name = i.Peer.Name
	u.add(t, c, false)
	u.trace("invitation from %q", i.Peer.Name)
	if u.current == nil {
		u.choose(t)
	}
}

// transfer shows a transfer in the conversation with its peer; true if its card has changed its height.
func (u *UI) transfer(t engine.Transfer) bool {
	if t.State != engine.Offered {
		delete(u.offers, t.ID)
	}
	if c := u.cards[t.ID]; c != nil {
		before := c.state
		changed := c.set(t)
		if before != c.state {
			u.traceTransfer(t)
		}
		return changed
	}
	talk := u.talk(t.Peer)
	if talk.name == "" {
		talk.name = t.PeerName
	}
	c := newTransferCard(t, u.actions(t))
	u.cards[t.ID] = c
	u.add(talk, c, !t.Incoming)
	u.traceTransfer(t)
	if u.current == nil && t.Incoming {
		u.choose(talk)
	}
	return false
}

func (u *UI) traceTransfer(t engine.Transfer) {
	u.trace("transfer %q %s incoming=%v", title(t), t.State, t.Incoming)
}

// actions are what the buttons of a card do.
func (u *UI) actions(t engine.Transfer) transferActions {
	id := t.ID
	call := func(do func() error) {
		background(u.bind, func(context.Context) (struct{}, error) { return struct{}{}, do() }, func(_ struct{}, err error) {
			u.say(reason(err, t.PeerName, true))
		})
	}
	open := func(path string) func() error { return func() error { return u.o.Desktop.Open(path) } }
	saved := func() []string {
		for _, now := range u.e.Transfers() {
			if now.ID == id {
				return now.Saved
			}
		}
		return nil
	}
	return transferActions{
		accept: func() {
			if o := u.offers[id]; o != nil {
				call(func() error { return o.Accept(engine.AcceptOptions{Dir: u.o.Downloads}) })
			}
		},
		decline: func() {
			if o := u.offers[id]; o != nil {
				call(o.Decline)
			}
		},
		cancel: func() { call(func() error { u.e.Cancel(id); return nil }) },
		pause:  func() { call(func() error { return u.e.Pause(id) }) },
		resume: func() { call(func() error { return u.e.Resume(id) }) },
		open: func() {
			if s := saved(); len(s) > 0 {
				call(open(s[0]))
			}
		},
		reveal: func() {
			if s := saved(); len(s) > 0 {
				call(open(filepath.Dir(s[0])))
			}
		},
		retry: func() {
			if u.e.Retry(id) != nil { // it is not known any more
				u.offer(u.talk(t.Peer), u.sources[id])
			}
		},
	}
}
