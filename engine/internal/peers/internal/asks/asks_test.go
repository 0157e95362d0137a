package asks

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine/internal/identity"
)

// limits returns new limits, a stranger and a peer that the profile knows.
func limits(t *testing.T) (a *Asks, stranger, friend identity.PeerID) {
	t.Helper()
	profile, err := identity.Ephemeral()
	if err != nil {
		t.Fatal(err)
	}
	id := func() identity.PeerID {
		i, err := identity.New()
		if err != nil {
			t.Fatal(err)
		}
		return i.ID
	}
	stranger, friend = id(), id()
	if err := profile.Update(friend, func(r *identity.Record) { r.Trust = identity.Seen }); err != nil {
		t.Fatal(err)
	}
	return New(profile), stranger, friend
}

func TestAsks_LimitsPromptsByTrust(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, stranger, friend := limits(t)
		asked := func(id identity.PeerID) (n int) {
			for range 10 * knownPromptBurst {
				if a.MayPrompt(id, netip.Addr{}, false) {
					n++
				}
			}
			return n
		}
		if n := asked(stranger); n != promptBurst {
			t.Errorf("a stranger asked %d times, not %d", n, promptBurst)
		}
		if n := asked(friend); n != knownPromptBurst {
			t.Errorf("a known peer asked %d times, not %d", n, knownPromptBurst)
		}
		if err := a.profile.Update(friend, func(r *identity.Record) { r.Trust = identity.Verified }); err != nil {
			t.Fatal(err)
		}
		if n := asked(friend); n != 10*knownPromptBurst {
			t.Errorf("a verified peer whose prompts are accepted asked %d times", n)
		}
		unaccepted := 0
		for range 10 * knownPromptBurst {
			if a.MayPrompt(friend, netip.Addr{}, false) {
				a.Unaccepted(friend)
				unaccepted++
			}
		}
		if unaccepted != knownPromptBurst {
			t.Errorf("a verified peer whose prompts no one accepts asked %d times, not %d", unaccepted, knownPromptBurst)
		}
		time.Sleep(time.Duration(float64(time.Second) / promptRate))
		if n := asked(stranger); n != 1 {
			t.Errorf("after a while a stranger asked %d times", n)
		}
	})
}

func TestAsks_RefusesForAWhileAfterRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, stranger, _ := limits(t)
		for i := range maxDeclined {
			if a.RefusedTooOften(stranger) {
				t.Errorf("after %d refusals", i)
			}
			a.Declined(stranger)
		}
		if !a.RefusedTooOften(stranger) {
			t.Error("it may ask again at once")
		}
		a.Accepted(stranger)
		if a.RefusedTooOften(stranger) {
			t.Error("an acceptance does not reset the count")
		}
		for range maxDeclined {
			a.Declined(stranger)
		}
		time.Sleep(declinePause)
		if a.RefusedTooOften(stranger) {
			t.Error("it may not ask again after the pause")
		}
	})
}

func TestAsks_KeepsRoomForKnownPeers(t *testing.T) {
	a, _, friend := limits(t)
	for i := range 2 * maxAskers {
		id := identity.PeerID{byte(i), byte(i >> 8)}
		a.Declined(id)
	}
	if len(a.peers) > maxAskers {
		t.Errorf("%d peers are remembered", len(a.peers))
	}
	if !a.MayIntroduce(friend) || a.peers[friend] == nil {
		t.Error("strangers displace a known peer")
	}
}

// TestAsks_MuteOutlivesConnections: a peer that was mute is remembered for ten minutes, whatever it does meanwhile.
func TestAsks_MuteOutlivesConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as, id, _ := limits(t)
		if as.WasMute(id) {
			t.Error("mute for the first time")
		}
		time.Sleep(muteAgain - time.Second)
		if !as.WasMute(id) {
			t.Error("the first time is forgotten")
		}
		time.Sleep(muteAgain + time.Second)
		if as.WasMute(id) {
			t.Error("it was long ago")
		}
	})
}

// TestAsks_ManyKeysOfOneSourceLeaveRoom: a device with many keys may prompt as often as with one, and strangers elsewhere
// still get through.
func TestAsks_ManyKeysOfOneSourceLeaveRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, _ := limits(t)
		one, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
		asked := 0
		for i := range 100 {
			if a.MayPrompt(identity.PeerID{1, byte(i)}, one, false) {
				asked++
			}
		}
		if asked != sourcePromptBurst {
			t.Errorf("one source asked %d times", asked)
		}
		for i := range sourcePromptBurst {
			if !a.MayPrompt(identity.PeerID{2, byte(i)}, other, false) {
				t.Fatalf("another source was refused after %d", i)
			}
		}
		for i := range 3 * maxAskers { // what is remembered is bounded
			a.MayPrompt(identity.PeerID{3}, netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), false)
		}
		if len(a.sources) > maxAskers {
			t.Errorf("%d sources are remembered", len(a.sources))
		}
	})
}

// TestAsks_RefusedPromptsUseUpNothing: strangers that were refused because of others are not refused longer than those.
func TestAsks_RefusedPromptsUseUpNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, _ := limits(t)
		for i := range strangersPromptBurst {
			a.MayPrompt(identity.PeerID{1, byte(i)}, netip.AddrFrom4([4]byte{10, 0, 0, byte(i / 10)}), false)
		}
		id, source := identity.PeerID{2}, netip.MustParseAddr("192.0.2.2")
		for range promptBurst {
			if a.MayPrompt(id, source, false) {
				t.Fatal("the limit of all strangers does not hold")
			}
		}
		time.Sleep(promptBurst * time.Second / strangersPromptRate)
		for i := range promptBurst {
			if !a.MayPrompt(id, source, false) {
				t.Fatalf("refused after %d", i)
			}
		}
	})
}
