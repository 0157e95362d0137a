package engine_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/discovery"
	"multipeer/engine/enginetest"
)

// cloned makes two folders with the same profile.
func cloned(t *testing.T) (one, two string) {
	t.Helper()
	dir := t.TempDir()
	one, two = filepath.Join(dir, "one"), filepath.Join(dir, "two")
	e, err := engine.New(engine.Config{Profile: one})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(two, os.DirFS(one)); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{".", "identity.key"} {
		mode := os.FileMode(0o600)
		if f == "." {
			mode = 0o700
		}
		if err := os.Chmod(filepath.Join(two, f), mode); err != nil {
			t.Fatal(err)
		}
	}
	return one, two
}

// conflicts collects the conflicts that an engine reports.
func conflicts(t *testing.T, n *enginetest.Node) func() []engine.Conflict {
	var mu sync.Mutex
	var got []engine.Conflict
	n.Handle(t.Context(), engine.Handler{Conflict: func(c engine.Conflict) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, c)
	}})
	return func() []engine.Conflict {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(got)
	}
}

// TestConflict_OwnIdentityElsewhereIsReported checks that two devices with one identity that meet both report it to
// their users, and that an engine that reaches itself does not.
func TestConflict_OwnIdentityElsewhereIsReported(t *testing.T) {
	for _, way := range []string{"by address", "by discovery"} {
		t.Run(way, func(t *testing.T) {
			one, two := cloned(t)
			synctest.Test(t, func(t *testing.T) {
				net := enginetest.New(t, latency)
				found := &byHand{make(chan discovery.Sink, 1)}
				a := net.Start(engine.Config{Profile: one, Discovery: found})
				sink := <-found.sink
				b := net.Start(engine.Config{Profile: two})
				reportedA, reportedB := conflicts(t, a), conflicts(t, b)
				time.Sleep(time.Second)
				if _, err := a.Dial(t.Context(), a.Addr.String()); !errors.Is(err, engine.ErrOwnKey) {
					t.Errorf("dialling itself: %v", err)
				}
				sink.Found(discovery.Hint{ID: a.Self().ID, Addrs: []netip.AddrPort{a.Addr}, How: "test"})
				time.Sleep(time.Minute)
				if len(reportedA()) > 0 || len(a.Conflicts()) > 0 {
					t.Errorf("a device alone: %+v", reportedA())
				}
				if way == "by address" {
					if _, err := a.Dial(t.Context(), b.Addr.String()); !errors.Is(err, engine.ErrOwnKey) {
						t.Errorf("dialling the other: %v", err)
					}
				} else {
					sink.Found(discovery.Hint{ID: a.Self().ID, Addrs: []netip.AddrPort{b.Addr}, How: "test"})
				}
				time.Sleep(5 * time.Second)
				for n, reported := range map[*enginetest.Node][]engine.Conflict{a: reportedA(), b: reportedB()} {
					other := map[*enginetest.Node]*enginetest.Node{a: b, b: a}[n]
					if len(reported) != 1 || reported[0].ID != n.Self().ID || !slices.Equal(reported[0].Addrs, []netip.AddrPort{other.Addr}) || len(n.Conflicts()) != 1 {
						t.Errorf("reported: %+v, kept: %+v", reported, n.Conflicts())
					}
				}
				// A peer that knows one of them learns of the conflict too.
				c := net.Start(engine.Config{})
				reportedC := conflicts(t, c)
				if err := c.SetTrust(b.Self().ID, engine.TrustSeen); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				if _, err := c.Dial(t.Context(), b.Addr.String()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				if reported := reportedC(); len(reported) != 1 || reported[0].ID != b.Self().ID {
					t.Errorf("a peer that knows the key gets %+v", reported)
				}
			})
		})
	}
}

// TestConflict_ForgedOwnIDCausesNoWarning checks that a device that announces our ID without having our key causes no
// warning, and few dials.
func TestConflict_ForgedOwnIDCausesNoWarning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		found := &byHand{make(chan discovery.Sink, 1)}
		a := net.Start(engine.Config{Discovery: found})
		sink := <-found.sink
		liar := net.Start(engine.Config{Hidden: true, Blind: true})
		reported := conflicts(t, a)
		time.Sleep(time.Second)
		packets := 0
		net.Drop(func(from, to netip.AddrPort) bool {
			if from == a.Addr && to == liar.Addr {
				packets++
			}
			return false
		})
		for range 200 {
			sink.Found(discovery.Hint{ID: a.Self().ID, Addrs: []netip.AddrPort{liar.Addr}, How: "test"})
			time.Sleep(100 * time.Millisecond)
		}
		if len(reported()) > 0 || packets == 0 || packets > 30 {
			t.Errorf("reported %+v, and sent %d packets there", reported(), packets)
		}
	})
}

// TestConflict_SecondDeviceDoesNotDisplaceTheFirst checks that a second device with a peer's identity does not
// displace one that is connected, whichever side dials, and that the user is warned. A device that has moved does
// displace its old connection, without a warning.
func TestConflict_SecondDeviceDoesNotDisplaceTheFirst(t *testing.T) {
	for name, c := range map[string]struct{ move, dial bool }{
		"the second one dials":             {false, false},
		"it is dialled":                    {false, true},
		"the first one is gone, and dials": {true, false},
	} {
		t.Run(name, func(t *testing.T) {
			one, two := cloned(t)
			synctest.Test(t, func(t *testing.T) {
				net := enginetest.New(t, latency)
				quiet := func(profile string) engine.Config {
					return engine.Config{Profile: profile, Name: "Ben", Hidden: true, Blind: true, Accept: engine.Everyone}
				}
				a := net.Start(engine.Config{Name: "Anna", Blind: true, Hidden: true, Accept: engine.Everyone})
				first := net.Start(quiet(one))
				reported := conflicts(t, a)
				time.Sleep(time.Second)
				if err := a.SetTrust(first.Self().ID, engine.TrustVerified); err != nil {
					t.Fatal(err)
				}
				if _, err := first.Dial(t.Context(), a.Addr.String()); err != nil {
					t.Fatal(err)
				}
				if err := first.Invite(t.Context(), a.Self().ID); err != nil {
					t.Fatal(err)
				}
				if c.move {
					net.Cut(first.Addr, true)
				}
				second := net.Start(quiet(two))
				time.Sleep(time.Second)
				if c.dial {
					_, err := a.Dial(t.Context(), second.Addr.String())
					t.Log(err)
				} else {
					_, err := second.Dial(t.Context(), a.Addr.String())
					t.Log(err)
				}
				time.Sleep(10 * time.Second)
				p, ok := a.Peer(first.Self().ID)
				switch {
				case c.move:
					if !ok || p.Addr != second.Addr || len(reported()) > 0 {
						t.Errorf("it is at %v, the conn goes to %v; reported %+v", second.Addr, p.Addr, reported())
					}
				case !ok || p.Addr != first.Addr || p.State != engine.Connected:
					t.Errorf("the first is at %v, the second at %v, the conn goes to %v (%v)", first.Addr, second.Addr, p.Addr, p.State)
				case !c.dial && (len(reported()) != 1 || reported()[0].ID != first.Self().ID || reported()[0].Name != "Ben" || !slices.Equal(reported()[0].Addrs, []netip.AddrPort{first.Addr, second.Addr})):
					t.Errorf("reported %+v", reported())
				}
			})
		})
	}
}
