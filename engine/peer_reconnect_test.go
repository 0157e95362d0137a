package engine_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/discovery"
	"multipeer/engine/enginetest"
	"multipeer/engine/internal/wire"
)

// untilBroken waits until a has noticed that its connection is gone.
func untilBroken(a, b *enginetest.Node) {
	for p, _ := a.Peer(b.Self().ID); p.State == engine.Connected; p, _ = a.Peer(b.Self().ID) {
		time.Sleep(10 * time.Millisecond)
	}
}

// TestSession_WorksWheneverTheNetworkReturns restores the network shortly before, at and after the moment when the
// session is given up.
func TestSession_WorksWheneverTheNetworkReturns(t *testing.T) {
	runs := 200
	if testing.Short() {
		runs = 40
	}
	for i := range runs {
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, 30*time.Millisecond)
			a, b := net.Start(open("a")), net.Start(open("b"))
			la, lb := keepLedger(t, a), keepLedger(t, b)
			events(t, a)(is[engine.PeerAdded])
			collect(t, a)
			collect(t, b)
			time.Sleep(time.Second + time.Duration(i*37%2500)*time.Millisecond)
			net.Drop(func(_, _ netip.AddrPort) bool { return true })
			untilBroken(a, b)
			time.Sleep(2*time.Second + time.Duration(i)*time.Second/time.Duration(runs)*3/2)
			net.Drop(nil)
			time.Sleep(30 * time.Second)
			for _, n := range []*enginetest.Node{a, b} {
				if connected(n) != 1 { // it was given up; let discovery report it again
					n.SetLooking(false, true)
					n.SetLooking(true, true)
				}
			}
			time.Sleep(time.Minute)
			la.check(t, a)
			lb.check(t, b)
			for _, n := range []*enginetest.Node{a, b} {
				if r, err := n.Send(t.Context(), 1, engine.Broadcast); err != nil || r[0].Err != nil {
					t.Fatalf("return %d: %v %v", i, r, err)
				}
			}
		})
	}
}

// TestReconnect_SettlesOverALongPath checks that greetings that take longer than one dial attempt do not cause an
// endless loop.
func TestReconnect_SettlesOverALongPath(t *testing.T) {
	for _, rtt := range []time.Duration{200, 450, 600} {
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, rtt*time.Millisecond/2)
			a, b := net.Start(open("a")), net.Start(open("b"))
			events(t, a)(is[engine.PeerAdded])
			time.Sleep(3 * time.Second)
			countA, countB := watchSessions(t, a), watchSessions(t, b)
			net.Drop(func(_, _ netip.AddrPort) bool { return true })
			untilBroken(a, b)
			net.Drop(nil)
			time.Sleep(30 * time.Second)
			ca, cb := countA(), countB()
			if connected(a) != 1 || connected(b) != 1 || ca[1] > 1 || cb[1] > 1 {
				t.Errorf("rtt %d ms: %d and %d sessions, counts %v and %v", rtt, connected(a), connected(b), ca, cb)
			}
		})
	}
}

// TestPeer_CrashedWhileNotAdvertisingIsLost checks that a peer that has stopped advertising and crashes is lost like
// any other.
func TestPeer_CrashedWhileNotAdvertisingIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b, _, _ := pair(t, net)
		b.SetLooking(false, true)
		time.Sleep(time.Second)
		_ = b.Kill()
		time.Sleep(15 * time.Second)
		if peers := a.Peers(); len(peers) > 0 {
			t.Errorf("%+v", peers)
		}
	})
}

// TestSession_SurvivesABreakWhileNotLooking checks that a session in a closed lobby also survives a broken connection.
func TestSession_SurvivesABreakWhileNotLooking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b, _, _ := pair(t, net)
		a.SetLooking(false, false)
		b.SetLooking(false, false)
		time.Sleep(time.Second)
		count := watchSessions(t, a)
		net.Cut(b.Addr, true)
		time.Sleep(8 * time.Second)
		net.Cut(b.Addr, false)
		time.Sleep(20 * time.Second)
		if c := count(); c != [2]int{1, 0} || connected(a) != 1 || connected(b) != 1 {
			t.Errorf("added and removed %v times, %d and %d sessions", c, connected(a), connected(b))
		}
	})
}

// byHand is a discovery that reports what the test chooses.
type byHand struct{ sink chan discovery.Sink }

func (d *byHand) Run(ctx context.Context, _ discovery.Announcement, to discovery.Sink) error {
	d.sink <- to
	<-ctx.Done()
	return nil
}
func (*byHand) Update(discovery.Announcement) {}
func (*byHand) Forget(engine.PeerID)          {}
func (*byHand) Recheck(engine.PeerID)         {}
func (*byHand) Link(netip.Addr) string        { return "" }

// pairByHand returns two connected engines whose discovery the test controls.
func pairByHand(t *testing.T, net *enginetest.Net) (a, b *enginetest.Node, sa, sb discovery.Sink) {
	t.Helper()
	da, db := &byHand{make(chan discovery.Sink, 1)}, &byHand{make(chan discovery.Sink, 1)}
	ca, cb := open("a"), open("b")
	ca.Discovery, cb.Discovery = da, db
	a, b = net.Start(ca), net.Start(cb)
	sa, sb = <-da.sink, <-db.sink
	sa.Found(discovery.Hint{ID: b.Self().ID, Addrs: []netip.AddrPort{b.Addr}, How: "test"})
	sb.Found(discovery.Hint{ID: a.Self().ID, Addrs: []netip.AddrPort{a.Addr}, How: "test"})
	time.Sleep(5 * time.Second)
	if connected(a) != 1 || connected(b) != 1 {
		t.Fatal("no session")
	}
	return a, b, sa, sb
}

// TestSession_EndIsReportedOnceOnBothSides: one side has noticed that the session ended and failed messages; the other
// side, which may have been asleep, has not. It must be notified once when the session is back, and the messages that
// it has posted must still arrive.
func TestSession_EndIsReportedOnceOnBothSides(t *testing.T) {
	for range 3 {
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, latency)
			a, b, sa, _ := pairByHand(t, net)
			ea, eb := events(t, a), events(t, b)
			ca, cb := watchSessions(t, a), watchSessions(t, b)
			net.Drop(func(_, _ netip.AddrPort) bool { return true })
			sa.NetworkChanged()
			lost := make(chan error, 1)
			go func() {
				_, err := a.Send(t.Context(), map[string]string{"text": "lost"}, b.Self().ID)
				lost <- err
			}()
			posted, err := b.Post(t.Context(), map[string]string{"text": "kept"}, a.Self().ID)
			if err != nil {
				t.Fatal(err)
			}
			ea(is[engine.PeerRemoved])
			<-lost
			net.Drop(nil)
			time.Sleep(5 * time.Second)
			if x, y := ca(), cb(); x != [2]int{2, 1} || y != x { // the first session was counted as well
				t.Fatalf("added and removed: %v at the one that has noticed, %v at the other", x, y)
			}
			if r := posted.Results(); r[0].Err != nil {
				t.Errorf("what was posted in the meantime: %v", r[0].Err)
			}
			if m := ea(is[engine.Message]).(engine.Message); !strings.Contains(string(m.Body), "kept") {
				t.Errorf("%s", m.Body)
			}
			if _, err := a.Send(t.Context(), map[string]string{"text": "after"}, b.Self().ID); err != nil {
				t.Error(err)
			}
			if m := eb(is[engine.Message]).(engine.Message); !strings.Contains(string(m.Body), "after") {
				t.Errorf("%s", m.Body)
			}
		})
	}
}

func TestReconnect_GracePeriodBeginsWithEachBreak(t *testing.T) {
	for range 3 {
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, latency)
			a, b, sa, sb := pairByHand(t, net)
			cut := func(s discovery.Sink, n, o *enginetest.Node) {
				net.Drop(func(_, _ netip.AddrPort) bool { return true })
				s.NetworkChanged()
				untilBroken(n, o)
			}
			cut(sb, b, a)
			net.Drop(nil)
			time.Sleep(time.Minute)
			count := watchSessions(t, b)
			cut(sa, a, b) // b does not notice this one, but gets a newer connection
			net.Drop(nil)
			for p, _ := a.Peer(b.Self().ID); p.State != engine.Connected; p, _ = a.Peer(b.Self().ID) {
				time.Sleep(5 * time.Millisecond)
			}
			time.Sleep(500 * time.Millisecond)
			cut(sb, b, a)
			time.Sleep(200 * time.Millisecond)
			net.Drop(nil)
			time.Sleep(10 * time.Second)
			if c := count(); c != [2]int{1, 0} || connected(a) != 1 || connected(b) != 1 {
				t.Errorf("counts %v, %d and %d sessions", c, connected(a), connected(b))
			}
		})
	}
}

// TestReconnect_EachBreakHasAGracePeriod: a connection that breaks again shortly after it has returned, as over a loose
// cable, does not end the session.
func TestReconnect_EachBreakHasAGracePeriod(t *testing.T) {
	for _, up := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 2900 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, latency)
			a, b, sa, _ := pairByHand(t, net)
			count := watchSessions(t, a)
			for range 6 {
				net.Drop(func(_, _ netip.AddrPort) bool { return true })
				sa.NetworkChanged()
				untilBroken(a, b)
				time.Sleep(1200 * time.Millisecond)
				net.Drop(nil)
				for p, _ := a.Peer(b.Self().ID); p.State == engine.Reconnecting; p, _ = a.Peer(b.Self().ID) {
					time.Sleep(10 * time.Millisecond)
				}
				time.Sleep(up)
			}
			if c := count(); c != [2]int{1, 0} {
				t.Errorf("with %v between two breaks: added and removed %v times", up, c)
			}
		})
	}
}

// TestSession_EndIsReportedBeforeTheNextSession checks that a side that has not noticed the end of a session is
// notified of it before it gets a stream or datagram of the next one.
func TestSession_EndIsReportedBeforeTheNextSession(t *testing.T) {
	bad, grams, streams := 0, 0, 0
	for i := range 60 {
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, latency)
			a, b, sa, _ := pairByHand(t, net)
			if i%2 == 1 {
				net.Scatter(5*time.Millisecond, 0)
			}
			ctx, cancel := context.WithCancel(t.Context())
			var order []string
			doneA, doneB := make(chan struct{}), make(chan struct{})
			wa, wb := a.Watch(ctx), b.WatchStreams(ctx)
			go func() {
				defer close(doneA)
				for ev := range wa {
					switch ev.(type) {
					case engine.PeerAdded:
						_, _ = a.SendDatagram("g", b.Self().ID)
						go func() {
							s, err := a.OpenStream(t.Context(), b.Self().ID, "x")
							if err != nil {
								t.Log(err)
								return
							}
							_, _ = s.Write([]byte("hello"))
							s.Close()
						}()
					}
				}
			}()
			go func() {
				defer close(doneB)
				for ev := range wb {
					switch ev := ev.(type) {
					case engine.PeerAdded:
						order = append(order, "added")
					case engine.PeerRemoved:
						order = append(order, "removed")
					case engine.StreamReceived:
						order = append(order, "stream")
						ev.Taken().Close()
					case engine.Message:
						order = append(order, "datagram")
					}
				}
			}()
			net.Drop(func(_, _ netip.AddrPort) bool { return true })
			sa.NetworkChanged()
			time.Sleep(4200 * time.Millisecond)
			net.Drop(nil)
			time.Sleep(8 * time.Second)
			cancel()
			<-doneA
			<-doneB
			removed := false
			for _, o := range order {
				removed = removed || o == "removed"
				if o == "stream" && !removed {
					streams++
				}
				if o == "datagram" && !removed {
					grams++
				}
			}
			if len(order) > 0 && order[0] != "removed" {
				bad++
				if bad < 4 {
					t.Log(i, order)
				}
			}
		})
	}
	if bad > 0 {
		t.Errorf("in %d of 60 (streams %d, datagrams %d) what belongs to the new session came before the end of the old one", bad, streams, grams)
	}
}

// TestSession_SurvivesTheHelloOfARejectedConnection: when two connections cross, the hello of the rejected one may be
// read late, and its sender may be too busy to answer a probe. That hello must not affect the session that began in the
// meantime.
func TestSession_SurvivesTheHelloOfARejectedConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := enginetest.New(t, latency)
		a := n.Start(engine.Config{Accept: engine.Everyone})
		next := events(t, a)
		m := newRaw(t, n)
		for !a.Self().ID.Less(m.id.ID) {
			m = newRaw(t, n)
		}
		old := m.dial(t, a)
		time.Sleep(10 * time.Millisecond)
		busy := rawOf(t, n, m.id)
		control, err := busy.greet(t, busy.dial(t, a))
		if err != nil {
			t.Fatal(err)
		}
		if err := control.WriteMessage(wire.Invite{ID: "00112233445566778899aabbccddeeff"}); err != nil {
			t.Fatal(err)
		}
		next(is[engine.PeerAdded])
		time.Sleep(100 * time.Millisecond)
		n.Cut(busy.addr, true)
		if _, err := m.greet(t, old); !errors.Is(err, wire.ErrDuplicate) {
			t.Errorf("the old conn was answered with %v", err)
		}
		n.Cut(busy.addr, false)
		time.Sleep(3 * time.Second)
		if p, ok := a.Peer(m.id.ID); !ok || p.State != engine.Connected {
			t.Errorf("the session is gone: %+v", p)
		}
	})
}

// TestSession_SurvivesTheHelloOfAnAbandonedConnection: a dialler gives up a connection, the packet that reports it is
// lost, and its hello is read while the dialler is too busy to answer a probe of the connection that it has.
func TestSession_SurvivesTheHelloOfAnAbandonedConnection(t *testing.T) {
	for _, lower := range []bool{true, false} {
		t.Run(fmt.Sprintf("lower ID %v", lower), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := enginetest.New(t, latency)
				a := n.Start(engine.Config{Accept: engine.Everyone})
				next := events(t, a)
				m := newRaw(t, n)
				for a.Self().ID.Less(m.id.ID) != lower {
					m = newRaw(t, n)
				}
				control, err := m.greet(t, m.dial(t, a))
				if err != nil {
					t.Fatal(err)
				}
				if err := control.WriteMessage(wire.Invite{ID: "00112233445566778899aabbccddeeff"}); err != nil {
					t.Fatal(err)
				}
				next(is[engine.PeerAdded])
				other := rawOf(t, n, m.id)
				old := other.dial(t, a)
				s, err := old.OpenStream(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if err := s.WriteMessage(m.hello()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(latency / 2)
				n.Cut(other.addr, true)
				n.Cut(m.addr, true)
				old.Close(wire.Superseded)
				time.Sleep(1100 * time.Millisecond)
				n.Cut(other.addr, false)
				n.Cut(m.addr, false)
				time.Sleep(5 * time.Second)
				if p, ok := a.Peer(m.id.ID); !ok || p.State != engine.Connected {
					t.Errorf("the session is gone: %+v", p)
				}
			})
		})
	}
}

// TestReconnect_SessionResumesAfterAnyCut checks that a session that has ended because the network was gone comes back
// without an invitation, with a profile and without.
func TestReconnect_SessionResumesAfterAnyCut(t *testing.T) {
	for _, cut := range []time.Duration{10 * time.Second, time.Minute, 10 * time.Minute, 2 * time.Hour} {
		for _, kept := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v, profile %v", cut, kept), func(t *testing.T) {
				dir := t.TempDir()
				synctest.Test(t, func(t *testing.T) {
					net := enginetest.New(t, latency)
					ca, cb := engine.Config{Name: "a"}, engine.Config{Name: "b"}
					if kept {
						ca.Profile, cb.Profile = filepath.Join(dir, "a"), filepath.Join(dir, "b")
					}
					a, b := net.Start(ca), net.Start(cb)
					invited := 0
					b.HandleInvitations(func(i *engine.Invitation) { invited++; _ = i.Accept() })
					meet(t, a, b)
					if err := a.Invite(t.Context(), b.Self().ID); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Second)
					net.Cut(b.Addr, true)
					time.Sleep(cut)
					if connected(a)+connected(b) != 0 {
						t.Fatalf("%d and %d sessions during the cut", connected(a), connected(b))
					}
					net.Cut(b.Addr, false)
					for range 120 {
						time.Sleep(time.Second)
						if connected(a) == 1 && connected(b) == 1 {
							break
						}
					}
					if connected(a) != 1 || connected(b) != 1 || invited != 1 {
						t.Errorf("%d and %d sessions two minutes later, invited %d times", connected(a), connected(b), invited)
					}
				})
			})
		}
	}
}
