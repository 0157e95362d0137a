package ui

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
	"multipeer/engine/enginetest"
	"multipeer/ui/internal/widgets"
)

func labels(c *pairingCard) (out []string) {
	for _, o := range c.buttons.Objects {
		out = append(out, o.(*widget.Button).Text)
	}
	return out
}

func press(t *testing.T, c *pairingCard, label string) {
	t.Helper()
	for _, o := range c.buttons.Objects {
		if b := o.(*widget.Button); b.Text == label {
			test.Tap(b)
			return
		}
	}
	t.Fatalf("no button %q among %q", label, labels(c))
}

// TestPairing_VerifiesInTwoWindows runs a verification in two windows: both press Verify, the code of one is picked
// out of three on the other, and both become verified.
func TestPairing_VerifiesInTwoWindows(t *testing.T) {
	a, l, net := newTestApp(t), newLoop(), enginetest.New(t, time.Millisecond)
	anna, ben := newStation(t, a, l, net, "Anna"), newStation(t, a, l, net, "Ben")
	ids := [2]engine.PeerID{anna.self.ID, ben.self.ID}
	l.until(t, "both reached", func() bool {
		return anna.peers[ids[1]].Confirmed && ben.peers[ids[0]].Confirmed
	})
	anna.choose(anna.talk(ids[1]))
	ben.choose(ben.talk(ids[0]))
	if anna.header.verify.Hidden {
		t.Fatal("no button to verify")
	}
	test.Tap(anna.header.verify)
	l.until(t, "waiting", func() bool { return anna.pairings.cards[ids[1]] != nil })
	test.Tap(ben.header.verify)
	l.until(t, "the codes", func() bool {
		x, y := anna.pairings.cards[ids[1]], ben.pairings.cards[ids[0]]
		return x != nil && y != nil && x.stage == engine.PairingCompare && y.stage == engine.PairingCompare
	})
	shows, picks := anna.pairings.cards[ids[1]], ben.pairings.cards[ids[0]]
	if shows.code.Hidden {
		shows, picks = picks, shows
	}
	if len(labels(picks)) != 5 || !slices.Contains(labels(picks), shows.code.Text) {
		t.Fatalf("%q is not among %q", shows.code.Text, labels(picks))
	}
	press(t, picks, shows.code.Text)
	if !anna.toast.Box.Visible() && !ben.toast.Box.Visible() {
		t.Error("a press counts at the moment in which the buttons change")
	}
	picks.since, shows.since = time.Time{}, time.Time{}
	press(t, picks, shows.code.Text)
	press(t, shows, "Yes, it's selected")
	l.until(t, "verified", func() bool {
		return anna.peers[ids[1]].Trust == engine.TrustVerified && ben.peers[ids[0]].Trust == engine.TrustVerified &&
			shows.stage == engine.PairingDone && picks.stage == engine.PairingDone
	})
	if !anna.header.verify.Hidden || anna.side.rows[ids[1]].status.Text != joined(kindName(anna.peers[ids[1]].Info["kind"]), "Nearby") || !anna.side.rows[ids[1]].mark.Visible() {
		t.Errorf("afterwards: %q", anna.side.rows[ids[1]].status.Text)
	}
}

// TestImpersonation_SameNameIsMarked checks that a device with the name of a known one is marked as different.
func TestImpersonation_SameNameIsMarked(t *testing.T) {
	a, l, net := newTestApp(t), newLoop(), enginetest.New(t, time.Millisecond)
	ben, anna := newStation(t, a, l, net, "Ben"), newStation(t, a, l, net, "Anna")
	id := anna.self.ID
	l.until(t, "reached", func() bool { return ben.peers[id].Confirmed })
	if err := ben.e.SetTrust(id, engine.TrustVerified); err != nil {
		t.Fatal(err)
	}
	eve := newStation(t, a, l, net, "Аnna")
	l.until(t, "the other one", func() bool { return ben.peers[eve.self.ID].Confirmed })
	l.until(t, "the warning", func() bool {
		return ben.side.rows[eve.self.ID] != nil && ben.side.rows[eve.self.ID].status.Color == widgets.ColorBad
	})
	if got := ben.side.rows[eve.self.ID].status.Text; got != "Not the Anna you know" {
		t.Error(got)
	}
	if ben.side.rows[id].status.Color == widgets.ColorBad {
		t.Error("there is a warning about the known peer")
	}
}

// TestPairingCard_EachStage draws each stage. MULTIPEER_PICTURES keeps the picture for review.
func TestPairingCard_EachStage(t *testing.T) {
	a := newTestApp(t)
	var items []widgets.Item
	for _, p := range []engine.Pairing{
		{Stage: engine.PairingAsked},
		{Stage: engine.PairingWaiting},
		{Stage: engine.PairingCompare, Code: "541 152"},
		{Stage: engine.PairingCompare, Choices: []string{"104 223", "541 152", "990 001"}},
		{Stage: engine.PairingConfirmed},
		{Stage: engine.PairingDone},
		{Stage: engine.PairingFailed, Err: engine.ErrMismatch},
		{Stage: engine.PairingFailed, Err: engine.ErrTimeout},
		{Stage: engine.PairingFailed, Err: errors.New("x")},
	} {
		p.Name = "Ben's laptop"
		items = append(items, newPairingCard(p, pairingFaces{peer: widgets.RGB(widgets.AvatarColors[1])}, pairingActions{}, nil))
	}
	w := a.NewWindow("")
	tl := widgets.NewTimeline(newRows)
	w.SetContent(tl)
	w.Resize(fyne.NewSize(640, 1250))
	tl.ShowRows(list(items))
	keepPicture(t, "pairing", w.Canvas())
}

// TestPairingCard_AnotherAttemptIsShown checks that the codes of a second attempt replace those of the first, even
// though the stage is the same, and that a press at that moment does not count.
func TestPairingCard_AnotherAttemptIsShown(t *testing.T) {
	newTestApp(t)
	var confirmed []string
	p := engine.Pairing{Name: "Ben", Stage: engine.PairingCompare, Code: "541 152"}
	c := newPairingCard(p, pairingFaces{peer: widgets.RGB(widgets.AvatarColors[1])}, pairingActions{confirm: func(code string) { confirmed = append(confirmed, code) }}, nil)
	p.Code = "104 223"
	if !c.set(p) || c.code.Text != "104 223" {
		t.Fatalf("the card shows %q", c.code.Text)
	}
	if time.Since(c.since) > lookAgain {
		t.Error("a press counts at the moment in which the code changes")
	}
	c.since = time.Time{}
	press(t, c, "Yes, it's selected")
	if !slices.Equal(confirmed, []string{"104 223"}) {
		t.Errorf("confirmed %q", confirmed)
	}
	p.Code, p.Choices = "", []string{"1", "2", "3"}
	c.set(p)
	p.Choices = []string{"4", "5", "6"}
	if !c.set(p) || !slices.Contains(labels(c), "5") {
		t.Errorf("the card shows %q", labels(c))
	}
}

// TestPairingLink_IsShownAndEndsWithItsDialog checks that the QR code has a quiet zone, and that closing the dialog
// invalidates the link.
func TestPairingLink_IsShownAndEndsWithItsDialog(t *testing.T) {
	a, l, net := newTestApp(t), newLoop(), enginetest.New(t, time.Millisecond)
	anna := newStation(t, a, l, net, "Anna")
	l.until(t, "running", func() bool { return anna.self.Running })
	picture, err := drawQR("multipeer://x/?at=1.2.3.4")
	if err != nil || picture.Bounds().Dx() < 29 {
		t.Fatal(picture.Bounds(), err)
	}
	for i := range 4 {
		if r, _, _, _ := picture.At(i, i).RGBA(); r != 0xffff {
			t.Error("no quiet zone")
		}
	}
	anna.pairings.showLink()
	if anna.pairings.link == nil {
		t.Skip("no address but loopback")
	}
	l.until(t, "the window for pairing", func() bool { return !anna.self.PairingUntil.IsZero() })
	keepPicture(t, "link", anna.w.Canvas())
	anna.pairings.hideLink()
	l.until(t, "its end", func() bool { return anna.self.PairingUntil.IsZero() })
	anna.connecting.dial("multipeer://nonsense")
	if !anna.toast.Box.Visible() {
		t.Error("a bad link reports nothing")
	}
}

// TestPeerMenu_FitsTheStateOfThePeer checks that the menu of a peer fits its state, and that its items work.
func TestPeerMenu_FitsTheStateOfThePeer(t *testing.T) {
	a, l, net := newTestApp(t), newLoop(), enginetest.New(t, time.Millisecond)
	anna, ben := newStation(t, a, l, net, "Anna"), newStation(t, a, l, net, "Ben")
	id := ben.self.ID
	l.until(t, "reached", func() bool { return anna.peers[id].Confirmed })
	offers := func(want ...string) map[string]func() {
		t.Helper()
		var got []string
		do := map[string]func(){}
		for _, i := range anna.talkActions(anna.talk(id)) {
			if i.Label == "" || strings.HasPrefix(i.Label, "Send") || strings.HasPrefix(i.Label, "Paste") {
				continue
			}
			got = append(got, i.Label)
			do[i.Label] = i.Do
		}
		if !slices.Equal(got, want) {
			t.Errorf("the menu offers %q, want %q", got, want)
		}
		return do
	}
	offers("Message", "Connect", "Verify", "Add to favourites", "Rename…", "Block…")
	if err := anna.e.SetTrust(id, engine.TrustVerified); err != nil {
		t.Fatal(err)
	}
	l.until(t, "verified", func() bool { return anna.peers[id].Trust == engine.TrustVerified })
	offers("Message", "Connect", "Receive automatically…", "Add to favourites", "Rename…", "Block…", "Forget…")
	if err := anna.e.SetAutoAccept(id, engine.AutoAccept{Bytes: autoBytes, Dir: anna.inbox}); err != nil {
		t.Fatal(err)
	}
	l.until(t, "auto", func() bool { return anna.peers[id].AutoAccept.Bytes > 0 })
	offers("Message", "Connect", "Ask before receiving files", "Add to favourites", "Rename…", "Block…", "Forget…")["Ask before receiving files"]()
	l.until(t, "asked again", func() bool { return anna.peers[id].AutoAccept.Bytes == 0 })
	if err := anna.e.SetTrust(id, engine.TrustBlocked); err != nil {
		t.Fatal(err)
	}
	offers("Unblock", "Rename…")["Unblock"]()
	l.until(t, "unblocked", func() bool { return anna.e.Trust(id) == engine.TrustUnknown })
}
