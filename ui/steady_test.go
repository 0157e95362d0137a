package ui

import (
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/storage"
	"fyne.io/fyne/v2/test"

	"multipeer/engine"
)

// TestRequest_ChangesNoPage: the user types into the search field of the first page when strangers ask for something.
func TestRequest_ChangesNoPage(t *testing.T) {
	s := newStage(t, nil)
	s.peers3()
	s.w.Canvas().Focus(s.side.search)
	s.invites.take(&engine.Invitation{ID: "i", Peer: s.peers[s.eva]})
	s.transfers.take(s.transferOf(engine.Offered, true, func(t *engine.Transfer) { t.Peer, t.PeerName = s.dora, "Dora" }))
	s.pairings.take(engine.Pairing{Peer: s.ben, Name: "Ben", Stage: engine.PairingAsked})
	s.settle()
	if s.current != nil || s.page != pageEmpty || s.w.Canvas().Focused() != fyne.Focusable(s.side.search) {
		t.Errorf("a request changed the page or the focus: page %d, focus %T", s.page, s.w.Canvas().Focused())
	}
	if !s.banner.box.Visible() {
		t.Error("the request is not shown")
	}
}

// TestCard_IgnoresAPressWhereItHasJustCome: on the page of transfers, a stranger's offer takes the place of a friend's.
func TestCard_IgnoresAPressWhereItHasJustCome(t *testing.T) {
	s := newStage(t, nil)
	s.peers3()
	offer := func(id engine.TransferID, from engine.PeerID, at time.Time) {
		s.transfers.take(s.transferOf(engine.Offered, true, func(t *engine.Transfer) { t.ID, t.Peer, t.Started = id, from, at }))
		s.settle()
	}
	offer("friend", s.ben, noon)
	s.showTransfers()
	accepted := ""
	watch := func(id engine.TransferID) *transferCard {
		c := s.moves.card(id)
		c.actions.accept = func(engine.Existing) { accepted += string(id) + " " }
		return c
	}
	friend := watch("friend")
	offer("stranger", s.dora, noon.Add(time.Minute))
	stranger := watch("stranger")
	test.Tap(stranger.accept)
	test.Tap(friend.accept)
	if accepted != "" {
		t.Errorf("accepted %q right after the cards moved", accepted)
	}
	if !s.toast.Box.Visible() {
		t.Error("the user does not learn that the press was ignored")
	}
	friend.since = friend.since.Add(-lookAgain)
	s.apply([]engine.Event{engine.PeerChanged{Peer: engine.Peer{ID: s.eva, Name: "Eva 2", State: engine.Found, Confirmed: true}}}) // moves no card
	test.Tap(friend.accept)
	if accepted != "friend " {
		t.Errorf("accepted %q afterwards", accepted)
	}
}

// TestPairing_IgnoresAPressOnANewButton: the other device decides when "Cancel" becomes "Yes, it was chosen".
func TestPairing_IgnoresAPressOnANewButton(t *testing.T) {
	s := newStage(t, nil)
	s.peers3()
	s.choose(s.talk(s.ben))
	s.pairings.take(engine.Pairing{Peer: s.ben, Name: "Ben", Stage: engine.PairingStarted})
	c := s.pairings.cards[s.ben]
	confirmed := 0
	c.actions.confirm = func(string) { confirmed++ }
	s.pairings.take(engine.Pairing{Peer: s.ben, Name: "Ben", Stage: engine.PairingCompare, Code: "541 152"})
	s.settle()
	press(t, c, "Yes, it was chosen")
	if confirmed != 0 {
		t.Error("confirmed by a press for another button")
	}
	c.since = c.since.Add(-lookAgain)
	press(t, c, "Yes, it was chosen")
	if confirmed != 1 {
		t.Errorf("confirmed %d times", confirmed)
	}
}

// TestSearch_EnterFindsTheKnownDevice: a stranger has the name of a known device and was used later.
func TestSearch_EnterFindsTheKnownDevice(t *testing.T) {
	s := newStage(t, nil)
	s.apply([]engine.Event{
		engine.PeerChanged{Peer: engine.Peer{ID: s.ben, Name: "Ben", State: engine.Found, Confirmed: true, Trust: engine.TrustVerified}},
		engine.PeerChanged{Peer: engine.Peer{ID: s.eva, Name: "Ben", State: engine.Found, Confirmed: true, LooksLike: s.ben}},
	})
	if err := s.e.SetTrust(s.ben, engine.TrustVerified); err != nil {
		t.Fatal(err)
	}
	s.invites.take(&engine.Invitation{ID: "i", Peer: s.peers[s.eva]})
	s.settle()
	s.side.search.SetText("Ben")
	s.side.search.OnSubmitted("Ben")
	if s.current != s.talk(s.ben) {
		t.Errorf("Enter opened %q", s.nameOf(s.current))
	}
	s.apply([]engine.Event{engine.PeerLost{Peer: engine.Peer{ID: s.ben, Name: "Ben"}}})
	s.choose(nil)
	s.sending.wait([]string{"/home/anna/letter.txt"})
	s.side.search.SetText("Ben")
	s.side.search.OnSubmitted("Ben")
	if s.current != nil || s.dialogs.open == nil || len(s.sending.paths) != 1 {
		t.Errorf("the files went to a stranger without a question: %v", s.sending.paths)
	}
}

// TestSending_AsksAfterTheListHasChanged: a name changes, and other devices come to lie under the pointer.
func TestSending_AsksAfterTheListHasChanged(t *testing.T) {
	s := newStage(t, nil)
	peer := func(id engine.PeerID, name string) {
		s.apply([]engine.Event{engine.PeerChanged{Peer: engine.Peer{ID: id, Name: name, State: engine.Found, Confirmed: true}}})
	}
	peer(s.ben, "Mom")
	peer(s.eva, "Mop")
	s.side.reordered = time.Time{}
	s.sending.wait([]string{"/home/anna/letter.txt"})
	peer(s.eva, "Mol")
	test.Tap(s.side.rows[s.eva])
	if s.dialogs.open == nil || len(s.sending.paths) != 1 {
		t.Error("a tap sends although the list has just changed")
	}
	s.dialogs.open.Hide()
	s.choose(nil)
	file := storage.NewFileURI("/home/anna/letter.txt")
	s.sending.dropped(middleOf(s.home.tiles.tiles[s.eva]), []fyne.URI{file})
	if s.dialogs.open == nil {
		t.Error("a drop sends although the tiles have just changed")
	}
}
