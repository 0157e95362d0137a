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

// TestDatagram_ArrivesOrIsLostButNeverBlocks checks that datagrams arrive or get lost but never block, and that those
// over the limit are refused with an error that names it.
func TestDatagram_ArrivesOrIsLostButNeverBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b, _, nextB := pair(t, net)
		full := strings.Repeat("x", engine.MaxDatagram-2) // exactly the maximum size, including its quotes
		if r, err := a.SendDatagram(full, b.Self().ID); err != nil || r[0].Err != nil {
			t.Fatal(r, err)
		}
		m := nextB(is[engine.Message]).(engine.Message)
		if !m.Unreliable || string(m.Body) != `"`+full+`"` || m.From != a.Self().ID || m.Name != "a" {
			t.Errorf("%+v", m)
		}
		if _, err := a.SendDatagram(full+"x", engine.Broadcast); !errors.Is(err, engine.ErrTooLarge) || !strings.Contains(err.Error(), "1100") {
			t.Errorf("one byte more: %v", err)
		}
		got := collect(t, b)
		net.Lose(0.3)
		for i := range 300 {
			if r, err := a.SendDatagram(i, engine.Broadcast); err != nil || r[0].Err != nil {
				t.Fatal(r, err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Second)
		if n := len(got.of(a.Self().ID)); n < 150 || n > 270 {
			t.Errorf("%d of 300 arrived over a path that loses three in ten", n)
		}
		net.Lose(0)
		// On a path that is too narrow, calls still return at once, and report what was dropped.
		net.Limit(100_000, 20_000)
		began, busy := time.Now(), 0
		for range 1000 {
			_, err := a.SendDatagram(full, engine.Broadcast)
			if err != nil && !errors.Is(err, engine.ErrBusy) {
				t.Fatal(err)
			}
			if err != nil {
				busy++
			}
		}
		if took := time.Since(began); took > 0 || busy < 500 {
			t.Errorf("%d of 1000 were dropped here, after %v", busy, took)
		}
		net.Limit(0, 0)
		a.Disconnect(b.Self().ID)
		if r, err := a.SendDatagram("x", b.Self().ID); !errors.Is(err, engine.ErrNotConnected) || !errors.Is(r[0].Err, engine.ErrNotConnected) {
			t.Error(r, err)
		}
		if _, err := a.SendDatagram("x", engine.Broadcast); !errors.Is(err, engine.ErrNobody) {
			t.Error(err)
		}
	})
}
