package ui

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/storage"
	"fyne.io/fyne/v2/test"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

// TestWindow_TwoExchangeMessagesAndAFolder covers the main use: two windows find each other and exchange messages, and
// a folder that is dropped on a peer arrives.
func TestWindow_TwoExchangeMessagesAndAFolder(t *testing.T) {
	a, l, net := newTestApp(t), newLoop(), enginetest.New(t, time.Millisecond)
	ben, anna := newStation(t, a, l, net, "Ben"), newStation(t, a, l, net, "Anna") // Anna is last, because the test driver knows positions only in the last window
	l.until(t, "both in the list", func() bool { return len(anna.side.order) == 1 && len(ben.side.order) == 1 })
	if anna.current != nil || !anna.home.box.Visible() {
		t.Error("a conversation is open before anyone was chosen")
	}

	row := anna.side.rows[ben.node.Self().ID]
	test.Tap(row)
	test.Type(anna.composer.entry, "hello\nyou") // a newline in typed text does not send
	anna.composer.entry.TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
	if anna.composer.entry.Text != "" {
		t.Error("the field keeps what was sent")
	}
	l.until(t, "the question", func() bool { return len(ben.invites.open) == 1 })
	for _, c := range ben.invites.open {
		if !strings.Contains(c.title.Text, "Anna") {
			t.Errorf("the question is %q", c.title.Text)
		}
		test.Tap(c.accept)
	}
	l.until(t, "delivery", func() bool {
		b := anna.bubbles()
		return len(b) == 1 && strings.HasPrefix(b[0], "hello\nyou | ") && strings.HasSuffix(b[0], "Delivered")
	})
	ben.choose(ben.talk(anna.self.ID))
	l.until(t, "the message", func() bool { return len(ben.bubbles()) == 1 })

	folder := filepath.Join(t.TempDir(), "a folder")
	for name, content := range map[string]string{"x.txt": "one", "sub/ü.txt": "two"} {
		_ = os.MkdirAll(filepath.Dir(filepath.Join(folder, name)), 0o755)
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	at := fyne.CurrentApp().Driver().AbsolutePositionForObject(row)
	anna.sending.dropped(at.AddXY(10, 10), []fyne.URI{storage.NewFileURI(folder)})
	l.until(t, "the offer", func() bool { return ben.card(engine.Offered) != nil })
	if c := ben.card(engine.Offered); c.title.Text != "a folder" || !strings.Contains(c.status.Text, "2 files, 6 bytes") {
		t.Errorf("the offer reports %q, %q", c.title.Text, c.status.Text)
	}
	if !strings.Contains(ben.card(engine.Offered).status.Text, "from Anna") {
		t.Errorf("the offer reports %q", ben.card(engine.Offered).status.Text)
	}
	test.Tap(ben.card(engine.Offered).rested().accept)
	l.until(t, "Delivered on both sides", func() bool { return anna.card(engine.Delivered) != nil && ben.card(engine.Delivered) != nil })
	if b, err := os.ReadFile(filepath.Join(ben.inbox, "a folder", "sub", "ü.txt")); string(b) != "two" {
		t.Errorf("%q, %v", b, err)
	}
	ben.card(engine.Delivered).actions.reveal()
	l.until(t, "the folder is shown", func() bool { return len(ben.desk.opened) == 1 })
	if got := <-ben.desk.opened; got != ben.inbox {
		t.Errorf("showed %s", got)
	}

	// A message to everyone.
	test.Tap(ben.side.everyone)
	test.Type(ben.composer.entry, "to all")
	ben.composer.entry.TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
	l.until(t, "delivery to all", func() bool {
		b := ben.bubbles()
		return len(b) == 1 && strings.HasSuffix(b[0], "Delivered to 1 device")
	})
	l.until(t, "unread for everyone", func() bool {
		everyone := anna.talks[engine.PeerID{}]
		return everyone != nil && everyone.unread == 1 && anna.side.everyone.badge.Visible()
	})

	// The conversation with a peer that has left stays in the list.
	go func() { _ = ben.node.Stop() }()
	l.until(t, "gone", func() bool { return len(anna.peers) == 0 })
	if row.status.Text != "Not nearby" || len(anna.side.order) != 1 {
		t.Errorf("row reports %q", row.status.Text)
	}
	anna.choose(anna.talk(ben.node.Self().ID))
	test.Type(anna.composer.entry, "too late")
	anna.composer.entry.TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
	l.until(t, "it waits", func() bool {
		b := anna.bubbles()
		return strings.Contains(b[len(b)-1], "too late | Sends when Ben is back")
	})
}

func TestDrop_WaitsUntilAPeerIsChosen(t *testing.T) {
	a, l, net := newTestApp(t), newLoop(), enginetest.New(t, time.Millisecond)
	ben, anna := newStation(t, a, l, net, "Ben"), newStation(t, a, l, net, "Anna") // Anna is last, because the test driver knows positions only in the last window
	l.until(t, "both in the list", func() bool { return len(anna.side.order) == 1 })
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	anna.sending.dropped(fyne.NewPos(600, 300), []fyne.URI{storage.NewFileURI(file)})
	if !strings.Contains(anna.home.tray.text.Text, "1 item ready") {
		t.Errorf("the window reports %q", anna.home.tray.text.Text)
	}
	test.Tap(anna.side.rows[ben.node.Self().ID])
	l.until(t, "the offer", func() bool { return ben.card(engine.Offered) != nil })
	c := ben.card(engine.Offered)
	c.actions.decline()
	l.until(t, "declined", func() bool { return anna.card(engine.Declined) != nil })
	if s := anna.card(engine.Declined).status.Text; !strings.HasPrefix(s, "Ben declined") {
		t.Errorf("the card reports %q", s)
	}
}
