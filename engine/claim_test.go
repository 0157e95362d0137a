package engine_test

import (
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

// TestHandleInvitations_AsksOneOwner: no other reader is asked, and the engine asks them again after stop.
func TestHandleInvitations_AsksOneOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{}), net.Start(engine.Config{})
		meet(t, a, b)
		others := make(chan *engine.Invitation, 10)
		go b.Handling(t.Context(), engine.Handler{Invitation: func(i *engine.Invitation) { others <- i }})()
		b.Disconnect(a.Self().ID)
		time.Sleep(time.Second)
		stop := b.HandleInvitations(func(i *engine.Invitation) {
			time.Sleep(5 * time.Second) // as a person does
			_ = i.Accept()
		})
		if err := a.Invite(t.Context(), b.Self().ID); err != nil {
			t.Fatal(err)
		}
		if len(others) != 0 {
			t.Error("another reader was asked as well")
		}
		stop()
		b.Disconnect(a.Self().ID)
		time.Sleep(time.Second)
		invited := make(chan error)
		go func() { invited <- a.Invite(t.Context(), b.Self().ID) }()
		if err := (<-others).Accept(); err != nil {
			t.Error(err)
		}
		if err := <-invited; err != nil {
			t.Error(err)
		}
	})
}

// TestHandleOffers_AsksOneOwner: the function accepts, although a reader of events would decline.
func TestHandleOffers_AsksOneOwner(t *testing.T) {
	file, dir := bytesIn(t, 1000), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{}), net.Start(engine.Config{Accept: engine.Everyone})
		meet(t, a, b)
		go b.Handling(t.Context(), engine.Handler{Offer: func(o *engine.Offer) { _ = o.Decline() }})()
		b.HandleOffers(func(o *engine.Offer) {
			if err := o.Accept(engine.AcceptOptions{Dir: dir}); err != nil {
				t.Error(err)
			}
		})
		tr, err := a.Offer(t.Context(), b.Self().ID, file)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := a.Wait(t.Context(), tr.ID); err != nil || got.State != engine.Delivered {
			t.Error(got.State, err)
		}
	})
}
