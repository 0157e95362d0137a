package ui

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/widget"

	"multipeer/bridge/localsend"
	"multipeer/engine"
	"multipeer/engine/enginetest"
	"multipeer/engine/gateway"
	"multipeer/transfer"
	"multipeer/ui/internal/widgets"
)

// TestGateway_DeviceInTheWindow checks that a device of another protocol is listed with its mark, that its offer
// becomes a card, that text is sent to it without a session, and that unsupported actions are not offered.
func TestGateway_DeviceInTheWindow(t *testing.T) {
	a, l := newTestApp(t), newLoop()
	g := enginetest.NewGateway()
	node := enginetest.New(t, time.Millisecond).Start(engine.Config{Name: "Anna", Gateways: []gateway.Gateway{g}})
	ls, err := localsend.New(localsend.Options{})
	if err != nil {
		t.Fatal(err)
	}
	anna := newStationOn(t, a, l, node, Options{LocalSend: ls})
	phone := gateway.Device{Key: strings.Repeat("AB", 32), Name: "Phone", Addr: netip.MustParseAddrPort("10.0.9.9:53317"), Proven: true, Encrypted: true}
	plain := gateway.Device{Key: "at 10.0.9.8", Name: "Tablet", Addr: netip.MustParseAddrPort("10.0.9.8:53317")}
	g.Sink().Found(phone)
	g.Sink().Found(plain)
	id := gateway.PeerID(g.Name(), phone.Key)
	l.until(t, "both in the list", func() bool { return len(anna.side.order) == 2 })
	if got := anna.side.rows[id].status.Text; got != "Simulation · not verified" {
		t.Errorf("status %q", got)
	}
	if got := anna.side.rows[gateway.PeerID(g.Name(), plain.Key)].status.Text; got != "Simulation · not encrypted" {
		t.Errorf("status %q", got)
	}
	anna.choose(anna.talk(id))
	anna.settle()
	if anna.header.button.Visible() || !anna.header.verify.Visible() {
		t.Errorf("connect %v, verify %v", anna.header.button.Visible(), anna.header.verify.Visible())
	}
	for _, item := range anna.talkActions(anna.talk(id)) {
		if item.Label == "Connect" || item.Label == "Disconnect" {
			t.Errorf("the menu offers %q", item.Label)
		}
	}
	anna.outbox.deliver(anna.talk(id), "see you")
	l.until(t, "the text there", func() bool { return len(g.Texts(phone.Key)) == 1 })
	l.until(t, "delivered", func() bool {
		b := anna.bubbles()
		return len(b) == 1 && strings.Contains(b[0], "Delivered")
	})

	received := make(chan error, 1)
	go func() {
		o := gateway.Offer{From: phone, Names: []string{"a.txt"}, Items: 1, Files: 1, Bytes: 5}
		received <- g.Sink().Receive(t.Context(), o, func(ctx context.Context, in *transfer.Intake) error {
			_, err := in.Receive(ctx, transfer.Part{Path: "a.txt", Size: 5}, strings.NewReader("hello"))
			return err
		})
	}()
	l.until(t, "the offer", func() bool { return anna.card(engine.Offered) != nil })
	card := anna.card(engine.Offered)
	if got := card.details.Text; !strings.Contains(got, "Sent with Simulation") {
		t.Errorf("details %q", got)
	}
	card.actions.accept(transfer.KeepBoth)
	l.until(t, "received", func() bool { return anna.card(engine.Delivered) != nil })
	if err := <-received; err != nil {
		t.Error(err)
	}

	anna.verify(id)
	test.Tap(anna.dialogs.open.(*widgets.Modal).Buttons[1].(*widget.Button))
	l.until(t, "verified", func() bool { return anna.side.rows[id].status.Text == "Simulation · verified" })
	if node.Trust(id) != engine.TrustVerified {
		t.Errorf("trust %v", node.Trust(id))
	}
	g.Sink().Lost(phone.Key)
	l.until(t, "gone", func() bool { return anna.header.status.Text == "Not nearby" })
}

// TestLocalSend_SwitchIsKept checks that the switch in the settings is saved.
func TestLocalSend_SwitchIsKept(t *testing.T) {
	a, l := newTestApp(t), newLoop()
	ls, err := localsend.New(localsend.Options{})
	if err != nil {
		t.Fatal(err)
	}
	node := enginetest.New(t, time.Millisecond).Start(engine.Config{Name: "Anna"})
	anna := newStationOn(t, a, l, node, Options{LocalSend: ls})
	anna.showSettings()
	toggle, ok := find(anna.prefs.box, func(t *widgets.Toggle) bool { return t.Name == "Devices with LocalSend" })
	if !ok {
		t.Fatal("there is no switch")
	}
	toggle.Tapped(nil)
	if !anna.o.Settings.NoLocalSend {
		t.Error("it is still on")
	}
}

// TestLocalSend_PINs sets this device's PIN, and enters the PIN of a device that asks for one.
func TestLocalSend_PINs(t *testing.T) {
	a, l := newTestApp(t), newLoop()
	g := enginetest.NewGateway()
	asks := true
	g.Answer = func(context.Context, gateway.Device) error {
		if asks {
			return localsend.ErrPIN
		}
		return nil
	}
	ls, err := localsend.New(localsend.Options{})
	if err != nil {
		t.Fatal(err)
	}
	node := enginetest.New(t, time.Millisecond).Start(engine.Config{Name: "Anna", Gateways: []gateway.Gateway{g}})
	anna := newStationOn(t, a, l, node, Options{LocalSend: ls})
	phone := gateway.Device{Key: strings.Repeat("AB", 32), Name: "Phone", Addr: netip.MustParseAddrPort("10.0.9.9:53317"), Proven: true, Encrypted: true}
	g.Sink().Found(phone)
	id := gateway.PeerID(g.Name(), phone.Key)
	l.until(t, "in the list", func() bool { return len(anna.side.order) == 1 })
	path := filepath.Join(t.TempDir(), "a.txt")
	if err := os.WriteFile(path, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	anna.choose(anna.talk(id))
	anna.sending.offer(anna.talk(id), []string{path})
	l.until(t, "that a PIN is asked for", func() bool { return anna.card(engine.Failed) != nil })
	c := anna.card(engine.Failed)
	if got := c.failure.Text; got != "Phone requires a PIN." {
		t.Errorf("the card says %q", got)
	}
	b, ok := c.buttons.Objects[0].(*widget.Button)
	if !ok || b.Text != "Enter the PIN…" {
		t.Fatalf("the card has %v", c.buttons.Objects)
	}
	test.Tap(b)
	m := anna.dialogs.open.(*widgets.Modal)
	asks = false
	entry, ok := find(anna.w.Canvas().Overlays().Top(), func(*widgets.Field) bool { return true })
	if !ok {
		t.Fatal("the dialog has no field")
	}
	entry.SetText("no PIN")
	test.Tap(m.Buttons[1].(*widget.Button))
	if anna.dialogs.open == nil {
		t.Fatal("a wrong PIN is taken")
	}
	entry.SetText("735291")
	test.Tap(m.Buttons[1].(*widget.Button))
	l.until(t, "delivered", func() bool { return len(g.Files(phone.Key)) == 1 })

	anna.showSettings()
	field, ok := find(anna.prefs.box, func(f *widgets.Field) bool { return f.PlaceHolder == "None" })
	if !ok {
		t.Fatal("no field for the PIN")
	}
	field.SetText("not a PIN")
	field.OnSubmitted("")
	if anna.o.Settings.PIN != "" {
		t.Errorf("the PIN is %q", anna.o.Settings.PIN)
	}
	field.SetText("42")
	field.OnSubmitted("")
	if anna.o.Settings.PIN != "42" {
		t.Errorf("the PIN is %q", anna.o.Settings.PIN)
	}
}
