package ui

import (
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
	"multipeer/engine/enginetest"
	"multipeer/internal/chatlog"
	"multipeer/internal/history"
	"multipeer/internal/settings"
	"multipeer/transfer"
	"multipeer/ui/internal/widgets"
)

// Regression tests for problems that users had with the window.

// TestComposer_GrowsWithWrappedLines checks that wrapped text is visible, that the field shrinks again, and that the
// buttons beside it keep their height.
func TestComposer_GrowsWithWrappedLines(t *testing.T) {
	s := newStage(t, nil)
	s.conversation()
	one, button := s.composer.entry.Size().Height, s.composer.send.Size().Height
	for text, rows := range map[string]float32{
		"short":                     1,
		strings.Repeat("word ", 60): 3,
		strings.Repeat("x", 400):    3,
		"a\nb\nc\nd":                4,
		strings.Repeat("many words in a text. ", 900): 8,
		"": 1,
	} {
		s.composer.entry.SetText(text)
		grown := (s.composer.entry.Size().Height - one) / 18
		if grown < (rows-1)*0.8 || rows < 8 && grown > (rows+2)*1.2 {
			t.Errorf("text of %d characters has %.0f units, an empty field %.0f", len(text), s.composer.entry.Size().Height, one)
		}
		if h := s.composer.send.Size().Height; h != button {
			t.Errorf("the button is %.0f units high, not %.0f", h, button)
		}
	}
	s.composer.entry.SetText(strings.Repeat("word ", 60))
	wide := s.composer.entry.Size().Height
	s.w.Resize(fyne.NewSize(420, 800))
	s.pages[pageTalk].Refresh()
	if narrow := s.composer.entry.Size().Height; narrow <= wide {
		t.Errorf("in a narrow window %.0f units, in a wide one %.0f", narrow, wide)
	}
}

// TestComposer_DraftIsContinuedAtItsEnd checks that the cursor is at the end of a draft.
func TestComposer_DraftIsContinuedAtItsEnd(t *testing.T) {
	s := newStage(t, nil)
	s.conversation()
	s.composer.entry.SetText("half a\nsentence")
	s.choose(s.talk(s.eva))
	s.choose(s.talk(s.ben))
	s.composer.entry.TypedRune('X')
	if got := s.composer.entry.Text; got != "half a\nsentenceX" {
		t.Errorf("typed into %q", got)
	}
}

// TestSide_NewNameGetsItsRoom checks that a row is laid out again when its name changes.
func TestSide_NewNameGetsItsRoom(t *testing.T) {
	s := newStage(t, nil)
	s.peers3()
	row := s.side.rows[s.eva]
	before := row.name.Size().Width
	s.apply([]engine.Event{engine.PeerChanged{Peer: engine.Peer{ID: s.eva, Name: "Eva's new computer", State: engine.Found, Confirmed: true}}})
	if after := row.name.Size().Width; after <= before {
		t.Errorf("the name has %.0f units, as before", after)
	}
}

// TestQuestions_ShowTheirSubject checks that a long name does not push the question out of view.
func TestQuestions_ShowTheirSubject(t *testing.T) {
	s := newStage(t, nil)
	p := engine.Peer{ID: s.ben, Name: strings.Repeat("Ben's long name ", 4)}
	for what, title := range map[string]*widgets.Paragraph{
		"to connect":       newInvitationCard(s.UI, p, nil, nil, nil).title,
		"to compare codes": newPairingCard(engine.Pairing{Peer: s.ben, Name: p.Name, Stage: engine.PairingAsked}, pairingFaces{}, pairingActions{}, nil).title,
	} {
		if !strings.HasSuffix(title.Text, what) {
			t.Errorf("%q", title.Text)
		}
	}
}

// TestOffers_OneThatEndsIsNotCounted checks that the remaining cards update the number of open offers.
func TestOffers_OneThatEndsIsNotCounted(t *testing.T) {
	a, l, net := newTestApp(t), newLoop(), enginetest.New(t, time.Millisecond)
	anna, ben := newStation(t, a, l, net, "Anna"), newStation(t, a, l, net, "Ben")
	l.until(t, "reached", func() bool { return anna.peers[ben.self.ID].Confirmed })
	for _, name := range []string{"one", "two"} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		anna.sending.offer(anna.talk(ben.self.ID), []string{path})
	}
	l.until(t, "two offers", func() bool { return len(ben.transfers.offers) == 2 })
	ben.choose(ben.talk(anna.self.ID))
	var cards []*transferCard
	for id := range ben.transfers.offers {
		cards = append(cards, ben.transfers.cardsOf(id)...)
	}
	l.until(t, "both counted", func() bool { return len(cards[0].waiting) == 2 && len(cards[1].waiting) == 2 })
	cards[0].actions.decline()
	l.until(t, "one counted", func() bool { return len(cards[1].waiting) == 1 })
}

// TestOffers_AcceptAllTakesWhatWasCounted checks that "accept all" excludes an offer that arrives while the user aims
// at the button.
func TestOffers_AcceptAllTakesWhatWasCounted(t *testing.T) {
	a, l, net := newTestApp(t), newLoop(), enginetest.New(t, time.Millisecond)
	anna, ben := newStation(t, a, l, net, "Anna"), newStationOn(t, a, l, net.Start(engine.Config{Name: "Ben", Invite: engine.Known, Offers: engine.Everyone}), Options{})
	l.until(t, "reached", func() bool { return anna.peers[ben.self.ID].Confirmed && ben.peers[anna.self.ID].Confirmed })
	if err := ben.e.SetTrust(anna.self.ID, engine.TrustSeen); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	offer := func(name string) {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		anna.sending.offer(anna.talk(ben.self.ID), []string{path})
	}
	states := func(state engine.TransferState) (n int) {
		for _, tr := range ben.transfers.all {
			if tr.State == state {
				n++
			}
		}
		return n
	}
	offer("one")
	offer("two")
	l.until(t, "two offers", func() bool { return len(ben.transfers.offers) == 2 })
	ben.choose(ben.talk(anna.self.ID))
	var c *transferCard
	for id := range ben.transfers.offers {
		c = ben.transfers.cardsOf(id)[0]
	}
	l.until(t, "two counted", func() bool { return len(c.waiting) == 2 })
	counted := c.waiting
	offer("three")
	l.until(t, "three counted", func() bool { return len(c.waiting) == 3 })
	for id := range ben.transfers.offers {
		if !slices.Contains(counted, id) { // its card took the place of another one
			ben.transfers.actions(ben.transfers.all[id]).accept(transfer.SkipIdentical)
		}
	}
	c.acceptCounted() // the label has just changed
	for _, id := range counted {
		delete(ben.transfers.replaced, id) // as if these had arrived more than a second ago
	}
	c.actions.acceptAll(counted)
	l.until(t, "two accepted", func() bool { return states(engine.Delivered) == 2 })
	if states(engine.Offered) != 1 {
		t.Errorf("%d offers are left", states(engine.Offered))
	}
	if _, err := os.Stat(filepath.Join(ben.inbox, "three")); err == nil {
		t.Error("an offer that was not counted was accepted")
	}
}

// TestCancel_AsksAboutWhatHasArrived checks that a single click does not discard received data.
func TestCancel_AsksAboutWhatHasArrived(t *testing.T) {
	s := newStage(t, nil)
	s.allTransfers()
	for _, tr := range s.transfers.all {
		if tr.State != engine.Moving {
			continue
		}
		s.transfers.actions(tr).cancel()
		if s.dialogs.open == nil {
			t.Fatal("it was cancelled at once")
		}
		s.tap("", "Keep going")
	}
	fresh := s.transferOf(engine.Moving, false, func(t *engine.Transfer) { t.Done = 0 })
	s.transfers.take(fresh)
	s.transfers.actions(fresh).cancel()
	if s.dialogs.open != nil {
		t.Error("asked about nothing")
	}
}

// TestTransfers_SayWhoPausedAndCancelled checks the status text, and that only the side that paused a transfer can
// resume it.
func TestTransfers_SayWhoPausedAndCancelled(t *testing.T) {
	s := newStage(t, nil)
	for state, want := range map[engine.TransferState]string{engine.Paused: "paused by Ben's phone", engine.Cancelled: "Ben's phone cancelled"} {
		byPeer := func(t *engine.Transfer) { t.ByPeer = true }
		if got := status(s.transferOf(state, true, byPeer)); !strings.Contains(got, want) {
			t.Errorf("%q", got)
		}
		if got := status(s.transferOf(state, true, nil)); strings.Contains(got, "Ben") {
			t.Errorf("done here: %q", got)
		}
		if c := newTransferCard(s.transferOf(state, true, byPeer), transferActions{}); c.hold.Visible() {
			t.Error("the other side's pause can be ended here")
		}
	}
}

// TestEveryone_GetsFilesOnlyIfTheUserConfirms checks that a tap on Everyone sends nothing by itself.
func TestEveryone_GetsFilesOnlyIfTheUserConfirms(t *testing.T) {
	s := newStage(t, nil)
	s.peers3()
	s.sending.wait([]string{"/x/photo.jpg"})
	s.sending.tapped(s.talk(engine.PeerID{}))
	if s.dialogs.open == nil {
		t.Fatal("sent without a question")
	}
	s.tap("", "Cancel")
	if !slices.Equal(s.sending.paths, []string{"/x/photo.jpg"}) {
		t.Errorf("%q wait", s.sending.paths)
	}
}

// TestQuit_AsksDuringATransfer checks that both Quit and closing a window without a tray ask before they interrupt a
// transfer.
func TestQuit_AsksDuringATransfer(t *testing.T) {
	for name, quit := range map[string]func(*UI){"quit": (*UI).quit, "close": (*UI).closed} {
		s := newStage(t, nil)
		ended := 0
		s.end = func() { ended++ }
		s.allTransfers()
		quit(s.UI)
		if ended != 0 || s.dialogs.open == nil {
			t.Fatalf("%s: ended unasked", name)
		}
		s.tap("", "Keep running")
		quit(s.UI)
		s.tap("", "Quit")
		if ended != 1 {
			t.Errorf("%s: ended %d times", name, ended)
		}
	}
}

// TestForget_AsksInTheSettings checks that a single click does not discard a verification.
func TestForget_AsksInTheSettings(t *testing.T) {
	s := newStage(t, nil)
	if err := s.e.SetTrust(s.ben, engine.TrustVerified); err != nil {
		t.Fatal(err)
	}
	s.showSettings()
	b, ok := find(s.prefs.box, func(b *widget.Button) bool { return b.Text == "Forget…" })
	if !ok {
		t.Fatal("no way to forget a device")
	}
	test.Tap(b)
	if s.dialogs.open == nil || s.e.Trust(s.ben) != engine.TrustVerified {
		t.Error("forgotten unasked")
	}
}

// TestTransfersPage_ListsEarlierRuns checks that the page shows the transfers in the history, under headings.
func TestTransfersPage_ListsEarlierRuns(t *testing.T) {
	h := history.Memory()
	key := idOf(t, 1).String()
	for i, at := range []time.Time{time.Now().AddDate(0, 0, -3), time.Now()} {
		tr := engine.Transfer{ID: engine.TransferID(fmt.Sprint("old ", i)), Peer: idOf(t, 1), Names: []string{fmt.Sprint("file ", i)}, Items: 1, Files: 1, State: engine.Delivered, Incoming: true}
		row := chatlog.Transfer(tr)
		row.At = at
		h.Append(key, row)
	}
	s := newStageWith(t, Options{History: h})
	s.allTransfers()
	s.showTransfers()
	var heads []string
	for i := range s.moves.Count() {
		if h := s.moves.heading(s.moves.shown[i]); len(heads) == 0 || heads[len(heads)-1] != h {
			heads = append(heads, h)
		}
		if it := s.moves.Row(i); it != s.moves.Row(i) {
			t.Error("a row is made again and again")
		}
	}
	if !slices.Equal(heads, []string{"Active", "Today", "Earlier"}) {
		t.Errorf("parts %q", heads)
	}
	if got := s.moves.card(s.moves.shown[len(s.moves.shown)-1]).title.Text; got != "file 0" {
		t.Errorf("the oldest is %q", got)
	}
}

// TestTransfers_ReusedIDIsAnotherTransfer checks an offer that reuses the ID of an earlier transfer. The history of the
// earlier transfer stays as it is, and the offer gets a new row.
func TestTransfers_ReusedIDIsAnotherTransfer(t *testing.T) {
	for _, incoming := range []bool{false, true} {
		h := history.Memory()
		ben := idOf(t, 1)
		earlier := engine.Transfer{ID: "reused", Peer: ben, Names: []string{"diary"}, Items: 1, Files: 1, State: engine.Delivered, Incoming: incoming, Paths: []string{"/home/anna/diary"}, Saved: []string{"/home/anna/Downloads/diary"}}
		h.Append(ben.String(), chatlog.Transfer(earlier))
		want := chatlog.File(earlier)
		s := newStageWith(t, Options{History: h})
		s.transfers.findRows()
		s.transfers.take(engine.Transfer{ID: "reused", Peer: ben, Names: []string{"trick"}, Items: 1, Files: 1, State: engine.Offered, Incoming: true})
		if got := s.transfers.all["reused"].Saved; len(got) > 0 {
			t.Errorf("incoming %v: the offer is at %q", incoming, got)
		}
		rows := h.Rows(ben.String(), 0, 10)
		if len(rows) == 0 || !reflect.DeepEqual(rows[0].File, want) {
			t.Errorf("incoming %v: the history has %+v", incoming, rows[0].File)
		}
		if at, ok := s.transfers.rows["reused"]; !ok || at.seq == 0 {
			t.Errorf("incoming %v: the offer has no row of its own", incoming)
		}
	}
}

// TestList_IsOneStopForTab checks that the arrow keys move in the list, and that the focused row is scrolled into view.
func TestList_IsOneStopForTab(t *testing.T) {
	s := newStage(t, nil)
	for i := range 40 {
		s.apply([]engine.Event{engine.PeerChanged{Peer: engine.Peer{ID: idOf(t, byte(20+i)), Name: fmt.Sprint("device ", i), State: engine.Found, Confirmed: true}}})
	}
	stops := 0
	for _, r := range s.side.stops.all() {
		if !r.row.Disabled() {
			stops++
		}
	}
	if stops != 1 {
		t.Errorf("Tab stops at %d rows", stops)
	}
	s.w.Canvas().Focus(s.side.stops.all()[0].shown)
	for range 30 {
		s.w.Canvas().Focused().TypedKey(&fyne.KeyEvent{Name: fyne.KeyDown})
	}
	r := s.side.stops.all()[30]
	if s.w.Canvas().Focused() != r.shown {
		t.Fatal("the arrows do not move the focus")
	}
	d := fyne.CurrentApp().Driver()
	top := d.AbsolutePositionForObject(r.shown.(fyne.CanvasObject)).Y - d.AbsolutePositionForObject(s.side.scroll).Y
	if top < 0 || top+r.row.Size().Height > s.side.scroll.Size().Height+1 {
		t.Errorf("the focused row is at %.0f of %.0f", top, s.side.scroll.Size().Height)
	}
}

// TestHelp_OpensFromAField checks that F1 works in a field, where the focus usually is.
func TestHelp_OpensFromAField(t *testing.T) {
	s := newStage(t, nil)
	s.conversation()
	s.composer.entry.TypedKey(&fyne.KeyEvent{Name: fyne.KeyF1})
	if s.dialogs.open == nil {
		t.Error("F1 does nothing")
	}
}

// TestNames_GivenByTheUserAreCompared checks that a stranger is marked if its name is one that the user gave to another
// device.
func TestNames_GivenByTheUserAreCompared(t *testing.T) {
	set := &settings.Settings{}
	set.SetName(idOf(t, 1).String(), "Ben")
	s := newStage(t, set)
	s.apply([]engine.Event{
		engine.PeerChanged{Peer: engine.Peer{ID: s.ben, Name: "PC-4711", State: engine.Connected, Trust: engine.TrustVerified, Confirmed: true}},
		engine.PeerChanged{Peer: engine.Peer{ID: s.eva, Name: "Ben", State: engine.Found, Confirmed: true}},
	})
	if got := s.warning(s.peers[s.eva]); got != "Not the Ben you know" {
		t.Errorf("the stranger: %q", got)
	}
	if got := s.warning(s.peers[s.ben]); got != "" {
		t.Errorf("the device itself: %q", got)
	}
}

// TestBlocked_SenderIsNotTold checks that a blocked sender sees only that its messages are not delivered yet.
func TestBlocked_SenderIsNotTold(t *testing.T) {
	s := newStage(t, nil)
	s.apply([]engine.Event{engine.PeerChanged{Peer: engine.Peer{ID: s.ben, Name: "Ben", State: engine.Found, Err: engine.ErrBlocked}}})
	s.choose(s.talk(s.ben))
	at := s.add(s.talk(s.ben), history.Row{Kind: history.Text, Own: true, Text: "hello", State: history.Queued}, nil)
	if got := s.said(at, s.talk(s.ben).data(at.seq)).Stamp; got != "Not delivered yet" {
		t.Errorf("the message: %q", got)
	}
	s.settle()
	if s.header.button.Visible() || strings.Contains(s.header.status.Text, "lock") {
		t.Errorf("the header: %q", s.header.status.Text)
	}
}

// TestPaste_PictureIsShownFirst checks that a pasted picture is shown before it is sent.
func TestPaste_PictureIsShownFirst(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	s := newStage(t, nil)
	s.conversation()
	path := filepath.Join(t.TempDir(), "pasted.png")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	_ = png.Encode(f, image.NewNRGBA(image.Rect(0, 0, 40, 30)))
	_ = f.Close()
	s.composer.askPicture(s.talk(s.ben), path)
	s.l.until(t, "the question", func() bool { return s.dialogs.open != nil })
	s.tap("", "Cancel")
	if _, err := os.Stat(path); err == nil {
		t.Error("a picture that is not sent stays on the disk")
	}
}

// TestVisibility_EndsWhereItBegan checks that the row that turns temporary visibility on also stops it.
func TestVisibility_EndsWhereItBegan(t *testing.T) {
	s := newStage(t, nil)
	s.showSettings()
	if s.prefs.shown.Visible() {
		t.Error("it is offered although this device is always visible to everyone")
	}
	s.o.Settings.Visible = settings.Known
	s.prefs.refreshVisible()
	if !s.prefs.shown.Visible() {
		t.Error("it is not offered")
	}
	is := func(label string) bool {
		_, ok := find(s.prefs.shown, func(b *widget.Button) bool { return b.Text == label })
		return ok
	}
	if !is("Turn on") {
		t.Error("no way to turn it on")
	}
	self := s.self
	self.Visible, self.VisibleTo = engine.VisibleToAll, time.Now().Add(10*time.Minute)
	s.apply([]engine.Event{self})
	if !is("Stop") {
		t.Error("no way to stop it")
	}
}

// TestBanner_RequestsReachEveryPage checks that a request can be seen and answered on every page, that it ignores a
// click meant for something else, and that a suspicious one can be accepted only in its conversation.
func TestBanner_RequestsReachEveryPage(t *testing.T) {
	a, l, net := newTestApp(t), newLoop(), enginetest.New(t, time.Millisecond)
	anna, ben := newStation(t, a, l, net, "Anna"), newStation(t, a, l, net, "Ben")
	l.until(t, "reached", func() bool { return anna.peers[ben.self.ID].Confirmed && ben.peers[anna.self.ID].Confirmed })
	ben.showSettings()
	anna.invite(ben.self.ID)
	l.until(t, "the request over the settings", func() bool { return ben.banner.box.Visible() })
	if got := ben.banner.text.Text; got != "Anna wants to connect" {
		t.Errorf("asked %q", got)
	}
	ben.banner.since = time.Now()
	test.Tap(ben.banner.accept) // the user cannot have read it yet
	if len(ben.invites.open) != 1 {
		t.Error("a click meant for something else has accepted")
	}
	ben.banner.since = ben.banner.since.Add(-lookAgain)
	test.Tap(ben.banner.accept)
	l.until(t, "connected", func() bool { return ben.peers[anna.self.ID].HasSession() && !ben.banner.box.Visible() })

	path := filepath.Join(t.TempDir(), "photo.jpg")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	anna.sending.offer(anna.talk(ben.self.ID), []string{path})
	l.until(t, "the offer over the settings", func() bool { return ben.banner.box.Visible() })
	if got := ben.banner.text.Text; !strings.Contains(got, "photo.jpg") || !strings.Contains(got, "1 byte") {
		t.Errorf("asked %q", got)
	}
	p := ben.peers[anna.self.ID]
	p.LooksLike = idOf(t, 7)
	ben.peers[anna.self.ID] = p
	ben.banner.refresh()
	if ben.banner.accept.Visible() || !ben.banner.show.Visible() || !ben.banner.more.Visible() {
		t.Error("a device with another one's name can be accepted without a look")
	}
	test.Tap(ben.banner.show)
	if ben.page != pageTalk || ben.banner.box.Visible() {
		t.Error("the card is on screen, and the banner too")
	}
}

// TestInvitation_IsAnsweredBeforeAReply checks that nothing can be written to a device whose request to connect is open.
func TestInvitation_IsAnsweredBeforeAReply(t *testing.T) {
	a, l, net := newTestApp(t), newLoop(), enginetest.New(t, time.Millisecond)
	anna, ben := newStation(t, a, l, net, "Anna"), newStation(t, a, l, net, "Ben")
	l.until(t, "reached", func() bool { return anna.peers[ben.self.ID].Confirmed && ben.peers[anna.self.ID].Confirmed })
	ben.choose(ben.talk(anna.self.ID))
	anna.invite(ben.self.ID)
	l.until(t, "the request", func() bool { return len(ben.invites.open) == 1 })
	ben.settle()
	if !ben.composer.entry.Disabled() || ben.header.verify.Visible() {
		t.Error("a message or a verification can begin before the answer")
	}
	for _, c := range ben.invites.open {
		c.since = time.Time{}
		test.Tap(c.accept)
	}
	l.until(t, "connected", func() bool { return ben.peers[anna.self.ID].HasSession() })
	ben.settle()
	if ben.composer.entry.Disabled() {
		t.Error("no reply after the answer")
	}
}

// TestSearch_FieldHasAButtonThatEmptiesIt also checks that groups without results are hidden.
func TestSearch_FieldHasAButtonThatEmptiesIt(t *testing.T) {
	s := newStage(t, nil)
	s.conversation()
	empty := s.side.search.ActionItem.(*widgets.QuietButton)
	if empty.Visible() {
		t.Error("the button is shown without a text")
	}
	s.side.search.SetText("nothing is like this")
	if !empty.Visible() || s.side.hitsHead.Visible() || !s.side.nobody.Visible() {
		t.Error("the search without results")
	}
	test.Tap(empty)
	if s.side.search.Text != "" || empty.Visible() || s.side.sought != "" {
		t.Error("the field is not empty")
	}
}

// TestSearch_FoldsTheCaseOfAnyText checks that the bold part stays inside the text: folding the case of some letters
// changes their length.
func TestSearch_FoldsTheCaseOfAnyText(t *testing.T) {
	newTestApp(t)
	for _, text := range []string{"a k", "İ k", "K", "i\u0307"} {
		for _, sought := range []string{"\u212a", "K", "İ", "k", "ß", "ẞ"} { // U+212A is the Kelvin sign
			newSnippet(text, sought)
		}
	}
}

// TestTitle_ShowsTheProgress checks what a taskbar shows.
func TestTitle_ShowsTheProgress(t *testing.T) {
	s := newStage(t, nil)
	if got := s.w.Title(); got != "Multipeer" {
		t.Errorf("at rest: %q", got)
	}
	s.peers3()
	tr := s.transferOf(engine.Moving, false, nil)
	s.apply([]engine.Event{tr})
	if got := s.w.Title(); got != "25 % – Multipeer" {
		t.Errorf("a quarter: %q", got)
	}
	tr.State = engine.Delivered
	s.apply([]engine.Event{tr})
	if got := s.w.Title(); got != "Multipeer" {
		t.Errorf("at the end: %q", got)
	}
}
