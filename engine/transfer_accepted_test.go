package engine_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
	"multipeer/transfer"
)

// offerRaw offers one small file over s and returns the first answer to it.
func offerRaw(t *testing.T, s *transport.Stream, id string, attempt int64) wire.OfferAnswer {
	t.Helper()
	if err := s.WriteMessage(wire.Offer{ID: id, Names: []string{"x"}, Items: 1, Files: 1, Bytes: 1, Attempt: attempt, Keep: true}); err != nil {
		t.Fatal(err)
	}
	return answerRaw(t, s, id)
}

func answerRaw(t *testing.T, s *transport.Stream, id string) wire.OfferAnswer {
	t.Helper()
	for {
		m, err := s.ReadMessage(wire.MaxFrame)
		if err != nil {
			t.Fatal(err)
		}
		if a, ok := m.(wire.OfferAnswer); ok && a.ID == id {
			return a
		}
	}
}

// TestOffer_AcceptedButNeverBegunIsLimited checks that a peer cannot collect accepted transfers that it never begins.
func TestOffer_AcceptedButNeverBegunIsLimited(t *testing.T) {
	for trust, most := range map[engine.Trust]int{engine.TrustUnknown: 4, engine.TrustVerified: 100} {
		t.Run(string(trust), func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				net := enginetest.New(t, latency)
				b := net.Start(engine.Config{Offers: engine.Everyone})
				m := newRaw(t, net)
				if trust != engine.TrustUnknown {
					if err := b.SetTrust(m.id.ID, trust); err != nil {
						t.Fatal(err)
					}
				}
				acceptAll(t, b, engine.AcceptOptions{Dir: dir})
				s, err := m.greet(t, m.dial(t, b))
				if err != nil {
					t.Fatal(err)
				}
				accepted := 0
				for i := range 2 * most {
					if offerRaw(t, s, fmt.Sprintf("%032x", i+1), 1).Accept {
						accepted++
					}
				}
				if accepted != most {
					t.Errorf("%d were accepted, want %d", accepted, most)
				}
			})
		})
	}
}

// TestOffer_AcceptedEndsWhenItsSenderStaysAway checks that an accepted transfer of a stranger, kept or paused, ends
// when its sender stays away.
func TestOffer_AcceptedEndsWhenItsSenderStaysAway(t *testing.T) {
	const id = "00112233445566778899aabbccddeeff"
	for _, paused := range []bool{false, true} {
		t.Run(fmt.Sprintf("paused %v", paused), func(t *testing.T) {
			dir, profile := t.TempDir(), filepath.Join(t.TempDir(), "profile")
			synctest.Test(t, func(t *testing.T) {
				net := enginetest.New(t, latency)
				b := net.Start(engine.Config{Offers: engine.Everyone, Profile: profile})
				acceptAll(t, b, engine.AcceptOptions{Dir: dir})
				m := newRaw(t, net)
				s, err := m.greet(t, m.dial(t, b))
				if err != nil {
					t.Fatal(err)
				}
				if a := offerRaw(t, s, id, 1); !a.Accept {
					t.Fatalf("%+v", a)
				}
				if paused {
					if err := s.WriteMessage(wire.OfferPause{ID: id}); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(time.Second)
				_ = b.Stop()
				time.Sleep(25 * time.Hour)
				b = net.Start(engine.Config{Offers: engine.Everyone, Profile: profile})
				until(t, b, id, 2*time.Hour, "end", inState(engine.Failed))
			})
		})
	}
}

// TestOffer_RevokedTrustAsksAgain checks that what was accepted under a trust that the user has since revoked is
// neither continued nor revived.
func TestOffer_RevokedTrustAsksAgain(t *testing.T) {
	const id = "00112233445566778899aabbccddeeff"
	auto := engine.AutoAccept{Bytes: 1 << 30}
	for name, revoke := range map[string]func(*enginetest.Node, engine.PeerID) error{
		"forgotten": func(n *enginetest.Node, id engine.PeerID) error { return n.SetTrust(id, engine.TrustUnknown) },
		"less":      func(n *enginetest.Node, id engine.PeerID) error { return n.SetTrust(id, engine.TrustSeen) },
		"auto off":  func(n *enginetest.Node, id engine.PeerID) error { return n.SetAutoAccept(id, engine.AutoAccept{}) },
		"blocked and unblocked": func(n *enginetest.Node, id engine.PeerID) error {
			if err := n.SetTrust(id, engine.TrustBlocked); err != nil {
				return err
			}
			time.Sleep(time.Second)
			return n.SetTrust(id, engine.TrustUnknown)
		},
	} {
		t.Run(name, func(t *testing.T) {
			auto.Dir = t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				net := enginetest.New(t, latency)
				b := net.Start(engine.Config{Offers: engine.Everyone})
				offered := offers(t, b)
				m := newRaw(t, net)
				if err := b.SetTrust(m.id.ID, engine.TrustVerified); err != nil {
					t.Fatal(err)
				}
				if err := b.SetAutoAccept(m.id.ID, auto); err != nil {
					t.Fatal(err)
				}
				conn := m.dial(t, b)
				s, err := m.greet(t, conn)
				if err != nil {
					t.Fatal(err)
				}
				if a := offerRaw(t, s, id, 1); !a.Accept {
					t.Fatalf("%+v", a)
				}
				if err := revoke(b, m.id.ID); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				if got := of(t, b, id); !got.State.Final() {
					t.Errorf("it is %v", got.State)
				}
				if conn.Err() != nil {
					if s, err = m.greet(t, m.dial(t, b)); err != nil {
						t.Fatal(err)
					}
				}
				const again = "ffeeddccbbaa99887766554433221100"
				for _, id := range []string{id, again} {
					if err := s.WriteMessage(wire.Offer{ID: id, Names: []string{"x"}, Items: 1, Files: 1, Bytes: 1, Attempt: 2, Keep: true}); err != nil {
						t.Fatal(err)
					}
				}
				for o := offered(); string(o.Transfer.ID) != again; o = offered() {
				}
				if got := of(t, b, id); !got.State.Final() && got.State != engine.Offered {
					t.Errorf("without a question it is %v", got.State)
				}
			})
		})
	}
}

// TestCancel_OfAFailedTransferForgetsItsAcceptance checks that the sender has to ask again.
func TestCancel_OfAFailedTransferForgetsItsAcceptance(t *testing.T) {
	const id = "00112233445566778899aabbccddeeff"
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		b := net.Start(engine.Config{Offers: engine.Everyone})
		offered := offers(t, b)
		m := newRaw(t, net)
		conn := m.dial(t, b)
		s, err := m.greet(t, conn)
		if err != nil {
			t.Fatal(err)
		}
		propose := func(attempt int64) {
			t.Helper()
			if err := s.WriteMessage(wire.Offer{ID: id, Names: []string{"x"}, Items: 1, Files: 1, Bytes: 1, Attempt: attempt}); err != nil {
				t.Fatal(err)
			}
		}
		propose(1)
		if err := offered().Accept(engine.AcceptOptions{Dir: dir}); err != nil {
			t.Fatal(err)
		}
		conn.Close(wire.Bye)
		until(t, b, id, time.Minute, "end", inState(engine.Failed))
		b.Cancel(id)
		for range 10 { // b may dial at the same moment, and no peer answers there
			if s, err = m.greet(t, m.dial(t, b)); err == nil {
				break
			}
			time.Sleep(5 * time.Second)
		}
		if err != nil {
			t.Fatal(err)
		}
		propose(2)
		if o := offered(); o.Transfer.ID != id {
			t.Errorf("asked about %v", o.Transfer.ID)
		}
	})
}

// TestCancel_WithoutRunRemovesWhatArrived checks that a command on a stopped profile leaves nothing behind.
func TestCancel_WithoutRunRemovesWhatArrived(t *testing.T) {
	file := bytesIn(t, size)
	for how, end := range map[string]func(*engine.Engine, engine.TransferID, engine.PeerID) error{
		"cancelled": func(e *engine.Engine, id engine.TransferID, _ engine.PeerID) error { e.Cancel(id); return nil },
		"blocked": func(e *engine.Engine, _ engine.TransferID, peer engine.PeerID) error {
			return e.SetTrust(peer, engine.TrustBlocked)
		},
		"forgotten": func(e *engine.Engine, _ engine.TransferID, peer engine.PeerID) error {
			return e.SetTrust(peer, engine.TrustUnknown)
		},
	} {
		t.Run(how, func(t *testing.T) {
			dir, profile := t.TempDir(), filepath.Join(t.TempDir(), "profile")
			synctest.Test(t, func(t *testing.T) {
				net := enginetest.New(t, latency)
				net.Limit(30_000_000, 256<<10)
				a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone, Profile: profile})
				acceptAll(t, b, engine.AcceptOptions{Dir: dir})
				meet(t, a, b)
				tr, err := a.OfferWith(t.Context(), b.Self().ID, engine.OfferOptions{Keep: true}, file)
				if err != nil {
					t.Fatal(err)
				}
				until(t, a, tr.ID, time.Minute, "movement", past(2<<20))
				if err := b.Kill(); err != nil {
					t.Fatal(err)
				}
				e, err := engine.New(engine.Config{Offers: engine.Everyone, Profile: profile})
				if err != nil {
					t.Fatal(err)
				}
				if err := end(e, tr.ID, a.Self().ID); err != nil {
					t.Error(err)
				}
				if err := e.Close(); err != nil {
					t.Error(err)
				}
				if left, _ := filepath.Glob(filepath.Join(dir, ".multipeer-partial", string(tr.ID))); len(left) > 0 {
					t.Errorf("%q is left", left)
				}
			})
		})
	}
}

// TestForget_CancelsWhatWaitsToBeSent checks that no later delivery makes a forgotten peer known again.
func TestForget_CancelsWhatWaitsToBeSent(t *testing.T) {
	file := bytesIn(t, 300_000)
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
		offers(t, b) // nobody answers
		meet(t, a, b)
		id := b.Self().ID
		tr, err := a.OfferWith(t.Context(), id, engine.OfferOptions{Keep: true}, file)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if err := a.SetTrust(id, engine.TrustUnknown); err != nil {
			t.Fatal(err)
		}
		acceptAll(t, b, engine.AcceptOptions{Dir: dir})
		time.Sleep(time.Minute)
		if got := of(t, a, tr.ID); got.State != engine.Cancelled || a.Trust(id) != engine.TrustUnknown {
			t.Errorf("%v, and the peer is %q", got.State, a.Trust(id))
		}
	})
}

// TestOffer_LongAttemptIsNotIdle checks that a transfer of a stranger may be paused after an attempt of more than a
// day.
func TestOffer_LongAttemptIsNotIdle(t *testing.T) {
	if testing.Short() {
		t.Skip("simulating a day takes a long time")
	}
	file := bytesIn(t, 300_000)
	busy := t.TempDir()
	if err := os.WriteFile(filepath.Join(busy, filepath.Base(file)), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
		answered := make(chan struct{})
		defer close(answered)
		choose := func(string) transfer.Existing { <-answered; return transfer.KeepBoth }
		acceptAll(t, b, engine.AcceptOptions{Dir: busy, Choose: choose})
		tr, err := a.OfferWith(t.Context(), b.Self().ID, engine.OfferOptions{Keep: true}, file)
		if err != nil {
			t.Fatal(err)
		}
		until(t, a, tr.ID, time.Minute, "stall", inState(engine.Stalled))
		time.Sleep(25 * time.Hour)
		if err := a.Pause(tr.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		for _, n := range []*enginetest.Node{a, b} {
			if got := of(t, n, tr.ID); got.State.Final() {
				t.Errorf("%v: %v", got.State, got.Err)
			}
		}
	})
}

// TestOffer_VerifiedPeersHaveOwnPlaces checks that offers of peers that were only accepted take no slots of verified
// peers.
func TestOffer_VerifiedPeersHaveOwnPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		b := net.Start(engine.Config{Offers: engine.Everyone})
		offered := offers(t, b)
		propose := func(trust engine.Trust, first, n int) {
			t.Helper()
			m := newRaw(t, net)
			if err := b.SetTrust(m.id.ID, trust); err != nil {
				t.Fatal(err)
			}
			s, err := m.greet(t, m.dial(t, b))
			if err != nil {
				t.Fatal(err)
			}
			for i := range n {
				if err := s.WriteMessage(wire.Offer{ID: fmt.Sprintf("%032x", first+i), Names: []string{"x"}, Items: 1, Files: 1, Bytes: 1, Attempt: 1}); err != nil {
					t.Fatal(err)
				}
				offered()
			}
		}
		for i := range 5 {
			propose(engine.TrustSeen, 100*i+1, 10)
		}
		propose(engine.TrustVerified, 1000, 1)
	})
}

// TestOffer_StrangersOfOneAddressLeavePlaces checks that the accepted transfers of strangers at one address, which
// never move, do not keep another stranger from sending.
func TestOffer_StrangersOfOneAddressLeavePlaces(t *testing.T) {
	large, small := bytesIn(t, 3<<20), bytesIn(t, 1000)
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		net.Limit(20_000_000, 256<<10)
		b := net.Start(engine.Config{Offers: engine.Everyone})
		acceptAll(t, b, engine.AcceptOptions{Dir: dir})
		for i := range 4 {
			evil := net.StartAt(netip.AddrPortFrom(netip.MustParseAddr("10.0.0.200"), uint16(20000+i)), engine.Config{Offers: engine.Everyone, Blind: true})
			up(evil)
			dial(t, evil, b)
			for range 4 {
				tr, err := evil.OfferWith(t.Context(), b.Self().ID, engine.OfferOptions{Keep: true}, large)
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(100 * time.Millisecond)
				if err := evil.Pause(tr.ID); err != nil {
					t.Fatal(err)
				}
			}
		}
		time.Sleep(5 * time.Second)
		honest := net.Start(engine.Config{Offers: engine.Everyone})
		up(honest)
		dial(t, honest, b)
		tr, err := honest.Offer(t.Context(), b.Self().ID, small)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := honest.Wait(t.Context(), tr.ID); err != nil || got.State != engine.Delivered {
			t.Errorf("%v, %v, %v", got.State, got.Err, err)
		}
	})
}

// TestOffer_RevivedOnesCount checks that transfers that have failed and continue count like new ones.
func TestOffer_RevivedOnesCount(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		b := net.Start(engine.Config{Offers: engine.Everyone})
		m, other := newRaw(t, net), newRaw(t, net)
		acceptAll(t, b, engine.AcceptOptions{Dir: dir})
		s, err := m.greet(t, m.dial(t, b))
		if err != nil {
			t.Fatal(err)
		}
		const n = 20
		for i := range n {
			id := fmt.Sprintf("%032x", i+1)
			offerRaw(t, s, id, 1)
			if err := s.WriteMessage(wire.OfferCancel{ID: id, Code: wire.Timeout}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * time.Second)
		}
		again := 0
		for i := range n {
			if offerRaw(t, s, fmt.Sprintf("%032x", i+1), 2).Accept {
				again++
			}
			time.Sleep(30 * time.Millisecond)
		}
		if again != 4 {
			t.Errorf("%d continue, want 4", again)
		}
		s2, err := other.greet(t, other.dial(t, b))
		if err != nil {
			t.Fatal(err)
		}
		if a := offerRaw(t, s2, fmt.Sprintf("%032x", 0xffff00), 1); !a.Accept {
			t.Errorf("another peer: %v", a.Code)
		}
	})
}
