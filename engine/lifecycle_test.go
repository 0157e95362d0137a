package engine_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

// alone returns an engine that finds no peers on its own.
func alone(t *testing.T) *engine.Engine {
	t.Helper()
	e, err := engine.New(engine.Config{Offers: engine.Everyone, Interfaces: []string{"lo"}, Hidden: true, Blind: true, Accept: engine.Everyone})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

func TestStart_PortIsOpenWhenItReturns(t *testing.T) {
	e := alone(t)
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e.Self().Port == 0 || !e.Self().Running {
		t.Errorf("%+v", e.Self())
	}
	if err := e.Start(t.Context()); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("a second start: %v", err)
	}
	taken, err := engine.New(engine.Config{Offers: engine.Everyone, Port: e.Self().Port, Interfaces: []string{"lo"}, Hidden: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := taken.Start(t.Context()); err == nil {
		t.Error("it starts with a port that is in use")
	}
	select {
	case <-taken.Done():
	default:
		t.Error("an engine that cannot start has not ended")
	}
}

func TestClose_EndsARunningEngine(t *testing.T) {
	e := alone(t)
	ran := make(chan error, 1)
	go func() { ran <- e.Run(t.Context()) }()
	for e.Self().Port == 0 {
		time.Sleep(time.Millisecond)
	}
	for range 2 {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
	select {
	case <-e.Done():
	default:
		t.Error("it has not ended")
	}
	if err := <-ran; err != nil {
		t.Error(err)
	}
	if err := e.Run(t.Context()); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("a run after the end: %v", err)
	}
}

// TestClose_LaterCallsReturnErrClosed: otherwise a program that retries on ErrNoPeer would retry forever.
func TestClose_LaterCallsReturnErrClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b, _, _ := pair(t, net)
		id := b.Self().ID
		_ = a.Stop()
		for what, call := range map[string]func() error{
			"Send":        func() error { _, err := a.Send(t.Context(), 1, id); return err },
			"Send to all": func() error { _, err := a.Send(t.Context(), 1, engine.Broadcast); return err },
			"Post":        func() error { _, err := a.Post(t.Context(), 1, id); return err },
			"SendDatagram": func() error {
				_, err := a.SendDatagram(1, engine.Broadcast)
				return err
			},
			"OpenStream": func() error { _, err := a.OpenStream(t.Context(), id, "x"); return err },
			"Invite":     func() error { return a.Invite(t.Context(), id) },
			"Dial":       func() error { _, err := a.Dial(t.Context(), b.Addr.String()); return err },
			"Search":     func() error { _, err := a.Search(t.Context()); return err },
			"Offer":      func() error { _, err := a.Offer(t.Context(), id, t.TempDir()); return err },
			"Pair":       func() error { return a.Pair(t.Context(), id) },
			"Path":       func() error { _, err := a.Path(id); return err },
			"SetTrust":   func() error { return a.SetTrust(id, engine.TrustSeen) },
			"SetName":    func() error { return a.SetName("new") },
			"SetAutoAccept": func() error {
				return a.SetAutoAccept(id, engine.AutoAccept{})
			},
			"Ping": func() error { _, err := a.Ping(t.Context(), id, engine.PingReliable); return err },
		} {
			if err := call(); !errors.Is(err, engine.ErrClosed) {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}

// TestClose_FailsWhatWaitsForItself: the error says that this side has ended, not the other one.
func TestClose_FailsWhatWaitsForItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b, _, _ := pair(t, net)
		net.Cut(b.Addr, true)
		d, err := a.Post(t.Context(), 1, b.Self().ID)
		if err != nil {
			t.Fatal(err)
		}
		_ = a.Stop()
		if r := d.Results(); !errors.Is(r[0].Err, engine.ErrClosed) {
			t.Error(r[0].Err)
		}
	})
}

func TestShutdown_DeliversWhatWasPosted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, 50*time.Millisecond)
		a, b, _, _ := pair(t, net)
		in := collect(t, b)
		for i := range 200 {
			if _, err := a.Post(context.Background(), i, b.Self().ID); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		if got := in.of(a.Self().ID); len(got) != 200 {
			t.Errorf("%d of 200 messages arrived", len(got))
		}
		if _, err := a.Post(t.Context(), 1, b.Self().ID); !errors.Is(err, engine.ErrClosed) {
			t.Errorf("a message after the end: %v", err)
		}
	})
}

// TestRun_EndOfItsContextDeliversWhatWasPosted covers a program that posts and then ends, for example at Ctrl-C.
func TestRun_EndOfItsContextDeliversWhatWasPosted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, 50*time.Millisecond)
		a, b, _, _ := pair(t, net)
		in := collect(t, b)
		var last *engine.Delivery
		for i := range 200 {
			d, err := a.Post(context.Background(), i, b.Self().ID)
			if err != nil {
				t.Fatal(err)
			}
			last = d
		}
		if err := a.Stop(); err != nil { // ends the context of Run
			t.Error(err)
		}
		if r := last.Results(); r[0].Err != nil {
			t.Errorf("the last message: %v", r[0].Err)
		}
		time.Sleep(time.Second)
		if got := in.of(a.Self().ID); len(got) != 200 {
			t.Errorf("%d of 200 messages arrived", len(got))
		}
	})
}

// TestRun_EndOfItsContextWaitsASecondAtMost covers a peer that does not answer, and a program without messages.
func TestRun_EndOfItsContextWaitsASecondAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b, _, _ := pair(t, net)
		net.Cut(b.Addr, true)
		d, err := a.Post(t.Context(), 1, b.Self().ID)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := a.Stop(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took < time.Second || took > 1500*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		if r := d.Results(); !errors.Is(r[0].Err, engine.ErrClosed) {
			t.Errorf("the message: %v", r[0].Err)
		}
		began = time.Now()
		if err := b.Stop(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 500*time.Millisecond {
			t.Errorf("without messages it took %v", took)
		}
	})
}

// TestClose_DoesNotWaitForMessages: Close is immediate, also while the end of the context waits for messages.
func TestClose_DoesNotWaitForMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b, _, _ := pair(t, net)
		net.Cut(b.Addr, true)
		if _, err := a.Post(t.Context(), 1, b.Self().ID); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		stopped := make(chan struct{})
		go func() { defer close(stopped); _ = a.Stop() }()
		time.Sleep(200 * time.Millisecond)
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 500*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		<-stopped
	})
}

func TestShutdown_WaitsNoLongerThanItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b, _, _ := pair(t, net)
		net.Cut(b.Addr, true)
		d, err := a.Post(t.Context(), 1, b.Self().ID)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if err := a.Shutdown(ctx); !errors.Is(err, engine.ErrTimeout) {
			t.Error(err)
		}
		if took := time.Since(began); took < time.Second || took > 2*time.Second {
			t.Errorf("it took %v", took)
		}
		if r := d.Results(); !errors.Is(r[0].Err, engine.ErrClosed) {
			t.Error(r[0].Err)
		}
	})
}

func TestDial_EndOfTheContextIsAnErrorOfTheEngine(t *testing.T) {
	e := alone(t)
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Dial(ctx, "127.0.0.1:9"); !errors.Is(err, engine.ErrCancelled) {
		t.Error(err)
	}
}

// TestHandleInvitations_PanicDeclinesAndIsReported: a panic in the program is visible, as with net/http.
func TestHandleInvitations_PanicDeclinesAndIsReported(t *testing.T) {
	var out lockedBuffer
	old := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&out, nil)))
	defer slog.SetDefault(old)
	asked := 0
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a := net.Start(engine.Config{Offers: engine.Everyone})
		a.HandleInvitations(func(*engine.Invitation) {
			asked++
			panic("a mistake")
		})
		b := net.Start(engine.Config{Offers: engine.Everyone})
		meet(t, b, a)
		if err := b.Invite(t.Context(), a.Self().ID); !errors.Is(err, engine.ErrDeclined) {
			t.Errorf("the invitation: %v", err)
		}
		time.Sleep(time.Minute)
		if p, _ := b.Peer(a.Self().ID); !p.Confirmed {
			t.Error("the connection ended")
		}
	})
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	if text := string(out.bytes()); !strings.Contains(text, "a mistake") || !bytes.Contains(out.bytes(), []byte("lifecycle_test.go")) {
		t.Errorf("the log is %q", text)
	}
}

func TestConfig_RefusesUnknownPolicies(t *testing.T) {
	for _, cfg := range []engine.Config{{Invite: 7}, {Accept: -1}, {Visible: 9}} {
		if _, err := engine.New(cfg); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}

func TestTransferState_ZeroIsNoState(t *testing.T) {
	var none engine.Transfer
	if s := none.State; s == engine.Queued || s.Final() || s.String() != "none" {
		t.Errorf("the zero state is %v", s)
	}
}

func TestWaitPeer_WaitsForTheState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a := net.Start(engine.Config{Offers: engine.Everyone})
		b := net.Start(engine.Config{Offers: engine.Everyone, Accept: engine.Everyone})
		id := b.Self().ID
		if p, err := a.WaitPeer(t.Context(), id, engine.Found); err != nil || p.ID != id {
			t.Fatal(p, err)
		}
		go func() {
			time.Sleep(time.Second)
			_ = a.Invite(t.Context(), id)
		}()
		if p, err := a.WaitPeer(t.Context(), id, engine.Connected); err != nil || !p.HasSession() {
			t.Error(p.State, err)
		}
		if p, err := a.WaitPeer(t.Context(), id, engine.Found); err != nil || !p.HasSession() { // it is more than found
			t.Error(p.State, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := a.WaitPeer(ctx, engine.PeerID{1}, engine.Found); !errors.Is(err, engine.ErrTimeout) {
			t.Errorf("of a peer that is missing: %v", err)
		}
		_ = a.Stop()
		if _, err := a.WaitPeer(t.Context(), engine.PeerID{1}, engine.Found); !errors.Is(err, engine.ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
	})
}

// TestVerify_PanicRefusesThePeer: a panic in Verify must not end the process.
func TestVerify_PanicRefusesThePeer(t *testing.T) {
	var out lockedBuffer
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a := net.Start(engine.Config{
			Offers: engine.Everyone,
			Verify: func(engine.PeerID, []byte) error { panic("a mistake") },
			Log:    slog.New(slog.NewTextHandler(&out, nil)),
		})
		b := net.Start(engine.Config{Offers: engine.Everyone})
		up(a, b)
		if _, err := b.Dial(t.Context(), a.Addr.String()); !errors.Is(err, engine.ErrRefused) {
			t.Errorf("the refused peer: %v", err)
		}
		if _, err := a.Dial(t.Context(), b.Addr.String()); err == nil {
			t.Error("the peer was not refused")
		}
	})
	if !strings.Contains(string(out.bytes()), "a mistake") {
		t.Errorf("the log is %q", out.bytes())
	}
}

// TestSetPolicies_ActAtOnce: peers that the new policy includes are connected, and others are no longer accepted.
func TestSetPolicies_ActAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone, Accept: engine.Everyone})
		meet(t, a, b)
		if err := a.SetPolicies(engine.Everyone, engine.Nobody); err != nil {
			t.Fatal(err)
		}
		if _, err := a.WaitPeer(t.Context(), b.Self().ID, engine.Connected); err != nil {
			t.Fatal(err)
		}
		if err := b.SetPolicies(engine.Nobody, engine.Nobody); err != nil {
			t.Fatal(err)
		}
		c := net.Start(engine.Config{Offers: engine.Everyone, Invite: engine.Everyone})
		meet(t, c, b)
		time.Sleep(time.Minute)
		if p, _ := c.Peer(b.Self().ID); p.HasSession() {
			t.Error("accepted after the policy has changed")
		}
		if err := a.SetPolicies(engine.Everyone+1, engine.Nobody); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("no policy: %v", err)
		}
	})
}

// TestSetPolicies_TakeBackWhatTheyBegan: an invitation by the old policy is withdrawn, and a session that has ended
// does not resume when its peer returns.
func TestSetPolicies_TakeBackWhatTheyBegan(t *testing.T) {
	t.Run("an invitation", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, latency)
			a, b := net.Start(engine.Config{Offers: engine.Everyone, Invite: engine.Everyone, Accept: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
			inv := events(t, b)(is[*engine.Invitation]).(*engine.Invitation)
			if err := a.SetPolicies(engine.Nobody, engine.Nobody); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			if err := inv.Accept(); !errors.Is(err, engine.ErrAnswered) {
				t.Errorf("the invitation can still be accepted: %v", err)
			}
			time.Sleep(time.Minute)
			if p, _ := a.Peer(b.Self().ID); p.HasSession() {
				t.Error("a session has begun")
			}
		})
	})
	t.Run("a session", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, latency)
			a, b := net.Start(engine.Config{Offers: engine.Everyone, Accept: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone, Invite: engine.Everyone})
			for _, pair := range [][2]*enginetest.Node{{a, b}, {b, a}} {
				if _, err := pair[0].WaitPeer(t.Context(), pair[1].Self().ID, engine.Connected); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(5 * time.Second)
			net.Cut(b.Addr, true)
			time.Sleep(time.Minute)
			if err := a.SetPolicies(engine.Nobody, engine.Nobody); err != nil {
				t.Fatal(err)
			}
			net.Cut(b.Addr, false)
			if _, err := b.Dial(t.Context(), a.Addr.String()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			if p, _ := a.Peer(b.Self().ID); p.HasSession() {
				t.Error("the session has come back")
			}
		})
	})
}
