package engine_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

// TestHandleInvitations_AsksOneOwner: while a function is set, no other reader is asked; after stop, readers are asked
// again.
func TestHandleInvitations_AsksOneOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
		meet(t, a, b)
		others := make(chan *engine.Invitation, 10)
		b.Handle(t.Context(), engine.Handler{Invitation: func(i *engine.Invitation) { others <- i }})
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
		a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone, Accept: engine.Everyone})
		meet(t, a, b)
		b.Handle(t.Context(), engine.Handler{Offer: func(o *engine.Offer) { _ = o.Decline() }})
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

// TestHandleInvitations_PanicDeclines: the peer does not wait for an answer that never comes.
func TestHandleInvitations_PanicDeclines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
		b.HandleInvitations(func(*engine.Invitation) { panic("a mistake") })
		for len(a.Peers()) == 0 {
			time.Sleep(time.Second)
		}
		began := time.Now()
		if err := a.Invite(t.Context(), b.Self().ID); !errors.Is(err, engine.ErrDeclined) || time.Since(began) > time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// TestHandleOffers_ReturningDeclines: the peer does not wait for ten minutes because a program has forgotten to answer, or
// its folder cannot be used.
func TestHandleOffers_ReturningDeclines(t *testing.T) {
	file := bytesIn(t, 10)
	for name, f := range map[string]func(*testing.T, *engine.Offer){
		"without an answer": func(*testing.T, *engine.Offer) {},
		"after Accept has failed": func(t *testing.T, o *engine.Offer) {
			if err := o.Accept(engine.AcceptOptions{Dir: filepath.Join(file, "in a file")}); err == nil {
				t.Error("a folder inside a file")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := enginetest.New(t, latency)
				a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
				meet(t, a, b)
				b.HandleOffers(func(o *engine.Offer) { f(t, o) })
				tr, err := a.Offer(t.Context(), b.Self().ID, file)
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if got, err := a.Wait(ctx, tr.ID); got.State != engine.Declined {
					t.Error(got.State, err)
				}
			})
		})
	}
}

// TestHandleOffers_WithdrawnOnesClose: a function that waits for a person is notified that the offer was withdrawn, and
// a peer cannot keep more calls waiting than its share.
func TestHandleOffers_WithdrawnOnesClose(t *testing.T) {
	file := bytesIn(t, 10)
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(open("a")), net.Start(open("b"))
		meet(t, a, b)
		if err := b.SetTrust(a.Self().ID, engine.TrustSeen); err != nil { // a stranger may ask less often
			t.Fatal(err)
		}
		var waiting, stuck atomic.Int64
		stop := b.HandleOffers(func(o *engine.Offer) {
			waiting.Add(1)
			<-o.Closed()
			waiting.Add(-1)
		})
		for range 5 {
			tr, err := a.Offer(t.Context(), b.Self().ID, file)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			if waiting.Load() != 1 {
				t.Fatalf("%d questions wait", waiting.Load())
			}
			a.Cancel(tr.ID)
			time.Sleep(time.Second)
			if waiting.Load() != 0 {
				t.Fatal("a withdrawn question waits")
			}
		}
		stop()
		release := make(chan struct{})
		b.HandleOffers(func(*engine.Offer) { stuck.Add(1); <-release }) // ignores Closed
		for range 100 {
			if tr, err := a.Offer(t.Context(), b.Self().ID, file); err == nil {
				time.Sleep(100 * time.Millisecond)
				a.Cancel(tr.ID)
			}
		}
		if stuck.Load() != 64 {
			t.Errorf("%d questions of one peer wait", stuck.Load())
		}
		close(release)
	})
}
