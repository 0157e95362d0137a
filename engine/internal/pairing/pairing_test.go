package pairing

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/tasks"
	"multipeer/engine/internal/wire"
)

// device is a manager with what it has published.
type device struct {
	*Manager
	id   identity.PeerID
	link *testLink // to the other device

	mu      sync.Mutex
	newest  View
	windows int // how often the pairing window has changed
}

func (d *device) Current(identity.PeerID) Link {
	if d.link == nil {
		return nil
	}
	return d.link
}
func (d *device) MayAsk(identity.PeerID) bool { return true }
func (d *device) Verified(identity.PeerID)    {}

func (d *device) Publish(v View) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.newest = v
}

func (d *device) WindowChanged() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.windows++
}

func (d *device) view() View {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.newest
}

func (d *device) stage() Stage { return d.view().Stage }

func (d *device) windowChanges() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.windows
}

// testLink passes messages to the other device through a queue.
type testLink struct {
	out    chan wire.Message
	filter func(wire.Message) wire.Message
}

func (l *testLink) Send(m wire.Message) {
	if l.filter != nil {
		m = l.filter(m)
	}
	l.out <- m
}
func (l *testLink) Binding() ([]byte, error)   { return bytes.Repeat([]byte{7}, 32), nil }
func (l *testLink) RemoteAddr() netip.AddrPort { return netip.MustParseAddrPort("192.0.2.1:1") }

// pair returns two devices that are connected. It must run in a bubble of testing/synctest.
func pair(t *testing.T) (a, b *device) {
	ctx, cancel := context.WithCancel(t.Context())
	var groups []*tasks.Group
	start := func() *device {
		profile, err := identity.Ephemeral()
		if err != nil {
			t.Fatal(err)
		}
		g := &tasks.Group{}
		g.Begin(ctx)
		groups = append(groups, g)
		d := &device{id: profile.ID, link: &testLink{out: make(chan wire.Message, 100)}}
		d.Manager = New(d, profile, g, slog.New(slog.DiscardHandler))
		return d
	}
	a, b = start(), start()
	serve := func(from, to *device) {
		for {
			select {
			case m := <-from.link.out:
				_ = to.Take(Peer{from.id, "other", to.link}, m)
			case <-ctx.Done():
				return
			}
		}
	}
	go serve(a, b)
	go serve(b, a)
	t.Cleanup(func() {
		cancel()
		for _, g := range groups {
			g.Wait()
		}
	})
	return a, b
}

func (d *device) pairWith(o *device) error { return d.Pair(Peer{o.id, "other", d.link}) }

func TestPairing_BothConfirm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		b.Open()
		if err := a.pairWith(b); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if b.stage() != Asked {
			t.Fatalf("%v", b.stage())
		}
		if err := b.pairWith(a); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		code := a.Code(b.id)
		if a.stage() != Compare || b.stage() != Compare || code == "" || code != b.Code(a.id) {
			t.Fatalf("%v, %v", a.stage(), b.stage())
		}
		if err := errors.Join(a.Confirm(b.id, ""), b.Confirm(a.id, code)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if a.stage() != Done || b.stage() != Done || !a.profile.Knows(b.id) || !b.profile.Knows(a.id) {
			t.Errorf("%v, %v", a.stage(), b.stage())
		}
	})
}

func TestPairing_WrongChoiceFailsBoth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		b.Open()
		_ = a.pairWith(b)
		synctest.Wait()
		_ = b.pairWith(a)
		synctest.Wait()
		wrong := ""
		for _, c := range b.view().Choices {
			if c = c[:3] + c[4:]; c != a.Code(b.id) {
				wrong = c
			}
		}
		if err := b.Confirm(a.id, wrong); !errors.Is(err, wire.ErrMismatch) {
			t.Errorf("%v", err)
		}
		synctest.Wait()
		if a.stage() != Failed || b.stage() != Failed || a.Has(b.id) || b.Has(a.id) {
			t.Errorf("%v, %v", a.stage(), b.stage())
		}
		if err := b.pairWith(a); !errors.Is(err, wire.ErrMismatch) {
			t.Errorf("again at once: %v", err)
		}
	})
}

func TestPairing_ChangedNonceEndsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		b.Open()
		_ = a.pairWith(b)
		synctest.Wait()
		a.link.filter = func(m wire.Message) wire.Message {
			if r, ok := m.(wire.PairReveal); ok { // a nonce other than the one it has committed to
				r.Nonce = string(bytes.Repeat([]byte("00"), identity.NonceSize))
				return r
			}
			return m
		}
		_ = b.pairWith(a)
		synctest.Wait()
		if b.stage() != Failed || !errors.Is(b.view().Err, wire.ErrProtocol) {
			t.Errorf("%v", b.view())
		}
	})
}

func TestPairing_WindowClosesByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		b.Open()
		_ = a.pairWith(b)
		synctest.Wait()
		if !b.IsOpen() || b.windowChanges() != 1 {
			t.Errorf("open %v, reported %d times", b.IsOpen(), b.windowChanges())
		}
		time.Sleep(Window + time.Second)
		synctest.Wait()
		if b.IsOpen() || b.windowChanges() != 2 || b.stage() != Failed {
			t.Errorf("open %v, reported %d times, %v", b.IsOpen(), b.windowChanges(), b.stage())
		}
	})
}

func TestPairing_LostConnectionEndsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		b.Open()
		_ = a.pairWith(b)
		synctest.Wait()
		a.LinkDown(b.id, wire.ErrBye)
		if a.stage() != Failed || a.Has(b.id) {
			t.Errorf("%v", a.stage())
		}
	})
}

func TestPairing_LinkIsValidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		secret := b.Secret()
		for i, want := range []error{nil, wire.ErrDeclined} {
			answer := make(chan error, 1)
			if err := a.ProveLink(Peer{b.id, "other", a.link}, secret, answer); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if err := <-answer; !errors.Is(err, want) {
				t.Errorf("use %d: %v", i+1, err)
			}
		}
	})
}
