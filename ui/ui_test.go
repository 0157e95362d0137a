package ui

import (
	"context"
	"errors"
	"fmt"
	"image/png"
	"iter"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/storage"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

// loop stands for the main thread: what is posted waits until the test runs it. fyne.Do will not do, since the test
// driver runs the function at once, on the goroutine that called.
type loop struct{ queue chan func() }

func newLoop() *loop { return &loop{make(chan func(), 100)} }

func (l *loop) do(f func()) { l.queue <- f }

func (l *loop) until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for !ok() {
		select {
		case f := <-l.queue:
			f()
		case <-deadline:
			t.Fatalf("the window never got there: %s", what)
		}
	}
}

// fakeDesktop notes what it is asked to open.
type fakeDesktop struct{ opened chan string }

func (f *fakeDesktop) Open(path string) error {
	f.opened <- path
	return nil
}

func newTestApp(t *testing.T) fyne.App {
	t.Helper()
	a := test.NewTempApp(t)
	a.Settings().SetTheme(Theme{})
	return a
}

type station struct {
	*UI
	node  *enginetest.Node
	inbox string
	desk  *fakeDesktop
}

func newStation(t *testing.T, a fyne.App, l *loop, net *enginetest.Net, name string) *station {
	t.Helper()
	node := net.Start(engine.Config{Name: name, Invite: engine.Known, Accept: engine.Known})
	s := &station{node: node, inbox: t.TempDir(), desk: &fakeDesktop{make(chan string, 10)}}
	s.UI = New(Options{App: a, Engine: node.Engine, Do: l.do, Desktop: s.desk, Downloads: s.inbox})
	s.Start(t.Context())
	t.Cleanup(s.Close)
	s.w.Resize(fyne.NewSize(980, 660))
	return s
}

// card finds the transfer card with a state in the current conversation.
func (s *station) card(state engine.TransferState) *transferCard {
	if s.current == nil {
		return nil
	}
	for _, i := range s.current.items {
		if c, ok := i.(*transferCard); ok && c.state == state {
			return c
		}
	}
	return nil
}

func (s *station) bubbles() (out []string) {
	for _, i := range s.current.items {
		if b, ok := i.(*bubble); ok {
			out = append(out, b.full+" | "+b.stamp.full)
		}
	}
	return out
}

// TestTwoWindows plays the main job: two windows find each other, talk, and a folder dropped on a name arrives.
func TestTwoWindows(t *testing.T) {
	a, l, net := newTestApp(t), newLoop(), enginetest.New(t, time.Millisecond)
	anna, ben := newStation(t, a, l, net, "Anna"), newStation(t, a, l, net, "Ben")
	l.until(t, "both in the list", func() bool { return len(anna.side.order) == 1 && len(ben.side.order) == 1 })
	if anna.current != nil || !anna.empty.box.Visible() {
		t.Error("a conversation is open before anybody was chosen")
	}

	row := anna.side.rows[ben.node.Self().ID]
	test.Tap(row)
	test.Type(anna.entry, "hello\nyou") // Enter in typed text is a line break
	anna.entry.TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
	if anna.entry.Text != "" {
		t.Error("the field keeps what was sent")
	}
	l.until(t, "the question", func() bool { return len(ben.invites) == 1 })
	for _, c := range ben.invites {
		if !strings.Contains(c.title.full, "Anna") {
			t.Errorf("the question is %q", c.title.full)
		}
		test.Tap(c.accept)
	}
	l.until(t, "delivery", func() bool {
		b := anna.bubbles()
		return len(b) == 1 && strings.HasPrefix(b[0], "hello\nyou | ") && strings.HasSuffix(b[0], "Delivered")
	})
	l.until(t, "the message", func() bool { return ben.current != nil && len(ben.bubbles()) == 1 })

	folder := filepath.Join(t.TempDir(), "a folder")
	for name, content := range map[string]string{"x.txt": "one", "sub/ü.txt": "two"} {
		_ = os.MkdirAll(filepath.Dir(filepath.Join(folder, name)), 0o755)
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	at := fyne.CurrentApp().Driver().AbsolutePositionForObject(row)
	anna.dropped(at.AddXY(10, 10), []fyne.URI{storage.NewFileURI(folder)})
	l.until(t, "the offer", func() bool { return ben.card(engine.Offered) != nil })
	if c := ben.card(engine.Offered); c.title.full != "a folder" || !strings.Contains(c.status.full, "2 files, 6 bytes") {
		t.Errorf("the offer says %q, %q", c.title.full, c.status.full)
	}
	test.Tap(ben.card(engine.Offered).accept)
	l.until(t, "Delivered on both sides", func() bool { return anna.card(engine.Delivered) != nil && ben.card(engine.Delivered) != nil })
	if b, err := os.ReadFile(filepath.Join(ben.inbox, "a folder", "sub", "ü.txt")); string(b) != "two" {
		t.Errorf("%q, %v", b, err)
	}
	ben.card(engine.Delivered).actions.reveal()
	l.until(t, "the folder is shown", func() bool { return len(ben.desk.opened) == 1 })
	if got := <-ben.desk.opened; got != ben.inbox {
		t.Errorf("showed %s", got)
	}

	// To everyone, with the sender's name.
	test.Tap(ben.side.everyone)
	test.Type(ben.entry, "to all")
	ben.entry.TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
	l.until(t, "delivery to all", func() bool {
		b := ben.bubbles()
		return len(b) == 1 && strings.HasSuffix(b[0], "Delivered to 1 device")
	})
	l.until(t, "unread for everyone", func() bool {
		room := anna.talks[engine.PeerID{}]
		return room != nil && room.unread == 1 && anna.side.everyone.badge.Visible()
	})

	// A peer that leaves stays as a conversation.
	go func() { _ = ben.node.Stop() }()
	l.until(t, "gone", func() bool { return len(anna.peers) == 0 })
	if row.status.full != "Not nearby" || len(anna.side.order) != 1 {
		t.Errorf("row says %q", row.status.full)
	}
	test.Type(anna.entry, "too late")
	anna.entry.TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
	l.until(t, "the reason", func() bool {
		b := anna.bubbles()
		return strings.Contains(b[len(b)-1], "too late | Not delivered. Ben")
	})
}

func TestDropBeforeAnybodyIsChosenWaits(t *testing.T) {
	a, l, net := newTestApp(t), newLoop(), enginetest.New(t, time.Millisecond)
	anna, ben := newStation(t, a, l, net, "Anna"), newStation(t, a, l, net, "Ben")
	l.until(t, "both in the list", func() bool { return len(anna.side.order) == 1 })
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	anna.dropped(fyne.NewPos(600, 300), []fyne.URI{storage.NewFileURI(file)})
	if !strings.Contains(anna.empty.title.full, "1 item waits") {
		t.Errorf("the window says %q", anna.empty.title.full)
	}
	test.Tap(anna.side.rows[ben.node.Self().ID])
	l.until(t, "the offer", func() bool { return ben.card(engine.Offered) != nil })
	c := ben.card(engine.Offered)
	c.actions.decline()
	l.until(t, "declined", func() bool { return anna.card(engine.Declined) != nil })
	if s := anna.card(engine.Declined).status.full; !strings.HasPrefix(s, "Ben declined") {
		t.Errorf("the card says %q", s)
	}
}

func TestRename(t *testing.T) {
	a, l, net := newTestApp(t), newLoop(), enginetest.New(t, time.Millisecond)
	anna, ben := newStation(t, a, l, net, "Anna"), newStation(t, a, l, net, "Ben")
	l.until(t, "both in the list", func() bool { return len(ben.side.order) == 1 })
	anna.side.startEditing()
	anna.side.edit.SetText("\u200b")
	anna.side.edit.OnSubmitted("\u200b")
	if !anna.toast.box.Visible() || !strings.Contains(anna.toast.text.Text, "visible") {
		t.Errorf("an invisible name: %q", anna.toast.text.Text)
	}
	anna.side.edit.OnSubmitted(" Annabelle ")
	l.until(t, "the new name", func() bool {
		r := ben.side.rows[anna.node.Self().ID]
		return r != nil && r.name.full == "Annabelle" && anna.side.name.full == "Annabelle"
	})
}

func TestPumpKeepsTheLastEventAndEnds(t *testing.T) {
	l := newLoop()
	b := newBinding(t.Context(), l.do)
	var events iter.Seq[engine.Event] = func(yield func(engine.Event) bool) {
		for i := range 5000 {
			if !yield(engine.SelfChanged{Self: engine.Self{Port: i}}) {
				return
			}
		}
	}
	last, batches := -1, 0
	b.pump(events, func(batch []engine.Event) {
		batches++
		last = batch[len(batch)-1].(engine.SelfChanged).Self.Port
	})
	l.until(t, "the last event", func() bool { return last == 4999 })
	if batches > 20 {
		t.Errorf("%d batches", batches)
	}
	b.close() // hangs if something does not end
}

func TestBackgroundAnswersOnTheMainThread(t *testing.T) {
	l := newLoop()
	b := newBinding(t.Context(), l.do)
	got := ""
	background(b, func(context.Context) (string, error) { return "done", nil }, func(s string, _ error) { got = s })
	l.until(t, "the answer", func() bool { return got == "done" })
	background(b, func(ctx context.Context) (string, error) { <-ctx.Done(); return "late", nil }, func(s string, _ error) { got = s })
	b.close()
	if got != "done" {
		t.Error("an answer came after the end")
	}
}

func TestLongMessageGrowsDownwards(t *testing.T) {
	newTestApp(t)
	b := newBubble("one word and another and another and another and another and anotherverylongwordthatdoesnotfitintoonelineatall", "", "14:00", true)
	wide, narrow := b.heightFor(900), b.heightFor(200)
	if narrow <= wide {
		t.Errorf("height %v at 200 units, %v at 900", narrow, wide)
	}
	for _, line := range b.lines {
		if w := fyne.MeasureText(line.Text, sizeBody, fyne.TextStyle{}).Width; w > b.maxText(200)+0.5 {
			t.Errorf("%q is %v wide", line.Text, w)
		}
	}
	var words []string
	for _, line := range b.lines {
		words = append(words, line.Text)
	}
	if got := strings.ReplaceAll(strings.Join(words, ""), " ", ""); got != strings.ReplaceAll(b.full, " ", "") {
		t.Errorf("wrapping lost text: %q", got)
	}
}

func TestTenThousandMessagesShowTheNewest(t *testing.T) {
	newTestApp(t)
	tl := newTimeline()
	w := test.NewTempWindow(t, tl)
	w.Resize(fyne.NewSize(600, 500))
	var items []item
	for i := range 10_000 {
		items = append(items, newBubble(fmt.Sprint("message ", i), "", "", i%2 == 0))
	}
	began := time.Now()
	tl.show(items)
	if n := len(tl.rows.Objects); n != shown+1 {
		t.Errorf("%d rows", n)
	}
	t.Logf("shown in %v", time.Since(began).Round(time.Millisecond))
	if !tl.atEnd() {
		t.Errorf("not at the newest: offset %v, rows %v, size %v", tl.scroll.Offset.Y, tl.rows.MinSize(), tl.scroll.Size())
	}
	test.Tap(tl.earlier)
	if n := len(tl.rows.Objects); n != 2*shown+1 {
		t.Errorf("%d rows after Show earlier", n)
	}
}

// TestContrast: text must be readable on what it stands on, in both variants. WCAG 2.1 asks for 4.5:1.
func TestContrast(t *testing.T) {
	test.AssertAllColorNamesDefined(t, Theme{}, "multipeer")
	for _, c := range []struct{ text, on fyne.ThemeColorName }{
		{theme.ColorNameForeground, theme.ColorNameBackground},
		{theme.ColorNameForeground, colorSidebar},
		{theme.ColorNameForeground, colorCard},
		{theme.ColorNameForeground, colorBubbleIn},
		{theme.ColorNameForeground, theme.ColorNameSelection},
		{theme.ColorNameForeground, theme.ColorNameButton},
		{theme.ColorNameForeground, colorBanner},
		{theme.ColorNameForegroundOnPrimary, theme.ColorNamePrimary},
		{theme.ColorNamePlaceHolder, theme.ColorNameInputBackground},
		{theme.ColorNameDisabled, colorSidebar},
		{colorOnBubble, colorBubbleOut},
		{colorSubtle, theme.ColorNameBackground},
		{colorSubtle, colorSidebar},
		{colorSubtle, colorCard},
		{colorSubtle, theme.ColorNameSelection},
		{colorGood, colorCard},
		{colorBad, colorCard},
		{colorBad, theme.ColorNameBackground},
		{colorBad, colorSidebar},
		{colorBad, theme.ColorNameSelection},
	} {
		for name, v := range map[string]fyne.ThemeVariant{"light": theme.VariantLight, "dark": theme.VariantDark} {
			x, y := luminance(c.text, v), luminance(c.on, v)
			if r := (max(x, y) + 0.05) / (min(x, y) + 0.05); r < 4.5 {
				t.Errorf("%s on %s, %s: %.2f", c.text, c.on, name, r)
			}
		}
	}
}

func luminance(n fyne.ThemeColorName, v fyne.ThemeVariant) float64 {
	linear := func(c uint32) float64 {
		s := float64(c) / 0xffff
		if s <= 0.04045 {
			return s / 12.92
		}
		return math.Pow((s+0.055)/1.055, 2.4)
	}
	r, g, b, _ := Theme{}.Color(n, v).RGBA()
	return 0.2126*linear(r) + 0.7152*linear(g) + 0.0722*linear(b)
}

// TestEveryErrorNamesCauseAndRemedy: no Go error reaches the screen bare.
func TestEveryErrorNamesCauseAndRemedy(t *testing.T) {
	for _, err := range []error{
		engine.ErrDiskFull, engine.ErrDenied, engine.ErrBadName, engine.ErrDigest, engine.ErrChanged, engine.ErrUnreadable, engine.ErrSpecial, engine.ErrTooMuch, engine.ErrStalled,
		engine.ErrDeclined, engine.ErrBye, engine.ErrBlocked, engine.ErrBusy, engine.ErrTooLarge, engine.ErrNobody, engine.ErrNoPeer,
		engine.ErrUnavailable, engine.ErrTimeout, engine.ErrLost, engine.ErrNotConnected,
	} {
		s := reason(fmt.Errorf("wrapped: %w", err), "Ben", false)
		if s == "" || strings.Contains(s, "wrapped") || !strings.HasSuffix(strings.TrimSpace(s), ".") && !strings.HasSuffix(s, "?") {
			t.Errorf("%v: %q", err, s)
		}
	}
	if s := reason(errors.New("raw \x1b"), "Ben", false); strings.Contains(s, "\x1b") || !strings.Contains(s, "raw") {
		t.Errorf("an unknown error: %q", s)
	}
}

func TestWords(t *testing.T) {
	for n, want := range map[int64]string{0: "0 bytes", 1: "1 byte", 999: "999 bytes", 1000: "1.0 kB", 99_949: "99.9 kB", 99_951: "100 kB", 999_500: "1.0 MB", 1 << 40: "1.1 TB"} {
		if got := size(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{time.Millisecond: "a moment left", 59 * time.Second: "59 s left", 61 * time.Second: "2 min left", 2*time.Hour + 5*time.Minute: "2 h 5 min left"} {
		if got := left(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
	tr := engine.Transfer{PeerName: "Ben", Names: []string{"a"}, Items: 3, Files: 2, Bytes: 2000, State: engine.Moving, Done: 1000, Rate: 500, Left: 2 * time.Second}
	if got := title(tr) + " | " + status(tr); got != "a and 2 others | 1.0 kB of 2.0 kB · 0 of 2 files · 500 bytes/s · 2 s left" {
		t.Error(got)
	}
}

func TestProgramsGetNoOpenButton(t *testing.T) {
	for _, p := range []string{"a.exe", "b.SH", "x.desktop.inert", "script.ps1", "page.html", "noextension"} {
		if mayOpen(p) {
			t.Errorf("%s may be opened", p)
		}
	}
	if !mayOpen("photo.jpg") || !mayOpen(t.TempDir()) {
		t.Error("a picture or a folder may not be opened")
	}
}

// TestCards draws each state of a card, light and dark; MULTIPEER_PICTURES keeps the pictures for a look.
func TestCards(t *testing.T) {
	a := newTestApp(t)
	base := engine.Transfer{ID: "x", PeerName: "Ben's laptop", Names: []string{"a rather long name of a file that does not fit into one line of the card.mp4"}, Items: 1, Files: 1, Bytes: 1 << 30, Done: 1 << 28, Rate: 9e7, Left: 9 * time.Second}
	var items []item
	for _, in := range []bool{true, false} {
		for state := engine.Queued; state <= engine.Failed; state++ {
			tr := base
			tr.Incoming, tr.State = in, state
			if state == engine.Delivered && in {
				tr.Saved = []string{"/x/a.mp4"}
			}
			if state == engine.Failed {
				tr.Err = engine.ErrDiskFull
			}
			c := newTransferCard(tr, transferActions{})
			labels := []string{}
			for _, o := range c.buttons.Objects {
				labels = append(labels, o.(*widget.Button).Text)
			}
			want := map[bool]map[engine.TransferState][]string{
				true:  {engine.Offered: {"Accept", "Decline"}, engine.Delivered: {"Show in folder", "Open"}},
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
	tl := newTimeline()
	w.SetContent(tl)
	w.Resize(fyne.NewSize(640, 1400))
	tl.show(items)
	dir := os.Getenv("MULTIPEER_PICTURES")
	picture := w.Canvas().Capture()
	if picture.Bounds().Dx() < 400 {
		t.Error("nothing was drawn")
	}
	if dir != "" {
		f, err := os.Create(filepath.Join(dir, "cards.png"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := png.Encode(f, picture); err != nil {
			t.Fatal(err)
		}
	}
}
