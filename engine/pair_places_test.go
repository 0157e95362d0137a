package engine_test

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

// TestPairing_ManyKeysOfOneDeviceGetTwoPlaces checks that a device with many keys gets two of the slots for peers that
// wait to be picked, whatever it tries; that a device that asks after it gets a slot, and that a known device keeps
// its own.
func TestPairing_ManyKeysOfOneDeviceGetTwoPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		quiet := engine.Config{Blind: true, Hidden: true}
		b := net.Start(engine.Config{Name: "Ben", Blind: true})
		pair := func(n *enginetest.Node) {
			t.Helper()
			time.Sleep(100 * time.Millisecond) // wait until it runs
			if _, err := n.Dial(t.Context(), b.Addr.String()); err != nil {
				t.Fatal(err)
			}
			if err := n.Pair(t.Context(), b.Self().ID); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		ask := func(host byte, port uint16) *enginetest.Node {
			n := net.StartAt(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 9, 0, host}), port), quiet)
			pair(n)
			return n
		}
		waits := func(n *enginetest.Node) bool {
			for _, p := range b.Pairings() {
				if p.Peer == n.Self().ID && p.Stage == engine.PairingAsked {
					return true
				}
			}
			return false
		}
		var asked sync.Map // the IDs of peers that have asked
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		b.Handle(ctx, engine.Handler{Pairing: func(p engine.Pairing) { asked.Store(p.Peer, true) }})
		time.Sleep(time.Second)
		b.OpenPairing()

		known := net.Start(quiet)
		if err := b.SetTrust(known.Self().ID, engine.TrustSeen); err != nil {
			t.Fatal(err)
		}
		pair(known)
		var one []*enginetest.Node
		for i := range uint16(12) {
			one = append(one, ask(1, 1000+i))
		}
		took, heard := 0, 0
		for _, n := range one {
			if waits(n) {
				took++
			}
			if _, ok := asked.Load(n.Self().ID); ok {
				heard++
			}
		}
		if took != 2 {
			t.Errorf("one device has %d slots", took)
		}
		if heard > 7 { // five at once, and one every two seconds
			t.Errorf("one device has asked a person %d times", heard)
		}
		honest := ask(2, 1000)
		if !waits(honest) {
			t.Error("a device that comes after them has no slot")
		}
		time.Sleep(10 * time.Second)
		for i := range uint16(4) {
			ask(1, 2000+i)
		}
		if !waits(honest) {
			t.Error("the device that has the most slots took that of another")
		}
		for host := range byte(8) {
			ask(10+host, 1000)
		}
		if len(b.Pairings()) != 6 || !waits(known) {
			t.Errorf("%d wait to be picked, the known one: %v", len(b.Pairings()), waits(known))
		}
		if waits(honest) {
			t.Error("the oldest stranger has made no room for the newest")
		}
		last := net.Start(quiet)
		if err := b.SetTrust(last.Self().ID, engine.TrustSeen); err != nil {
			t.Fatal(err)
		}
		pair(last)
		if !waits(last) {
			t.Error("a known peer that comes last has no slot")
		}
	})
}
