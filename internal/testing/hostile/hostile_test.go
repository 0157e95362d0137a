//go:build linux

package hostile

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"multipeer/internal/testing/load"

	"multipeer/engine/enginetest"
)

var strict = flag.Bool("strict", false, "hold the 100 ms with the race detector too, on a quiet machine")

var only = flag.String("attack", "", "run the attacks whose state and name match this expression")

// Limits on what one attack may cost the victim.
const (
	mostMemory  = 300 << 20
	mostLatency = 100 * time.Millisecond
	mostCPU     = 1.5 // cores, of the two that the tests assume; the rest is for others
)

// late reports whether a p99 of the honest peer's round trips exceeds the limit. Unless the test is strict, the limit
// grows with the cost of the race detector, and with the other load on this machine.
func late(p99 time.Duration) bool {
	switch {
	case *strict:
		return p99 > mostLatency
	case raceFactor > 1:
		return load.Exceeds(p99, 3*mostLatency)
	default:
		return load.Exceeds(p99, mostLatency)
	}
}

// runAttacks runs attacks one after the other, prints the results, and returns how many held. With -short, only those for
// whose index quick returns true are run.
func runAttacks(t *testing.T, v *victim, h *honest, all []attack, quick func(i int) bool) int {
	t.Helper()
	pattern := regexp.MustCompile(*only)
	held, worst, most, hottest := 0, time.Duration(0), int64(0), 0.0
	for i, a := range all {
		if !pattern.MatchString(a.state + ": " + a.name) {
			continue
		}
		if testing.Short() && *only == "" && !quick(i) { // a few of each state; each needs the machine to itself
			continue
		}
		v.resetPeak()
		began, used := time.Now(), v.cpu()
		x := v.attacker("friend")
		p99, err := h.during(func() error { return a.run(x) })
		x.close()
		took := time.Since(began)
		cores, peak := (v.cpu()-used).Seconds()/took.Seconds(), v.peak()
		switch {
		case err != nil:
		case late(p99):
			err = fmt.Errorf("messages of another peer take %v", p99)
		case peak > mostMemory*raceFactor:
			err = fmt.Errorf("%d MB of memory", peak>>20)
		case cores > mostCPU:
			err = fmt.Errorf("%.1f cores", cores)
		default:
			err = x.nothingStored()
		}
		answer := "yes"
		if err != nil {
			answer = "NO: " + err.Error()
			t.Errorf("%s: %s: %v", a.state, a.name, err)
		} else {
			held++
		}
		worst, most, hottest = max(worst, p99), max(most, peak), max(hottest, cores)
		t.Logf("| %s | %s | %s | %s | p99 %v, %d MB, %.2f cores |", a.state, a.name, a.want, answer, p99.Round(100*time.Microsecond), peak>>20, cores)
		if _, err := v.ask(""); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d attacks held; the slowest p99 of an honest peer %v, the most memory %d MB, the most processor %.2f cores", held, worst, most>>20, hottest)
	return held
}

// TestAttacks runs each attack on one engine, one after the other, and prints the results.
func TestAttacks(t *testing.T) {
	if len(attacks) < 60 {
		t.Fatalf("%d attacks", len(attacks))
	}
	service = enginetest.Service()
	v := startVictim(t, service)
	kept := []byte("what the user had")
	if err := os.WriteFile(filepath.Join(v.dir, "inbox", "victim.txt"), kept, 0o644); err != nil {
		t.Fatal(err)
	}
	h := startHonest(t, v, service)
	before, err := v.ask("")
	if err != nil {
		t.Fatal(err)
	}
	runAttacks(t, v, h, attacks, func(i int) bool { return i%15 == 0 })
	if b, err := os.ReadFile(filepath.Join(v.dir, "inbox", "victim.txt")); err != nil || string(b) != string(kept) {
		t.Errorf("the user's file was touched: %q, %v", b, err)
	}
	// Leftovers of the attacks disappear: connections after their idle time, transfers when they are given up.
	var after stats
	for range 40 {
		time.Sleep(500 * time.Millisecond)
		if after, err = v.ask(""); err != nil {
			t.Fatal(err)
		}
		if after.Goroutines <= before.Goroutines+10 && after.Descriptors <= before.Descriptors+5 && after.Sessions <= 1 {
			break
		}
	}
	t.Logf("goroutines %d before and %d after, descriptors %d and %d, peers %d", before.Goroutines, after.Goroutines, before.Descriptors, after.Descriptors, after.Peers)
	if after.Goroutines > before.Goroutines+10 || after.Descriptors > before.Descriptors+5 {
		t.Error("something was left behind")
	}
}
