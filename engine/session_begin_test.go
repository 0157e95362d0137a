package engine_test

import (
	"strings"
	"testing"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
	"multipeer/internal/testing/load"
)

func TestDatagram_CanBeSentRightAfterInvite(t *testing.T) {
	net := enginetest.New(t, 200*time.Microsecond)
	a, b := net.Start(engine.Config{}), net.Start(engine.Config{Accept: engine.Everyone})
	meet(t, a, b)
	collect(t, b)
	id := b.Self().ID
	for n := range 150 {
		if err := a.Invite(t.Context(), id); err != nil { // b may not have noticed the end of the last session
			t.Log(err)
			continue
		}
		if r, err := a.SendDatagram(n, id); err != nil || r[0].Err != nil {
			t.Fatalf("datagram %d: %v, %v", n, r, err)
		}
		a.Disconnect(id)
	}
}

func TestSession_TakesWhatComesWhileItBegins(t *testing.T) {
	net := enginetest.New(t, time.Millisecond)
	a, b, _, _ := pair(t, net)
	collect(t, a)
	collect(t, b)
	send := func(what string, by func() ([]engine.Result, error), during *engine.Engine, of engine.PeerID) {
		t.Helper()
		result := make(chan error, 1)
		began := time.Now()
		during.WhileSessionBegins(of, 100*time.Millisecond, func() {
			r, err := by()
			if err == nil {
				err = r[0].Err
			}
			result <- err
		})
		err, took := <-result, time.Since(began)
		if limit := time.Duration(5 * load.Factor() * float64(time.Second)); err != nil || took > limit {
			t.Errorf("%s: %v after %v, more than %v", what, err, took, limit)
		}
	}
	send("a datagram that is sent", func() ([]engine.Result, error) { return a.SendDatagram("x", b.Self().ID) }, a.Engine, b.Self().ID)
	large := strings.Repeat("x", engine.MaxMessage-2)
	send("a large message that arrives", func() ([]engine.Result, error) { return a.Send(t.Context(), large, b.Self().ID) }, b.Engine, a.Self().ID)
}
