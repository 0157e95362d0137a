package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

// TestAnswerThatCrossesTheWithdrawal leaves no session on one side only.
func TestAnswerThatCrossesTheWithdrawal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const latency = 20 * time.Millisecond
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{}), net.Start(engine.Config{Accept: engine.Everyone})
		meet(t, a, b)
		time.Sleep(3 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), latency*3/2)
		defer cancel()
		if err := a.Invite(ctx, b.Self().ID); !errors.Is(err, engine.ErrTimeout) {
			t.Error(err)
		}
		time.Sleep(time.Second)
		if connected(a)+connected(b) != 0 {
			t.Errorf("a has %d sessions, b %d", connected(a), connected(b))
		}
	})
}

// TestInvitationWithdrawnAndRepeated while the yes to the first is under way: what was sent in between is told as not
// delivered, and blocks nothing.
func TestInvitationWithdrawnAndRepeated(t *testing.T) {
	for _, broken := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			const latency = 20 * time.Millisecond
			net := enginetest.New(t, latency)
			b, a := net.Start(engine.Config{Name: "b"}), net.Start(engine.Config{Name: "a", Accept: engine.Everyone})
			in := collect(t, b)
			next := events(t, a)
			meet(t, b, a)
			meet(t, a, b)
			time.Sleep(3 * time.Second)
			first := make(chan *engine.Delivery, 1)
			go func() {
				next(is[engine.PeerAdded])
				d, err := a.Post(context.Background(), "first", b.Self().ID)
				if err != nil {
					t.Error(err)
				}
				first <- d
			}()
			ctx, cancel := context.WithTimeout(t.Context(), latency*3/2)
			defer cancel()
			_ = b.Invite(ctx, a.Self().ID)
			if err := b.Invite(t.Context(), a.Self().ID); err != nil {
				t.Fatal(err)
			}
			d := <-first
			time.Sleep(time.Second)
			if broken {
				net.Cut(b.Addr, true)
				time.Sleep(9 * time.Second)
				net.Cut(b.Addr, false)
			}
			for i := range 100 {
				if r, err := a.Send(t.Context(), i, b.Self().ID); err != nil || r[0].Err != nil {
					t.Fatalf("message %d: %v %v", i, r, err)
				}
			}
			got := in.of(a.Self().ID)
			if arrived := got[0] == `"first"`; arrived != (d.Results()[0].Err == nil) {
				t.Errorf("the first one: %v, and arrived: %v", d.Results()[0].Err, arrived)
			}
		})
	}
}

// TestInviteWithdrawsItsOwnOnly: neither a policy's invitation nor another caller's ends with it.
func TestInviteWithdrawsItsOwnOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Invite: engine.Everyone}), net.Start(engine.Config{})
		inv := events(t, b)(is[engine.InvitationReceived]).(engine.InvitationReceived).Invitation
		second := make(chan error, 1)
		go func() { second <- a.Invite(context.Background(), b.Self().ID) }()
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := a.Invite(ctx, b.Self().ID); !errors.Is(err, engine.ErrTimeout) {
			t.Error(err)
		}
		if err := inv.Accept(); err != nil {
			t.Error(err)
		}
		if err := <-second; err != nil {
			t.Error(err)
		}
	})
}

// TestVoidInvitationIsClosed: one that was withdrawn while it crossed the other side's.
func TestVoidInvitationIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, 20*time.Millisecond)
		a, b := net.Start(engine.Config{}), net.Start(engine.Config{})
		events(t, a)
		nextB := events(t, b)
		meet(t, a, b)
		meet(t, b, a)
		time.Sleep(3 * time.Second)
		go func() { _ = a.Invite(context.Background(), b.Self().ID) }()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		_ = b.Invite(ctx, a.Self().ID)
		inv := nextB(is[engine.InvitationReceived]).(engine.InvitationReceived).Invitation
		time.Sleep(time.Second)
		if connected(a) != connected(b) {
			t.Errorf("%d and %d sessions", connected(a), connected(b))
		}
		if err := inv.Accept(); connected(b) == 0 && !errors.Is(err, engine.ErrAnswered) {
			t.Error(err)
		}
		time.Sleep(time.Second)
		if connected(a) != connected(b) {
			t.Errorf("after the answer: %d and %d sessions", connected(a), connected(b))
		}
	})
}

// TestFewPlacesAreFilled: engines that all want each other and have one place each find pairs, and a no or a silence
// keeps nobody from the next one.
func TestFewPlacesAreFilled(t *testing.T) {
	for range 5 {
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, latency)
			var all []*enginetest.Node
			for range 6 {
				cfg := open("")
				cfg.MaxPeers = 1
				all = append(all, net.Start(cfg))
			}
			time.Sleep(2 * time.Minute)
			for i, n := range all {
				if connected(n) != 1 {
					t.Errorf("engine %d: %d sessions", i, connected(n))
				}
			}
		})
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, latency)
			net.Start(engine.Config{Admit: func(engine.Peer, json.RawMessage) engine.Decision { return engine.No }})
			silent := net.Start(engine.Config{})
			events(t, silent)
			cfg := open("small")
			cfg.MaxPeers = 1
			small := net.Start(cfg)
			net.Start(engine.Config{Accept: engine.Everyone})
			time.Sleep(2 * time.Minute)
			if connected(small) != 1 {
				t.Errorf("%d sessions, though one accepts everybody", connected(small))
			}
		})
	}
}

// TestMaxPeersHoldsForWhoComesBack: a session that returns finds its place taken.
func TestMaxPeersHoldsForWhoComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a := net.Start(engine.Config{Accept: engine.Everyone, MaxPeers: 1})
		b, c := net.Start(engine.Config{}), net.Start(engine.Config{})
		meet(t, b, a)
		if err := b.Invite(t.Context(), a.Self().ID); err != nil {
			t.Fatal(err)
		}
		net.Cut(b.Addr, true)
		time.Sleep(20 * time.Second)
		if err := c.Invite(t.Context(), a.Self().ID); err != nil {
			t.Fatal(err)
		}
		net.Cut(b.Addr, false)
		b.SetAdvertising(false)
		b.SetAdvertising(true)
		time.Sleep(time.Minute)
		if connected(a) != 1 || connected(b) != 0 || connected(c) != 1 {
			t.Errorf("%d, %d and %d sessions", connected(a), connected(b), connected(c))
		}
	})
}
