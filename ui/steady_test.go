package ui

import (
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/storage"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
	"multipeer/engine/enginetest"
	"multipeer/internal/singleinstance"
	"multipeer/transfer"
	"multipeer/ui/internal/widgets"
)

// TestRequest_ChangesNoPage checks that requests from strangers do not change the page while the user types into its
// search field.
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

// TestCard_IgnoresAPressWhereItHasJustCome covers a stranger's offer that takes the place of a friend's on the
// transfers page.
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
		c.actions.accept = func(transfer.Existing) bool { accepted += string(id) + " "; return true }
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

// TestPairing_IgnoresAPressOnANewButton exists because the other device determines when "Cancel" becomes "Yes, it was
// chosen".
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
	press(t, c, "Yes, it's selected")
	if confirmed != 0 {
		t.Error("confirmed by a press for another button")
	}
	c.since = c.since.Add(-lookAgain)
	press(t, c, "Yes, it's selected")
	if confirmed != 1 {
		t.Errorf("confirmed %d times", confirmed)
	}
}

// TestSearch_EnterFindsTheKnownDevice covers a stranger that has the name of a known device and was used more recently.
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

// TestSending_AsksAfterTheListHasChanged covers a change of name that moves other devices under the pointer.
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

// centre returns the middle of an object, where a user clicks.
func centre(o fyne.CanvasObject) fyne.Position {
	at, of := fyne.CurrentApp().Driver().AbsolutePositionForObject(o), o.Size()
	return at.AddXY(of.Width/2, of.Height/2)
}

// TestBanner_IgnoresAPressWhenItsWarningGoes covers a request from a stranger with a familiar name, for which the
// banner has only Show. When the stranger renames itself, Accept appears in the place of Show.
func TestBanner_IgnoresAPressWhenItsWarningGoes(t *testing.T) {
	s := newStage(t, nil)
	s.peers3()
	named := func(name string, like engine.PeerID) {
		s.apply([]engine.Event{engine.PeerChanged{Peer: engine.Peer{ID: s.eva, Name: name, State: engine.Found, Confirmed: true, LooksLike: like}}})
	}
	named("Ben", s.ben)
	s.invites.take(&engine.Invitation{ID: "i", Peer: s.peers[s.eva]})
	accepted := false
	s.invites.open["i"].agree = func() { accepted = true }
	s.settle()
	at := centre(s.banner.show)
	s.banner.since = time.Time{} // as if the user had read it
	named("Eva", engine.PeerID{})
	test.TapCanvas(s.w.Canvas(), at)
	if accepted {
		t.Error("a press at Show has accepted the request")
	}
	s.banner.since = time.Time{}
	test.TapCanvas(s.w.Canvas(), centre(s.banner.accept))
	if !accepted {
		t.Error("a later press at Accept has no effect")
	}
}

// TestBanner_IgnoresAPressWhenTheSameIDIsAnotherOffer exists because peers choose the IDs of their offers.
func TestBanner_IgnoresAPressWhenTheSameIDIsAnotherOffer(t *testing.T) {
	s := newStage(t, nil)
	s.peers3()
	offer := func(name string, files int64) {
		tr := s.transferOf(engine.Offered, true, func(t *engine.Transfer) {
			t.ID, t.Peer, t.PeerName, t.Names, t.Items, t.Files = "same", s.eva, "Eva", []string{name}, 1, files
		})
		s.transfers.offers["same"] = &engine.Offer{Transfer: tr}
		s.transfers.take(tr)
		s.settle()
	}
	offer("photo.jpg", 1)
	s.banner.since = time.Time{}
	before := s.banner.text.Text
	offer("everything", 500_000)
	if s.banner.text.Text == before || time.Since(s.banner.since) > lookAgain {
		t.Errorf("the banner says %q and takes a press at once", s.banner.text.Text)
	}
}

// TestHeader_AlertIgnoresAPressWhenItChanges exists because a device that looks like another one determines, by its
// connection, which buttons its alert has.
func TestHeader_AlertIgnoresAPressWhenItChanges(t *testing.T) {
	s := newStage(t, nil)
	s.peers3()
	is := func(confirmed bool) {
		s.apply([]engine.Event{engine.PeerChanged{Peer: engine.Peer{ID: s.eva, Name: "Ben", State: engine.Found, Confirmed: confirmed, LooksLike: s.ben}}})
	}
	is(true)
	s.choose(s.talk(s.eva))
	s.settle()
	invited := false
	h := s.header
	h.action = func() { invited = true }
	at := centre(h.check)
	h.since = time.Time{}
	is(false)
	h.action = func() { invited = true }
	if h.check.Visible() || !h.connect.Visible() {
		t.Fatal("the buttons did not change")
	}
	test.TapCanvas(s.w.Canvas(), at)
	if invited {
		t.Error("a press at Verify has invited the device")
	}
	h.since = time.Time{}
	test.TapCanvas(s.w.Canvas(), centre(h.connect))
	if !invited {
		t.Error("a later press at Connect anyway has no effect")
	}
}

// TestHeader_AlertMovesTheCards checks that cards ignore a press if the alert above them has just appeared or gone.
func TestHeader_AlertMovesTheCards(t *testing.T) {
	s := newStage(t, nil)
	s.peers3()
	named := func(name string, like engine.PeerID) {
		s.apply([]engine.Event{engine.PeerChanged{Peer: engine.Peer{ID: s.eva, Name: name, State: engine.Found, Confirmed: true, LooksLike: like}}})
	}
	named("Ben", s.ben)
	s.choose(s.talk(s.eva))
	s.invites.take(&engine.Invitation{ID: "i", Peer: s.peers[s.eva]})
	s.settle()
	c := s.invites.open["i"]
	for _, next := range []struct {
		name string
		like engine.PeerID
	}{{"Eva", engine.PeerID{}}, {"Ben", s.ben}} {
		before := centre(c.accept)
		c.since = time.Time{}
		named(next.name, next.like)
		if centre(c.accept) == before {
			t.Errorf("%s: the card did not move", next.name)
		}
		if time.Since(c.since) > lookAgain {
			t.Errorf("%s: the card takes a press where it has just come", next.name)
		}
	}
}

// TestLink_FromAnotherProgramReplacesNoQuestion exists because a page in the browser may open a link at any moment.
func TestLink_FromAnotherProgramReplacesNoQuestion(t *testing.T) {
	link := "multipeer://" + engine.PeerID{6, 6, 6}.String() + "/?at=127.0.0.1:6666&s=" + strings.Repeat("b", 26)
	s := newStation(t, newTestApp(t), newLoop(), enginetest.New(t, 0), "Me")
	sent := false
	s.dialogs.ask("Send to 3 devices?", "report.pdf", "Send", func() { sent = true })
	first := s.dialogs.open.(*widgets.Modal)
	yes := func(m *widgets.Modal) *widget.Button { return m.Buttons[len(m.Buttons)-1].(*widget.Button) }
	s.taken(singleinstance.Launch{Link: link})
	if s.dialogs.open != hidden(first) {
		t.Fatal("the link has replaced the question")
	}
	test.Tap(yes(first))
	if !sent || s.dialogs.open != nil {
		t.Fatal("the question was not answered")
	}
	s.second()
	second, ok := s.dialogs.open.(*widgets.Modal)
	if !ok {
		t.Fatal("the link is forgotten")
	}
	test.Tap(yes(second)) // meant for something else
	if s.connecting.dialing || s.dialogs.open != hidden(second) {
		t.Error("a press right after the question came has answered it")
	}
}

// TestOffer_TotalsThatHaveJustChangedAreNotAccepted checks that a press on Accept applies only to totals that the card
// has shown for at least a second.
func TestOffer_TotalsThatHaveJustChangedAreNotAccepted(t *testing.T) {
	s := newStage(t, nil)
	s.peers3()
	counted := func(n int64) {
		s.transfers.take(s.transferOf(engine.Offered, true, func(t *engine.Transfer) {
			t.ID, t.Peer, t.PeerName, t.Items, t.Files, t.Folders, t.Bytes, t.Counting = "o", s.dora, "Dora", 1, 3, 1, n, true
			t.Names = []string{"photos"}
		}))
		s.settle()
	}
	counted(20)
	counted(500e9)
	if seen, ok := s.transfers.seen("o"); !ok || seen.Bytes != 20 {
		t.Errorf("a press right after the totals have changed accepts %d bytes", seen.Bytes)
	}
	for i := range s.transfers.counted["o"] {
		s.transfers.counted["o"][i].until = time.Now().Add(-lookAgain)
	}
	if seen, _ := s.transfers.seen("o"); seen.Bytes != 500e9 {
		t.Errorf("a second later, a press accepts %d bytes", seen.Bytes)
	}
}

// TestHeader_IgnoresAPressWhenAButtonTakesThePlaceOfAnother covers a stranger that withdraws its invitation, so that
// Connect takes the place of Verify, and a peer that declines, so that Withdraw becomes Connect.
func TestHeader_IgnoresAPressWhenAButtonTakesThePlaceOfAnother(t *testing.T) {
	s := newStage(t, nil)
	s.peers3()
	state := func(st engine.State) engine.Peer {
		p := engine.Peer{ID: s.eva, Name: "Eva", State: st, Confirmed: true}
		s.apply([]engine.Event{engine.PeerChanged{Peer: p}})
		return p
	}
	i := &engine.Invitation{ID: "i", Peer: state(engine.Found)}
	s.invites.take(i)
	s.choose(s.talk(s.eva))
	s.settle()
	h := s.header
	for name, c := range map[string]struct {
		button *widget.Button
		before func()
		change func()
	}{
		"Verify":   {h.verify, func() {}, func() { s.invites.withdrawn(i) }},
		"Withdraw": {h.button, func() { state(engine.Connecting) }, func() { state(engine.Found) }},
	} {
		c.before()
		s.settle()
		at := centre(c.button)
		h.since = time.Time{} // as if the user had read it
		c.change()
		s.settle()
		connected := false
		h.action = func() { connected = true }
		test.TapCanvas(s.w.Canvas(), at)
		if connected {
			t.Errorf("a press at %s connects", name)
		}
	}
}
