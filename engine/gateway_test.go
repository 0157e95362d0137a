package engine_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
	"multipeer/engine/gateway"
	"multipeer/transfer"
)

var phone = gateway.Device{Key: "F00D", Name: "Nice Orange", Addr: netip.MustParseAddrPort("10.0.9.9:53317"), Proven: true, Encrypted: true}

// withGateway starts an engine with a gateway that has found phone.
func withGateway(t *testing.T) (*enginetest.Node, *enginetest.Gateway, engine.PeerID) {
	t.Helper()
	g := enginetest.NewGateway()
	a := enginetest.New(t, time.Millisecond).Start(engine.Config{Offers: engine.Everyone, Name: "a", Gateways: []gateway.Gateway{g}})
	g.Sink().Found(phone)
	synctest.Wait()
	p, err := a.FindPeer(phone.Name)
	if err != nil {
		t.Fatal(err)
	}
	return a, g, p.ID
}

// answerOffers answers each offer to n.
func answerOffers(t *testing.T, n *enginetest.Node, answer func(*engine.Offer)) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	seq, done := n.Watch(ctx), make(chan struct{})
	go func() {
		defer close(done)
		for ev := range seq {
			if o, ok := ev.(*engine.Offer); ok {
				answer(o)
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
}

// oneFile returns an offer of one file of 5 bytes, and the function that delivers the file.
func oneFile(content string) (gateway.Offer, func(context.Context, *transfer.Intake) error) {
	o := gateway.Offer{From: phone, Names: []string{"a.txt"}, Items: 1, Files: 1, Bytes: 5}
	return o, func(ctx context.Context, in *transfer.Intake) error {
		_, err := in.Receive(ctx, transfer.Part{Path: "a.txt", Size: 5}, strings.NewReader(content))
		return err
	}
}

// TestGateway_DeviceIsAPeer checks that the snapshot and later events report a device as a peer.
func TestGateway_DeviceIsAPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, g, id := withGateway(t)
		next := events(t, a)
		s := next(is[engine.Snapshot]).(engine.Snapshot)
		if len(s.Peers) != 1 || s.Peers[0].ID != id || s.Peers[0].Via != "Simulation" || s.Peers[0].Plain || !s.Peers[0].Confirmed || s.Peers[0].State != engine.Found {
			t.Fatalf("%+v", s.Peers)
		}
		renamed := phone
		renamed.Name = "Cool\x1b[2J Pear"
		g.Sink().Found(renamed)
		p := next(is[engine.PeerChanged]).(engine.PeerChanged).Peer
		if p.ID != id || strings.ContainsRune(p.Name, 0x1b) || !strings.Contains(p.Name, "Pear") {
			t.Errorf("%+v", p)
		}
		g.Sink().Found(renamed) // nothing has changed
		g.Sink().Lost(phone.Key)
		if ev := next(func(engine.Event) bool { return true }); !is[engine.PeerLost](ev) {
			t.Errorf("%#v", ev)
		}
		if _, known := a.Peer(id); known {
			t.Error("it is still there")
		}
	})
}

func TestGateway_OfferNeedsConsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, g, id := withGateway(t)
		o, take := oneFile("hello")
		if err := g.Sink().Receive(t.Context(), o, take); !errors.Is(err, engine.ErrUnavailable) {
			t.Errorf("no one is there to ask: %v", err)
		}
		dir := t.TempDir()
		answerOffers(t, a, func(offer *engine.Offer) {
			if offer.Transfer.Peer != id || offer.Transfer.Bytes != 5 || offer.Transfer.PeerName != phone.Name {
				t.Errorf("%+v", offer.Transfer)
			}
			if err := offer.Accept(engine.AcceptOptions{Person: true, Dir: dir}); err != nil {
				t.Error(err)
			}
		})
		if err := g.Sink().Receive(t.Context(), o, take); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(dir, "a.txt"))
		if err != nil || string(b) != "hello" {
			t.Errorf("%q %v", b, err)
		}
		synctest.Wait()
		list := a.Transfers()
		last := list[len(list)-1]
		if last.State != engine.Delivered || len(last.Saved) != 1 || last.Done != 5 {
			t.Errorf("%+v", last)
		}
		if a.Trust(id) != engine.TrustSeen {
			t.Errorf("trust %v", a.Trust(id))
		}
	})
}

// TestGateway_OfferThatBreaks checks that complete files stay, that incomplete ones do not appear under their names,
// and that the transfer reports this.
func TestGateway_OfferThatBreaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, g, _ := withGateway(t)
		dir := t.TempDir()
		answerOffers(t, a, func(o *engine.Offer) { _ = o.Accept(engine.AcceptOptions{Dir: dir}) })
		o := gateway.Offer{From: phone, Names: []string{"a", "b"}, Items: 2, Files: 2, Bytes: 10}
		err := g.Sink().Receive(t.Context(), o, func(ctx context.Context, in *transfer.Intake) error {
			if _, err := in.Receive(ctx, transfer.Part{Path: "a", Size: 5}, strings.NewReader("hello")); err != nil {
				return err
			}
			_, err := in.Receive(ctx, transfer.Part{Path: "b", Size: 5}, strings.NewReader("he"))
			return err
		})
		if err == nil {
			t.Error("it succeeded")
		}
		got, _ := filepath.Glob(filepath.Join(dir, "*"))
		if len(got) != 1 || filepath.Base(got[0]) != "a" {
			t.Errorf("%q", got)
		}
		last := a.Transfers()[0]
		if last.State != engine.Failed || len(last.Saved) != 1 || last.LeftOut != 1 || last.Err == nil {
			t.Errorf("%+v", last)
		}
	})
}

// TestGateway_BringsNoMoreThanAccepted checks that a device cannot send more than a person was shown.
func TestGateway_BringsNoMoreThanAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, g, _ := withGateway(t)
		dir := t.TempDir()
		answerOffers(t, a, func(o *engine.Offer) { _ = o.Accept(engine.AcceptOptions{Dir: dir}) })
		o, _ := oneFile("")
		err := g.Sink().Receive(t.Context(), o, func(ctx context.Context, in *transfer.Intake) error {
			_, err := in.Receive(ctx, transfer.Part{Path: "a.txt", Size: 1 << 20}, strings.NewReader(strings.Repeat("x", 1<<20)))
			return err
		})
		if !errors.Is(err, transfer.ErrTooMuch) {
			t.Error(err)
		}
	})
}

func TestGateway_DeclinedWithdrawnAndBlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, g, id := withGateway(t)
		var asked atomic.Int64
		answer := func(o *engine.Offer) { _ = o.DeclineByPerson() }
		answerOffers(t, a, func(o *engine.Offer) {
			asked.Add(1)
			answer(o)
		})
		o, take := oneFile("hello")
		for range 8 {
			if err := g.Sink().Receive(t.Context(), o, take); err == nil || errors.Is(err, engine.ErrUnavailable) {
				t.Errorf("declined: %v", err)
			}
		}
		if n := asked.Load(); n == 0 || n > 5 {
			t.Errorf("a person was asked %d times", n)
		}
		time.Sleep(time.Hour)
		answer = func(*engine.Offer) {} // no one answers
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, engine.ErrCancelled)
		defer cancel()
		if err := g.Sink().Receive(ctx, o, take); !errors.Is(err, engine.ErrCancelled) {
			t.Errorf("withdrawn: %v", err)
		}
		list := a.Transfers()
		if last := list[len(list)-1]; last.State != engine.Cancelled || !last.ByPeer {
			t.Errorf("%+v", last)
		}
		if err := a.SetTrust(id, engine.TrustBlocked); err != nil {
			t.Fatal(err)
		}
		if err := g.Sink().Receive(t.Context(), o, take); !errors.Is(err, engine.ErrBlocked) {
			t.Errorf("blocked: %v", err)
		}
		if err := g.Sink().ReceiveText(phone, "hello"); !errors.Is(err, engine.ErrBlocked) {
			t.Errorf("blocked: %v", err)
		}
	})
}

// TestGateway_CancelEndsTake checks that cancelling a transfer on this side ends take.
func TestGateway_CancelEndsTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, g, _ := withGateway(t)
		dir := t.TempDir()
		answerOffers(t, a, func(o *engine.Offer) {
			_ = o.Accept(engine.AcceptOptions{Dir: dir})
			time.AfterFunc(time.Second, func() { a.Cancel(o.Transfer.ID) })
		})
		o, _ := oneFile("")
		err := g.Sink().Receive(t.Context(), o, func(ctx context.Context, _ *transfer.Intake) error {
			<-ctx.Done()
			return ctx.Err()
		})
		if !errors.Is(err, engine.ErrCancelled) {
			t.Error(err)
		}
		if last := a.Transfers()[0]; last.State != engine.Cancelled || last.ByPeer {
			t.Errorf("%+v", last)
		}
	})
}

func TestGateway_Sends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, g, id := withGateway(t)
		dir := t.TempDir()
		must(t, os.MkdirAll(filepath.Join(dir, "album", "deep"), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, "album", "deep", "x.txt"), []byte("x"), 0o644))
		must(t, os.WriteFile(filepath.Join(dir, "y.txt"), []byte("yy"), 0o644))
		tr, err := a.OfferWith(t.Context(), id, engine.OfferOptions{Person: true}, filepath.Join(dir, "album"), filepath.Join(dir, "y.txt"))
		must(t, err)
		end, err := a.Wait(t.Context(), tr.ID)
		if err != nil || end.State != engine.Delivered || end.Files != 2 || end.Bytes != 3 {
			t.Fatalf("%+v %v", end, err)
		}
		if got := g.Files(phone.Key); got["album/deep/x.txt"] != "x" || got["y.txt"] != "yy" || len(got) != 2 {
			t.Errorf("%q", got)
		}
		synctest.Wait() // the profile is written in the background
		if a.Trust(id) != engine.TrustSeen {
			t.Errorf("trust %v", a.Trust(id))
		}
		results, err := a.Send(t.Context(), map[string]any{"text": "hello", "everyone": false}, id)
		if err != nil || results[0].Err != nil || len(g.Texts(phone.Key)) != 1 || g.Texts(phone.Key)[0] != "hello" {
			t.Errorf("%v %v %q", results, err, g.Texts(phone.Key))
		}
		for what, v := range map[string]any{"bytes": []byte("hello"), "an object": map[string]int{"x": 1}, "a number": 1} {
			if results, err := a.Send(t.Context(), v, id); !errors.Is(err, engine.ErrUnavailable) {
				t.Errorf("%s: %v %v", what, results, err)
			}
		}
	})
}

func TestGateway_SendFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := enginetest.NewGateway()
		var answer atomic.Pointer[error]
		g.Answer = func(ctx context.Context, _ gateway.Device) error {
			switch err := *answer.Load(); {
			case errors.Is(err, context.DeadlineExceeded):
				<-ctx.Done()
				return ctx.Err()
			default:
				return err
			}
		}
		a := enginetest.New(t, time.Millisecond).Start(engine.Config{Offers: engine.Everyone, Gateways: []gateway.Gateway{g}})
		g.Sink().Found(phone)
		synctest.Wait()
		p, err := a.FindPeer(phone.Name)
		must(t, err)
		file := filepath.Join(t.TempDir(), "f")
		must(t, os.WriteFile(file, []byte("f"), 0o644))
		for _, c := range []struct {
			answer error
			want   engine.TransferState
			byPeer bool
		}{
			{engine.ErrDeclined, engine.Declined, false},
			{engine.ErrCancelled, engine.Cancelled, true},
			{engine.ErrBusy, engine.Failed, false},
			{engine.ErrLost, engine.Failed, false},
			{context.DeadlineExceeded, engine.Cancelled, false},
		} {
			answer.Store(&c.answer)
			tr, err := a.Offer(t.Context(), p.ID, file)
			must(t, err)
			if errors.Is(c.answer, context.DeadlineExceeded) {
				time.AfterFunc(time.Second, func() { a.Cancel(tr.ID) })
			}
			end, err := a.Wait(t.Context(), tr.ID)
			if !errors.Is(err, end.Err) || end.State != c.want || end.ByPeer != c.byPeer {
				t.Errorf("%v: %v by peer %v: %v, %v", c.answer, end.State, end.ByPeer, end.Err, err)
			}
			if err := a.Pause(tr.ID); err == nil {
				t.Error("it was paused")
			}
		}
		if a.Trust(p.ID) != engine.TrustUnknown {
			t.Errorf("trust %v without an acceptance", a.Trust(p.ID))
		}
	})
}

// TestGateway_KeptOfferWaits checks that an offer with Keep goes to a device when it appears.
func TestGateway_KeptOfferWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, g, id := withGateway(t)
		g.Sink().Lost(phone.Key)
		file := filepath.Join(t.TempDir(), "f")
		must(t, os.WriteFile(file, []byte("f"), 0o644))
		if _, err := a.Offer(t.Context(), id, file); !errors.Is(err, engine.ErrNoPeer) {
			t.Errorf("without Keep: %v", err)
		}
		tr, err := a.OfferWith(t.Context(), id, engine.OfferOptions{Keep: true}, file)
		must(t, err)
		time.Sleep(time.Hour)
		g.Sink().Found(phone)
		if end, err := a.Wait(t.Context(), tr.ID); err != nil || end.State != engine.Delivered {
			t.Errorf("%+v %v", end, err)
		}
	})
}

// TestGateway_UnprovenStaysAStranger checks that a device that proves nothing never becomes known, whatever is
// accepted.
func TestGateway_UnprovenStaysAStranger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, g, _ := withGateway(t)
		dir := t.TempDir()
		answerOffers(t, a, func(o *engine.Offer) { _ = o.Accept(engine.AcceptOptions{Dir: dir, Person: true}) })
		o, take := oneFile("hello")
		o.From = gateway.Device{Key: "10.0.9.8", Name: "Plain Plum", Addr: phone.Addr}
		if err := g.Sink().Receive(t.Context(), o, take); !errors.Is(err, engine.ErrBusy) {
			t.Errorf("a device that was not found offers: %v", err)
		}
		g.Sink().Found(o.From)
		must(t, g.Sink().Receive(t.Context(), o, take))
		synctest.Wait()
		p, err := a.FindPeer("Plain Plum")
		must(t, err)
		if !p.Plain || p.Confirmed || p.Trust != engine.TrustUnknown {
			t.Errorf("%+v", p)
		}
		for _, trust := range []engine.Trust{engine.TrustSeen, engine.TrustVerified} {
			if err := a.SetTrust(p.ID, trust); !errors.Is(err, engine.ErrInvalid) {
				t.Errorf("%v: %v", trust, err)
			}
		}
		if err := g.Sink().ReceiveText(o.From, "hello"); !errors.Is(err, engine.ErrDeclined) {
			t.Errorf("text: %v", err)
		}
	})
}

func TestGateway_TextsOfKnownDevicesOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, g, id := withGateway(t)
		if err := g.Sink().ReceiveText(phone, "hello"); !errors.Is(err, engine.ErrDeclined) {
			t.Errorf("of a stranger: %v", err)
		}
		must(t, a.SetTrust(id, engine.TrustSeen))
		if err := g.Sink().ReceiveText(phone, "hello"); !errors.Is(err, engine.ErrUnavailable) {
			t.Errorf("without a reader: %v", err)
		}
		in := collect(t, a)
		must(t, g.Sink().ReceiveText(phone, "hello"))
		synctest.Wait()
		if got := in.of(id); len(got) != 1 || got[0] != `{"text":"hello"}` {
			t.Errorf("%q", got)
		}
		if err := g.Sink().ReceiveText(phone, strings.Repeat("x", 32<<10+1)); !errors.Is(err, engine.ErrTooLarge) {
			t.Errorf("long: %v", err)
		}
		if err := g.Sink().ReceiveText(phone, "\xff"); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("not UTF-8: %v", err)
		}
	})
}

// TestGateway_TextsThatWaitAreLimited checks that text to a device that does not answer fails at once when too much
// waits.
func TestGateway_TextsThatWaitAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, g, id := withGateway(t)
		g.Hold(true)
		busy := 0
		var all []*engine.Delivery
		for range 40 {
			d, err := a.Post(t.Context(), map[string]string{"text": "x"}, id)
			must(t, err)
			all = append(all, d)
		}
		synctest.Wait()
		g.Hold(false)
		for _, d := range all {
			if errors.Is(d.Results()[0].Err, engine.ErrBusy) {
				busy++
			}
		}
		if busy != 40-16 || len(g.Texts(phone.Key)) != 16 {
			t.Errorf("%d refused, %d sent", busy, len(g.Texts(phone.Key)))
		}
	})
}

// TestGateway_WhatDevicesCannot checks that everything that devices do not support fails at once, with a reason.
func TestGateway_WhatDevicesCannot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, id := withGateway(t)
		began := time.Now()
		for what, f := range map[string]func() error{
			"invite":   func() error { return a.Invite(t.Context(), id) },
			"pair":     func() error { return a.Pair(t.Context(), id) },
			"stream":   func() error { _, err := a.OpenStream(t.Context(), id, "x"); return err },
			"ping":     func() error { _, err := a.Ping(t.Context(), id, engine.PingReliable); return err },
			"path":     func() error { _, err := a.Path(id); return err },
			"datagram": func() error { r, err := a.SendDatagram(1, id); return errors.Join(err, r[0].Err) },
		} {
			if err := f(); !errors.Is(err, engine.ErrUnavailable) || !strings.Contains(err.Error(), "Simulation") {
				t.Errorf("%s: %v", what, err)
			}
		}
		a.Disconnect(id)
		if d := time.Since(began); d > 0 {
			t.Errorf("took %v", d)
		}
	})
}

func TestGateway_DevicesAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, g, _ := withGateway(t)
		for i := range 400 {
			d := phone
			d.Key = strings.Repeat("k", i+1)
			g.Sink().Found(d)
		}
		if n := len(a.Peers()); n != 192 {
			t.Errorf("%d devices", n)
		}
		known := phone
		known.Key = "known"
		must(t, a.SetTrust(gateway.PeerID(g.Name(), known.Key), engine.TrustSeen))
		g.Sink().Found(known)
		if n := len(a.Peers()); n != 193 {
			t.Error("strangers keep a known device out")
		}
	})
}

// TestGateway_KnowsWhatToAnnounce checks that a gateway learns the name, and whether strangers may see this device.
func TestGateway_KnowsWhatToAnnounce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, g, _ := withGateway(t)
		if s := g.Self(); s.Name != "a" || !s.Visible {
			t.Errorf("%+v", s)
		}
		must(t, a.SetName("b"))
		must(t, a.SetVisible(engine.VisibleToKnown, 0))
		synctest.Wait()
		if s := g.Self(); s.Name != "b" || s.Visible {
			t.Errorf("%+v", s)
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// keepingTexts is a gateway whose device does not answer texts.
type keepingTexts struct {
	*enginetest.Gateway
	began chan struct{}
}

func (g keepingTexts) SendText(ctx context.Context, _ gateway.Device, _ string) error {
	close(g.began)
	<-ctx.Done()
	return context.Cause(ctx)
}

// TestGateway_CloseWaitsForNoDevice checks that a device that does not answer a text does not delay the engine's end.
func TestGateway_CloseWaitsForNoDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := keepingTexts{enginetest.NewGateway(), make(chan struct{})}
		a := enginetest.New(t, time.Millisecond).Start(engine.Config{Offers: engine.Everyone, Name: "a", Gateways: []gateway.Gateway{g}})
		g.Sink().Found(phone)
		synctest.Wait()
		p, err := a.FindPeer(phone.Name)
		if err != nil {
			t.Fatal(err)
		}
		d, err := a.Post(t.Context(), map[string]string{"text": "hi"}, p.ID)
		if err != nil {
			t.Fatal(err)
		}
		<-g.began
		began := time.Now()
		_ = a.Stop()
		if waited := time.Since(began); waited > time.Second {
			t.Errorf("the end took %v", waited)
		}
		if err := d.Results()[0].Err; !errors.Is(err, engine.ErrClosed) {
			t.Error(err)
		}
	})
}
