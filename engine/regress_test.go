package engine_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// raw is a peer that speaks the protocol by hand.
type raw struct {
	*transport.Endpoint
	id   *identity.Identity
	addr netip.AddrPort
}

func newRaw(t *testing.T, n *enginetest.Net) *raw {
	t.Helper()
	id, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	return rawOf(t, n, id)
}

// rawOf is newRaw for a key; one key may have several.
func rawOf(t *testing.T, n *enginetest.Net, id *identity.Identity) *raw {
	t.Helper()
	conn, closeConn := n.Socket()
	e, err := transport.Listen(transport.Config{Identity: id, Conn: conn, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close(); closeConn() })
	return &raw{e, id, conn.LocalAddr().(*net.UDPAddr).AddrPort()}
}

func (r *raw) dial(t *testing.T, to *enginetest.Node) *transport.Conn {
	t.Helper()
	c, err := r.Dial(t.Context(), to.Addr, to.Self().ID, transport.Session)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(wire.Bye) })
	return c
}

func (r *raw) greet(t *testing.T, c *transport.Conn) (*transport.Stream, error) {
	t.Helper()
	s, _, err := c.Greet(t.Context(), wire.Hello{Version: 1, ID: r.id.ID.String(), Name: "raw", Boot: "12345678"}, transport.HelloTimeout)
	return s, err
}

func TestBlockedPeerHasNoSpareConn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := enginetest.New(t, latency)
		a := n.Start(engine.Config{})
		next := events(t, a)
		m := newRaw(t, n)
		if _, err := m.greet(t, m.dial(t, a)); err != nil {
			t.Fatal(err)
		}
		next(is[engine.PeerChanged])
		spare := m.dial(t, a) // its handshake is over before the block
		if err := a.SetTrust(m.id.ID, engine.TrustBlocked); err != nil {
			t.Fatal(err)
		}
		s, err := m.greet(t, spare)
		if err == nil {
			_ = s.WriteMessage(wire.Invite{ID: "00112233445566778899aabbccddeeff"})
		}
		time.Sleep(2 * time.Second)
		if p, ok := a.Peer(m.id.ID); ok && p.Confirmed {
			t.Errorf("a blocked peer is back: %+v", p)
		}
	})
}

func TestSilentConnsKeepNobodyOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := enginetest.New(t, latency)
		a := n.Start(open("a"))
		m := newRaw(t, n)
		for range 64 {
			if c, err := m.Dial(t.Context(), a.Addr, a.Self().ID, transport.Session); err == nil {
				t.Cleanup(func() { c.Close(wire.Bye) })
			}
		}
		b := n.Start(open("b"))
		began := time.Now()
		next := events(t, b)
		next(is[engine.PeerAdded])
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("an honest peer waits %v", took)
		}
	})
}

func TestOfferThatNobodyAnswersExpires(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		n := enginetest.New(t, latency)
		a, b := n.Start(engine.Config{}), n.Start(engine.Config{})
		next := events(t, b)
		meet(t, a, b)
		refused := 0
		for range 5 {
			tr, err := a.Offer(t.Context(), b.Self().ID, file)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			for _, now := range a.Transfers() {
				if now.ID == tr.ID && errors.Is(now.Err, engine.ErrBusy) {
					refused++
				}
			}
		}
		if refused != 3 {
			t.Errorf("%d of 5 offers of a stranger were refused", refused)
		}
		next(is[engine.OfferReceived])
		time.Sleep(engine.OfferTimeout)
		for _, tr := range append(a.Transfers(), b.Transfers()...) {
			if !tr.State.Final() {
				t.Errorf("still %v", tr.State)
			}
		}
	})
}

func TestForgottenPeerAsksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := enginetest.New(t, latency)
		a, b := n.Start(engine.Config{}), n.Start(engine.Config{Accept: engine.Everyone})
		next := events(t, a)
		meet(t, a, b)
		if err := a.Invite(t.Context(), b.Self().ID); err != nil {
			t.Fatal(err)
		}
		next(is[engine.PeerAdded])
		time.Sleep(time.Second)
		if err := a.SetTrust(b.Self().ID, engine.TrustUnknown); err != nil {
			t.Fatal(err)
		}
		next(is[engine.PeerRemoved])
		n.Drop(func(_, _ netip.AddrPort) bool { return true })
		time.Sleep(9 * time.Second)
		n.Drop(nil)
		time.Sleep(time.Minute)
		if connected(a) != 0 {
			t.Error("connected again without an invitation")
		}
	})
}

// TestRestartWhileAnInvitationWaits: the new life of a peer is not taken for the old one.
func TestRestartWhileAnInvitationWaits(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "profile")
	synctest.Test(t, func(t *testing.T) {
		n := enginetest.New(t, latency)
		a, b := n.Start(engine.Config{Profile: dir}), n.Start(engine.Config{})
		next := events(t, b)
		meet(t, a, b)
		go func() { _ = a.Invite(t.Context(), b.Self().ID) }()
		old := next(is[engine.InvitationReceived]).(engine.InvitationReceived).Invitation
		n.Drop(func(_, _ netip.AddrPort) bool { return true }) // it dies without a goodbye
		_ = a.Stop()
		n.Drop(nil)
		a = n.Start(engine.Config{Profile: dir})
		meet(t, a, b)
		time.Sleep(3 * time.Second)
		if err := old.Accept(); !errors.Is(err, engine.ErrAnswered) {
			t.Errorf("the old invitation can be accepted: %v", err)
		}
		answer := make(chan error, 1)
		go func() { answer <- a.Invite(t.Context(), b.Self().ID) }()
		inv := next(is[engine.InvitationReceived]).(engine.InvitationReceived).Invitation
		if err := inv.Accept(); err != nil {
			t.Error(err)
		}
		if err := <-answer; err != nil {
			t.Errorf("the new one: %v", err)
		}
	})
}

func TestOwnWaitingTakesNoMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := enginetest.New(t, latency)
		a := n.Start(open("a"))
		cfg := open("b")
		cfg.Dial = []string{a.Addr.String()} // which the engine watches over
		b := n.Start(cfg)
		next := events(t, a)
		next(is[engine.PeerAdded])
		r, err := a.Send(t.Context(), "hello", b.Self().ID)
		if err != nil || !errors.Is(r[0].Err, engine.ErrUnavailable) {
			t.Errorf("a message that nobody reads: %v, %v", r, err)
		}
	})
}

func TestCancelRightAfterOffer(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		n := enginetest.New(t, latency)
		a, b := n.Start(engine.Config{}), n.Start(engine.Config{})
		events(t, b)
		meet(t, a, b)
		for i := range 30 {
			tr, err := a.Offer(t.Context(), b.Self().ID, file)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(i%3) * time.Millisecond)
			a.Cancel(tr.ID)
			if got, err := a.Wait(t.Context(), tr.ID); err != nil || got.State != engine.Cancelled {
				t.Fatalf("%v, %v", got.State, err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		for _, tr := range b.Transfers() {
			if tr.State != engine.Cancelled {
				t.Errorf("still %v there", tr.State)
			}
		}
	})
}

// TestLaneThatOvertakesTheAnswer loses the packet with the answer: the lane says as much.
func TestLaneThatOvertakesTheAnswer(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	inbox := t.TempDir()
	for i := range 20 {
		synctest.Test(t, func(t *testing.T) {
			n := enginetest.New(t, latency)
			a, b := n.Start(engine.Config{}), n.Start(engine.Config{})
			if a.Self().ID.Less(b.Self().ID) {
				a, b = b, a // the receiver dials
			}
			next := events(t, b)
			meet(t, a, b)
			tr, err := a.Offer(t.Context(), b.Self().ID, file)
			if err != nil {
				t.Fatal(err)
			}
			offer := next(is[engine.OfferReceived]).(engine.OfferReceived).Offer
			time.Sleep(time.Second)
			lost := 0
			n.Drop(func(from, to netip.AddrPort) bool {
				if from == b.Addr && lost <= i%3 {
					lost++
					return true
				}
				return false
			})
			if err := offer.Accept(engine.AcceptOptions{Dir: inbox}); err != nil {
				t.Fatal(err)
			}
			if got, err := a.Wait(t.Context(), tr.ID); err != nil || got.State != engine.Delivered {
				t.Errorf("%v, %v, %v", got.State, got.Err, err)
			}
		})
	}
}

// TestSlowReaderKeepsAPeerThatCameBack: an appearance after a loss is news of its own.
func TestSlowReaderKeepsAPeerThatCameBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := enginetest.New(t, latency)
		a := n.Start(engine.Config{})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		slow := a.Watch(ctx)
		b := n.Start(engine.Config{})
		meet(t, a, b)
		time.Sleep(2 * time.Second)
		b.SetAdvertising(false)
		_ = b.Stop()
		c := n.Start(engine.Config{})
		meet(t, a, c)
		time.Sleep(2 * time.Second)
		time.AfterFunc(time.Second, cancel)
		here := map[engine.PeerID]bool{}
		for ev := range slow {
			switch ev := ev.(type) {
			case engine.PeerChanged:
				here[ev.Peer.ID] = true
			case engine.PeerLost:
				delete(here, ev.Peer.ID)
			}
		}
		if !here[c.Self().ID] || here[b.Self().ID] {
			t.Errorf("the reader believes in %v", here)
		}
	})
}

func TestFailureBeforeTheFirstByteIsTold(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "f")
	if err := os.WriteFile(file, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	// A file where the hidden folder should be keeps the receiver from staging.
	if err := os.WriteFile(filepath.Join(dir, ".multipeer-partial"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		n := enginetest.New(t, latency)
		a, b := n.Start(engine.Config{}), n.Start(engine.Config{})
		next := events(t, b)
		meet(t, a, b)
		tr, err := a.Offer(t.Context(), b.Self().ID, file)
		if err != nil {
			t.Fatal(err)
		}
		offer := next(is[engine.OfferReceived]).(engine.OfferReceived).Offer
		if err := offer.Accept(engine.AcceptOptions{Dir: dir}); err != nil {
			t.Fatal(err)
		}
		sent, _ := a.Wait(t.Context(), tr.ID)
		got, _ := b.Wait(t.Context(), tr.ID)
		if sent.State != engine.Failed || errors.Is(sent.Err, engine.ErrBye) || got.State != engine.Failed {
			t.Errorf("sender %v: %v; receiver %v: %v", sent.State, sent.Err, got.State, got.Err)
		}
	})
}

// TestStrangersHideNobody: a part of the table is for who dials us unasked; who is found has the rest.
func TestStrangersHideNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := enginetest.New(t, latency)
		a := n.Start(open("a"))
		refused := 0
		for range 260 {
			m := newRaw(t, n)
			if _, err := m.greet(t, m.dial(t, a)); err != nil {
				refused++
			}
		}
		if refused == 0 {
			t.Error("strangers fill the table without end")
		}
		b := n.Start(engine.Config{Name: "b", Accept: engine.Everyone})
		meet(t, a, b)
	})
}

// TestOldHelloEndsNoSession: of two conns that crossed, the hello of the one that was not taken may be read late, and its
// sender may be too busy to answer a probe. It says nothing of the session that began meanwhile.
func TestOldHelloEndsNoSession(t *testing.T) {
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
