package ui

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
	"multipeer/engine/enginetest"
	"multipeer/transfer"
	"multipeer/ui/internal/widgets"
)

// TestTransferCard_EachState draws each state of a card. MULTIPEER_PICTURES keeps the picture for review.
func TestTransferCard_EachState(t *testing.T) {
	a := newTestApp(t)
	base := engine.Transfer{ID: "x", PeerName: "Ben's laptop", Names: []string{"a rather long name of a file that does not fit into one line of the card.mp4"}, Items: 1, Files: 1, Bytes: 1 << 30, Done: 1 << 28, Rate: 9e7, Left: 9 * time.Second}
	var items []widgets.Item
	for _, in := range []bool{true, false} {
		for state := engine.Queued; state <= engine.Failed; state++ {
			tr := base
			tr.Incoming, tr.State = in, state
			if state == engine.Delivered && in {
				tr.Saved = []string{"/x/a.mp4"}
			}
			if state == engine.Failed {
				tr.Err = transfer.ErrDiskFull
			}
			c := newTransferCard(tr, transferActions{})
			labels := []string{}
			for _, o := range c.buttons.Objects {
				labels = append(labels, o.(*widget.Button).Text)
			}
			want := map[bool]map[engine.TransferState][]string{
				true:  {engine.Offered: {"Accept", "Decline", "Accept and save to…", "Block…"}, engine.Delivered: {"Show in folder", "Open", "Copy"}},
				false: {engine.Declined: {"Send again"}, engine.Cancelled: {"Send again"}, engine.Failed: {"Send again"}},
			}[in][state]
			if !slices.Equal(labels, want) && len(labels)+len(want) > 0 {
				t.Errorf("incoming %v, %v: buttons %q, want %q", in, state, labels, want)
			}
			begun := state >= engine.Moving && state <= engine.Finishing
			if c.barBox.Visible() != begun {
				t.Errorf("incoming %v, %v: bar %v", in, state, c.barBox.Visible())
			}
			if hold := begun && state != engine.Finishing || state == engine.Queued; c.hold.Visible() != hold {
				t.Errorf("incoming %v, %v: pause %v", in, state, c.hold.Visible())
			}
			items = append(items, c)
		}
	}
	w := a.NewWindow("")
	tl := widgets.NewTimeline(newRows)
	w.SetContent(tl)
	w.Resize(fyne.NewSize(640, 1400))
	tl.ShowRows(list(items))
	keepPicture(t, "cards", w.Canvas())
}

// TestBlockedPeer_IsNotSentAnythingAgain checks that neither a card nor a message offers a retry while the peer is
// blocked.
func TestBlockedPeer_IsNotSentAnythingAgain(t *testing.T) {
	s := newStage(t, nil)
	s.conversation()
	for _, state := range []engine.TransferState{engine.Queued, engine.Declined} {
		s.apply([]engine.Event{engine.Transfer{ID: "x", Peer: s.ben, PeerName: "Ben", State: state, Names: []string{"a.txt"}, Items: 1, Files: 1, Bytes: 5}})
	}
	again := func() (cards, messages int) {
		at := s.talk(s.ben)
		for i := range at.Count() {
			it := at.Row(i)
			if d, ok := it.(*dayItem); ok {
				it = d.item
			}
			switch it := it.(type) {
			case *transferCard:
				cards += len(it.buttons.Objects)
			case *widgets.Bubble:
				if it.Again.Visible() {
					messages++
				}
			}
		}
		return cards, messages
	}
	for _, step := range []struct {
		trust          engine.Trust
		cards, message int
	}{{engine.TrustSeen, 1, 1}, {engine.TrustBlocked, 0, 0}, {engine.TrustUnknown, 1, 1}} {
		s.setTrust(s.ben, step.trust)()
		s.l.until(t, "the decision", func() bool { return s.e.Trust(s.ben) == step.trust && s.blocked(s.ben) == s.composer.barred.Visible() })
		if cards, messages := again(); cards != step.cards || messages != step.message {
			t.Errorf("%q: %d cards and %d messages offer to send again, want %d and %d", step.trust, cards, messages, step.cards, step.message)
		}
	}
}

// TestTransferCard_ColourIsForWhatNeedsAttention checks that a success stays grey.
func TestTransferCard_ColourIsForWhatNeedsAttention(t *testing.T) {
	newTestApp(t)
	for _, c := range []struct {
		state   engine.TransferState
		leftOut int64
		want    fyne.ThemeColorName
	}{
		{engine.Moving, 0, widgets.ColorSubtle},
		{engine.Delivered, 0, widgets.ColorSubtle},
		{engine.Delivered, 1, widgets.ColorBad},
		{engine.Stalled, 0, widgets.ColorBad},
		{engine.Declined, 0, widgets.ColorBad}, // by the other side
		{engine.Cancelled, 0, widgets.ColorSubtle},
	} {
		card := newTransferCard(engine.Transfer{State: c.state, LeftOut: c.leftOut, Names: []string{"f"}, Items: 1, Files: 2}, transferActions{})
		if got := card.status.Color; got != c.want {
			t.Errorf("%v with %d left out: %s", c.state, c.leftOut, got)
		}
	}
}

// TestOffer_PreviewIsShownBeforeTheAnswer: an offer of pictures shows the first one, if its sender was accepted before.
func TestOffer_PreviewIsShownBeforeTheAnswer(t *testing.T) {
	a, l, net := newTestApp(t), newLoop(), enginetest.New(t, time.Millisecond)
	anna, ben := newStation(t, a, l, net, "Anna"), newStation(t, a, l, net, "Ben")
	l.until(t, "reached", func() bool { return anna.peers[ben.self.ID].Confirmed && ben.peers[anna.self.ID].Confirmed })
	path := filepath.Join(t.TempDir(), "a.png")
	picture := image.NewUniform(color.NRGBA{G: 200, A: 255})
	var b bytes.Buffer
	m := image.NewNRGBA(image.Rect(0, 0, 800, 400))
	draw.Draw(m, m.Bounds(), picture, image.Point{}, draw.Src)
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, known := range []bool{false, true} {
		if known {
			if err := ben.e.SetTrust(anna.self.ID, engine.TrustSeen); err != nil {
				t.Fatal(err)
			}
		}
		anna.sending.offer(anna.talk(ben.self.ID), []string{path})
		l.until(t, "an offer", func() bool { return ben.card(engine.Offered) != nil })
		c := ben.card(engine.Offered)
		l.until(t, "the details", func() bool { return c.free != "" })
		if known {
			l.until(t, "the preview", func() bool { return c.preview.Visible() })
			ben.choose(ben.talk(anna.self.ID))
			ben.settle()
			keepPicture(t, "offer-with-preview", ben.w.Canvas())
			if s := c.preview.Objects[0].MinSize(); s.Width != 240 || s.Height != 120 {
				t.Errorf("the preview takes %v", s)
			}
		} else if c.preview.Visible() {
			t.Error("the preview of a stranger is shown")
		}
		c.actions.decline()
		l.until(t, "declined", func() bool { return ben.card(engine.Offered) == nil })
		if c.preview.Visible() {
			t.Error("the preview of a declined offer is shown")
		}
	}
}

// TestBanner_RequestWithAWarningIsNotAnsweredByKey: the keys do what the buttons do, and a request from a device with
// the name of a known one has no buttons.
func TestBanner_RequestWithAWarningIsNotAnsweredByKey(t *testing.T) {
	a, l, net := newTestApp(t), newLoop(), enginetest.New(t, time.Millisecond)
	anna, ben := newStation(t, a, l, net, "Anna"), newStation(t, a, l, net, "Ben")
	l.until(t, "reached", func() bool { return anna.peers[ben.self.ID].Confirmed && ben.peers[anna.self.ID].Confirmed })
	if err := anna.e.SetTrust(ben.self.ID, engine.TrustVerified); err != nil {
		t.Fatal(err)
	}
	l.until(t, "verified", func() bool { return anna.peers[ben.self.ID].Trust == engine.TrustVerified })
	impostor := newStation(t, a, l, net, "Ben")
	l.until(t, "reached", func() bool {
		return anna.peers[impostor.self.ID].Confirmed && impostor.peers[anna.self.ID].Confirmed
	})
	path := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	impostor.sending.offer(impostor.talk(anna.self.ID), []string{path})
	l.until(t, "a banner", func() bool { return anna.banner.box.Visible() })
	if anna.banner.now.warning == "" || anna.banner.accept.Visible() {
		t.Fatal("there is no warning")
	}
	for _, key := range []fyne.KeyName{fyne.KeyReturn, fyne.KeyBackspace} {
		anna.banner.since = time.Time{} // the user has had time to read it
		anna.shortcut(&desktop.CustomShortcut{KeyName: key, Modifier: fyne.KeyModifierShortcutDefault})
	}
	if anna.current == nil || anna.current.id != impostor.self.ID {
		t.Error("the conversation with the card is not shown")
	}
	if len(anna.transfers.offers) != 1 {
		t.Error("the offer was answered")
	}
}

// TestOffer_OfVerifiedPeerCanBeAcceptedForGood accepts an offer together with all future offers of the peer.
func TestOffer_OfVerifiedPeerCanBeAcceptedForGood(t *testing.T) {
	a, l, net := newTestApp(t), newLoop(), enginetest.New(t, time.Millisecond)
	anna, ben := newStation(t, a, l, net, "Anna"), newStation(t, a, l, net, "Ben")
	l.until(t, "reached", func() bool { return anna.peers[ben.self.ID].Confirmed && ben.peers[anna.self.ID].Confirmed })
	offer := func(name string) {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		anna.sending.offer(anna.talk(ben.self.ID), []string{path})
	}
	offer("of a stranger")
	l.until(t, "an offer", func() bool { return ben.card(engine.Offered) != nil })
	if ben.card(engine.Offered).alwaysRow.Visible() {
		t.Error("the files of a stranger could be accepted for good")
	}
	ben.card(engine.Offered).actions.decline()
	l.until(t, "declined", func() bool { return ben.card(engine.Declined) != nil })
	if err := ben.e.SetTrust(anna.self.ID, engine.TrustVerified); err != nil {
		t.Fatal(err)
	}
	l.until(t, "verified", func() bool { return ben.peers[anna.self.ID].Trust == engine.TrustVerified })
	offer("first")
	l.until(t, "an offer of a verified peer", func() bool { return ben.card(engine.Offered) != nil })
	c := ben.card(engine.Offered)
	if !c.alwaysRow.Visible() || c.always.On {
		t.Error("the choice is missing, or is on from the start")
	}
	test.Tap(c.always)
	test.Tap(c.rested().accept)
	l.until(t, "the first file", func() bool { return ben.peers[anna.self.ID].AutoAccept.Bytes == autoBytes })
	offer("second")
	l.until(t, "the second file, without a question", func() bool {
		_, err := os.Stat(filepath.Join(ben.inbox, "second"))
		return err == nil
	})
}
