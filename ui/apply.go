package ui

import (
	"errors"
	"maps"
	"time"

	"multipeer/engine"
	"multipeer/internal/history"
)

// apply takes a batch of the engine's events, on the main thread.
func (u *UI) apply(batch []engine.Event) {
	if u.finished {
		return
	}
	for _, ev := range batch {
		u.take(ev)
	}
	u.settle()
}

// take handles one event.
func (u *UI) take(ev engine.Event) {
	switch ev := ev.(type) {
	case engine.Snapshot:
		u.takeSnapshot(ev)
	case engine.SelfChanged:
		u.self = ev.Self
		u.dirty.side = true
	case engine.Problem:
		if u.problem = ev.Err; ev.Err != nil && u.page != pageEmpty {
			u.say(problem(ev.Err))
		}
	case engine.PeerChanged:
		before, known := u.peers[ev.Peer.ID]
		if !known {
			u.trace("peer %q", ev.Peer.Name)
		}
		if u.peers[ev.Peer.ID] = ev.Peer; known && before.Trust != ev.Peer.Trust { // perhaps by the terminal program
			u.judged(ev.Peer.ID)
		}
		if t := u.talks[ev.Peer.ID]; t != nil {
			t.rename(ev.Peer.Name)
		}
		u.dirty.side = true
	case engine.PeerLost:
		delete(u.peers, ev.Peer.ID)
		u.trace("lost %q", ev.Peer.Name)
		u.dirty.side = true
	case engine.PeerAdded:
		u.came(ev.Peer)
	case engine.PeerRemoved:
		t := u.talk(ev.Peer.ID)
		u.add(t, history.Row{Kind: history.Notice, Text: departure(u.nameOf(t), ev.Err)}, nil)
		u.trace("disconnected %q", ev.Peer.Name)
	case engine.MessageReceived:
		u.receive(ev.Message)
	case engine.InvitationReceived:
		u.invited(ev.Invitation)
	case engine.InvitationClosed:
		u.withdrawn(ev.Invitation)
	case engine.PairingChanged:
		u.paired(ev.Pairing)
	case engine.OfferReceived:
		u.offered(ev.Offer)
	case engine.TransferChanged:
		u.transfer(ev.Transfer)
	}
}

func (u *UI) takeSnapshot(s engine.Snapshot) {
	u.self, u.problem = s.Self, s.Problem
	known := maps.Clone(u.peers)
	clear(u.peers)
	for _, p := range s.Peers {
		if _, ok := known[p.ID]; !ok { // it was found before the window looked
			u.trace("peer %q", p.Name)
		}
		u.peers[p.ID] = p
		if p.HasSession() {
			u.sendOpen(u.talk(p.ID))
		}
	}
	if all := u.talks[engine.PeerID{}]; all != nil {
		u.sendOpen(all)
	}
	asked := map[string]bool{}
	for _, i := range s.Invitations {
		asked[i.ID] = true
	}
	for id, c := range u.invites { // withdrawn while nobody looked
		if !asked[id] {
			u.withdrawn(c.of)
		}
	}
	for _, i := range s.Invitations {
		u.invited(i)
	}
	open := map[engine.PeerID]bool{}
	for _, p := range s.Pairings {
		open[p.Peer] = true
	}
	for id, c := range u.pairings {
		if !open[id] { // it has ended while nobody looked
			delete(u.pairings, id)
			u.setPairing(c, engine.Pairing{Peer: id, Name: u.nameOf(u.talk(id)), Stage: engine.PairingFailed, Err: engine.ErrCancelled})
		}
	}
	for _, p := range s.Pairings {
		u.paired(p)
	}
	clear(u.offers)
	for _, o := range s.Offers {
		u.offered(o)
	}
	now := map[engine.TransferID]bool{}
	for _, t := range s.Transfers {
		now[t.ID] = true
		u.transfer(t)
	}
	for id, t := range u.transfers {
		if !now[id] && !t.State.Final() { // the engine has let it go
			t.State, t.Ended = engine.Cancelled, time.Now()
			u.transfer(t)
		}
	}
	u.dirty.side = true
}

// came notes that a session is up, and sends what waited for it.
func (u *UI) came(p engine.Peer) {
	u.peers[p.ID] = p
	t := u.talk(p.ID)
	t.rename(p.Name)
	u.add(t, history.Row{Kind: history.Notice, Text: tr("Connected with {{.Name}}", "Name", u.nameOf(t))}, nil)
	u.trace("connected %q", p.Name)
	u.sendOpen(t)
	if all := u.talks[engine.PeerID{}]; all != nil {
		u.sendOpen(all)
	}
}

// departure says why a session has ended.
func departure(name string, err error) string {
	switch {
	case errors.Is(err, engine.ErrKicked):
		return tr("{{.Name}} has disconnected", "Name", name)
	case errors.Is(err, engine.ErrBye):
		return tr("{{.Name}} has left", "Name", name)
	case errors.Is(err, engine.ErrLost):
		return tr("The connection was lost")
	case errors.Is(err, engine.ErrBlocked):
		return tr("Blocked")
	}
	return tr("Disconnected")
}

// offered keeps an offer until it is answered, and tells the cards of its peer.
func (u *UI) offered(o *engine.Offer) {
	u.offers[o.Transfer.ID] = o
	for id, other := range u.offers {
		if other.Transfer.Peer == o.Transfer.Peer {
			for _, c := range u.cardsOf(id) {
				u.examine(c, other.Transfer)
			}
		}
	}
}

// findRows finds the rows of transfers that may still go on.
func (u *UI) findRows() {
	const newest = 4 * pageRows
	for _, t := range u.talks {
		from := t.first
		if t.next > from+newest {
			from = t.next - newest
		}
		for i, r := range u.o.History.Rows(t.key, from, newest) {
			if r.File != nil {
				u.rows[engine.TransferID(r.File.ID)] = place{t, from + uint64(i)}
			}
		}
	}
}
