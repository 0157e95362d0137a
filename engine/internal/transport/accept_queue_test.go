package transport

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine/internal/identity"
)

// TestAcceptQueue_NewcomersReplaceSilentConnections: each newcomer gets a slot. When none is free, a silent connection
// of the device with the most connections is closed.
func TestAcceptQueue_NewcomersReplaceSilentConnections(t *testing.T) {
	var out []string // whose slot was taken away
	enter := func(q *AcceptQueue, key byte, addr string) *Waiting {
		name := fmt.Sprint(key, " ", addr)
		return q.Enter(identity.PeerID{key}, netip.MustParseAddr(addr), func() { out = append(out, name) })
	}
	gone := func(t *testing.T, what string, want ...string) {
		t.Helper()
		if !slices.Equal(out, want) {
			t.Errorf("%s: %q have lost their slots, want %q", what, out, want)
		}
		out = nil
	}
	bubble := func(name string, f func(*testing.T)) { t.Run(name, func(t *testing.T) { synctest.Test(t, f) }) }

	bubble("one key", func(t *testing.T) {
		q := NewAcceptQueue(AcceptLimits{All: 64, PerKey: 3})
		for range 3 {
			enter(q, 1, "10.0.0.1")
		}
		gone(t, "as many as it may")
		enter(q, 1, "10.0.0.2")
		gone(t, "one more", "1 10.0.0.1")
	})
	bubble("one source", func(t *testing.T) {
		q := NewAcceptQueue(AcceptLimits{All: 64, PerSource: 2})
		enter(q, 1, "fe80::1%eth0")
		enter(q, 2, "fe80::2%eth1")
		gone(t, "as many as it may")
		enter(q, 3, "fe80::3")
		gone(t, "all link-local addresses are one", "1 fe80::1%eth0")
		enter(q, 1, "127.0.0.2")
		enter(q, 2, "127.0.0.3")
		enter(q, 3, "127.0.0.4")
		gone(t, "this machine is one", "1 127.0.0.2")
		enter(q, 1, "2001:db8::1")
		enter(q, 2, "2001:db8::2")
		enter(q, 3, "2001:db8:0:0:1::3")
		gone(t, "a network of IPv6 is one", "1 2001:db8::1")
	})
	bubble("full", func(t *testing.T) {
		q := NewAcceptQueue(AcceptLimits{All: 6})
		first := enter(q, 0, "10.0.0.9")
		for i := range byte(5) {
			enter(q, 1+i, "10.0.0.1")
		}
		gone(t, "not full yet")
		for i := range byte(3) {
			enter(q, 10+i, fmt.Sprintf("10.0.0.%d", 10+i))
		}
		gone(t, "the device that has most makes room, and of it who is silent longest", "1 10.0.0.1", "2 10.0.0.1", "3 10.0.0.1")
		first.Spoke()
		first.Leave()
		first.Leave()
		enter(q, 20, "10.0.0.20")
		gone(t, "there was room")
	})
	bubble("silence", func(t *testing.T) {
		q := NewAcceptQueue(AcceptLimits{All: 6})
		served := enter(q, 1, "10.0.0.1")
		served.Spoke()
		if w := enter(q, 2, "10.0.0.2"); w.Within(HelloTimeout) != HelloTimeout {
			t.Error("few wait, and are hurried")
		}
		enter(q, 3, "10.0.0.3")
		if w := enter(q, 4, "10.0.0.4"); w.Within(HelloTimeout) != hurry {
			t.Error("more than half of the slots are in use, and no connection is hurried")
		}
		time.Sleep(hurry - time.Millisecond)
		enter(q, 5, "10.0.0.5")
		gone(t, "a moment before the time")
		time.Sleep(time.Millisecond)
		enter(q, 6, "10.0.0.6")
		gone(t, "more than half have places until enough of those that are silent have gone", "2 10.0.0.2", "3 10.0.0.3")
	})
}
