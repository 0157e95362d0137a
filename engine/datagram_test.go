package engine_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

// TestDatagrams arrive or do not, never block, and are refused when too large, with the limit.
func TestDatagrams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b, _, nextB := pair(t, net)
		full := strings.Repeat("x", engine.MaxDatagram-2) // with its quotes it is just as large as allowed
		if r, err := a.SendDatagram(full, b.Self().ID); err != nil || r[0].Err != nil {
			t.Fatal(r, err)
		}
		m := nextB(is[engine.MessageReceived]).(engine.MessageReceived).Message
		if !m.Unreliable || string(m.Body) != `"`+full+`"` || m.From != a.Self().ID || m.Name != "a" {
			t.Errorf("%+v", m)
		}
		if _, err := a.SendDatagram(full + "x"); !errors.Is(err, engine.ErrTooLarge) || !strings.Contains(err.Error(), "1100") {
			t.Errorf("one byte more: %v", err)
		}
		got := collect(t, b)
		net.Lose(0.3)
		for i := range 300 {
			if r, err := a.SendDatagram(i); err != nil || r[0].Err != nil {
				t.Fatal(r, err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Second)
		if n := len(got.of(a.Self().ID)); n < 150 || n > 270 {
			t.Errorf("%d of 300 arrived over a path that loses three in ten", n)
		}
		net.Lose(0)
		net.Limit(100_000, 20_000) // a path that is too narrow: calls return at once all the same, and say what was dropped
		began, busy := time.Now(), 0
		for range 1000 {
			r, err := a.SendDatagram(full)
			if err != nil {
				t.Fatal(err)
			}
			if errors.Is(r[0].Err, engine.ErrBusy) {
				busy++
			}
		}
		if took := time.Since(began); took > 0 || busy < 500 {
			t.Errorf("%d of 1000 were dropped here, after %v", busy, took)
		}
		net.Limit(0, 0)
		a.Disconnect(b.Self().ID)
		if r, err := a.SendDatagram("x", b.Self().ID); err != nil || !errors.Is(r[0].Err, engine.ErrNotConnected) {
			t.Error(r, err)
		}
		if _, err := a.SendDatagram("x"); !errors.Is(err, engine.ErrNobody) {
			t.Error(err)
		}
	})
}

// TestPost keeps the order of the calls, reports each recipient, and says when too much waits.
func TestPost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b, nextA, _ := pair(t, net)
		c := net.Start(open("c"))
		nextA(is[engine.PeerAdded])
		boxB, boxC := collect(t, b), collect(t, c)
		var all []*engine.Delivery
		began := time.Now()
		for i := range engine.MaxPending {
			d, err := a.Post(t.Context(), i)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, d)
		}
		over, err := a.Post(t.Context(), "one too many")
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("Post took %v", took)
		}
		for _, r := range over.Results() {
			if !errors.Is(r.Err, engine.ErrBusy) {
				t.Errorf("with %d pending: %v", engine.MaxPending, r.Err)
			}
		}
		for i, d := range all {
			<-d.Done()
			if r := d.Results(); len(r) != 2 || r[0].Err != nil || r[1].Err != nil {
				t.Fatalf("%d: %v", i, r)
			}
		}
		for _, box := range []*inbox{boxB, boxC} {
			got := box.of(a.Self().ID)
			if len(got) != engine.MaxPending || got[0] != "0" || got[len(got)-1] != "255" {
				t.Errorf("%d messages", len(got))
			}
		}
	})
}

// TestMessageTimeout: a message that nobody answers for ends when its context does.
func TestMessageTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b, _, _ := pair(t, net)
		collect(t, b)
		net.Cut(b.Addr, true)
		ctx, cancel := contextWithTimeout(t, 2*time.Second)
		defer cancel()
		began := time.Now()
		r, err := a.Send(ctx, "x")
		if err != nil || !errors.Is(r[0].Err, engine.ErrTimeout) || time.Since(began) != 2*time.Second {
			t.Errorf("%v %v after %v", r, err, time.Since(began))
		}
		net.Cut(b.Addr, false)
		if r, err := a.Send(t.Context(), "y"); err != nil || r[0].Err != nil {
			t.Error(r, err)
		}
	})
}
