package engine_test

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
	"multipeer/transfer"
)

// TestTurns_AreNotHeldByIdleReceivers checks that receivers that take nothing for a long time keep no other receiver
// waiting.
func TestTurns_AreNotHeldByIdleReceivers(t *testing.T) {
	file := bytesIn(t, 300_000)
	busy, dir := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(busy, filepath.Base(file)), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a := net.Start(engine.Config{Offers: engine.Everyone})
		answered := make(chan struct{})
		defer close(answered)
		choose := func(string) transfer.Existing { <-answered; return transfer.KeepBoth }
		for range 3 {
			b := net.Start(engine.Config{Offers: engine.Everyone})
			acceptAll(t, b, engine.AcceptOptions{Dir: busy, Choose: choose})
			meet(t, a, b)
			for range 4 {
				tr, err := a.Offer(t.Context(), b.Self().ID, file)
				if err != nil {
					t.Fatal(err)
				}
				until(t, a, tr.ID, time.Minute, "stall", inState(engine.Stalled))
			}
		}
		c := net.Start(engine.Config{Offers: engine.Everyone})
		acceptAll(t, c, engine.AcceptOptions{Dir: dir})
		meet(t, a, c)
		tr, err := a.Offer(t.Context(), c.Self().ID, file)
		if err != nil {
			t.Fatal(err)
		}
		until(t, a, tr.ID, 20*time.Second, "delivery", inState(engine.Delivered))
	})
}

// TestTurns_StalledTransfersFailNoOthers checks that transfers that wait for a person at the receiver make no others
// fail.
func TestTurns_StalledTransfersFailNoOthers(t *testing.T) {
	file := bytesIn(t, 300_000)
	busy := t.TempDir()
	if err := os.WriteFile(filepath.Join(busy, filepath.Base(file)), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
		answered := make(chan struct{})
		choose := func(string) transfer.Existing { <-answered; return transfer.KeepBoth }
		if err := b.SetTrust(a.Self().ID, engine.TrustVerified); err != nil {
			t.Fatal(err)
		}
		acceptAll(t, b, engine.AcceptOptions{Dir: busy, Choose: choose})
		meet(t, a, b)
		var ids []engine.TransferID
		for range 10 {
			tr, err := a.Offer(t.Context(), b.Self().ID, file)
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, tr.ID)
		}
		time.Sleep(5 * time.Minute)
		close(answered)
		for _, id := range ids {
			until(t, a, id, time.Minute, "delivery", inState(engine.Delivered))
		}
	})
}
