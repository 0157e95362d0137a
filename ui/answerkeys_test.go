package ui

import (
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/test"

	"multipeer/engine"
	"multipeer/transfer"
	"multipeer/ui/internal/widgets"
)

// answers counts how requests are answered.
type answers struct{ accepted, declined int }

// offerFrom shows an offer from a peer that counts its answers.
func (a *answers) offerFrom(s *stage, id engine.TransferID, from engine.PeerID) *transferCard {
	s.transfers.take(s.transferOf(engine.Offered, true, func(t *engine.Transfer) { t.ID, t.Peer = id, from }))
	s.settle()
	at := s.transfers.rows[id]
	c := at.t.Row(int(at.seq - at.t.first))
	if d, dated := c.(*dayItem); dated {
		c = d.item
	}
	card := c.(*transferCard)
	card.actions.accept = func(transfer.Existing) bool { a.accepted++; return true }
	card.actions.decline = func() { a.declined++ }
	return card
}

// keyPress types Ctrl and a key where the focus is, as the driver does.
func (s *stage) keyPress(key fyne.KeyName) {
	k := &desktop.CustomShortcut{KeyName: key, Modifier: fyne.KeyModifierShortcutDefault}
	if f, typing := s.w.Canvas().Focused().(fyne.Shortcutable); typing {
		f.TypedShortcut(k)
		return
	}
	s.shortcut(k)
}

// TestAnswerKeys_DoNothingInAField checks that no key that the user may press while typing answers a request: neither
// the banner's nor that of a card, in a field with a text or without.
func TestAnswerKeys_DoNothingInAField(t *testing.T) {
	s := newStage(t, nil)
	s.conversation()
	var card, over answers
	c := card.offerFrom(s, "card", s.ben)
	c.since = time.Time{}
	s.banner.now = request{id: "banner", accept: func() { over.accepted++ }, decline: func() { over.declined++ }}
	s.banner.since = time.Time{}
	for _, f := range []*widgets.Field{s.composer.entry, s.side.search} {
		for _, text := range []string{"", "some words"} {
			s.w.Canvas().Focus(f)
			f.SetText(text)
			s.keyPress(fyne.KeyReturn)
			s.w.Canvas().Focus(f)
			f.SetText(text)
			s.keyPress(fyne.KeyBackspace)
		}
	}
	if card != (answers{}) || over != (answers{}) {
		t.Errorf("the card got %+v and the banner %+v", card, over)
	}
}

// TestAnswerKeys_CtrlEnterSendsTheMessage checks the key in the message field, as in other programs.
func TestAnswerKeys_CtrlEnterSendsTheMessage(t *testing.T) {
	s := newStage(t, nil)
	s.conversation()
	s.w.Canvas().Focus(s.composer.entry)
	s.composer.entry.SetText("a message to send")
	s.keyPress(fyne.KeyReturn)
	if s.composer.entry.Text != "" {
		t.Errorf("%q is still in the field", s.composer.entry.Text)
	}
}

// TestAnswerKeys_AnswerTheCardInView covers a stranger's request in the banner while the user looks at a friend's.
func TestAnswerKeys_AnswerTheCardInView(t *testing.T) {
	s := newStage(t, nil)
	s.conversation()
	var card, other, over answers
	c := card.offerFrom(s, "card", s.ben)
	s.w.Canvas().Unfocus()
	banner := func() {
		s.banner.now = request{id: "banner", accept: func() { over.accepted++ }, decline: func() { over.declined++ }}
		s.banner.since = time.Time{}
	}

	banner()
	s.keyPress(fyne.KeyReturn)
	if card != (answers{}) {
		t.Error("a card was answered that has just appeared")
	}
	c.since = time.Time{}
	s.keyPress(fyne.KeyReturn)
	banner()
	s.keyPress(fyne.KeyBackspace)
	if card != (answers{1, 1}) || over != (answers{}) {
		t.Errorf("the card in view got %+v and the banner %+v", card, over)
	}

	d := other.offerFrom(s, "other", s.ben)
	c.since, d.since = time.Time{}, time.Time{}
	banner()
	s.keyPress(fyne.KeyReturn)
	s.keyPress(fyne.KeyBackspace)
	if card != (answers{1, 1}) || other != (answers{}) || over != (answers{}) {
		t.Errorf("with two cards in view, they got %+v and %+v, and the banner %+v", card, other, over)
	}
	if !s.toast.Box.Visible() {
		t.Error("the user does not learn why the key did nothing")
	}

	s.choose(s.talk(s.dora))
	s.w.Canvas().Unfocus()
	banner()
	s.keyPress(fyne.KeyReturn)
	banner()
	s.keyPress(fyne.KeyBackspace)
	if over != (answers{1, 1}) {
		t.Errorf("without a card in view, the banner got %+v", over)
	}
}

// TestAnswerKeys_DoNotAcceptPastAWarning checks that a request with a warning needs a press on its button.
func TestAnswerKeys_DoNotAcceptPastAWarning(t *testing.T) {
	s := newStage(t, nil)
	s.conversation()
	var card answers
	p := s.peers[s.ben]
	p.LooksLike = s.eva
	s.peers[s.ben] = p
	c := card.offerFrom(s, "card", s.ben)
	c.since = time.Time{}
	s.w.Canvas().Unfocus()
	s.keyPress(fyne.KeyReturn)
	if card.accepted != 0 {
		t.Error("a key accepted files from a device with another one's name")
	}
	test.Tap(c.accept)
	if card.accepted != 1 {
		t.Error("the button did not")
	}
}
