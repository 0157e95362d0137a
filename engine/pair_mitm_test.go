package engine_test

import (
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

// TestPairing_ManInTheMiddleGetsEqualCodesOnlyByChance puts a device between two others that shows each of them the
// other's name. Peers that have met before refuse it. Peers that have not, and compare codes, see equal codes only by
// chance: here once in a thousand times.
func TestPairing_ManInTheMiddleGetsEqualCodesOnlyByChance(t *testing.T) {
	attempts := 10_000
	if testing.Short() {
		attempts = 500
	}
	defer engine.SetPairingSpace(1000)()
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		honest := func(name string) *enginetest.Node {
			return net.Start(engine.Config{Name: name, Blind: true, Accept: engine.Everyone})
		}
		eve := func(name string) *enginetest.Node { // with sessions, which allow more frames
			return net.Start(engine.Config{Name: name, Hidden: true, Invite: engine.Everyone})
		}
		a, b, ben, anna := honest("Anna"), honest("Ben"), eve("Ben"), eve("Anna")
		meet(t, ben, a)
		meet(t, anna, b)
		meet(t, a, ben)
		meet(t, b, anna)

		// Anna knows Ben's ID, and Eve has made her dial Eve's address.
		if _, err := a.Dial(t.Context(), b.Self().ID.String()+"@"+ben.Addr.String()); !errors.Is(err, engine.ErrIdentity) {
			t.Errorf("pinned: %v", err)
		}

		forget := func(x, y *enginetest.Node) {
			x.ForgetPairings(y.Self().ID)
			y.ForgetPairings(x.Self().ID)
		}
		var pair func(x, y *enginetest.Node) string
		again := 0
		pair = func(x, y *enginetest.Node) string {
			if err := x.Pair(t.Context(), y.Self().ID); err != nil {
				t.Fatal(err)
			}
			if err := y.Pair(t.Context(), x.Self().ID); err != nil {
				t.Fatal(err)
			}
			for range 20 {
				if code, other := x.PairingCode(y.Self().ID), y.PairingCode(x.Self().ID); code != "" && other != "" {
					if code != other {
						t.Fatalf("two codes on one conn: %s and %s", code, other)
					}
					time.Sleep(5 * latency) // data in transit arrives
					return code
				}
				time.Sleep(latency)
			}
			if again++; again > attempts/50+1 {
				t.Fatal("no code")
			}
			forget(x, y) // a pairing window has just closed
			time.Sleep(time.Second)
			return pair(x, y)
		}
		hits := 0
		for range attempts {
			if pair(a, ben) == pair(b, anna) {
				hits++
			}
			forget(a, ben)
			forget(b, anna)
		}
		mean := float64(attempts) / 1000
		sigma := math.Sqrt(mean * 0.999)
		t.Logf("%d of %d attempts show the same code to both; %.1f are expected, sigma %.1f", hits, attempts, mean, sigma)
		if math.Abs(float64(hits)-mean) > 10*sigma { // by chance once in ten million runs: so few hits are not normally distributed
			t.Errorf("%d hits, expected %.1f ± %.1f", hits, mean, 10*sigma)
		}
	})
}
