package ui

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
	"multipeer/internal/settings"
	"multipeer/ui/internal/desktop"
)

// message makes a peer send a message while the user is not looking at the window.
func (s *stage) message(from engine.PeerID, name string) {
	s.receive(engine.Message{From: from, Name: name, Body: []byte(`{"text":"secret"}`), At: time.Now()})
}

// noMore checks that no further notification is shown.
func (s *stage) noMore(why string) {
	s.t.Helper()
	time.Sleep(50 * time.Millisecond)
	if n := len(s.desk.notices); n != 0 {
		s.t.Errorf("%d more notifications: %s", n, why)
	}
}

// TestNotifications_OfStrangersHaveNoNamesAndAreFew checks that a stranger cannot put text on the screen, and that all
// strangers share one limit.
func TestNotifications_OfStrangersHaveNoNamesAndAreFew(t *testing.T) {
	s := newStage(t, nil)
	s.peers3()
	s.choose(s.talk(s.eva))
	s.notes.seen(false)
	for range 50 {
		s.message(s.ben, "Ben")
		s.message(s.dora, "Dora")
	}
	if got := <-s.desk.notices; got.Title != "New message" || got.Body != "You have a new message." || got.Buttons != nil {
		t.Errorf("said %+v", got)
	}
	s.noMore("of strangers")
	if s.talk(s.ben).unread != 50 {
		t.Errorf("%d unread", s.talk(s.ben).unread)
	}
	s.notes.seen(true)
	s.message(s.ben, "Ben")
	s.noMore("the user looks at the window")
}

// TestNotifications_NameKnownDevices checks which names are shown under each setting, and that each known device has
// its own limit.
func TestNotifications_NameKnownDevices(t *testing.T) {
	for choice, want := range map[string][2]string{
		settings.NamesKnown:  {"Ben's phone", "New message"},
		settings.NamesHidden: {"New message", ""},
		settings.NamesShown:  {"Ben's phone", "Eva"},
	} {
		s := newStage(t, &settings.Settings{NoticeNames: choice})
		s.peers3()
		s.choose(s.talk(s.dora))
		if err := s.e.SetTrust(s.ben, engine.TrustSeen); err != nil {
			t.Fatal(err)
		}
		s.notes.seen(false)
		for i, from := range []engine.PeerID{s.ben, s.eva, s.ben, s.eva} {
			s.message(from, s.peers[from].Name)
			if i < 2 && want[i] != "" {
				if got := <-s.desk.notices; got.Title != want[i] || got.Body != "You have a new message." {
					t.Errorf("%q: %+v instead of %q", choice, got, want[i])
				}
			}
		}
		s.noMore("too soon")
	}
}

// pressNotice presses a button of a notification.
func pressNotice(t *testing.T, n desktop.Notice, label string) {
	t.Helper()
	for _, b := range n.Buttons {
		if b.Label == label {
			b.Do()
			return
		}
	}
	t.Fatalf("%+v has no button %q", n, label)
}

// TestNotifications_AnswerRequests accepts and declines files with the buttons of notifications.
func TestNotifications_AnswerRequests(t *testing.T) {
	a, l, net := newTestApp(t), newLoop(), enginetest.New(t, time.Millisecond)
	anna, ben := newStation(t, a, l, net, "Anna"), newStation(t, a, l, net, "Ben")
	desk := newFakeDesktop()
	ben.o.Desktop = desk
	l.until(t, "reached", func() bool { return anna.peers[ben.self.ID].Confirmed && ben.peers[anna.self.ID].Confirmed })
	if err := ben.e.SetTrust(anna.self.ID, engine.TrustSeen); err != nil {
		t.Fatal(err)
	}
	anna.choose(anna.talk(ben.self.ID))
	ben.notes.seen(false)
	offer := func(name string) desktop.Notice {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte("0123456789"), 0o600); err != nil {
			t.Fatal(err)
		}
		clear(ben.notes.quiet)
		anna.sending.offer(anna.talk(ben.self.ID), []string{path})
		l.until(t, "a notification about "+name, func() bool { return len(desk.notices) > 0 })
		return <-desk.notices
	}
	first := offer("one.txt")
	if first.Title != "Anna" || first.Body != "Wants to send 10 bytes" {
		t.Errorf("%+v", first)
	}
	pressNotice(t, first, "Accept")
	l.until(t, "delivered", func() bool {
		_, err := os.Stat(filepath.Join(ben.inbox, "one.txt"))
		return err == nil && ben.card(engine.Delivered) != nil
	})
	if n := <-desk.notices; n.Title != "Anna" || n.Body != "Files received: 10 bytes" {
		t.Errorf("%+v", n)
	}
	second := offer("two.txt")
	pressNotice(t, second, "Decline")
	l.until(t, "declined", func() bool { return anna.card(engine.Declined) != nil })
	pressNotice(t, second, "Accept") // too late
	pressNotice(t, first, "Decline")
	l.until(t, "the buttons to have no effect", func() bool { return len(l.queue) == 0 })
	if _, err := os.Stat(filepath.Join(ben.inbox, "two.txt")); err == nil {
		t.Error("a declined file arrived")
	}
}

// TestProgress_IsShownOutsideTheWindow checks the window title and the progress in the dock.
func TestProgress_IsShownOutsideTheWindow(t *testing.T) {
	s := newStage(t, nil)
	s.peers3()
	s.settle()
	if s.w.Title() != "Multipeer" || len(s.desk.dock) != 0 {
		t.Errorf("%q while nothing moves, %d changes in the dock", s.w.Title(), len(s.desk.dock))
	}
	shows := func(want float64) {
		t.Helper()
		s.l.until(t, "a change in the dock", func() bool { return len(s.desk.dock) > 0 })
		if got := <-s.desk.dock; got != want {
			t.Errorf("the dock shows %v, not %v", got, want)
		}
		s.l.until(t, "the dock to be updated", func() bool { return !s.outside.busy })
	}
	moving := s.transferOf(engine.Moving, false, nil)
	s.transfers.take(moving)
	s.settle()
	if s.w.Title() != "25 % – Multipeer" {
		t.Errorf("the title is %q", s.w.Title())
	}
	shows(0.25)
	moving.Done = moving.Bytes / 2
	s.transfers.take(moving)
	s.settle()
	shows(0.5)
	s.settle()
	moving.State = engine.Delivered
	s.transfers.take(moving)
	s.settle()
	shows(-0.01)
	if s.w.Title() != "Multipeer" || len(s.desk.dock) != 0 {
		t.Errorf("%q after the end, %d more changes in the dock", s.w.Title(), len(s.desk.dock))
	}
}

// TestNotifications_AnswerOnlyWhatTheyShow checks that an old notification does not answer another peer's request with
// the same ID: peers choose the IDs.
func TestNotifications_AnswerOnlyWhatTheyShow(t *testing.T) {
	s := newStage(t, nil)
	s.peers3()
	if err := s.e.SetTrust(s.ben, engine.TrustSeen); err != nil {
		t.Fatal(err)
	}
	s.notes.seen(false)
	first, second := &engine.Invitation{ID: "i", Peer: s.peers[s.ben]}, &engine.Invitation{ID: "i", Peer: s.peers[s.eva]}
	s.invites.take(first)
	old := <-s.desk.notices
	s.invites.withdrawn(first)
	s.invites.take(second)
	for _, b := range old.Buttons {
		b.Do()
	}
	s.l.until(t, "the buttons to have run", func() bool { return len(s.l.queue) == 0 })
	if s.invites.open["i"] == nil || s.invites.open["i"].of != second {
		t.Error("the other request was answered")
	}

	offer := s.transferOf(engine.Offered, true, file("photo.jpg"))
	a := s.transfers.offerAttention(s.talk(s.ben), offer)
	other := offer
	other.Names = []string{"other.exe"}
	eva := offer
	eva.Peer = s.eva
	for what, o := range map[string]engine.Transfer{"another file": other, "another peer": eva} {
		s.transfers.offers[offer.ID] = &engine.Offer{Transfer: o}
		a.decline() // no engine made this offer, so accepting or declining it would panic
		a.accept()
		if s.transfers.offers[offer.ID] == nil {
			t.Errorf("%s: it was answered", what)
		}
	}
}

// TestTransfers_IDsOfOtherPeersAreTheirOwn checks that a transfer is shown in its own peer's conversation, even if
// another peer has used the same ID before.
func TestTransfers_IDsOfOtherPeersAreTheirOwn(t *testing.T) {
	s := newStage(t, nil)
	s.peers3()
	first := s.transferOf(engine.Declined, true, file("photo.jpg"))
	s.transfers.take(first)
	second := first
	second.Peer, second.PeerName, second.State, second.Names = s.eva, "Eva", engine.Offered, []string{"other.exe"}
	s.transfers.take(second)
	if at := s.transfers.rows[first.ID]; at.t != s.talk(s.eva) {
		t.Errorf("it is in the conversation with %s", at.t.name)
	}
	if n := len(s.transfers.order); n != 1 {
		t.Errorf("%d transfers are listed", n)
	}
}
