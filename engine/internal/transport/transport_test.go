package transport

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/wire"
)

type end struct {
	*Endpoint
	id   *identity.Identity
	addr netip.AddrPort
}

// listen opens an endpoint on the loopback interface.
func listen(t *testing.T, refuse func(identity.PeerID) bool) *end {
	t.Helper()
	id, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	check := func(id identity.PeerID, _ []byte, _ bool) error {
		if refuse != nil && refuse(id) {
			return wire.ErrBlocked
		}
		return nil
	}
	e, err := Listen(Config{Identity: id, Conn: c, Check: check, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close(); _ = c.Close() })
	return &end{e, id, c.LocalAddr().(*net.UDPAddr).AddrPort()}
}

func (e *end) hello() wire.Hello {
	return wire.Hello{Version: wire.Version1, ID: e.id.ID.String(), Name: "x", Boot: "12345678"}
}

// serve greets incoming connections with hello and reports the outcome.
func (e *end) serve(t *testing.T, hello wire.Hello) <-chan error {
	out := make(chan error, 10)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := e.Accept(ctx)
			if err != nil {
				return
			}
			s, _, err := c.AwaitHello(ctx, HelloTimeout)
			if err == nil {
				err = c.Acknowledge(s, hello)
			}
			out <- err
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return out
}

func greet(t *testing.T, from *end, to *end, want identity.PeerID, hello wire.Hello) error {
	t.Helper()
	c, err := from.Dial(t.Context(), to.addr, KeyOf(want), Session)
	if err != nil {
		return err
	}
	defer c.Close(wire.Bye)
	if c.Peer != to.id.ID {
		t.Errorf("reached %v", c.Peer)
	}
	_, _, err = c.Greet(t.Context(), hello, HelloTimeout)
	return err
}

func TestGreeting_Succeeds(t *testing.T) {
	a, b := listen(t, nil), listen(t, nil)
	served := b.serve(t, b.hello())
	if err := greet(t, a, b, b.id.ID, a.hello()); err != nil {
		t.Fatal(err)
	}
	if err := <-served; err != nil {
		t.Fatal(err)
	}
}

func TestDial_UnexpectedKeyIsRefused(t *testing.T) {
	a, b, c := listen(t, nil), listen(t, nil), listen(t, nil)
	b.serve(t, b.hello())
	if err := greet(t, a, b, c.id.ID, a.hello()); !errors.Is(err, wire.ErrIdentity) {
		t.Errorf("%v", err)
	}
}

func TestGreeting_IDMustMatchTheKey(t *testing.T) {
	a, b, c := listen(t, nil), listen(t, nil), listen(t, nil)
	served := b.serve(t, b.hello())
	if err := greet(t, a, b, b.id.ID, c.hello()); err == nil {
		t.Error("a false hello was answered")
	}
	if err := <-served; !errors.Is(err, wire.ErrIdentity) {
		t.Errorf("the other side: %v", err)
	}
	d := listen(t, nil)
	d.serve(t, c.hello())
	if err := greet(t, a, d, d.id.ID, a.hello()); !errors.Is(err, wire.ErrIdentity) {
		t.Errorf("a false answer: %v", err)
	}
}

func TestDial_BlockedKeyIsRefused(t *testing.T) {
	a := listen(t, nil)
	b := listen(t, func(id identity.PeerID) bool { return id == a.id.ID })
	b.serve(t, b.hello())
	if err := greet(t, a, b, b.id.ID, a.hello()); err == nil {
		t.Error("a blocked key was greeted")
	}
	c := listen(t, func(identity.PeerID) bool { return true })
	if err := greet(t, c, a, a.id.ID, c.hello()); !errors.Is(err, wire.ErrBlocked) {
		t.Errorf("dialling a blocked key: %v", err)
	}
}

func TestDial_OwnKeyIsRefused(t *testing.T) {
	a := listen(t, nil)
	a.serve(t, a.hello())
	if _, err := a.Dial(t.Context(), a.addr, AnyKey, Session); err == nil {
		t.Error("an engine talks to itself")
	}
}

func TestGreeting_OtherVersionGivesErrVersion(t *testing.T) {
	a, b := listen(t, nil), listen(t, nil)
	b.serve(t, b.hello())
	h := a.hello()
	h.Version = 99
	if err := greet(t, a, b, b.id.ID, h); !errors.Is(err, wire.ErrVersion) {
		t.Errorf("%v", err)
	}
}

func TestGreeting_OtherServiceIsRefused(t *testing.T) {
	a, b := listen(t, nil), listen(t, nil)
	other := b.hello()
	other.Service = "chat"
	b.serve(t, other)
	h := a.hello()
	h.Service = "chess"
	if err := greet(t, a, b, b.id.ID, h); !errors.Is(err, wire.ErrUnavailable) {
		t.Errorf("%v", err)
	}
}

func TestDialAny_FirstAnswerWins(t *testing.T) {
	a, b := listen(t, nil), listen(t, nil)
	b.serve(t, b.hello())
	dead := netip.MustParseAddrPort("127.0.0.1:9")
	began := time.Now()
	c, err := a.DialAny(t.Context(), []netip.AddrPort{dead, dead, b.addr}, KeyOf(b.id.ID), Session, DialTimeout)
	if err != nil {
		t.Fatal(err)
	}
	c.Close(wire.Bye)
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestConn_KindReachesTheOtherSide(t *testing.T) {
	a, b := listen(t, nil), listen(t, nil)
	kinds := make(chan Kind, 2)
	go func() {
		for range 2 {
			c, err := b.Accept(t.Context())
			if err != nil {
				return
			}
			kinds <- c.Kind
		}
	}()
	for _, k := range []Kind{Session, Lane} {
		c, err := a.Dial(t.Context(), b.addr, KeyOf(b.id.ID), k)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(wire.Bye)
		if got := <-kinds; got != k {
			t.Errorf("%s arrived as %s", k, got)
		}
	}
}

// TestConn_LaneTokenIsItsOwn: the token of a lane is the same at both ends of one connection and differs on every
// other.
func TestConn_LaneTokenIsItsOwn(t *testing.T) {
	a, b := listen(t, nil), listen(t, nil)
	var tokens []string
	for range 2 {
		theirs := make(chan *Conn, 1)
		go func() {
			c, _ := b.Accept(t.Context())
			theirs <- c
		}()
		c, err := a.Dial(t.Context(), b.addr, KeyOf(b.id.ID), Session)
		if err != nil {
			t.Fatal(err)
		}
		o := <-theirs
		x, err1 := c.Token("id")
		y, err2 := o.Token("id")
		z, _ := o.Token("other")
		if err1 != nil || err2 != nil || x != y || len(x) != 64 || z == x {
			t.Errorf("%s %s %s %v %v", x, y, z, err1, err2)
		}
		tokens = append(tokens, x)
	}
	if tokens[0] == tokens[1] {
		t.Error("two conns have one token")
	}
}

func TestConn_CodesReachTheOtherSide(t *testing.T) {
	a, b := listen(t, nil), listen(t, nil)
	theirs := make(chan *Conn, 1)
	go func() {
		c, _ := b.Accept(t.Context())
		theirs <- c
	}()
	c, err := a.Dial(t.Context(), b.addr, KeyOf(b.id.ID), Session)
	if err != nil {
		t.Fatal(err)
	}
	o := <-theirs
	s, err := c.OpenStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = s.Write([]byte("x"))
	got, err := o.AcceptStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.Reset(wire.Declined)
	if _, err := io.ReadAll(got); !errors.Is(err, wire.ErrDeclined) {
		t.Errorf("reset arrived as %v", err)
	}
	c.Close(wire.Superseded)
	<-o.Done()
	if !errors.Is(o.Err(), wire.ErrSuperseded) {
		t.Errorf("close arrived as %v", o.Err())
	}
}

func TestListen_TakenPortIsAnError(t *testing.T) {
	c, err := net.ListenUDP("udp", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	id, _ := identity.New()
	port := c.LocalAddr().(*net.UDPAddr).Port
	if _, err := Listen(Config{Identity: id, Port: port, Log: slog.New(slog.DiscardHandler)}); err == nil {
		t.Error("a taken port was opened")
	}
}

// TestGreeting_SuccessAfterTheLimitIsAFailure: the connection is closed at the limit, so a step that succeeds a moment
// later must not count, or its side would use a closed connection.
func TestGreeting_SuccessAfterTheLimitIsAFailure(t *testing.T) {
	a, b := listen(t, nil), listen(t, nil)
	b.serve(t, b.hello())
	c, err := a.Dial(t.Context(), b.addr, KeyOf(b.id.ID), Session)
	if err != nil {
		t.Fatal(err)
	}
	late := func(ctx context.Context) error {
		<-ctx.Done()
		<-c.Done()
		return nil
	}
	if err := c.within(t.Context(), 10*time.Millisecond, late); !errors.Is(err, wire.ErrTimeout) {
		t.Errorf("a late step returned %v", err)
	}
}
