package engine_test

import (
	"context"
	"errors"
	"net/netip"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

// TestInvitation_AnswerCrossingItsWithdrawal checks that no session remains on one side only.
func TestInvitation_AnswerCrossingItsWithdrawal(t *testing.T) {
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

// TestInvitation_WithdrawnAndRepeatedBlocksNoMessages withdraws and repeats an invitation while the first acceptance
// is in transit: messages sent in between are reported as not delivered, and block nothing.
func TestInvitation_WithdrawnAndRepeatedBlocksNoMessages(t *testing.T) {
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

// TestInvite_WithdrawsOnlyItsOwnInvitation checks that the end of a call does not withdraw a policy's invitation or
// another caller's.
func TestInvite_WithdrawsOnlyItsOwnInvitation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Invite: engine.Everyone}), net.Start(engine.Config{})
		inv := events(t, b)(is[*engine.Invitation]).(*engine.Invitation)
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

// TestInvitation_WithdrawnWhileCrossingIsClosed withdraws an invitation that crosses the other side's.
func TestInvitation_WithdrawnWhileCrossingIsClosed(t *testing.T) {
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
		inv := nextB(is[*engine.Invitation]).(*engine.Invitation)
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

// TestMaxPeers_EnginesWithOneSlotFormPairs checks that engines that all want each other and have one slot each form
// pairs, and that a refusal or a missing answer does not keep an engine from the next peer.
func TestMaxPeers_EnginesWithOneSlotFormPairs(t *testing.T) {
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
			no := net.Start(engine.Config{})
			no.HandleInvitations(func(i *engine.Invitation) { _ = i.Decline() })
			silent := net.Start(engine.Config{})
			events(t, silent)
			cfg := open("small")
			cfg.MaxPeers = 1
			small := net.Start(cfg)
			net.Start(engine.Config{Accept: engine.Everyone})
			time.Sleep(2 * time.Minute)
			if connected(small) != 1 {
				t.Errorf("%d sessions, though one accepts everyone", connected(small))
			}
		})
	}
}

// TestMaxPeers_HoldsForAReturningSession checks that a session that returns is refused if its slot was taken.
func TestMaxPeers_HoldsForAReturningSession(t *testing.T) {
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
		b.SetLooking(false, true)
		b.SetLooking(true, true)
		time.Sleep(time.Minute)
		if connected(a) != 1 || connected(b) != 0 || connected(c) != 1 {
			t.Errorf("%d, %d and %d sessions", connected(a), connected(b), connected(c))
		}
	})
}

// TestInvitation_EndsWhenItsSenderRestarts checks that a restarted peer is not taken for the previous run.
func TestInvitation_EndsWhenItsSenderRestarts(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "profile")
	synctest.Test(t, func(t *testing.T) {
		n := enginetest.New(t, latency)
		a, b := n.Start(engine.Config{Profile: dir}), n.Start(engine.Config{})
		next := events(t, b)
		meet(t, a, b)
		go func() { _ = a.Invite(t.Context(), b.Self().ID) }()
		old := next(is[*engine.Invitation]).(*engine.Invitation)
		n.Drop(func(_, _ netip.AddrPort) bool { return true }) // it dies without a goodbye
		_ = a.Stop()
		n.Drop(nil)
		a = n.Start(engine.Config{Profile: dir})
		meet(t, a, b)
		time.Sleep(3 * time.Second)
		if err := old.Accept(); !errors.Is(err, engine.ErrAnswered) {
			t.Errorf("the old invitation can be accepted: %v", err)
		}
		answer := make(chan error, 1)
		go func() { answer <- a.Invite(t.Context(), b.Self().ID) }()
		inv := next(is[*engine.Invitation]).(*engine.Invitation)
		if err := inv.Accept(); err != nil {
			t.Error(err)
		}
		if err := <-answer; err != nil {
			t.Errorf("the new one: %v", err)
		}
	})
}

func TestInvite_FailsWhenDeclinedOrUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{}), net.Start(engine.Config{})
		next := events(t, b)
		meet(t, a, b)
		go func() { next(is[*engine.Invitation]).(*engine.Invitation).Decline() }()
		if err := a.Invite(t.Context(), b.Self().ID); !errors.Is(err, engine.ErrDeclined) {
			t.Errorf("Invite: %v", err)
		}
		if connected(a)+connected(b) != 0 {
			t.Error("connected all the same")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := a.Invite(ctx, b.Self().ID); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, engine.ErrTimeout) {
			t.Errorf("unanswered: %v", err)
		}
		next(is[engine.InvitationClosed])
	})
}
