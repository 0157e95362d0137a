package engine_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

// TestOffers_PolicySelectsPeersWithoutASession checks Config.Offers: a stranger's offer does not reach a program that
// takes offers in sessions only.
func TestOffers_PolicySelectsPeersWithoutASession(t *testing.T) {
	file := bytesIn(t, 10)
	for _, c := range []struct {
		name   string
		policy engine.Audience
		trust  engine.Trust
		asked  bool
	}{
		{"a stranger, by default", engine.Nobody, engine.TrustUnknown, false},
		{"a known peer, by default", engine.Nobody, engine.TrustSeen, false},
		{"a verified peer, by default", engine.Nobody, engine.TrustVerified, false},
		{"a known peer, verified ones are selected", engine.Verified, engine.TrustSeen, false},
		{"a verified peer, verified ones are selected", engine.Verified, engine.TrustVerified, true},
		{"a stranger, known ones are selected", engine.Known, engine.TrustUnknown, false},
		{"a known peer, known ones are selected", engine.Known, engine.TrustSeen, true},
		{"a stranger, everyone is selected", engine.Everyone, engine.TrustUnknown, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := enginetest.New(t, latency)
				a, b := net.Start(engine.Config{}), net.Start(engine.Config{Offers: c.policy})
				meet(t, a, b)
				if err := b.SetTrust(a.Self().ID, c.trust); err != nil {
					t.Fatal(err)
				}
				asked := make(chan engine.Trust, 1)
				b.HandleOffers(func(o *engine.Offer) { asked <- o.Peer().Trust })
				tr, err := a.Offer(t.Context(), b.Self().ID, file)
				if err != nil {
					t.Fatal(err)
				}
				got, _ := a.Wait(t.Context(), tr.ID)
				synctest.Wait()
				if c.asked && (len(asked) != 1 || got.State != engine.Declined || <-asked != c.trust) {
					t.Errorf("not asked: %v, %v", got.State, got.Err)
				}
				if !c.asked && (len(asked) != 0 || got.State != engine.Failed || !errors.Is(got.Err, engine.ErrUnavailable)) {
					t.Errorf("asked: %v, %v", got.State, got.Err)
				}
			})
		})
	}
}

// TestOffers_ASessionIsEnough checks that a peer with a session may offer, also when the session ends before the answer.
func TestOffers_ASessionIsEnough(t *testing.T) {
	file, dir := bytesIn(t, 10), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b, _, _ := pair(t, net)
		asked, answer := make(chan struct{}, 1), make(chan struct{})
		b.HandleOffers(func(o *engine.Offer) {
			asked <- struct{}{}
			<-answer
			if err := o.Accept(engine.AcceptOptions{Dir: dir}); err != nil {
				t.Error(err)
			}
		})
		tr, err := a.Offer(t.Context(), b.Self().ID, file)
		if err != nil {
			t.Fatal(err)
		}
		<-asked
		a.Leave()
		time.Sleep(time.Second)
		close(answer)
		if got, err := a.Wait(t.Context(), tr.ID); err != nil || !got.Complete() {
			t.Errorf("%v, %v, complete %v", got.State, err, got.Complete())
		}
		again, err := a.Offer(t.Context(), b.Self().ID, file)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := a.Wait(t.Context(), again.ID); !errors.Is(got.Err, engine.ErrUnavailable) || got.Complete() {
			t.Errorf("after the session: %v, %v", got.State, got.Err)
		}
	})
}

// TestOffers_AutoAcceptNeedsNoSession checks that a person's rule for a peer is enough.
func TestOffers_AutoAcceptNeedsNoSession(t *testing.T) {
	files, dir := map[int]string{10: bytesIn(t, 10), 100_000: bytesIn(t, 100_000)}, t.TempDir() // the rule admits the first
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{}), net.Start(engine.Config{})
		meet(t, a, b)
		if err := b.SetTrust(a.Self().ID, engine.TrustVerified); err != nil {
			t.Fatal(err)
		}
		if err := b.SetAutoAccept(a.Self().ID, engine.AutoAccept{Dir: dir, Bytes: 70_000}); err != nil {
			t.Fatal(err)
		}
		for size, want := range map[int]engine.TransferState{10: engine.Delivered, 100_000: engine.Failed} {
			tr, err := a.Offer(t.Context(), b.Self().ID, files[size])
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := a.Wait(t.Context(), tr.ID); got.State != want {
				t.Errorf("%d bytes: %v, %v", size, got.State, got.Err)
			}
		}
	})
}

// TestComplete_SaysWhetherAnythingWasLeftOut distinguishes what Delivered does not.
func TestComplete_SaysWhetherAnythingWasLeftOut(t *testing.T) {
	for _, c := range []struct {
		transfer engine.Transfer
		want     bool
	}{
		{engine.Transfer{State: engine.Delivered}, true},
		{engine.Transfer{State: engine.Delivered, LeftOut: 1, Err: engine.ErrIncomplete}, false},
		{engine.Transfer{State: engine.Finishing}, false},
		{engine.Transfer{State: engine.Failed}, false},
		{engine.Transfer{}, false},
	} {
		if got := c.transfer.Complete(); got != c.want {
			t.Errorf("%v with %d left out: %v", c.transfer.State, c.transfer.LeftOut, got)
		}
	}
}
