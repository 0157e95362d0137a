package ui

import (
	"errors"
	"maps"
	"time"

	"multipeer/engine"
	"multipeer/internal/history"
)

// apply handles a batch of the engine's events on the main thread.
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
	case engine.Self:
		u.self = ev
		if u.prefs != nil {
			u.prefs.refreshVisible()
		}
		u.dirty.side = true
	case engine.Problem:
		u.problem = ev.Err
		if ev.Err != nil && u.page != pageEmpty {
			u.say(problem(ev.Err))
		}
	case engine.Conflict:
		u.finder.conflict(ev)
	case engine.PeerChanged:
		before, known := u.peers[ev.Peer.ID]
		if !known {
			u.trace("peer %q", ev.Peer.Name)
		}
		u.peers[ev.Peer.ID] = u.compared(ev.Peer)
		if known && before.Trust != ev.Peer.Trust { // possibly changed by the CLI
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
	case engine.Message:
		u.receive(ev)
	case *engine.Invitation:
		u.invites.take(ev)
	case engine.InvitationClosed:
		u.invites.withdrawn(ev.Invitation)
	case engine.Pairing:
		u.pairings.take(ev)
	case *engine.Offer:
		u.transfers.offered(ev)
	case engine.Transfer:
		u.transfers.take(ev)
	}
}

func (u *UI) takeSnapshot(s engine.Snapshot) {
	u.self, u.problem = s.Self, s.Problem
	for _, c := range s.Conflicts {
		u.finder.conflict(c)
	}
	known := maps.Clone(u.peers)
	clear(u.peers)
	for _, p := range s.Peers {
		if _, ok := known[p.ID]; !ok { // the engine found it before the window started watching
			u.trace("peer %q", p.Name)
		}
		u.peers[p.ID] = u.compared(p)
		if p.HasSession() {
			u.outbox.sendOpen(u.talk(p.ID))
		}
	}
	if all := u.talks[engine.PeerID{}]; all != nil {
		u.outbox.sendOpen(all)
	}
	asked := map[string]bool{}
	for _, i := range s.Invitations {
		asked[i.ID] = true
	}
	for id, c := range u.invites.open { // withdrawn while the window was not watching
		if !asked[id] {
			u.invites.withdrawn(c.of)
		}
	}
	for _, i := range s.Invitations {
		u.invites.take(i)
	}
	open := map[engine.PeerID]bool{}
	for _, p := range s.Pairings {
		open[p.Peer] = true
	}
	for id, c := range u.pairings.cards {
		if !open[id] { // ended while the window was not watching
			delete(u.pairings.cards, id)
			u.pairings.set(c, engine.Pairing{Peer: id, Name: u.nameOf(u.talk(id)), Stage: engine.PairingFailed, Err: engine.ErrCancelled})
		}
	}
	for _, p := range s.Pairings {
		u.pairings.take(p)
	}
	clear(u.transfers.offers)
	for _, o := range s.Offers {
		u.transfers.offered(o)
	}
	now := map[engine.TransferID]bool{}
	for _, t := range s.Transfers {
		now[t.ID] = true
		u.transfers.take(t)
	}
	for id, t := range u.transfers.all {
		if !now[id] && !t.State.Final() { // the engine no longer knows the transfer
			t.State, t.Ended = engine.Cancelled, time.Now()
			u.transfers.take(t)
		}
	}
	u.dirty.side = true
}

// came records that a session is up, and sends the messages that were waiting for its peer.
func (u *UI) came(p engine.Peer) {
	u.peers[p.ID] = u.compared(p)
	t := u.talk(p.ID)
	t.rename(p.Name)
	u.add(t, history.Row{Kind: history.Notice, Text: tr("Connected to {{.Name}}", "Name", u.nameOf(t))}, nil)
	u.trace("connected %q", p.Name)
	u.outbox.sendOpen(t)
	if all := u.talks[engine.PeerID{}]; all != nil {
		u.outbox.sendOpen(all)
	}
}

// departure returns the reason why a session ended.
func departure(name string, err error) string {
	switch {
	case errors.Is(err, engine.ErrKicked):
		return tr("{{.Name}} disconnected", "Name", name)
	case errors.Is(err, engine.ErrBye):
		return tr("{{.Name}} went offline", "Name", name)
	case errors.Is(err, engine.ErrLost):
		return tr("The connection was lost")
	case errors.Is(err, engine.ErrBlocked):
		return tr("Blocked")
	}
	return tr("Disconnected")
}
