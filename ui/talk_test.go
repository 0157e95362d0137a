package ui

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"

	"multipeer/engine"
	"multipeer/engine/enginetest"
	"multipeer/internal/history"
	"multipeer/internal/settings"
	"multipeer/ui/internal/widgets"
)

func openHistory(t *testing.T, path string) *history.Store {
	t.Helper()
	h, err := history.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// connect makes a invite b, and b accept.
func connect(t *testing.T, l *loop, a, b *station) {
	t.Helper()
	l.until(t, "reached", func() bool { return a.peers[b.self.ID].Confirmed && b.peers[a.self.ID].Confirmed })
	a.invite(b.self.ID)
	l.until(t, "the question", func() bool { return len(b.invites.open) == 1 })
	for _, c := range b.invites.open {
		test.Tap(c.accept)
	}
	l.until(t, "connected", func() bool { return a.peers[b.self.ID].HasSession() && b.peers[a.self.ID].HasSession() })
}

// TestTalk_SurvivesARestart checks that the rows, the draft, the unread count and the waiting messages survive a
// restart.
func TestTalk_SurvivesARestart(t *testing.T) {
	a, l, net := newTestApp(t), newLoop(), enginetest.New(t, time.Millisecond)
	path := filepath.Join(t.TempDir(), "h")
	h := openHistory(t, path)
	anna := newStationWith(t, a, l, net, "Anna", Options{History: h})
	ben := newStation(t, a, l, net, "Ben")
	id := ben.self.ID
	l.until(t, "reached", func() bool { return anna.peers[id].Confirmed })
	connect(t, l, anna, ben)
	anna.choose(anna.talk(id))
	anna.composer.entry.SetText("one")
	anna.composer.sendText()
	l.until(t, "delivered", func() bool { return strings.HasSuffix(anna.bubbles()[0], "Delivered") })
	ben.outbox.deliver(ben.talk(anna.self.ID), "```\nnot chosen\n```")
	anna.choose(anna.talk(engine.PeerID{}))
	l.until(t, "unread", func() bool { return anna.talk(id).unread == 1 })

	go func() { _ = ben.node.Stop() }()
	l.until(t, "gone", func() bool { _, here := anna.peers[id]; return !here })
	anna.choose(anna.talk(id))
	anna.outbox.deliver(anna.talk(id), "for later")
	anna.settle()
	if b := anna.bubbles(); !strings.HasSuffix(b[len(b)-1], "Sends when Ben is back") {
		t.Errorf("it reports %q", b[len(b)-1])
	}
	anna.composer.entry.SetText("half a thou")
	anna.Close()
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}

	h = openHistory(t, path)
	s := newStageWith(t, Options{History: h})
	tk := s.talk(id)
	if tk.name != "Ben" || tk.draft != "half a thou" || tk.unread != 0 || len(tk.open) != 1 {
		t.Errorf("came back as %q, %q, %d, %v", tk.name, tk.draft, tk.unread, tk.open)
	}
	s.side.refresh()
	if r := s.side.rows[id]; r == nil || r.name.Text != "Ben" || r.status.Text != "Not nearby" {
		t.Error("an old conversation is not in the list")
	}
	s.choose(tk)
	var texts []string
	for _, i := range s.items(tk) {
		if b, ok := i.(*widgets.Bubble); ok {
			texts = append(texts, b.Text)
		}
	}
	if want := []string{"one", "```\nnot chosen\n```", "for later"}; !slices.Equal(texts, want) {
		t.Errorf("came back as %q", texts)
	}
	if s.composer.entry.Text != "half a thou" {
		t.Errorf("the draft is %q", s.composer.entry.Text)
	}
}

// TestTalk_WaitingMessagesAreSentInOrder checks the order in which waiting messages arrive once the peer accepts.
func TestTalk_WaitingMessagesAreSentInOrder(t *testing.T) {
	a, l, net := newTestApp(t), newLoop(), enginetest.New(t, time.Millisecond)
	anna, ben := newStation(t, a, l, net, "Anna"), newStation(t, a, l, net, "Ben")
	id := ben.self.ID
	l.until(t, "reached", func() bool { return anna.peers[id].Confirmed && ben.peers[anna.self.ID].Confirmed })
	anna.choose(anna.talk(id))
	for _, text := range []string{"one", "two", "three"} {
		anna.composer.entry.SetText(text)
		anna.composer.sendText()
	}
	if b := anna.bubbles(); len(b) != 3 || !strings.HasSuffix(b[0], "Waiting for Ben to accept…") {
		t.Errorf("before the answer: %q", b)
	}
	l.until(t, "the question", func() bool { return len(ben.invites.open) == 1 })
	for _, c := range ben.invites.open {
		test.Tap(c.accept)
	}
	ben.choose(ben.talk(anna.self.ID))
	l.until(t, "all three", func() bool { return len(ben.bubbles()) == 3 })
	for i, want := range []string{"one", "two", "three"} {
		if !strings.HasPrefix(ben.bubbles()[i], want+" | ") {
			t.Errorf("arrived as %q", ben.bubbles())
		}
	}
	l.until(t, "delivered", func() bool { return len(anna.talk(id).open) == 0 })
}

// TestTalk_DeclinedMessagesFailWithTheReason also checks that the messages can be sent again.
func TestTalk_DeclinedMessagesFailWithTheReason(t *testing.T) {
	a, l, net := newTestApp(t), newLoop(), enginetest.New(t, time.Millisecond)
	anna, ben := newStation(t, a, l, net, "Anna"), newStation(t, a, l, net, "Ben")
	id := ben.self.ID
	l.until(t, "reached", func() bool { return anna.peers[id].Confirmed && ben.peers[anna.self.ID].Confirmed })
	anna.choose(anna.talk(id))
	anna.composer.entry.SetText("hello")
	anna.composer.sendText()
	l.until(t, "the question", func() bool { return len(ben.invites.open) == 1 })
	for _, c := range ben.invites.open {
		test.Tap(c.Body.Objects[1].(*fyne.Container).Objects[1].(fyne.Tappable)) // Decline
	}
	l.until(t, "the reason", func() bool { return strings.HasSuffix(anna.bubbles()[0], "Not delivered. Ben declined.") })
	b := anna.items(anna.current)[0].(*widgets.Bubble)
	if b.Again.Hidden {
		t.Fatal("no way to try again")
	}
	for _, i := range ben.items(ben.talk(anna.self.ID)) {
		if n, ok := i.(*widgets.Notice); ok && n.Text.Text == "You declined Anna's request to connect" {
			test.Tap(b.Again)
			if !strings.Contains(anna.bubbles()[0], "Waiting for Ben") {
				t.Errorf("after the tap: %q", anna.bubbles()[0])
			}
			return
		}
	}
	t.Error("Ben's window does not say what was declined")
}

func TestSearch_LeadsToTheMessage(t *testing.T) {
	s := newStage(t, nil)
	fillHistory(s.o.History, s.ben.String(), 900)
	s.talk(s.ben).forget()
	s.peers3()
	s.side.search.SetText("450")
	s.l.until(t, "hits", func() bool { return len(s.side.hits.Objects) == 1 })
	if len(s.side.order) != 0 {
		t.Errorf("devices with that name: %d", len(s.side.order))
	}
	test.Tap(s.side.hits.Objects[0].(fyne.Tappable))
	if got := shownRows(s.timeline); len(got) < 2 || !strings.HasPrefix(got[1], "450 ") {
		t.Errorf("went to %q", got)
	}
	s.side.search.SetText("eva")
	s.l.until(t, "no hits", func() bool { return len(s.side.hits.Objects) == 0 })
	if len(s.side.order) != 1 || s.side.order[0] != s.eva {
		t.Errorf("devices called eva: %d", len(s.side.order))
	}
	s.side.search.OnEscape()
	if len(s.side.order) != 3 {
		t.Errorf("after Escape: %d", len(s.side.order))
	}
}

// TestSnippet checks that the search text is found whatever letters surround it.
func TestSnippet(t *testing.T) {
	for text, want := range map[string]string{
		"short ÄB": "short ÄB",
		strings.Repeat("x ", 50) + "the äb of it": "…x x x x the äb of it",
		"\u0130 äb": "\u0130 äb", // a letter whose lower case is longer
	} {
		if got := snippet(text, "äb"); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestClear_ForgetsTheConversation(t *testing.T) {
	s := newStage(t, nil)
	s.conversation()
	tk := s.talk(s.ben)
	s.clearTalk(tk)
	s.tap("ask", "Clear")
	s.l.until(t, "cleared", func() bool { return tk.Count() == 0 })
	if len(s.timeline.InView()) != 0 || len(tk.open) != 0 {
		t.Errorf("%d rows are left", len(s.timeline.InView()))
	}
	if _, kept := s.o.History.Talks()[tk.key]; kept {
		t.Error("the history still has it")
	}
}

// tap taps a button of the open modal.
func (s *stage) tap(_, label string) {
	s.t.Helper()
	m, ok := s.dialogs.open.(*widgets.Modal)
	if !ok {
		s.t.Fatalf("nothing is asked where %q was to be tapped", label)
	}
	for _, b := range m.Buttons {
		if labelOf(b) == label {
			test.Tap(b.(fyne.Tappable))
			return
		}
	}
	s.t.Fatalf("no button %q", label)
}

func TestLocalName_IsKeptBesideTheDeviceName(t *testing.T) {
	dir := t.TempDir()
	set, err := settings.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := newStage(t, set)
	s.peers3()
	s.rename(s.talk(s.eva))
	entry := s.w.Canvas().Focused().(*widgets.Field)
	entry.SetText("bad\u202ename")
	s.tap("", "Save")
	if !strings.Contains(s.toast.Text.Text, "bidi") && s.dialogs.open == nil {
		t.Errorf("a hostile name was kept: %q", s.toast.Text.Text)
	}
	entry.SetText("My sister's Mac")
	s.tap("", "Save")
	if s.side.rows[s.eva].name.Text != "My sister's Mac" {
		t.Errorf("the row reports %q", s.side.rows[s.eva].name.Text)
	}
	s.choose(s.talk(s.eva))
	s.settle()
	if !strings.Contains(s.header.status.Text, "device name: Eva") {
		t.Errorf("the header reports %q", s.header.status.Text)
	}
	if kept, err := settings.Load(dir); err != nil || kept.Names[s.eva.String()] != "My sister's Mac" {
		t.Errorf("kept: %v, %v", kept.Names, err)
	}
	if s.talk(s.eva).name != "Eva" {
		t.Error("what it calls itself is lost")
	}
}

// TestNames_EqualOnesAreDistinguished also checks that what a peer announces about itself is only looked up, never
// shown.
func TestNames_EqualOnesAreDistinguished(t *testing.T) {
	s := newStage(t, nil)
	for i, id := range []engine.PeerID{s.ben, s.eva} {
		s.take(engine.PeerChanged{Peer: engine.Peer{ID: id, Name: "Ben", Info: map[string]string{"kind": []string{"phone", "<evil>"}[i], "color": []string{"2", "99"}[i]}}})
	}
	s.settle()
	if a, b := s.side.rows[s.ben].status.Text, s.side.rows[s.eva].status.Text; a != s.ben.Short()+" · Phone · Checking…" || b != s.eva.Short()+" · Checking…" {
		t.Errorf("%q, %q", a, b)
	}
	if s.colorOf(s.ben) != widgets.RGB(widgets.AvatarColors[1]) || s.colorOf(s.eva) != colorOf(s.eva, 0) {
		t.Error("the colours")
	}
}

// TestPaste_OffersFiles checks that files that were copied in a file manager become an offer, and that other text does
// not.
func TestPaste_OffersFiles(t *testing.T) {
	dir := t.TempDir()
	odd := filepath.Join(dir, "a+b 100% ü.txt")
	if err := os.WriteFile(odd, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	s := newStage(t, nil)
	s.peers3()
	s.choose(s.talk(s.ben))
	fyne.CurrentApp().Clipboard().SetContent(odd)
	s.composer.entry.TypedShortcut(&fyne.ShortcutPaste{Clipboard: fyne.CurrentApp().Clipboard()})
	s.l.until(t, "the question", func() bool { return s.dialogs.open != nil })
	if s.composer.entry.Text != "" {
		t.Errorf("a path was pasted as text: %q", s.composer.entry.Text)
	}
	s.dialogs.open.Hide() // answers no, so the path is pasted as text
	if s.composer.entry.Text != odd {
		t.Errorf("after the no: %q", s.composer.entry.Text)
	}
	s.composer.entry.SetText("")
	fyne.CurrentApp().Clipboard().SetContent(dir + "/none")
	s.composer.entry.TypedShortcut(&fyne.ShortcutPaste{Clipboard: fyne.CurrentApp().Clipboard()})
	s.l.until(t, "a path that is none, as text", func() bool { return s.composer.entry.Text == dir+"/none" })
	s.composer.entry.SetText("")
	fyne.CurrentApp().Clipboard().SetContent("just text")
	s.composer.entry.TypedShortcut(&fyne.ShortcutPaste{Clipboard: fyne.CurrentApp().Clipboard()})
	if s.composer.entry.Text != "just text" {
		t.Errorf("text was pasted as %q", s.composer.entry.Text)
	}
}

// TestClear_NumbersOfRowsAreNotReused checks that a reference to a cleared row changes no other row, and that an open
// request is shown again.
func TestClear_NumbersOfRowsAreNotReused(t *testing.T) {
	s := newStage(t, nil)
	s.peers3()
	tk := s.talk(s.eva)
	s.choose(tk)
	i := &engine.Invitation{ID: "i", Peer: s.UI.peers[s.eva]}
	s.invites.take(i)
	sending := s.add(tk, history.Row{Kind: history.Text, Own: true, Text: "old", State: history.Sending}, nil)
	if err := s.o.History.Clear(tk.key); err != nil {
		t.Fatal(err)
	}
	s.cleared(tk)
	at := s.add(tk, history.Row{Kind: history.Text, Own: true, Text: "new", State: history.Queued}, nil)
	s.outbox.posted(sending, []engine.Result{{Peer: s.eva}}, nil)
	if r := tk.data(at.seq); r.State != history.Queued || r.Text != "new" {
		t.Errorf("the new message became %+v", r)
	}
	if tk.Count() != 2 || tk.shown(tk.first) != widgets.Item(s.invites.open["i"]) {
		t.Errorf("%d rows; the request is not asked again", tk.Count())
	}
	s.invites.withdrawn(i)
	if r := tk.data(at.seq); r.Text != "new" {
		t.Errorf("the new message became %+v", r)
	}
}

// TestTalk_OldestRowsAreDroppedAndNewestShown exceeds the row limit of an in-memory conversation.
func TestTalk_OldestRowsAreDroppedAndNewestShown(t *testing.T) {
	s := newStage(t, nil)
	s.peers3()
	tk := s.talk(s.ben)
	s.choose(tk)
	for i := range 5003 {
		s.add(tk, history.Row{Kind: history.Text, Text: fmt.Sprint("row ", i)}, nil)
	}
	s.settle()
	if got := last(s.timeline); got != "row 5002" {
		t.Errorf("the newest is shown as %q", got)
	}
	if tk.Count() > 5000 {
		t.Errorf("%d rows", tk.Count())
	}
}

// TestTalk_ManyWaitingMessagesArriveInOrder sends more messages than the engine accepts at once.
func TestTalk_ManyWaitingMessagesArriveInOrder(t *testing.T) {
	a, l, net := newTestApp(t), newLoop(), enginetest.New(t, time.Millisecond)
	anna, ben := newStation(t, a, l, net, "Anna"), newStation(t, a, l, net, "Ben")
	id := ben.self.ID
	l.until(t, "reached", func() bool { return anna.peers[id].Confirmed && ben.peers[anna.self.ID].Confirmed })
	tk := anna.talk(id)
	for i := range 400 {
		anna.outbox.deliver(tk, fmt.Sprint(i))
	}
	l.until(t, "the question", func() bool { return len(ben.invites.open) == 1 })
	for _, c := range ben.invites.open {
		test.Tap(c.accept)
	}
	l.until(t, "all delivered", func() bool { return len(tk.open) == 0 })
	there := ben.talk(anna.self.ID)
	l.until(t, "all shown", func() bool { return there.Count() >= 400 && there.data(there.next-1).Text == "399" })
	n := 0
	for seq := there.first; seq < there.next; seq++ {
		if r := there.data(seq); r.Kind == history.Text {
			if r.Text != fmt.Sprint(n) {
				t.Fatalf("message %d is %q", n, r.Text)
			}
			n++
		}
	}
	if n != 400 {
		t.Errorf("%d of 400 arrived", n)
	}
}

// TestSnapshot_EndsWhatItDoesNotList covers a window that has fallen behind the engine's events.
func TestSnapshot_EndsWhatItDoesNotList(t *testing.T) {
	s := newStage(t, nil)
	s.peers3()
	s.invites.take(&engine.Invitation{ID: "i", Peer: s.UI.peers[s.eva]})
	s.transfers.take(s.transferOf(engine.Moving, false, nil))
	s.transfers.offers["gone"] = &engine.Offer{}
	s.apply([]engine.Event{engine.Snapshot{Self: s.self, Peers: s.e.Peers()}})
	if len(s.invites.open) != 0 || len(s.transfers.offers) != 0 || s.transfers.count().moving != 0 {
		t.Errorf("left: %d requests, %d offers, %+v", len(s.invites.open), len(s.transfers.offers), s.transfers.count())
	}
}

// TestLinks_AskBeforeTheyOpen opens a link in a message, and the dialog that selects parts of the message.
func TestLinks_AskBeforeTheyOpen(t *testing.T) {
	s := newStage(t, nil)
	s.peers3()
	s.receive(engine.Message{From: s.ben, Name: "Ben", Body: []byte(`{"text":"See https://example.org/how?x=1, and javascript:alert(1)."}`), At: time.Now()})
	s.choose(s.talk(s.ben))
	s.settle()
	text := "See https://example.org/how?x=1, and javascript:alert(1)."
	links := linksIn(text)
	if len(links) != 1 || text[links[0][0]:links[0][1]] != "https://example.org/how?x=1" {
		t.Fatalf("links at %v", links)
	}
	s.dialogs.openLinkIn("https://example.org/how?x=1")
	if len(s.desk.opened) != 0 || s.dialogs.open == nil {
		t.Fatal("the link opens without a question")
	}
	s.tap("", "Open")
	s.l.until(t, "the page", func() bool { return len(s.desk.opened) == 1 })
	if got := <-s.desk.opened; got != "https://example.org/how?x=1" {
		t.Errorf("opened %s", got)
	}
	s.dialogs.selectText(text)
	if s.dialogs.open == nil {
		t.Error("no text can be selected")
	}
}

// TestLinks_HostIsShownInASCII checks that letters that look like those of a known host are shown as different.
func TestLinks_HostIsShownInASCII(t *testing.T) {
	for link, want := range map[string]string{
		"https://example.org/x":                        "example.org",
		"https://example.org:8080/x":                   "example.org:8080",
		"https://аррӏе.com/":                           "xn--80ak6aa92e.com",
		"http://bank.com%E2%88%95login.evil.example/x": "bank.xn--comlogin-",
	} {
		target, err := url.Parse(link)
		if err != nil {
			t.Fatal(err)
		}
		if got := hostText(target); !strings.HasPrefix(got, want) || strings.ContainsFunc(got, func(r rune) bool { return r > 127 }) {
			t.Errorf("%s is shown as %s", link, got)
		}
	}
}
